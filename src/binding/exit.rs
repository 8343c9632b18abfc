//! The end of a JavaScript thread and of the process.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::Env;
use napi_derive::napi;

use super::execution::limit;
use super::executions::release_all_executions;
use super::handle::release_all;
use crate::engine::{OpenExecution, registry};

/// `true` if the main thread will wait for deliveries when the process ends.
static MAIN_THREAD_WAITS: AtomicBool = AtomicBool::new(false);

/// Returns whether this is the main thread of the process, on systems that tell: asking Node costs
/// milliseconds.
#[napi(js_name = "_isMainThread", catch_unwind, skip_typescript)]
#[must_use]
pub fn is_main_thread() -> Option<bool> {
    #[cfg(target_os = "linux")]
    return Some(rustix::thread::gettid() == rustix::process::getpid());
    #[cfg(not(target_os = "linux"))]
    None
}

thread_local! {
    /// `true` if the JavaScript of this thread waits at its exit.
    static WAITS_AT_EXIT: Cell<bool> = const { Cell::new(false) };
}

/// Watches the end of this thread. Returns whether the caller has to call `_flushAtExit` at the exit:
/// only the first copy of the package's JavaScript in a thread has to.
#[napi(js_name = "_watchExit", catch_unwind, skip_typescript)]
pub fn watch_exit(env: &Env, main_thread: bool) -> napi::Result<bool> {
    MAIN_THREAD_WAITS.fetch_or(main_thread, Ordering::AcqRel);
    let first = !WAITS_AT_EXIT.replace(true);
    if first {
        let end = |()| {
            release_all_executions();
            release_all();
        };
        env.add_env_cleanup_hook((), end)?;
    }
    Ok(first)
}

/// Waits on this thread for the engines of the process. Returns the number of deliveries that are
/// left. A worker does not wait if the main thread does.
#[napi(js_name = "_flushAtExit", catch_unwind, skip_typescript)]
#[must_use]
pub fn flush_at_exit(timeout_ms: f64, main_thread: bool) -> u32 {
    if !main_thread && MAIN_THREAD_WAITS.load(Ordering::Acquire) {
        return 0;
    }
    let left = registry::flush_all(limit(Some(timeout_ms)).unwrap_or_default());
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// Returns a sentence for each execution whose calls were not handed over, at the end of the process.
#[napi(js_name = "_openAtExit", catch_unwind, skip_typescript)]
#[must_use]
pub fn open_at_exit(main_thread: bool) -> Vec<String> {
    if !main_thread && MAIN_THREAD_WAITS.load(Ordering::Acquire) {
        return Vec::new();
    }
    let open = registry::open_executions().into_iter();
    let sentence = |OpenExecution { execution_id, workflow_id, calls }| {
        format!(
            "execution {execution_id} of workflow {workflow_id} was neither completed nor discarded; \
             calls that are not sent: {calls}. Call execution.complete()"
        )
    };
    open.map(sentence).collect()
}
