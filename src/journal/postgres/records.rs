//! Published events and registrations.

use std::borrow::Cow;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::events::event;
use super::node::block_on;
use super::op::Op;
use super::params::{Columns, int};
use super::row::RowReader;
use super::write::Statement;
use super::{PostgresJournal, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::crypto::Cipher;
use crate::journal::{Promise, Records};
use crate::streams::{Event, EventId};

/// Reads every registration, encrypted.
pub(super) const REGISTRATIONS: &str = "SELECT id, sealed FROM registrations ORDER BY id";

/// Adds the statements that keep an event and remove others.
pub(super) fn keep(event: &Event, forgotten: &[EventId], statements: &mut Vec<Statement>) {
    let mut columns = Columns::default();
    columns
        .number(int(event.id.packed()))
        .text(event.kind.as_str())
        .text(&event.workflow_id)
        .add(Type::UUID_ARRAY, [event.delivery])
        .text(&event.name)
        .number(i64::from(event.depth))
        .add(Type::BYTEA_ARRAY, [event.content.bytes().to_vec()]);
    statements.push((
        "INSERT INTO events (id, stream, workflow_id, delivery, name, depth, content)
         VALUES ($1, $2, $3, ($4::uuid[])[1], $5, $6, ($7::bytea[])[1])
         ON CONFLICT (id) DO UPDATE SET content = excluded.content",
        columns,
    ));
    if !forgotten.is_empty() {
        let mut columns = Columns::default();
        columns.numbers(forgotten.iter().map(|id| int(id.packed())));
        statements.push(("DELETE FROM events WHERE id = ANY($1)", columns));
    }
}

/// Adds the statements that change registrations, and notify other nodes.
pub(super) fn register(
    changes: &[(String, Option<Vec<u8>>)],
    channel: &str,
    statements: &mut Vec<Statement>,
) {
    for (id, ciphertext) in changes {
        let mut columns = Columns::default();
        if let Some(ciphertext) = ciphertext {
            columns.text(id).add(Type::BYTEA_ARRAY, [ciphertext.clone()]);
            statements.push((
                "INSERT INTO registrations (id, sealed) VALUES ($1, ($2::bytea[])[1])
                 ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
                columns,
            ));
        } else {
            columns.texts([Some(Cow::Borrowed(id.as_str()))]);
            statements.push(("DELETE FROM registrations WHERE id = ANY($1)", columns));
        }
    }
    let mut columns = Columns::default();
    columns.text(channel);
    statements.push((
        "WITH counted AS (UPDATE meta SET registrations = registrations + 1)
         SELECT pg_notify($1, 'registrations')",
        columns,
    ));
}

impl Records for PostgresJournal {
    fn keep_event(&self, event: &Arc<Event>, forgotten: Vec<EventId>) {
        self.shared.ops.push_all([Op::Keep { event: Arc::clone(event), forgotten }]);
    }

    fn kept_events(&self) -> Result<Vec<Event>> {
        let shared = Arc::clone(&self.shared);
        block_on(&self.shared, async move { events(&shared).await })
    }

    fn register(&self, changes: Vec<(String, Option<String>)>) -> Promise<'_, Result<()>> {
        let cipher = &self.shared.cipher;
        let encrypted = changes.into_iter().map(|(id, text)| {
            let encrypt = |text: String| cipher.encrypt(id.as_bytes(), text.as_bytes());
            Ok((id.clone(), text.map(encrypt).transpose()?))
        });
        let changes: Result<Vec<_>> = encrypted.collect();
        Box::pin(async {
            let changes = changes?;
            self.shared.ops.wait(|waiter| Op::Register { changes, waiter }).await
        })
    }

    fn registrations(&self) -> Result<Vec<String>> {
        let shared = Arc::clone(&self.shared);
        block_on(&self.shared, async move { registrations(&shared).await })
    }
}

async fn events(shared: &Arc<Shared>) -> Result<Vec<Event>> {
    let rows = shared.read("SELECT * FROM events ORDER BY id", &Columns::default()).await?;
    rows.iter().map(|row| event(&RowReader::new("events", row))).collect()
}

async fn registrations(shared: &Arc<Shared>) -> Result<Vec<String>> {
    let rows = shared.read(REGISTRATIONS, &Columns::default()).await?;
    rows.iter().map(|row| registration(&shared.cipher, row)).collect()
}

/// Decrypts a registration.
pub(super) fn registration(cipher: &Cipher, row: &Row) -> Result<String> {
    let row = RowReader::new("registrations", row);
    let id: String = row.get("id")?;
    let plain = cipher.decrypt(id.as_bytes(), &row.get::<Vec<u8>>("sealed")?)?;
    String::from_utf8(plain).map_err(|error| {
        let message = format!("the registration {id} in the journal is damaged");
        Error::new(ErrorKind::Journal, message).with_source(error)
    })
}
