//! What JavaScript gets and gives back, against the end of its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::future::block_on;
use shuttle::thread;
use tokio::sync::Notify;

use crate::closed;
use crate::completions::Completions;
use crate::engine::Receipt;
use crate::events::{Events, Subscriber, Topic};
use crate::held::Held;

pub(super) fn handles_are_released() {
    let held = Arc::<Held<AtomicUsize>>::default();
    let release = |value: &AtomicUsize| value.fetch_add(1, Ordering::SeqCst);
    let opening = {
        let held = Arc::clone(&held);
        thread::spawn(move || held.hold(AtomicUsize::new(0)).map(release))
    };
    let ending = {
        let held = Arc::clone(&held);
        thread::spawn(move || if held.end() { held.get().map(release) } else { None })
    };
    opening.join().unwrap();
    ending.join().unwrap();
    assert!(held.get().unwrap().load(Ordering::SeqCst) > 0, "it was not released");
    assert!(!held.end());
}

pub(super) fn hooks_get_results() {
    let (completions, woken) = (Arc::<Completions>::default(), Arc::<Notify>::default());
    let hooks: Vec<_> = (0..3)
        .map(|ticket| {
            let (completions, woken) = (Arc::clone(&completions), Arc::clone(&woken));
            thread::spawn(move || {
                let receipt = Receipt { recorded: 1, durable: false };
                let result = if ticket == 0 { Err(closed()) } else { Ok(receipt) };
                if completions.put(ticket, result) {
                    woken.notify_one();
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    while taken.len() < 3 * hooks.len() {
        block_on(woken.notified());
        taken.extend(completions.take());
    }
    hooks.into_iter().for_each(|hook| hook.join().unwrap());
    let mut recorded: Vec<_> = taken.chunks(3).map(|hook| (hook[0], hook[1])).collect();
    recorded.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert_eq!(recorded, [(0.0, -1.0), (1.0, 1.0), (2.0, 1.0)]);
    assert!(completions.refusal(0).is_some() && completions.refusal(0).is_none());
}

pub(super) fn warnings_arrive_once() {
    let events = Arc::<Events>::default();
    let emitting: Vec<_> = (0..2)
        .map(|number| {
            let events = Arc::clone(&events);
            thread::spawn(move || events.emit(Topic::Warning, || number))
        })
        .collect();
    let subscriber = Subscriber::new(Box::new(|| {}));
    subscriber.listen(Topic::Warning);
    events.subscribe(&subscriber);
    emitting.into_iter().for_each(|thread| thread.join().unwrap());
    let parts = std::iter::from_fn(|| subscriber.take());
    let all: Vec<Vec<(String, usize)>> =
        parts.map(|part| serde_json::from_str(&part).unwrap()).collect();
    let mut numbers: Vec<_> = all.into_iter().flatten().map(|(_, number)| number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
}
