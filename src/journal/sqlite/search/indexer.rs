//! The thread that gathers rows into segments. It reads by a connection of its own and leaves the
//! writing to the writer. It takes a part of one processor's time only, so that deliveries go on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Result as Rows, params};

use super::segment::{IndexedRow, MAX_ROWS, SegmentBuilder};
use super::token::TokenCollector;
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{ExecutionInfo, ExecutionView, Subject};
use crate::journal::sqlite::file;
use crate::journal::sqlite::read::{RecoveredExecution, execution, first_at, id, info_of, subject};
use crate::journal::sqlite::row::SqliteRow;
use crate::journal::sqlite::write::Writer;

/// Rows that become a segment; fewer are looked at one by one. Tests make segments of few rows.
pub(in crate::journal::sqlite) const MIN_ROWS: usize = if cfg!(test) { 16 } else { 4096 };
/// The thread rests this many times as long as it has worked.
const REST: u32 = 3;
/// The wait after an error.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Tells the thread that there are enough new rows.
#[derive(Debug)]
pub(in crate::journal::sqlite) struct Kick {
    sender: SyncSender<()>,
    new: usize,
}

impl Kick {
    /// Takes note of new rows.
    pub(in crate::journal::sqlite) fn note(&mut self, rows: usize) {
        self.new += rows;
        if self.new >= MIN_ROWS {
            self.new = 0;
            // A full channel has a kick already.
            let _ = self.sender.try_send(());
        }
    }
}

/// The thread. It ends when this is stopped or dropped.
#[derive(Debug)]
pub(in crate::journal::sqlite) struct Indexer {
    stopping: Arc<AtomicBool>,
    sender: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

/// The channel between the writer and the thread.
#[derive(Debug)]
pub(in crate::journal::sqlite) struct Kicks(Receiver<()>, SyncSender<()>);

impl Kick {
    /// Creates the channel.
    pub(in crate::journal::sqlite) fn channel() -> (Self, Kicks) {
        let (sender, receiver) = sync_channel(1);
        (Self { sender: sender.clone(), new: 0 }, Kicks(receiver, sender))
    }
}

impl Indexer {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Journal`.
    pub(in crate::journal::sqlite) fn start(
        path: &Path,
        writer: Arc<Writer>,
        kicks: Kicks,
    ) -> Result<Self> {
        let stopping = Arc::<AtomicBool>::default();
        let Kicks(receiver, sender) = kicks;
        let connection = file::open_to_read(path)?;
        let stop = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("dollar-send-index".to_owned())
            .spawn(move || run(&connection, &writer, &receiver, &stop))
            .map_err(|source| {
                Error::new(ErrorKind::Journal, "the thread of the search index could not start")
                    .with_source(source)
            })?;
        // An earlier process may have left rows.
        let _ = sender.try_send(());
        Ok(Self { stopping, sender, thread: Some(thread) })
    }

    fn signal(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = self.sender.try_send(());
    }

    /// Ends the thread, and with it its connection.
    pub(in crate::journal::sqlite) fn stop(mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.signal();
    }
}

fn run(connection: &Connection, writer: &Writer, kicks: &Receiver<()>, stopping: &AtomicBool) {
    let mut wait = None;
    while !stopping.load(Ordering::Acquire) {
        let kicked = match wait {
            None => kicks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => kicks.recv_timeout(wait),
        };
        let is_over = matches!(kicked, Err(RecvTimeoutError::Disconnected));
        if is_over || stopping.load(Ordering::Acquire) {
            return;
        }
        wait = work(connection, writer, kicks, stopping);
    }
}

/// Gathers rows until few are left. Returns the time after which it is to be tried again.
fn work(
    connection: &Connection,
    writer: &Writer,
    kicks: &Receiver<()>,
    stopping: &AtomicBool,
) -> Option<Duration> {
    loop {
        let began = Instant::now();
        // The writer reports what is wrong with the file.
        let Ok(builder) = gather(connection, stopping) else { return Some(RETRY_DELAY) };
        if stopping.load(Ordering::Acquire) || builder.len() < MIN_ROWS {
            return None;
        }
        if writer.index(Box::new(builder.finish())).is_err() {
            return Some(RETRY_DELAY);
        }
        let rest = began.elapsed() * REST;
        let until = Instant::now() + rest;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            // New rows do not end the rest; the end of the journal does.
            let _ = kicks.recv_timeout(left);
            if stopping.load(Ordering::Acquire) {
                return None;
            }
        }
    }
}

/// Reads the newest rows that no segment has; nothing if they are few.
fn gather(connection: &Connection, stopping: &AtomicBool) -> Rows<SegmentBuilder> {
    let snapshot = connection.unchecked_transaction()?;
    let mut builder = SegmentBuilder::default();
    let mut numbers =
        snapshot.prepare_cached("SELECT number FROM unindexed ORDER BY number DESC LIMIT ?1")?;
    let numbers: Vec<i64> =
        numbers.query_map([MAX_ROWS], |row| row.get(0))?.collect::<Rows<_>>()?;
    if numbers.len() < MIN_ROWS {
        return Ok(builder);
    }
    let (mut known, mut scratch) = (HashMap::new(), Vec::new());
    for number in numbers {
        if stopping.load(Ordering::Acquire) {
            break;
        }
        if number < 0 {
            add_run(&snapshot, number, &mut builder, &mut scratch)?;
        } else {
            add_delivery(&snapshot, number, &mut known, &mut builder, &mut scratch)?;
        }
    }
    Ok(builder)
}

fn add_run(
    connection: &Connection,
    number: i64,
    builder: &mut SegmentBuilder,
    scratch: &mut Vec<u8>,
) -> Rows<()> {
    let serial = (-1 - number).cast_unsigned();
    let Some(found) = execution(connection, serial)? else { return Ok(()) };
    let RecoveredExecution { info, completion, tally, total } = found;
    let view = ExecutionView::of(serial, &info, completion.as_ref(), tally, total);
    let row = IndexedRow { number, serial, id: first_at(info.started_at) };
    builder.add(row, |push| TokenCollector::new(push, scratch).run(&info, &view));
    Ok(())
}

fn add_delivery(
    connection: &Connection,
    number: i64,
    known: &mut HashMap<u64, Arc<ExecutionInfo>>,
    builder: &mut SegmentBuilder,
    scratch: &mut Vec<u8>,
) -> Rows<()> {
    let mut select = connection.prepare_cached(
        "SELECT id, execution, step, destination, status, request, error_code, error_message
         FROM deliveries WHERE seq = ?1",
    )?;
    let added = select.query_row(params![number], |row| {
        let row = SqliteRow::new("deliveries", row);
        let info = info_of(connection, row, known)?;
        let row_of =
            IndexedRow { number, serial: row.unsigned("execution")?, id: row.parse("id", id)? };
        add(builder, row_of, &info, &subject(row)?, scratch);
        Ok(())
    });
    added.optional().map(drop)
}

fn add(
    builder: &mut SegmentBuilder,
    row: IndexedRow,
    info: &ExecutionInfo,
    subject: &Subject<'_>,
    scratch: &mut Vec<u8>,
) {
    builder.add(row, |push| TokenCollector::new(push, scratch).delivery(info, subject));
}
