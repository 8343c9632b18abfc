//! A value that a thread gets once and releases once. The thread may end before it gets it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A value from when it is there to its release.
///
/// **Invariant:** the value becomes visible and the end is noted under one lock. With two atomics, each of
/// two threads could miss the other's write, and neither would release the value.
pub(super) struct Held<T> {
    value: OnceLock<T>,
    is_over: Mutex<bool>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), is_over: Mutex::new(false) }
    }
}

impl<T> Held<T> {
    /// Holds a value. Returns it if it is to be released at once.
    pub(super) fn hold(&self, value: T) -> Option<&T> {
        let is_over = self.is_over();
        let value = self.value.get_or_init(|| value);
        is_over.then_some(value)
    }

    /// Returns the value; `None`: it is not there yet.
    pub(super) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Ends the hold. Returns `true` the first time: the value is to be released if it is there.
    pub(super) fn end(&self) -> bool {
        !std::mem::replace(&mut *self.is_over(), true)
    }

    fn is_over(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Held;

    #[test]
    fn a_value_that_comes_at_the_end_is_released() {
        let (held, is_released) = (Held::default(), AtomicBool::new(false));
        let release = |(): &()| is_released.store(true, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| held.hold(()).map(release));
            scope.spawn(|| held.end().then(|| held.get().map(release)));
        });
        assert!(is_released.into_inner());
    }
}
