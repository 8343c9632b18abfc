//! Files that are there wholly or not at all.

use std::fs::{self, File};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

use crate::private;

/// Writes a file and makes its folders: wholly or not at all, and once however often it is done.
pub(super) async fn write(path: PathBuf, content: impl AsRef<[u8]> + Send + 'static) -> Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let folder = path.parent().unwrap_or(Path::new("."));
        private::create_folder(folder)?;
        let mut draft = path.clone().into_os_string();
        draft.push(".tmp");
        let mut file = private::create_file(draft.as_ref())?;
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
