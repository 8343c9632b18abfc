//! The suite of [`Records`](crate::journal::Records).

use std::sync::Arc;

use crate::journal::Journal;
use crate::streams::{Event, EventContent, EventId, StreamKind};
use crate::time::Timestamp;

pub(super) async fn check<J: Journal>(open: &impl Fn() -> J) {
    durable_records_are_kept(open()).await;
}

/// A journal that is not durable keeps no records; the engine holds them itself.
async fn durable_records_are_kept(journal: impl Journal) {
    let mut events = Vec::new();
    let mut id = EventId::default();
    for kind in StreamKind::ALL {
        id = EventId::after(id, Timestamp::from_millis(5));
        events.push(Arc::new(Event {
            id,
            kind,
            workflow_id: "p_1".into(),
            delivery: uuid::Uuid::from_u128(7),
            name: "channel".into(),
            depth: 2,
            content: EventContent::restored(kind, b"{}".to_vec()),
        }));
    }
    journal.keep_event(&events[0], Vec::new());
    journal.keep_event(&events[1], Vec::new());
    journal.keep_event(&events[2], vec![events[0].id]);
    let text = |text: &str| Some(text.to_owned());
    let changes = vec![("a".to_owned(), text("1")), ("b".to_owned(), text("2"))];
    journal.register(changes).await.unwrap();
    let changes = vec![("a".to_owned(), None), ("b".to_owned(), text("3"))];
    journal.register(changes).await.unwrap();
    journal.written().await;
    let kept = journal.kept_events().unwrap();
    let registrations = journal.registrations().unwrap();
    if journal.is_durable() {
        assert!(kept.iter().eq(events[1..].iter().map(|event| &**event)));
        assert_eq!(registrations, ["3"]);
    } else {
        assert!(kept.is_empty() && registrations.is_empty());
    }
}
