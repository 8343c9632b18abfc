//! The process-wide background runtime.
//!
//! It belongs to no engine and no JavaScript thread: a worker thread that ends, or a handle that
//! is garbage-collected, takes no delivery along. napi's own runtime stops with the last
//! environment and is not used.

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

/// Deliveries wait for the network; more threads than this only hand work to and fro.
const MAX_THREADS: usize = 4;

/// The handle of the runtime, which starts with the first engine.
pub fn handle() -> Result<Handle> {
    #[cfg(test)]
    if crate::time::simulated::is_on() {
        return Ok(Handle::current());
    }
    let runtime = RUNTIME.get_or_try_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Builder::new_multi_thread()
            .worker_threads(cores.div_ceil(2).min(MAX_THREADS))
            .thread_name("dollar-send")
            .enable_all()
            .build()
    });
    let runtime = runtime.map_err(|source| {
        Error::new(ErrorKind::Internal, "the background runtime could not start")
            .with_source(source)
    })?;
    Ok(runtime.handle().clone())
}
