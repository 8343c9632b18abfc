//! Events of streams: numbered by the database, and read by every node.
//!
//! **Invariant:** events are committed in the order of their numbers, and a node takes them in this order:
//! it misses none, whichever node published it.
//! **Invariant:** an event is removed only a while after it is one of the recent ones no more. A node that
//! did not look for that long starts anew.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::Shared;
use super::op::{NumberedEvent, Op};
use super::params::{Columns, int};
use super::poll::query;
use super::row::RowReader;
use super::write::Statement;
use crate::error::Result;
use crate::streams::{Event, EventContent, EventId, NewEvent, StoredEvent, StreamKind};

/// The time for which an event stays that is none of the recent ones any more.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Events that one query reads.
const EVENTS_AT_ONCE: u32 = 200;

/// The events after a number, beside the number of the newest one that was removed: what is missing is
/// seen with what is there.
const AFTER: &str = "
    SELECT n.forgotten, e.* FROM event_numbers n LEFT JOIN LATERAL (
        SELECT * FROM events WHERE id > $1 ORDER BY id LIMIT $2
    ) e ON true ORDER BY e.id";

/// Events of any node, in the order of their numbers.
#[derive(Debug)]
pub enum ReceivedEvents {
    /// They follow those before.
    Next(Vec<Event>),
    /// All that are kept: some after those before are missing.
    Anew(Vec<Event>),
}

/// Takes events, which may take a while. Returns the ids of those that are not kept any more.
pub type ReceiveEvents = Arc<dyn Fn(ReceivedEvents) -> Vec<EventId> + Send + Sync>;

/// The events that this node has read, and those that it will remove.
#[derive(Default)]
pub(super) struct EventCursor {
    /// The last one that was read; `None`: they are not followed yet.
    after: Option<EventId>,
    forgotten: VecDeque<(Instant, Vec<EventId>)>,
}

/// Returns the statement that publishes the events of a transaction. Its rows are in their order.
pub(super) fn publish(events: &[&NewEvent], channel: &str) -> Statement {
    let rows = || events.iter();
    let mut columns = Columns::default();
    columns
        .texts(rows().map(|event| Some(Cow::Borrowed(event.kind.as_str()))))
        .texts(rows().map(|event| Some(Cow::Borrowed(&*event.workflow_id))))
        .add(Type::UUID_ARRAY, rows().map(|event| event.delivery))
        .texts(rows().map(|event| Some(Cow::Borrowed(&*event.name))))
        .numbers(rows().map(|event| i64::from(event.depth)))
        .add(Type::BYTEA_ARRAY, rows().map(|event| event.content.to_vec()))
        .text(channel);
    ("SELECT * FROM publish($1, $2, $3, $4, $5, $6, $7)", columns)
}

/// Returns the statement that removes events.
pub(super) fn forget(ids: &[EventId]) -> Statement {
    let mut columns = Columns::default();
    columns.numbers(ids.iter().map(|id| int(id.packed())));
    ("SELECT forget_events($1)", columns)
}

/// Reads the number of an event that was published.
pub(super) fn numbered(row: &Row) -> Result<NumberedEvent> {
    let row = RowReader::new("events", row);
    let id = EventId::unpacked(row.unsigned("number")?);
    let stored = StoredEvent { id, is_repeated: row.get("is_repeated")? };
    Ok(NumberedEvent { stored, registrations: row.unsigned("registrations")? })
}

/// Reads an event.
pub(super) fn event(row: &RowReader<'_>) -> Result<Event> {
    let kind = row.parse("stream", |name: String| StreamKind::from_name(&name))?;
    Ok(Event {
        id: EventId::unpacked(row.unsigned("id")?),
        kind,
        workflow_id: row.get::<String>("workflow_id")?.into(),
        delivery: row.get("delivery")?,
        name: row.get::<String>("name")?.into(),
        depth: row.small("depth")?,
        content: EventContent::restored(kind, row.get("content")?),
    })
}

