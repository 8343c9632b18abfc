//! Keeps the file small: the limit on its size, the retention of the log, and free pages. Each part
//! of the work is short and done between transactions, so that no commit waits long for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::error::{Error, ErrorKind};
use crate::execution::Retention;
use crate::journal::sqlite::row::int;
use crate::journal::sqlite::search;
use crate::time::{Look, Plausibility, Timestamp};

/// The interval of the retention when there is nothing left to remove.
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest time that upkeep waits for the writer to be idle.
const PATIENCE: Duration = Duration::from_secs(5);
/// Executions that one part removes at most.
const EXECUTIONS_AT_ONCE: usize = 10;
/// Workflows that one part looks at most.
const WORKFLOWS_AT_ONCE: usize = 100;
/// Free pages that one part gives back at most: 4 MiB.
const PAGES_AT_ONCE: u32 = 1024;
/// Free pages that stay, because the next deliveries need them: 16 MiB.
const SPARE_PAGES: u32 = 4096;

/// The limits, and when they are looked at next.
#[derive(Debug)]
pub(crate) struct Upkeep {
    retention: Retention,
    clock: Plausibility,
    max_bytes: Option<u64>,
    page_size: u64,
    next: Instant,
    more: bool,
    /// Workflows that may have more executions than are kept.
    grown: HashSet<Arc<str>>,
    /// The last workflow of the pass over all workflows that each opening makes, because the limit
    /// may have changed.
    looked_at: Option<String>,
    /// Rows that have to be indexed again.
    unindexed: usize,
}

impl Upkeep {
    /// Upkeep of a file that is open.
    pub(crate) fn new(
        connection: &Connection,
        retention: Retention,
        max_bytes: Option<u64>,
    ) -> Result<Self> {
        let page_size = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let clock = Plausibility::new(Look::now(), newest(connection)?);
        Ok(Self {
            retention,
            clock,
            max_bytes,
            page_size,
            next: Instant::now(),
            more: false,
            grown: HashSet::new(),
            looked_at: Some(String::new()),
            unindexed: 0,
        })
    }

    /// Takes the number of rows that have to be indexed again.
    pub(crate) const fn take_unindexed(&mut self) -> usize {
        std::mem::replace(&mut self.unindexed, 0)
    }

    /// Takes note that a workflow has one finished execution more.
    pub(crate) fn note(&mut self, workflow: &Arc<str>) {
        if !self.grown.contains(workflow) {
            self.grown.insert(Arc::clone(workflow));
        }
    }

    /// Returns `true` if `journal.maxBytes` is set.
    pub(crate) const fn is_limited(&self) -> bool {
        self.max_bytes.is_some()
    }

    /// Returns the time that the writer may sleep without work.
    pub(crate) fn pause(&self) -> Duration {
        if self.more {
            return Duration::ZERO;
        }
        self.next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    /// Bytes of the file that are in use; 0 when there is no limit to hold them against.
    pub(crate) fn used(&self, connection: &Connection) -> Result<u64> {
        if self.max_bytes.is_none() {
            return Ok(0);
        }
        let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok(pages("page_count")?.saturating_sub(pages("freelist_count")?) * self.page_size)
    }

    /// Admits `size` bytes more, or refuses them.
    pub(crate) fn admit(&mut self, used: &mut u64, size: u64) -> std::result::Result<(), Error> {
        let Some(limit) = self.max_bytes else { return Ok(()) };
        if *used + size <= limit {
            *used += size;
            return Ok(());
        }
        self.next = Instant::now();
        Err(Error::new(
            ErrorKind::JournalFull,
            format!(
                "the journal holds {used} bytes, this hand-over has {size} and journal.maxBytes \
                 is {limit}. Wait until deliveries are made, keep less in the log (log.maxAgeDays, \
                 log.maxExecutionsPerWorkflow), or raise the limit"
            ),
        ))
    }

    /// Does a part of what is due; while the writer is busy, only what was put off for long. Returns
    /// the number of dead letters that it removed.
    pub(crate) fn run(&mut self, connection: &Connection, busy: bool) -> Result<u64> {
        let now = Instant::now();
        if (!self.more && now < self.next) || (busy && now < self.next + PATIENCE) {
            return Ok(0);
        }
        let (removed, dead) = self.forget(connection)?;
        self.more = removed || give_back(connection)?;
        if !self.more {
            self.next = Instant::now() + INTERVAL;
        }
        Ok(dead)
    }

    /// Removes finished executions that exceed the limits. Returns `true` if there may be more, and the
    /// number of dead letters among what it removed.
    fn forget(&mut self, connection: &Connection) -> Result<(bool, u64)> {
        let look = Look::now();
        let mut serials = if self.clock.admits(look) {
            let age = u64::try_from(self.retention.max_age.as_millis()).unwrap_or(u64::MAX);
            too_old(connection, look.system.as_millis().saturating_sub(age))?
        } else {
            Vec::new()
        };
        self.look_at_more_workflows(connection)?;
        let keep = self.retention.max_executions_per_workflow;
        while serials.len() < EXECUTIONS_AT_ONCE {
            let Some(workflow) = self.grown.iter().next().cloned() else { break };
            let excess = too_many(connection, &workflow, keep)?;
            if excess.len() < EXECUTIONS_AT_ONCE {
                self.grown.remove(&workflow);
            }
            serials.extend(excess);
        }
        if serials.is_empty() {
            return Ok((self.looked_at.is_some(), 0));
        }
        let overwriting = Overwriting::begin(connection)?;
        let transaction = connection.unchecked_transaction()?;
        let again = search::forget(&transaction, &serials)?;
        keep_numbering(&transaction)?;
        let mut dead = 0;
        for serial in serials {
            dead += forget_execution(&transaction, serial)?;
        }
        transaction.commit()?;
        drop(overwriting);
        self.unindexed += again;
        Ok((true, dead))
    }

    fn look_at_more_workflows(&mut self, connection: &Connection) -> Result<()> {
        for _ in 0..WORKFLOWS_AT_ONCE {
            let Some(after) = &self.looked_at else { break };
            self.looked_at = next_workflow(connection, after)?;
            self.grown.extend(self.looked_at.as_deref().map(Arc::from));
        }
        Ok(())
    }
}

/// While it lives, SQLite overwrites whole pages, too, that it deletes: bodies that are forgotten do not
/// stay in free pages.
struct Overwriting<'a>(&'a Connection);

