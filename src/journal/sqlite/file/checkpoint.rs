//! Bringing the write-ahead log into the file, beside the writer, so that no hand-over waits for it.
//!
//! A helper with a connection of its own does the most of it while the writer goes on. What the
//! writer added meanwhile is little, and the writer brings it in itself: only then is all of the log
//! in the file, and the next transaction begins it anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, Result};

use crate::error::{Error, ErrorKind};

/// Pages of the write-ahead log that are brought into the file together: 16 MiB. The same few pages
/// are written again and again, so the longer this is put off, the less there is to bring.
const PAGES: u32 = 4096;

/// The checkpoints of the write-ahead log, and the thread that makes them.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// Pages in the write-ahead log, as of the last commit.
    pages: Arc<AtomicU32>,
    /// The number of pages that starts the next checkpoint.
    due: u32,
    progress: HelperState,
    helper: Option<Helper>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HelperState {
    Idle,
    Helping,
}

#[derive(Debug)]
struct Helper {
    ask: SyncSender<()>,
    done: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Takes over the checkpoints of `writer`.
    pub(crate) fn start(writer: &mut Connection, path: &Path) -> std::result::Result<Self, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Journal, "the journal's checkpoints could not start")
                .with_source(source)
        };
        let pages = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&pages);
        let count = move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            counted.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(count)).map_err(|error| failed(error.into()))?;
        let connection = Connection::open(path).map_err(|error| failed(error.into()))?;
        let (ask, asked) = sync_channel(1);
        let done = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&done);
        let thread = std::thread::Builder::new()
            .name("dollar-send-checkpoint".to_owned())
            .spawn(move || help(&connection, &asked, &tell))
            .map_err(|error| failed(error.into()))?;
        let helper = Some(Helper { ask, done, thread });
        Ok(Self { pages, due: PAGES, progress: HelperState::Idle, helper })
    }

    /// Between two transactions of the writer: does what is due.
    pub(crate) fn run(&mut self, writer: &Connection) -> Result<()> {
        let Some(helper) = &self.helper else { return Ok(()) };
        match self.progress {
            HelperState::Idle if self.pages.load(Ordering::Relaxed) >= self.due => {
                self.progress = HelperState::Helping;
                if helper.ask.try_send(()).is_err() {
                    helper.done.store(true, Ordering::Release);
                }
            }
            HelperState::Helping if helper.done.swap(false, Ordering::AcqRel) => {
                self.progress = HelperState::Idle;
                let left = checkpoint(writer)?;
                // A reader still uses the old pages, so that the log cannot start over yet.
                self.due = PAGES + left;
            }
            HelperState::Idle | HelperState::Helping => {}
        }
        Ok(())
    }

    /// Ends the helper.
    pub(crate) fn stop(&mut self) {
        if let Some(Helper { ask, thread, .. }) = self.helper.take() {
            drop(ask);
            // A panic there was reported by the panic itself.
            let _ = thread.join();
        }
    }
}

fn help(connection: &Connection, asked: &Receiver<()>, done: &AtomicBool) {
    while asked.recv().is_ok() {
        // What goes wrong here goes wrong for the writer too, which reports it.
        let _ = checkpoint(connection);
        done.store(true, Ordering::Release);
    }
}

/// Makes a checkpoint without blocking. Returns the number of pages that stay in the log because a
/// reader uses them.
pub(crate) fn checkpoint(connection: &Connection) -> Result<u32> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, pages, brought): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let stay = if busy || brought < pages { pages } else { 0 };
        Ok(u32::try_from(stay).unwrap_or(0))
    })
}
