//! The ends of work, and of memory, against those who wait for them.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::thread;
use tokio::sync::Notify;

use crate::budget::{Room, ready, room_for};
use crate::engine::shared::SharedParts;
use crate::flushes::Flushes;

pub(super) fn drain_ends() {
    let shared = Arc::new(SharedParts::new(100));
    shared.pending.begin(2);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // A delivery whose end makes another.
                shared.pending.begin(1);
                shared.end(1);
                shared.end(1);
            })
        })
        .collect();
    block_on(shared.pending.drained(|| 0));
    assert_eq!(shared.pending.count(), 0);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A recovery that waits for room in the lanes, while the last delivery ends.
pub(super) fn drain_spares_what_waits() {
    let (shared, room) = (Arc::new(SharedParts::new(100)), Arc::<Notify>::default());
    shared.pending.begin(2);
    let recovery = {
        let (shared, room) = (Arc::clone(&shared), Arc::clone(&room));
        thread::spawn(move || {
            block_on(shared.pending.wait_for_room(room.notified()));
            shared.end(1);
        })
    };
    let delivery = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.end(1))
    };
    block_on(shared.pending.drained(|| shared.pending.waiting_for_room()));
    room.notify_one();
    block_on(shared.pending.drained(|| 0));
    recovery.join().unwrap();
    delivery.join().unwrap();
}

/// Batches that cannot be stored and wait, from before and while flushes begin.
pub(super) fn flushes_are_heard() {
    let flushes = Arc::<Flushes>::default();
    let mut seen = flushes.begun();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let flushes = Arc::clone(&flushes);
            thread::spawn(move || drop(flushes.begin()))
        })
        .collect();
    while seen < 2 {
        block_on(flushes.next(&mut seen));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!flushes.is_under_way());
}

pub(super) fn memory_is_given() {
    let shared = Arc::new(SharedParts::new(100));
    for bytes in [60, 30] {
        shared.budget.reserve(bytes).unwrap().keep();
        shared.pending.begin(1);
    }
    let deliveries: Vec<_> = [60, 30]
        .into_iter()
        .map(|bytes| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.budget.release(bytes);
                shared.end(1);
            })
        })
        .collect();
    let replay = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            shared.pending.begin(1);
            let room = block_on(room_for(&shared, 50));
            assert!(
                room == Room::Some || shared.pending.count() <= 2,
                "there was none to wait for"
            );
            shared.end(1);
        })
    };
    block_on(ready(&shared, None)).unwrap();
    for thread in deliveries.into_iter().chain([replay]) {
        thread.join().unwrap();
    }
    assert_eq!(
        (shared.budget.bytes(), shared.budget.producers(), shared.pending.count()),
        (0, 0, 0)
    );
}
