//! Published events, and who subscribed, in the file.

use rusqlite::{Connection, Result as Rows, Row, params};
use uuid::Uuid;

use super::op::Register;
use super::reader::{Reader, unsigned};
use super::tables::int;
use crate::error::Result;
use crate::streams::{Content, Event, EventId, StreamKind};

/// Writes an event, and forgets those that are not kept any more.
pub(super) fn keep(connection: &Connection, event: &Event, forgotten: &[EventId]) -> Rows<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO events (id, stream, workflow_id, delivery, name, depth, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute(params![
        int(event.id.packed()),
        event.kind.as_str(),
        &*event.workflow_id,
        event.delivery.as_bytes().as_slice(),
        &*event.name,
        event.depth,
        &*event.content.bytes(),
    ])?;
    let mut delete = connection.prepare_cached("DELETE FROM events WHERE id = ?1")?;
    forgotten.iter().try_for_each(|id| delete.execute([int(id.packed())]).map(drop))
}

/// Writes registrations, or removes those that are nothing any more.
pub(super) fn register(connection: &Connection, changes: &[Register]) -> Rows<()> {
    for Register { id, sealed } in changes {
        match sealed {
            Some(sealed) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO registrations (id, sealed) VALUES (?1, ?2)",
                )?
                .execute(params![id, sealed])?,
            None => connection
                .prepare_cached("DELETE FROM registrations WHERE id = ?1")?
                .execute([id])?,
        };
    }
    Ok(())
}

impl Reader {
    /// Every event in the file, in the order of their numbers.
    pub(super) fn events(&self) -> Result<Vec<Event>> {
        let connection = self.connection();
        let read = || -> Rows<Vec<Option<Event>>> {
            let mut select = connection.prepare(
                "SELECT id, stream, workflow_id, delivery, name, depth, content
                 FROM events ORDER BY id",
            )?;
            select.query_map([], event)?.collect()
        };
        let events = read().map_err(|error| self.failed_to_read(error))?;
        Ok(events.into_iter().flatten().collect())
    }

    /// Every registration in the file, sealed, with its id.
    pub(super) fn registrations(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let connection = self.connection();
        let read = || -> Rows<Vec<(String, Vec<u8>)>> {
            let mut select =
                connection.prepare("SELECT id, sealed FROM registrations ORDER BY id")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(|error| self.failed_to_read(error))
    }
}

fn event(row: &Row<'_>) -> Rows<Option<Event>> {
    let Some(kind) = StreamKind::from_name(row.get_ref(1)?.as_str().unwrap_or_default()) else {
        return Ok(None);
    };
    let delivery: Vec<u8> = row.get(3)?;
    Ok(Some(Event {
        id: EventId::unpacked(unsigned(row, 0)?),
        kind,
        workflow_id: row.get(2)?,
        delivery: Uuid::from_slice(&delivery).unwrap_or_default(),
        name: row.get::<_, String>(4)?.into(),
        depth: row.get(5)?,
        content: Content::restored(kind, row.get(6)?),
    }))
}
