//! Published events, and who subscribed, in the file.

use std::sync::Arc;

use rusqlite::{Connection, Result as Rows, Row, params};
use uuid::Uuid;

use super::SqliteJournal;
use super::read::JournalReader;
use super::row::{SqliteRow, int};
use super::write::{Op, Register};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Promise, Records};
use crate::streams::{Event, EventContent, EventId, StreamKind};

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
    for Register { id, ciphertext } in changes {
        match ciphertext {
            Some(ciphertext) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO registrations (id, sealed) VALUES (?1, ?2)",
                )?
                .execute(params![id, ciphertext])?,
            None => connection
                .prepare_cached("DELETE FROM registrations WHERE id = ?1")?
                .execute([id])?,
        };
    }
    Ok(())
}

impl Records for SqliteJournal {
    fn keep_event(&self, event: &Arc<Event>, forgotten: Vec<EventId>) {
        self.writer.push(Op::Keep { event: Arc::clone(event), forgotten });
    }

    fn kept_events(&self) -> Result<Vec<Event>> {
        self.readers.get()?.events()
    }

    fn register(&self, changes: Vec<(String, Option<String>)>) -> Promise<'_, Result<()>> {
        let changes = changes.into_iter().map(|(id, text)| {
            let encrypt = |text: String| self.cipher.encrypt(id.as_bytes(), text.as_bytes());
            let ciphertext = text.map(encrypt).transpose()?;
            Ok(Register { id, ciphertext })
        });
        let changes: Result<Vec<_>> = changes.collect();
        Box::pin(async { self.writer.register(changes?).await })
    }

    fn registrations(&self) -> Result<Vec<String>> {
        let found = self.readers.get()?.registrations()?.into_iter().map(|(id, ciphertext)| {
            let plain = self.cipher.decrypt(id.as_bytes(), &ciphertext)?;
            String::from_utf8(plain).map_err(|error| {
                let message = format!("the registration {id} in the journal is damaged");
                Error::new(ErrorKind::Journal, message).with_source(error)
            })
        });
        found.collect()
    }
}

impl JournalReader {
    /// Every event in the file, in the order of their numbers.
    pub(super) fn events(&self) -> Result<Vec<Event>> {
        let connection = self.connection();
        let read = || -> Rows<Vec<Event>> {
            let mut select = connection.prepare("SELECT * FROM events ORDER BY id")?;
            select.query_map([], event)?.collect()
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// Every registration in the file, ciphertext, with its id.
    pub(super) fn registrations(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let connection = self.connection();
        let read = || -> Rows<Vec<(String, Vec<u8>)>> {
            let mut select =
                connection.prepare("SELECT id, sealed FROM registrations ORDER BY id")?;
            select.query_map([], |row| Ok((row.get("id")?, row.get("sealed")?)))?.collect()
        };
        read().map_err(|error| self.failed_to_read(error))
    }
}

fn event(row: &Row<'_>) -> Rows<Event> {
    let row = SqliteRow::new("events", row);
    let kind = row.parse("stream", |name: String| StreamKind::from_name(&name))?;
    Ok(Event {
        id: EventId::unpacked(row.unsigned("id")?),
        kind,
        workflow_id: row.get("workflow_id")?,
        delivery: row.parse("delivery", |bytes: Vec<u8>| Uuid::from_slice(&bytes).ok())?,
        name: row.get::<String>("name")?.into(),
        depth: row.get("depth")?,
        content: EventContent::restored(kind, row.get("content")?),
    })
}
