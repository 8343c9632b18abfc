//! Events of streams, numbered by the database and read by every node.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use uuid::Uuid;

use super::server::Server;
use super::{callbacks, egress, options};
use crate::journal::postgres::{Callbacks, Options, PostgresJournal, ReceivedEvents};
use crate::journal::{Fleet, Records};
use crate::streams::{Event, EventId, NewEvent, StreamKind};

/// A node and the events that it received.
struct Node {
    journal: PostgresJournal,
    received: Arc<Mutex<Vec<Event>>>,
    anew: Arc<Mutex<usize>>,
}

/// Opens a node that follows the events after this one.
fn open(options: Options, after: EventId) -> Node {
    let received = Arc::<Mutex<Vec<Event>>>::default();
    let anew = Arc::<Mutex<usize>>::default();
    let (into, counted) = (Arc::clone(&received), Arc::clone(&anew));
    let receive_events = Arc::new(move |events| {
        let events = match events {
            ReceivedEvents::Next(events) => events,
            ReceivedEvents::Anew(events) => {
                *counted.lock().unwrap() += 1;
                events
            }
        };
        into.lock().unwrap().extend(events);
        Vec::new()
    });
    let callbacks = Callbacks { receive_events, ..callbacks() };
    let journal = PostgresJournal::open(options, egress(), callbacks).unwrap();
    journal.follow_events(after, Vec::new());
    Node { journal, received, anew }
}

impl Node {
    async fn until(&self, count: usize) -> Vec<Event> {
        loop {
            let found = self.received.lock().unwrap().clone();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn publish(&self, event: NewEvent) -> EventId {
        self.journal.publish(event).await.unwrap().0.id
    }
}

fn event(kind: StreamKind, text: &str) -> NewEvent {
    NewEvent {
        kind,
        workflow_id: "p_1".into(),
        delivery: Uuid::now_v7(),
        name: "channel".into(),
        depth: 2,
        content: text.to_owned().into(),
    }
}

#[tokio::test]
async fn two_nodes_publish_into_one_stream_and_both_receive_all_in_order() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet"), EventId::default());
    let two = open(options(&server, "fleet"), EventId::default());
    let publish = async |node: &Node| {
        let mut ids = Vec::new();
        for n in 0..100 {
            ids.push(node.publish(event(StreamKind::Sse, &format!("data: {n}\n\n"))).await);
        }
        assert!(ids.is_sorted());
        ids
    };
    let (mut ids, others) = tokio::join!(publish(&one), publish(&two));
    ids.extend(others);
    ids.sort_unstable();
    for node in [&one, &two] {
        let received = node.until(200).await;
        assert!(received.iter().map(|event| event.id).eq(ids.iter().copied()));
        let text = format!("id: {}\ndata: 0\n\n", ids[0]);
        assert_eq!(received[0].content.bytes(), text);
        assert_eq!((&*received[0].workflow_id, &*received[0].name), ("p_1", "channel"));
    }
    assert_eq!(*one.anew.lock().unwrap() + *two.anew.lock().unwrap(), 0);
    assert_eq!(one.journal.kept_events().unwrap(), two.until(200).await);
}

#[tokio::test]
async fn a_delivery_publishes_once_whichever_node_attempts_it() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet"), EventId::default());
    let two = open(options(&server, "fleet"), EventId::default());
    let emitted = event(StreamKind::Emits, "{}");
    let (first, _) = one.journal.publish(emitted.clone()).await.unwrap();
    let (again, _) = two.journal.publish(emitted).await.unwrap();
    assert_eq!((first.id, first.is_repeated, again.is_repeated), (again.id, false, true));
    assert_eq!(server.sql("SELECT count(*) FROM fleet.events"), "1");
    assert_eq!(two.until(1).await[0].content.bytes(), "{}");
}

#[tokio::test]
async fn an_event_is_found_without_a_notification() {
    let Some(server) = Server::start() else { return };
    let node = open(options(&server, "fleet"), EventId::default());
    node.publish(event(StreamKind::Emits, "1")).await;
    node.until(1).await;
    server.sql(
        "SELECT fleet.publish('{emits}', '{p_2}', ARRAY[gen_random_uuid()], ARRAY[''],
             '{0}', ARRAY['2'::bytea], 'nowhere')",
    );
    let begun = std::time::Instant::now();
    assert_eq!(node.until(2).await[1].content.bytes(), "2");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_node_that_missed_events_starts_anew() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet"), EventId::default());
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(one.publish(event(StreamKind::Sse, &format!("data: {n}\n\n"))).await);
    }
    one.until(5).await;
    let forget = format!("SELECT fleet.forget_events(ARRAY[{}])", ids[2].packed());
    server.sql(&forget);
    one.publish(event(StreamKind::Sse, "data: 5\n\n")).await;
    assert_eq!(one.until(6).await.len(), 6);
    assert_eq!(*one.anew.lock().unwrap(), 0, "it had read what was removed");
    let late = open(options(&server, "fleet"), ids[1]);
    assert_eq!(late.until(5).await[2].id, ids[3]);
    assert_eq!(*late.anew.lock().unwrap(), 1);
}

#[tokio::test]
async fn forgotten_events_are_removed_after_a_while() {
    let Some(server) = Server::start() else { return };
    let lease = Duration::from_secs(1);
    let node = open(Options { lease, ..options(&server, "fleet") }, EventId::default());
    let first = node.publish(event(StreamKind::Sse, "data: 1\n\n")).await;
    node.publish(event(StreamKind::Sse, "data: 2\n\n")).await;
    node.journal.shared.forget_now(vec![first]);
    while server.sql("SELECT count(*) FROM fleet.events") != "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let forgotten = server.sql("SELECT forgotten FROM fleet.event_numbers");
    assert_eq!(forgotten, first.packed().to_string());
}

#[tokio::test]
async fn a_node_that_was_replaced_publishes_nothing() {
    let Some(server) = Server::start() else { return };
    let node = open(options(&server, "fleet"), EventId::default());
    server.sql("UPDATE fleet.nodes SET is_gone = true");
    let refused = node.journal.publish(event(StreamKind::Sse, "data: 1\n\n")).await;
    assert!(refused.is_err());
    // An error is of this process, whichever node it is.
    server.sql("UPDATE fleet.nodes SET is_gone = true");
    node.publish(event(StreamKind::Errors, "{}")).await;
    assert_eq!(server.sql("SELECT stream FROM fleet.events"), "errors");
}

#[tokio::test]
async fn the_layout_of_an_older_version_gets_its_streams() {
    let Some(server) = Server::start() else { return };
    let node = open(options(&server, "fleet"), EventId::default());
    let id = node.publish(event(StreamKind::Sse, "data: 1\n\n")).await;
    drop(node);
    server.sql(
        "SET search_path TO fleet; DROP TABLE event_numbers; DROP INDEX events_of_delivery;
         DROP FUNCTION forget_events; DROP FUNCTION publish; UPDATE meta SET version = 2",
    );
    let node = open(options(&server, "fleet"), id);
    let next = node.publish(event(StreamKind::Sse, "data: 2\n\n")).await;
    assert!(next > id);
    assert_eq!(node.until(1).await[0].id, next);
}
