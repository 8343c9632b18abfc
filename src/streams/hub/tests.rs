//! The streams without a server.

use std::task::Waker;

use super::*;
use crate::streams::TransferCoding;

fn publish(streams: &Streams, workflow: &str, name: &str, content: usize) -> Published {
    let new_event = NewEvent {
        kind: StreamKind::Sse,
        workflow_id: workflow.into(),
        delivery: Uuid::now_v7(),
        name: name.into(),
        depth: 0,
        content: vec![b' '; content].into(),
    };
    streams.publish(new_event)
}

fn taken(following: &Following) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut count = 0;
    while let Poll::Ready(Some(_)) = following.poll_next(&mut context) {
        count += 1;
    }
    count
}

fn everything() -> Arc<Follower> {
    Follower::new(TransferCoding::Plain, Vec::new(), Box::new(|| ()))
}

#[test]
fn a_stream_keeps_the_last_hundred() {
    let streams = Arc::<Streams>::default();
    let ids: Vec<_> = (0..RECENT + 20).map(|_| publish(&streams, "p_a", "", 1).event.id).collect();
    let recent = streams.recent(StreamKind::Sse, "p_a");
    let kept: Vec<_> = recent.iter().map(|event| event.id).collect();
    assert_eq!(kept, ids[20..]);
    let following = streams.follow("p_a", Some(&ids[100].to_string()), &everything());
    assert_eq!(taken(&following), 1 + 19);
}

#[test]
fn a_gap_is_told_where_events_may_be_missing() {
    let streams = Arc::<Streams>::default();
    let ids: Vec<_> =
        (0..RECENT + 20).map(|_| publish(&streams, "p_a", "", 1).event.id.to_string()).collect();
    let other = publish(&streams, "p_b", "", 1).event.id.to_string();
    let future = EventId::after(EventId::default(), Timestamp::from_millis(1 << 41));
    for (workflow, last, reason, events) in [
        ("p_a", &*ids[119], None, 0),
        ("p_a", &ids[20], None, 99),
        // It is gone itself, but nothing after it.
        ("p_a", &ids[19], None, 100),
        ("p_a", &ids[18], Some("forgotten"), 100),
        ("p_a", "1-0", Some("forgotten"), 100),
        ("p_a", &future.to_string(), Some("unknown"), 100),
        ("p_a", "none\ndata: x", Some("unknown"), 100),
        ("p_a", &other, None, 0),
        ("p_b", &ids[0], Some("forgotten"), 1),
        ("p_c", &other, Some("forgotten"), 0),
    ] {
        let following = streams.follow(workflow, Some(last), &everything());
        let mut frames = std::iter::from_fn(|| following.next_now()).skip(1).peekable();
        let gap = frames.next_if(|frame| frame.starts_with(b"event: :gap\n"));
        let gap = gap.map(|frame| String::from_utf8(frame.to_vec()).unwrap());
        assert_eq!((gap.is_some(), frames.count()), (reason.is_some(), events), "{last}");
        let Some((gap, reason)) = gap.zip(reason) else { continue };
        assert_eq!(gap.matches('\n').count(), 3, "{gap}");
        assert!(gap.contains(&format!("\"reason\":\"{reason}\"")), "{gap}");
    }
}

#[test]
fn who_follows_gets_what_it_wants_and_nothing_after_it_left() {
    let streams = Arc::<Streams>::default();
    let only_a = Follower::new(TransferCoding::Plain, vec!["a".into()], Box::new(|| ()));
    let following = streams.follow("p_a", None, &only_a);
    assert_eq!(publish(&streams, "p_a", "b", 1).followers, 0);
    assert_eq!(publish(&streams, "p_a", "a", 1).followers, 1);
    assert_eq!(publish(&streams, "p_b", "a", 1).followers, 0);
    assert_eq!((taken(&following), streams.followers()), (2, 1));
    drop(following);
    assert_eq!((publish(&streams, "p_a", "a", 1).followers, streams.followers()), (0, 0));
}

