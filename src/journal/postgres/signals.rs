//! Signals between nodes, beside calls: commands, that registrations changed, events of streams, and the
//! changes of the log, while one of them shows it.
//!
//! Each node looks several times a second. **Invariant:** a row that commits late is not skipped.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::params::Columns;
use super::poll::query;
use super::row::RowReader;
use super::{Shared, commands};
use crate::error::Result;
use crate::streams::EventId;

/// The interval of looks.
const INTERVAL: Duration = Duration::from_millis(200);

const LOOK: &str = "
    SELECT coalesce(bool_or(follows) FILTER (WHERE id <> $1), false) AS others_follow,
        coalesce(bool_or(follows) FILTER (WHERE id = $1), false) AS follows,
        coalesce((SELECT max(id) FROM changes), 0) AS last_change,
        EXISTS (SELECT 1 FROM commands) AS has_commands,
        (SELECT registrations FROM meta) AS registrations,
        (SELECT last FROM event_numbers) AS last_event
    FROM nodes WHERE NOT is_gone";

/// The changes of other nodes. A row whose transaction is longer than the interval is missed.
const CHANGES: &str = "
    SELECT id, content, at < clock_timestamp() - interval '15 s' AS is_old FROM changes
    WHERE id > $1 AND node <> $2 ORDER BY id";

/// The place of a node in what others tell it.
pub(super) struct Signals {
    next: Instant,
    changes: Option<Cursor>,
    /// The version of the registrations that was read.
    registrations: Option<i64>,
    /// Commands that this node has begun.
    commands: HashSet<i64>,
}

/// The changes that were read.
struct Cursor {
    /// No row up to here comes any more.
    low: i64,
    seen: HashSet<i64>,
}

impl Signals {
    pub(super) fn new() -> Self {
        let (registrations, commands) = (None, HashSet::new());
        Self { next: Instant::now(), changes: None, registrations, commands }
    }

    /// Returns the time of the next look.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time, or another node notified this one.
    pub(super) async fn look(&mut self, shared: &Shared, client: &Client) -> Result<()> {
        let is_signalled = shared.is_signalled.swap(false, Ordering::AcqRel);
        if Instant::now() < self.next && !is_signalled {
            return Ok(());
        }
        self.next = Instant::now() + INTERVAL;
        let (node, wanted) = (shared.ownership().node, (shared.is_followed)());
        let mut columns = Columns::default();
        columns.number(node);
        let rows = query(shared, client, LOOK, &columns).await?;
        let row = RowReader::new("nodes", &rows[0]);
        shared.others_follow.store(row.get("others_follow")?, Ordering::Release);
        if row.get::<bool>("follows")? != wanted {
            let mut columns = Columns::default();
            columns.number(node).add(Type::BOOL_ARRAY, [wanted]);
            let follow = "UPDATE nodes SET follows = ($2::boolean[])[1] WHERE id = $1";
            query(shared, client, follow, &columns).await?;
        }
        let registrations = Some(row.get("registrations")?);
        if std::mem::replace(&mut self.registrations, registrations) != registrations {
            shared.arrivals().registrations_changed = true;
            shared.arrived.notify_waiters();
        }
        shared.read_events(client, EventId::unpacked(row.unsigned("last_event")?)).await?;
        if shared.options.delivers && row.get("has_commands")? {
            self.take_commands(shared, client, node).await?;
        }
        if !wanted {
            self.changes = None;
            return Ok(());
        }
        let last: i64 = row.get("last_change")?;
        let cursor = self.changes.get_or_insert_with(|| Cursor::at(last));
        if last < cursor.low {
            // The table is empty, or it was emptied by a crash of the server and counts anew.
            *cursor = Cursor::at(0);
        }
        cursor.read(shared, client, node).await
    }

    async fn take_commands(&mut self, shared: &Shared, client: &Client, node: i64) -> Result<()> {
        let mut columns = Columns::default();
        columns.number(node);
        let rows = query(shared, client, commands::LOOK, &columns).await?;
        let mut found = HashSet::new();
        for row in &rows {
            let row = RowReader::new("commands", row);
            let id = row.get("id")?;
            if !self.commands.contains(&id) {
                let command = (row.unsigned("id")?, row.get("content")?);
                shared.arrivals().commands.push(command);
                shared.arrived.notify_waiters();
            }
            found.insert(id);
        }
        // The others are too old to be found again.
        self.commands = found;
        Ok(())
    }
}

impl Cursor {
    fn at(low: i64) -> Self {
        Self { low, seen: HashSet::new() }
    }

    async fn read(&mut self, shared: &Shared, client: &Client, node: i64) -> Result<()> {
        let mut columns = Columns::default();
        columns.number(self.low).number(node);
        let rows = query(shared, client, CHANGES, &columns).await?;
        let mut has_new = false;
        for row in &rows {
            let row = RowReader::new("changes", row);
            let id: i64 = row.get("id")?;
            if self.seen.insert(id) {
                shared.arrivals().changed.add(&row.get::<String>("content")?);
                has_new = true;
            }
            if row.get("is_old")? {
                self.low = id;
            }
        }
        self.seen.retain(|id| *id > self.low);
        if has_new {
            shared.arrived.notify_waiters();
        }
        Ok(())
    }
}
