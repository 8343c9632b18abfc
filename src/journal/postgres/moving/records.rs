//! Kept events and registrations of a directory that is moved. They are written with the last transaction.

use std::borrow::Cow;
use std::collections::HashSet;

use tokio_postgres::types::Type;

use super::Target;
use crate::error::Result;
use crate::journal::postgres::params::{Columns, int};
use crate::journal::postgres::records;
use crate::streams::{Event, EventId, Registration, Subscription};
use crate::time::Timestamp;

/// Events that one statement writes.
const EVENTS: usize = 200;

/// The fleet's own registration of the same goes first.
const REGISTRATIONS: &str = "
    INSERT INTO registrations (id, sealed) SELECT * FROM unnest($1::text[], $2::bytea[])
    ON CONFLICT DO NOTHING";

const REGISTERED: &str = "
    WITH counted AS (UPDATE meta SET registrations = registrations + 1)
    SELECT pg_notify($1, 'registrations')";

const INSERT_EVENTS: &str = "
    INSERT INTO events (id, stream, workflow_id, delivery, name, depth, content)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::bigint[],
        $7::bytea[])";

/// Numbers below the last one of a node came: as if an event had been removed there, so that each node
/// reads all of them anew.
const READ_ANEW: &str = "
    WITH numbered AS (
        UPDATE event_numbers SET forgotten = greatest(last, $2) + 1, last = greatest(last, $2) + 1
    )
    SELECT pg_notify($1, 'events')";

impl Target {
    /// Writes registrations, but no subscription that equals one of the fleet.
    pub(super) async fn register(&self, registrations: &[(String, String)]) -> Result<()> {
        if registrations.is_empty() {
            return Ok(());
        }
        let mut columns = Columns::default();
        columns.text(&self.channel);
        self.query(REGISTERED, &columns).await?;
        let known = self.subscriptions().await?;
        let is_new = |(_, text): &&(String, String)| {
            let own = subscription(text);
            own.is_none_or(|own| !known.iter().any(|known| known.members() == own.members()))
        };
        let new: Vec<&(String, String)> = registrations.iter().filter(is_new).collect();
        let encrypt =
            |(id, text): &&(String, String)| self.cipher.encrypt(id.as_bytes(), text.as_bytes());
        let sealed = new.iter().map(encrypt).collect::<Result<Vec<_>>>()?;
        let mut columns = Columns::default();
        columns
            .texts(new.iter().map(|(id, _)| Some(Cow::Borrowed(id.as_str()))))
            .add(Type::BYTEA_ARRAY, sealed);
        self.query(REGISTRATIONS, &columns).await.map(drop)
    }

    /// Returns the subscriptions that the fleet has.
    async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let rows = self.query(records::REGISTRATIONS, &Columns::default()).await?;
        let text = |row| records::registration(&self.cipher, row);
        let texts = rows.iter().map(text).collect::<Result<Vec<String>>>()?;
        Ok(texts.iter().filter_map(|text| subscription(text)).collect())
    }

    /// Writes kept events under their numbers, which clients may have.
    pub(super) async fn write_events(&self, events: &[Event]) -> Result<()> {
        let Some(last) = events.last() else { return Ok(()) };
        // From here on no node publishes.
        self.query("SELECT FROM event_numbers FOR UPDATE", &Columns::default()).await?;
        let events = renumbered(events, &self.taken(events).await?);
        for part in events.chunks(EVENTS) {
            self.query(INSERT_EVENTS, &event_columns(part)).await?;
        }
        let last = events.last().map_or(last.id, |event| event.id);
        let mut columns = Columns::default();
        columns.text(&self.channel).number(int(last.packed()));
        self.query(READ_ANEW, &columns).await.map(drop)
    }

    /// Returns the numbers of the fleet's own events.
    async fn taken(&self, events: &[Event]) -> Result<HashSet<EventId>> {
        let mut columns = Columns::default();
        columns.number(events.first().map_or(0, |event| int(event.id.packed())));
        let rows = self.query("SELECT id FROM events WHERE id >= $1", &columns).await?;
        let number =
            |row: &tokio_postgres::Row| EventId::unpacked(row.get::<_, i64>(0).cast_unsigned());
        Ok(rows.iter().map(number).collect())
    }
}

/// Gives an event whose number is taken the next one that is free. Their order stays.
fn renumbered(events: &[Event], taken: &HashSet<EventId>) -> Vec<Event> {
    let mut last = EventId::default();
    let next = |event: &Event| {
        let mut id = event.id;
        while id <= last || taken.contains(&id) {
            id = EventId::after(id.max(last), Timestamp::from_millis(0));
        }
        last = id;
        if id == event.id { event.clone() } else { event.clone().renumbered(id) }
    };
    events.iter().map(next).collect()
}

fn subscription(text: &str) -> Option<Subscription> {
    match serde_json::from_str(text).ok()? {
        Registration::Subscription(subscription) => Some(subscription),
        Registration::Webhook(_) => None,
    }
}

fn event_columns(events: &[Event]) -> Columns {
    let rows = || events.iter();
    let mut columns = Columns::default();
    columns
        .numbers(rows().map(|event| int(event.id.packed())))
        .texts(rows().map(|event| Some(Cow::Borrowed(event.kind.as_str()))))
        .texts(rows().map(|event| Some(Cow::Borrowed(&*event.workflow_id))))
        .add(Type::UUID_ARRAY, rows().map(|event| event.delivery))
        .texts(rows().map(|event| Some(Cow::Borrowed(&*event.name))))
        .numbers(rows().map(|event| i64::from(event.depth)))
        .add(Type::BYTEA_ARRAY, rows().map(|event| event.content.bytes().to_vec()));
    columns
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::streams::{NewEvent, StreamKind};

    #[test]
    fn a_number_that_is_taken_becomes_the_next_free_one() {
        let event = |number: u64| {
            let new = NewEvent {
                kind: StreamKind::Sse,
                workflow_id: "p_1".into(),
                delivery: Uuid::nil(),
                name: "n".into(),
                depth: 0,
                content: b"data: 1\n\n"[..].into(),
            };
            new.numbered(EventId::unpacked(number))
        };
        let full = (1 << 20) - 1;
        for (own, taken, expected) in [
            (vec![1, 2, 5], vec![], vec![1, 2, 5]),
            (vec![1, 2, 5], vec![1], vec![2, 3, 5]),
            (vec![1, 2, 5], vec![1, 2, 3], vec![4, 5, 6]),
            (vec![full], vec![full], vec![full + 1]),
        ] {
            let own: Vec<Event> = own.into_iter().map(event).collect();
            let taken = taken.into_iter().map(EventId::unpacked).collect();
            let expected: Vec<Event> = expected.into_iter().map(event).collect();
            assert_eq!(renumbered(&own, &taken), expected);
        }
    }
}