#[test]
fn a_delivery_publishes_once() {
    let streams = Streams::default();
    let new_event = || NewEvent {
        kind: StreamKind::Emits,
        workflow_id: "p_a".into(),
        delivery: Uuid::nil(),
        name: "".into(),
        depth: 0,
        content: Bytes::new(),
    };
    let first = streams.publish(new_event());
    let second = streams.publish(new_event());
    assert_eq!(first.event.id, second.event.id);
}

#[test]
fn all_streams_together_are_bounded_and_the_keeper_is_told() {
    let streams = Arc::<Streams>::default();
    let forgotten = Arc::<Mutex<Vec<EventId>>>::default();
    let told = Arc::clone(&forgotten);
    streams.persist_with(Box::new(move |_, ids| told.lock().unwrap().extend(ids)));
    let mebibytes = |n: usize| publish(&streams, &format!("p_{n}"), "", 1 << 20).event.id;
    let ids: Vec<_> = (0..70).map(mebibytes).collect();
    let forgotten = forgotten.lock().unwrap();
    assert!((7..9).contains(&forgotten.len()), "{}", forgotten.len());
    assert_eq!(forgotten[..], ids[..forgotten.len()]);
    assert!(streams.recent(StreamKind::Sse, "p_0").is_empty());
    assert_eq!(streams.recent(StreamKind::Sse, "p_69").len(), 1);
}

#[test]
fn what_is_restored_comes_before_what_is_published() {
    let streams = Streams::default();
    let far = EventId::after(EventId::default(), Timestamp::from_millis(4_000_000_000_000));
    let event = Event {
        id: far,
        kind: StreamKind::Sse,
        workflow_id: "p_a".into(),
        delivery: Uuid::nil(),
        name: "".into(),
        depth: 0,
        content: EventContent::Json(Bytes::new()),
    };
    streams.restore([event]);
    assert!(publish(&streams, "p_a", "", 1).event.id > far);
}

#[test]
fn events_of_other_processes_are_taken_once_and_in_order() {
    let streams = Arc::<Streams>::default();
    let event = |ms: u64| {
        let id = EventId::after(EventId::default(), Timestamp::from_millis(ms));
        let new_event = NewEvent {
            kind: StreamKind::Sse,
            workflow_id: "p_a".into(),
            delivery: Uuid::now_v7(),
            name: "".into(),
            depth: 0,
            content: "data: 1\n\n".into(),
        };
        Arc::new(new_event.numbered(id))
    };
    let following = streams.follow("p_a", None, &everything());
    assert_eq!(taken(&following), 1);
    assert_eq!(streams.receive(&event(5)), Some(Vec::new()));
    assert_eq!(streams.receive(&event(7)), Some(Vec::new()));
    assert_eq!((streams.receive(&event(7)), streams.receive(&event(6))), (None, None));
    assert_eq!(following.next_now().unwrap(), "id: 5-0\ndata: 1\n\n");
    assert_eq!((taken(&following), streams.last().to_string()), (1, "7-0".to_owned()));
    streams.start_anew();
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(following.poll_next(&mut context), Poll::Ready(None));
    drop(following);
    streams.restore((8..200).map(|ms| Arc::unwrap_or_clone(event(ms))));
    let following = streams.follow("p_a", Some("7-0"), &everything());
    assert_eq!(taken(&following), 1 + 1 + RECENT, "with a gap");
}

#[test]
fn an_end_is_an_end_for_those_who_come_later_too() {
    let streams = Arc::<Streams>::default();
    let before = streams.follow("p_a", None, &everything());
    streams.end();
    let later = streams.follow("p_a", None, &everything());
    let mut context = Context::from_waker(Waker::noop());
    for following in [before, later] {
        assert_eq!(taken(&following), 1);
        assert_eq!(following.poll_next(&mut context), Poll::Ready(None));
    }
}
