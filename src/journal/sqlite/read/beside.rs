//! Reads beside the tasks of the engine.

use tokio::task::{JoinError, spawn_blocking};

/// Runs a read where it may block; in a simulation at once, so that the seed decides what happens next.
pub(crate) async fn beside<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    #[cfg(test)]
    if crate::time::simulated::is_on() {
        return Ok(read());
    }
    spawn_blocking(read).await
}