impl<'a> Overwriting<'a> {
    fn begin(connection: &'a Connection) -> Result<Self> {
        overwrite(connection, "ON")?;
        Ok(Self(connection))
    }
}

impl Drop for Overwriting<'_> {
    fn drop(&mut self) {
        let _ = overwrite(self.0, "FAST");
    }
}

/// `FAST` overwrites rows, where that needs no page to be written that would not be.
fn overwrite(connection: &Connection, mode: &str) -> Result<()> {
    connection.pragma_update_and_check(None, "secure_delete", mode, |_| Ok(()))
}

/// The start of the newest execution.
fn newest(connection: &Connection) -> Result<Option<Timestamp>> {
    let statement = "SELECT started_at FROM executions ORDER BY serial DESC LIMIT 1";
    let newest = connection.query_row(statement, [], |row| row.get(0)).optional()?;
    Ok(newest.map(Timestamp::from_millis))
}

/// Executions are finished roughly in the order of their numbers, so the oldest numbers tell.
fn too_old(connection: &Connection, horizon: u64) -> Result<Vec<i64>> {
    let mut oldest = connection.prepare_cached(
        "SELECT serial FROM
            (SELECT serial, finished_at FROM executions ORDER BY serial LIMIT ?2)
         WHERE finished_at < ?1",
    )?;
    oldest.query_map(params![int(horizon), EXECUTIONS_AT_ONCE], |row| row.get(0))?.collect()
}

/// The oldest finished executions of a workflow that has more than `keep`; those with a dead letter do not
/// count.
fn too_many(connection: &Connection, workflow: &str, keep: usize) -> Result<Vec<i64>> {
    let mut excess = connection.prepare_cached(
        "SELECT serial FROM executions INDEXED BY executions_removable
         WHERE workflow_id = ?1 AND finished_at IS NOT NULL AND failed = 0 AND serial <=
            (SELECT serial FROM executions INDEXED BY executions_removable
             WHERE workflow_id = ?1 AND finished_at IS NOT NULL AND failed = 0
             ORDER BY serial DESC LIMIT 1 OFFSET ?2)
         ORDER BY serial LIMIT ?3",
    )?;
    excess.query_map(params![workflow, keep, EXECUTIONS_AT_ONCE], |row| row.get(0))?.collect()
}

fn next_workflow(connection: &Connection, after: &str) -> Result<Option<String>> {
    let mut next = connection.prepare_cached(
        "SELECT workflow_id FROM executions WHERE workflow_id > ?1 ORDER BY workflow_id LIMIT 1",
    )?;
    next.query_row([after], |row| row.get(0)).optional()
}

/// Keeps the newest number of a settlement, which may be removed: it is not given again.
fn keep_numbering(connection: &Connection) -> Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE numbering SET last = newest FROM
            (SELECT max(settlement) AS newest FROM deliveries WHERE settlement IS NOT NULL)
         WHERE newest > last",
    )?;
    update.execute([]).map(drop)
}

/// Removes an execution. Returns the number of its dead letters.
fn forget_execution(connection: &Connection, serial: i64) -> Result<u64> {
    let mut failed =
        connection.prepare_cached("SELECT failed FROM executions WHERE serial = ?1")?;
    let dead = failed.query_row([serial], |row| row.get(0)).optional()?;
    for statement in [
        "DELETE FROM deliveries WHERE execution = ?1",
        "DELETE FROM commits WHERE execution = ?1 AND open = 0",
        "DELETE FROM executions WHERE serial = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([serial])?;
    }
    Ok(dead.unwrap_or(0))
}

/// Returns free pages to the file system. Returns `true` if there are more.
fn give_back(connection: &Connection) -> Result<bool> {
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= SPARE_PAGES + PAGES_AT_ONCE {
        return Ok(false);
    }
    connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
    Ok(true)
}