impl Shared {
    /// Returns the result of publishing an event, when it is stored.
    pub(super) fn publish(
        &self,
        event: NewEvent,
    ) -> impl Future<Output = Result<NumberedEvent>> + Send + use<> {
        self.ops.wait(|waiter| Op::Publish { event: Box::new(event), waiter })
    }

    /// Begins to follow the events after this one. Those that are not kept are removed later.
    pub(super) fn follow_events(&self, after: EventId, forgotten: Vec<EventId>) {
        self.event_cursor().after = Some(after);
        self.forget_later(forgotten);
        self.look_for_signals();
    }

    /// Looks at once at what other nodes signal.
    pub(super) fn look_for_signals(&self) {
        self.is_signalled.store(true, Ordering::Release);
        self.look.notify_one();
    }

    /// Reads the events of all nodes, if the last one is not read yet.
    pub(super) async fn read_events(&self, client: &Client, last: EventId) -> Result<()> {
        loop {
            let after = self.event_cursor().after.filter(|after| last > *after);
            let Some(after) = after else { return Ok(()) };
            let mut columns = Columns::default();
            columns.number(int(after.packed())).number(i64::from(EVENTS_AT_ONCE));
            let rows = query(self, client, AFTER, &columns).await?;
            let first = rows.first().map(|row| RowReader::new("event_numbers", row));
            let forgotten = first.map(|row| row.unsigned("forgotten")).transpose()?;
            if forgotten.is_some_and(|forgotten| forgotten > after.packed()) {
                let forgotten = EventId::unpacked(forgotten.unwrap_or_default());
                return self.read_anew(client, forgotten).await;
            }
            if self.receive(&rows, ReceivedEvents::Next).await? < EVENTS_AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    /// Reads every event: some that were not read are removed.
    async fn read_anew(&self, client: &Client, forgotten: EventId) -> Result<()> {
        let sql = "SELECT * FROM events ORDER BY id";
        let rows = query(self, client, sql, &Columns::default()).await?;
        self.receive(&rows, ReceivedEvents::Anew).await?;
        let mut cursor = self.event_cursor();
        cursor.after = cursor.after.max(Some(forgotten));
        Ok(())
    }

    /// Hands rows over, on another thread: the writer does not wait for those who follow. Returns the
    /// number of events in them.
    async fn receive(
        &self,
        rows: &[Row],
        received: fn(Vec<Event>) -> ReceivedEvents,
    ) -> Result<usize> {
        let rows = rows.iter().map(|row| RowReader::new("events", row));
        let is_event = |row: &RowReader<'_>| row.get::<Option<i64>>("id").ok().flatten().is_some();
        let events = rows.filter(is_event).map(|row| event(&row)).collect::<Result<Vec<_>>>()?;
        let (count, last) = (events.len(), events.last().map(|event| event.id));
        let (receive, events) = (Arc::clone(&self.receive_events), received(events));
        let taken = self.handle.spawn_blocking(move || receive(events)).await;
        if let Some(last) = last {
            self.event_cursor().after = Some(last);
        }
        self.forget_later(taken.unwrap_or_default());
        Ok(count)
    }

    fn forget_later(&self, ids: Vec<EventId>) {
        if !ids.is_empty() {
            self.event_cursor().forgotten.push_back((Instant::now(), ids));
        }
    }

    /// Removes events with the next look after the shards.
    #[cfg(test)]
    pub(super) fn forget_now(&self, ids: Vec<EventId>) {
        let since = Instant::now().checked_sub(FORGET_AFTER).unwrap_or_else(Instant::now);
        self.event_cursor().forgotten.push_back((since, ids));
    }

    /// Removes the events whose time is over.
    pub(super) fn forget_events(&self) {
        let mut due = Vec::new();
        let mut cursor = self.event_cursor();
        let is_due = |(since, _): &(Instant, _)| since.elapsed() >= FORGET_AFTER;
        while cursor.forgotten.front().is_some_and(is_due) {
            due.extend(cursor.forgotten.pop_front().into_iter().flat_map(|(_, ids)| ids));
        }
        drop(cursor);
        if !due.is_empty() {
            self.ops.push_all([Op::ForgetEvents(due)]);
        }
    }
}
