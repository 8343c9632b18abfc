//! The handles of one engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::thread;

use crate::engine::Engine;
use crate::ground::Drained;
use crate::handle::Handle;

impl Handle {
    pub(crate) async fn close_now(&self, _timeout: Duration) -> Drained {
        self.abandon();
        Drained
    }

    #[expect(clippy::unused_async, reason = "that of the product waits")]
    pub(crate) async fn counts(&self) -> Drained {
        Drained
    }

    pub(crate) fn abandon(&self) {
        if self.is_last() {
            self.engine().ends.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub(super) fn the_last_handle_closes() {
    let engine = Arc::new(Engine::new());
    let first = Arc::new(Handle::new(Arc::clone(&engine)));
    let closing: Vec<_> = (0..2)
        .map(|_| {
            let first = Arc::clone(&first);
            thread::spawn(move || {
                block_on(first.close(Duration::ZERO));
                assert!(first.check_open().is_err());
            })
        })
        .collect();
    let sharing: Vec<_> = (0..2)
        .map(|_| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || {
                let Some(handle) = Handle::share(&engine) else {
                    return assert!(engine.lifecycle.handles.load(Ordering::SeqCst) == 0);
                };
                assert!(!engine.is_closed(), "a handle of a closed engine");
                assert_eq!(engine.ends.load(Ordering::SeqCst), 0);
                handle.release();
            })
        })
        .collect();
    for thread in closing.into_iter().chain(sharing) {
        thread.join().unwrap();
    }
    assert!(engine.is_closed());
    assert_eq!(engine.ends.load(Ordering::SeqCst), 1);
}
