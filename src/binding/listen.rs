//! Events on their way to JavaScript: a weak callback that says there is something to take.

use std::sync::Arc;

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;

use crate::observability::events::Subscription;

/// A subscription that calls `wake` on the JavaScript thread when events wait. The callback is
/// weak: listeners never keep the process alive.
pub(super) fn subscription(wake: &Function<'_, (), ()>) -> napi::Result<Arc<Subscription>> {
    let wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
    Ok(Subscription::new(Box::new(move || {
        wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
    })))
}
