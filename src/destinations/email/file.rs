//! Mails as files, where no server is configured.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::destinations::{Failure, Verdict};
use crate::error::ErrorKind;

/// Makes the folder, for its owner alone, if it is not there.
fn create(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a mail to `ID.eml` in the folder: wholly or not at all, and once however often it is done.
///
/// # Errors
/// The verdict on the delivery.
pub(super) async fn write(folder: &Path, id: Uuid, mail: Vec<u8>) -> Result<PathBuf, Verdict> {
    let (folder, path) = (folder.to_owned(), folder.join(format!("{id}.eml")));
    let goal = path.clone();
    let written = tokio::task::spawn_blocking(move || {
        create(&folder)?;
        let draft = goal.with_extension("eml.tmp");
        let mut file = File::create(&draft)?;
        file.write_all(&mail)?;
        file.sync_data()?;
        fs::rename(&draft, &goal)
    });
    let written = written.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    written.map(|()| path.clone()).map_err(|error| {
        let message = format!("{} cannot be written: {error}", path.display());
        Verdict::Retry { failure: Failure::new(ErrorKind::Connection, message), after: None }
    })
}
