//! Mails as files, where no server is configured.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::delivery::{Failure, Verdict};
use crate::destinations::file;
use crate::error::ErrorKind;

/// Writes a mail to `ID.eml` in the folder: wholly or not at all, and once however often it is done.
///
/// # Errors
/// The verdict on the delivery.
pub(super) async fn write(folder: &Path, id: Uuid, mail: Vec<u8>) -> Result<PathBuf, Verdict> {
    let path = folder.join(format!("{id}.eml"));
    match file::write(path.clone(), mail).await {
        Ok(()) => Ok(path),
        Err(error) => {
            let message = format!("{} cannot be written: {error}", path.display());
            let failure = Failure::new(ErrorKind::Connection, message);
            Err(Verdict::Retry { failure, after: None })
        }
    }
}
