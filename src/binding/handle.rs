//! An engine's handle as one JavaScript thread holds it, and the end of that thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::held::Held;
use super::mailbox::HandleMailbox;
use crate::engine::{self, Drained, ReplayRun};
use crate::error::Result;
use crate::jobs::Thread;

thread_local! {
    /// The handles of this JavaScript thread, those that are being opened included.
    static HANDLES: RefCell<Vec<Weak<JsHandle>>> = const { RefCell::new(Vec::new()) };
}

/// A handle from the call of `Engine.open()` to its release. It is released when JavaScript collects
/// it or when its thread ends, whichever comes first: not every runtime runs finalizers at the end of
/// a thread, and a thread may end before it gets its handle.
#[derive(Default)]
pub(super) struct JsHandle {
    inner: Held<engine::Handle>,
    mailbox: OnceLock<Arc<HandleMailbox>>,
    /// The channels to this thread, for its destinations and its warehouse.
    threads: Mutex<Vec<Arc<dyn Thread>>>,
    /// Replays in progress by their tickets.
    replays: Mutex<HashMap<u32, Weak<ReplayRun>>>,
}

/// The channel to the thread of a handle.
struct JobThread(Option<Arc<HandleMailbox>>);

impl Thread for JobThread {
    fn call(&self, job: &str) {
        if let Some(mailbox) = &self.0 {
            mailbox.jobs().send(job);
        }
    }
}

impl JsHandle {
    /// Creates a handle that this thread is opening.
    pub(super) fn begin() -> Arc<Self> {
        let handle = Arc::<Self>::default();
        HANDLES.with_borrow_mut(|handles| {
            handles.retain(|handle| handle.strong_count() > 0);
            handles.push(Arc::downgrade(&handle));
        });
        handle
    }

    /// Holds the engine that was opened, or releases it at once if the thread has ended.
    pub(super) fn hold(&self, opened: engine::Handle) {
        if let Some(opened) = self.inner.hold(opened) {
            opened.release();
        }
    }

    /// Returns the engine's handle; `None` only while it is being opened.
    pub(super) fn engine(&self) -> Option<&engine::Handle> {
        self.inner.get()
    }

    /// Takes the mailbox of this handle's JavaScript.
    pub(super) fn attach(&self, mailbox: Arc<HandleMailbox>) {
        // JavaScript does this once, when it gets the handle.
        let _ = self.mailbox.set(mailbox);
    }

    pub(super) fn mailbox(&self) -> Option<&Arc<HandleMailbox>> {
        self.mailbox.get()
    }

    /// Creates a channel to this thread, which ends with the handle.
    pub(super) fn thread(&self) -> Arc<dyn Thread> {
        let thread: Arc<dyn Thread> = Arc::new(JobThread(self.mailbox.get().cloned()));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Arc::clone(&thread));
        thread
    }

    /// Closes the engine's handle.
    pub(super) fn close(
        self: &Arc<Self>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Drained>> + Send + use<> {
        let handle = Arc::clone(self);
        async move {
            let opened = handle.engine().ok_or_else(engine::closed)?;
            Ok(opened.close(timeout).await)
        }
    }

    /// Keeps a replay, to be cancelled by its ticket.
    pub(super) fn add_replay(&self, ticket: u32, run: &Arc<ReplayRun>) {
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        replays.retain(|_, run| run.strong_count() > 0);
        replays.insert(ticket, Arc::downgrade(run));
    }

    /// Cancels the replay with this ticket.
    pub(super) fn cancel(&self, ticket: u32) {
        let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = replays.get(&ticket).and_then(Weak::upgrade) {
            run.cancel();
        }
    }

    /// Forgets everything that calls this thread: its destinations, its warehouse, its listeners.
    pub(super) fn detach(&self) {
        let Some(opened) = self.inner.get() else { return };
        let engine = opened.engine();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            engine.forget_destinations(&thread);
        }
        if let Some(mailbox) = self.mailbox.get() {
            engine.subscriptions().ignore(None, mailbox.events());
            engine.events().unsubscribe(mailbox.events());
        }
    }

    /// Detaches the thread, and releases the engine's handle.
    fn release(&self) {
        if !self.inner.end() {
            return;
        }
        self.detach();
        if let Some(opened) = self.inner.get() {
            opened.release();
        }
    }
}

impl Drop for JsHandle {
    fn drop(&mut self) {
        self.release();
    }
}

/// Releases every handle of this thread, at its end.
pub(super) fn release_all() {
    for handle in HANDLES.take() {
        if let Some(handle) = handle.upgrade() {
            handle.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JsHandle, release_all};
    use crate::config::Config;
    use crate::engine::registry::{self, Opening};

    fn open(name: &str) -> crate::engine::Handle {
        let config = Config { name: Some(name.to_owned()), ..Config::default() };
        let opening = Opening { config, is_bare: true, lock_wait: std::time::Duration::ZERO };
        registry::open(opening, |_| Ok(())).expect("an engine in memory opens")
    }

    #[test]
    fn a_thread_that_ends_while_it_opens_gives_the_handle_back() {
        let handle = JsHandle::begin();
        release_all();
        handle.hold(open("ends-while-opening"));
        assert!(handle.engine().is_some_and(|opened| opened.engine().is_closed()));
    }

    #[test]
    fn the_end_of_a_thread_gives_every_handle_back_once() {
        let (first, second) = (JsHandle::begin(), JsHandle::begin());
        let other = open("shared-by-threads");
        first.hold(open("shared-by-threads"));
        second.hold(open("shared-by-threads"));
        release_all();
        drop((first, second));
        assert!(!other.engine().is_closed(), "the third handle keeps the engine open");
        other.release();
        assert!(other.engine().is_closed());
    }
}
