//! The move of a data directory into a shared journal, for the command `migrate`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::error::to_js_error;
use super::options;
use super::promise::promise;
use crate::engine::{self, MoveProgress, runtime};
use crate::error::{Error, ErrorKind};

/// The progress of the move that began last.
static PROGRESS: Mutex<Option<Arc<MoveProgress>>> = Mutex::new(None);

/// Moves a data directory, or plans it. The options and the report are JSON.
#[napi(js_name = "_migrate", catch_unwind, skip_typescript)]
pub fn migrate(env: &Env, options: String, is_plan: bool) -> napi::Result<Object<'_>> {
    let runtime = runtime::handle().map_err(|error| to_js_error(*env, &error))?;
    let progress = Arc::new(MoveProgress::default());
    *PROGRESS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&progress));
    let moved = async move {
        let options = options::read_move(&options)?;
        let moved = move || {
            if is_plan {
                engine::plan_move(&options)
            } else {
                engine::move_directory(&options, &progress)
            }
        };
        let moved = tokio::task::spawn_blocking(moved).await;
        moved.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "the move panicked").with_source(panic))
        })
    };
    promise(env, &runtime, moved, |_, text| Ok(text))
}

/// Returns the executions that are moved, and all of them.
#[napi(js_name = "_migrated", catch_unwind, skip_typescript)]
#[must_use]
pub fn migrated() -> Vec<u32> {
    let progress = PROGRESS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = |of: &AtomicU64| u32::try_from(of.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
    progress
        .iter()
        .flat_map(|progress| [count(&progress.executions), count(&progress.total)])
        .collect()
}
