//! Files that are there wholly or not at all.

use std::fs::{self, DirBuilder, File};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

/// Makes the folder, for its owner alone, if it is not there.
fn create(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file and makes its folders: wholly or not at all, and once however often it is done.
pub(super) async fn write(path: PathBuf, content: impl AsRef<[u8]> + Send + 'static) -> Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let folder = path.parent().unwrap_or(Path::new("."));
        create(folder)?;
        let mut draft = path.clone().into_os_string();
        draft.push(".tmp");
        let mut file = File::create(&draft)?;
        file.write_all(content.as_ref())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        // The name lasts when the folder does.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    });
    written.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
}
