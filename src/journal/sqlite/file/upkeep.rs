//! Keeps the file small: the limit on its size, the retention of the log, and free pages. Each part
//! of the work is short and done between transactions, so that no commit waits long for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, params};
use tokio::time::Instant;

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
/// Executions whose age one part looks at most.
const AGES_AT_ONCE: usize = 500;
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
    grown: BTreeSet<Arc<str>>,
    /// The last workflow of the pass over all workflows that each opening makes, because the limit
    /// may have changed, and each dismissal.
    looked_at: Option<String>,
    /// The last execution whose age was looked at; `None`: the next one is the oldest.
    aged: Option<i64>,
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
            grown: BTreeSet::new(),
            looked_at: Some(String::new()),
            aged: None,
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

    /// Takes note that each workflow may have more executions without a dead letter.
    pub(crate) fn note_all(&mut self) {
        self.looked_at = Some(String::new());
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
        let part = self.part(connection);
        // After an error, it is not tried again at once.
        self.more = part.as_ref().is_ok_and(|(more, _)| *more);
        if !self.more {
            self.next = Instant::now() + INTERVAL;
        }
        part.map(|(_, dead)| dead)
    }

    /// Does a part of what is due. Returns `true` if there may be more, and the number of dead letters
    /// that it removed.
    fn part(&mut self, connection: &Connection) -> Result<(bool, u64)> {
        let (removed, dead) = self.forget(connection)?;
        Ok((removed || give_back(connection)?, dead))
    }

    /// Removes finished executions that exceed the limits. Returns `true` if there may be more, and the
    /// number of dead letters among what it removed.
    fn forget(&mut self, connection: &Connection) -> Result<(bool, u64)> {
        let look = Look::now();
        let mut serials = if self.clock.admits(look) {
            let age = u64::try_from(self.retention.max_age.as_millis()).unwrap_or(u64::MAX);
            self.too_old(connection, look.system.as_millis().saturating_sub(age))?
        } else {
            Vec::new()
        };
        self.look_at_more_workflows(connection)?;
        let keep = self.retention.max_executions_per_workflow;
        let mut within = Vec::new();
        for workflow in &self.grown {
            if serials.len() >= EXECUTIONS_AT_ONCE {
                break;
            }
            let excess = too_many(connection, workflow, keep)?;
            let removable = excess.iter().filter(|(_, waits)| !waits).map(|(serial, _)| *serial);
            serials.extend(removable);
            if excess.len() < EXECUTIONS_AT_ONCE && !excess.iter().any(|(_, waits)| *waits) {
                within.push(Arc::clone(workflow));
            }
        }
        let dead = if serials.is_empty() { 0 } else { self.remove(connection, &serials)? };
        // Only now: what failed is done again.
        self.grown.retain(|workflow| !within.contains(workflow));
        let has_more = !serials.is_empty() || self.looked_at.is_some() || self.aged.is_some();
        Ok((has_more, dead))
    }

    /// Removes executions. Returns the number of dead letters among them.
    fn remove(&mut self, connection: &Connection, serials: &[i64]) -> Result<u64> {
        let overwriting = Overwriting::begin(connection)?;
        let transaction = connection.unchecked_transaction()?;
        let again = search::forget(&transaction, serials)?;
        keep_numbering(&transaction)?;
        let mut dead = 0;
        for serial in serials {
            dead += forget_execution(&transaction, *serial)?;
        }
        transaction.commit()?;
        drop(overwriting);
        self.unindexed += again;
        Ok(dead)
    }

    /// Returns the next finished executions from before `horizon`. Executions are numbered by their
    /// beginning: a pass ends at the first that began later.
    fn too_old(&mut self, connection: &Connection, horizon: u64) -> Result<Vec<i64>> {
        let mut oldest = connection.prepare_cached(
            "SELECT serial, started_at >= ?1 AS is_young,
                finished_at < ?1 AND NOT EXISTS
                    (SELECT 1 FROM commits WHERE execution = serial AND open = 1) AS is_old
             FROM executions WHERE serial > ?2 ORDER BY serial LIMIT ?3",
        )?;
        let after = self.aged.unwrap_or(i64::MIN);
        let mut rows = oldest.query(params![int(horizon), after, AGES_AT_ONCE])?;
        let (mut serials, mut looked_at, mut count) = (Vec::new(), None, 0);
        while serials.len() < EXECUTIONS_AT_ONCE
            && let Some(row) = rows.next()?
        {
            if row.get("is_young")? {
                looked_at = None;
                break;
            }
            (looked_at, count) = (Some(row.get("serial")?), count + 1);
            if row.get::<_, Option<bool>>("is_old")? == Some(true) {
                serials.extend(looked_at);
            }
        }
        let is_part = count == AGES_AT_ONCE || serials.len() == EXECUTIONS_AT_ONCE;
        self.aged = looked_at.filter(|_| is_part);
        Ok(serials)
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

/// The oldest finished executions of a workflow that has more than `keep`, each with `true` if a call of it
/// waits again; those with a dead letter do not count.
fn too_many(connection: &Connection, workflow: &str, keep: usize) -> Result<Vec<(i64, bool)>> {
    let mut excess = connection.prepare_cached(
        "SELECT serial, EXISTS (SELECT 1 FROM commits WHERE execution = serial AND open = 1)
         FROM executions INDEXED BY executions_removable
         WHERE workflow_id = ?1 AND finished_at IS NOT NULL AND failed = 0 AND serial <=
            (SELECT serial FROM executions INDEXED BY executions_removable
             WHERE workflow_id = ?1 AND finished_at IS NOT NULL AND failed = 0
             ORDER BY serial DESC LIMIT 1 OFFSET ?2)
         ORDER BY serial LIMIT ?3",
    )?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    excess.query_map(params![workflow, keep, EXECUTIONS_AT_ONCE], read)?.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "w";
    const DAY: u64 = 86_400_000;

    /// Returns a file with executions, each with the time of its end.
    fn file(finished_at: &[Option<u64>]) -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let connection = super::super::open(&path, super::super::Durability::Os).unwrap();
        for (serial, finished_at) in (1..).zip(finished_at) {
            let insert = "INSERT INTO executions (serial, execution_id, workflow_id, attempt,
                    started_at, ended, total, finished_at)
                 VALUES (?1, 'e', ?2, 1, ?3, 'completed', 0, ?4)";
            let values = params![serial, WORKFLOW, serial, finished_at];
            connection.execute(insert, values).unwrap();
        }
        (folder, connection)
    }

    fn keep(executions: usize) -> Retention {
        Retention { max_executions_per_workflow: executions, ..Retention::default() }
    }

    fn count(connection: &Connection) -> u64 {
        connection.query_row("SELECT count(*) FROM executions", [], |row| row.get(0)).unwrap()
    }

    fn run_all(upkeep: &mut Upkeep, connection: &Connection) {
        upkeep.next = Instant::now();
        upkeep.run(connection, false).unwrap();
        while upkeep.more {
            upkeep.run(connection, false).unwrap();
        }
    }

    #[test]
    fn what_could_not_be_removed_is_removed_at_the_next_interval() {
        let now = Timestamp::now().as_millis();
        let (_folder, connection) = file(&[Some(now); 15]);
        let mut upkeep = Upkeep::new(&connection, keep(1), None).unwrap();
        connection.execute_batch("PRAGMA query_only = ON").unwrap();
        upkeep.more = true;
        upkeep.run(&connection, false).unwrap_err();
        assert!(upkeep.pause() > INTERVAL / 2, "{:?}", upkeep.pause());
        connection.execute_batch("PRAGMA query_only = OFF").unwrap();
        run_all(&mut upkeep, &connection);
        assert_eq!(count(&connection), 1);
    }

    #[test]
    fn executions_that_wait_do_not_keep_old_ones_behind_them() {
        let old = Some(Timestamp::now().as_millis() - 40 * DAY);
        let ends: Vec<_> = (0..1200).map(|n| if n < 700 { None } else { old }).collect();
        let (_folder, connection) = file(&ends);
        let mut upkeep = Upkeep::new(&connection, keep(10_000), None).unwrap();
        upkeep.clock = Plausibility::new(Look::now(), None);
        run_all(&mut upkeep, &connection);
        assert_eq!(count(&connection), 700);
    }

    #[test]
    fn executions_whose_dead_letters_are_dismissed_count_again() {
        let now = Timestamp::now().as_millis();
        let (_folder, connection) = file(&[Some(now); 5]);
        connection.execute_batch("UPDATE executions SET failed = 1").unwrap();
        let mut upkeep = Upkeep::new(&connection, keep(2), None).unwrap();
        run_all(&mut upkeep, &connection);
        assert_eq!(count(&connection), 5);
        connection.execute_batch("UPDATE executions SET failed = 0").unwrap();
        upkeep.note_all();
        run_all(&mut upkeep, &connection);
        assert_eq!(count(&connection), 2);
    }

    #[test]
    fn an_execution_with_a_call_that_waits_is_not_removed() {
        let old = Some(Timestamp::now().as_millis() - 40 * DAY);
        let (_folder, connection) = file(&[old; 3]);
        let insert = "INSERT INTO commits VALUES (7, 1, 1, 2, 0, x'')";
        connection.execute(insert, []).unwrap();
        for executions in [10_000, 0] {
            let mut upkeep = Upkeep::new(&connection, keep(executions), None).unwrap();
            upkeep.clock = Plausibility::new(Look::now(), None);
            run_all(&mut upkeep, &connection);
            assert_eq!(count(&connection), 1);
        }
    }
}
