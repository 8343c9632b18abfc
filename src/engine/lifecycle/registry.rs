//! The engines of this process: who may share one, and what must be waited for at exit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

use super::{Handle, runtime};
use crate::config::Config;
use crate::egress::SystemLookup;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::journal;

static ENGINES: Lazy<Mutex<Vec<Weak<Engine>>>> = Lazy::new(Mutex::default);

/// A request to open an engine.
#[derive(Debug)]
pub struct Opening {
    /// The options, with every default applied.
    pub config: Config,
    /// `true` if the name or the data directory was all that was given: an open engine is then shared
    /// whatever its options are.
    pub is_bare: bool,
    /// How long to wait for a data directory that another process has open.
    pub lock_wait: Duration,
}

/// The time between two looks at a data directory that another process has open.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Opens an engine, or shares the one that is open under the same name, or on the same data
/// directory, in this process. Blocks while this process closes an engine on the same directory, and
/// for up to `lock_wait` while another process has it. `start` opens what belongs to a new engine.
///
/// # Errors
/// `InvalidOption`, `DataDirLocked`, `Journal`.
pub fn open(mut opening: Opening, start: impl Fn(&Arc<Engine>) -> Result<()>) -> Result<Handle> {
    if let Some(journal) = &mut opening.config.journal {
        // Opening it reports what is wrong with it.
        let _ = journal::create_directory(&journal.directory);
        if let Ok(path) = journal.directory.canonicalize() {
            journal.directory = path;
        }
    }
    let deadline = Instant::now() + opening.lock_wait;
    loop {
        match open_now(&opening, &start) {
            Ok(FoundEngine::Open(handle)) => return Ok(handle),
            Ok(FoundEngine::Closing(engine)) => runtime::handle()?.block_on(engine.ended()),
            Err(error) if error.kind() == ErrorKind::DataDirLocked && Instant::now() < deadline => {
                runtime::handle()?.block_on(tokio::time::sleep(LOCK_POLL));
            }
            Err(error) => return Err(error),
        }
    }
}

enum FoundEngine {
    Open(Handle),
    /// An engine on the same data directory, which this process is closing.
    Closing(Arc<Engine>),
}

fn open_now(opening: &Opening, start: impl Fn(&Arc<Engine>) -> Result<()>) -> Result<FoundEngine> {
    let config = &opening.config;
    let mut engines = engines();
    engines.retain(|engine| engine.strong_count() > 0);
    for engine in engines.iter().filter_map(Weak::upgrade).filter(|open| is_same(open, config)) {
        if let Some(handle) = Handle::share(&engine) {
            return join(handle, opening).map(FoundEngine::Open);
        }
        if config.journal.is_some() && !engine.has_ended() {
            return Ok(FoundEngine::Closing(engine));
        }
    }
    let engine = Engine::open(config.clone(), Arc::new(SystemLookup::new()))?;
    let handle = Handle::new(Arc::clone(&engine));
    if let Err(error) = start(&engine) {
        // So that the data directory is free when the error arrives.
        engine.runtime().block_on(handle.close(Duration::ZERO));
        return Err(error);
    }
    engines.push(Arc::downgrade(&engine));
    Ok(FoundEngine::Open(handle))
}

/// Returns `true` if an engine has the name or the data directory of these options.
fn is_same(engine: &Engine, config: &Config) -> bool {
    let directory = |config: &Config| Some(config.journal.as_ref()?.directory.clone());
    let (open, wanted) = (engine.config(), directory(config));
    let same_name = config.name.is_some() && open.name == config.name;
    same_name || wanted.is_some() && directory(open) == wanted
}

/// A second opener either repeats the options, or gives nothing but the name or the directory.
fn join(handle: Handle, opening: &Opening) -> Result<Handle> {
    if opening.is_bare || opening.config == *handle.engine().config() {
        return Ok(handle);
    }
    let which = match (&opening.config.journal, &opening.config.name) {
        (Some(journal), _) => format!("on {}", journal.directory.display()),
        (None, name) => format!("named {:?}", name.as_deref().unwrap_or_default()),
    };
    Err(Error::new(
        ErrorKind::InvalidOption,
        format!(
            "an engine {which} is already open in this process with other options: repeat them, \
             or give the name or the dataDir alone to share it"
        ),
    ))
}

/// Blocks this thread until no engine has work, at most for `limit`. Returns the number of deliveries
/// that are lost then. For the end of the process: best effort, without a guarantee.
#[must_use]
pub fn flush_all(limit: Duration) -> usize {
    let live: Vec<_> = engines().iter().filter_map(Weak::upgrade).collect();
    let Ok(runtime) = runtime::handle() else { return 0 };
    let deadline = Instant::now() + limit;
    let mut left = 0;
    for engine in live {
        let rest = deadline.saturating_duration_since(Instant::now());
        let flushed = runtime.block_on(async { engine.flush(Some(rest)).await });
        // What a durable journal holds is not lost.
        if flushed.is_err() && !engine.is_durable() {
            left += engine.stats().pending;
        }
    }
    left
}

/// Returns the executions of open engines whose calls were not handed over.
pub fn open_executions() -> Vec<super::OpenExecution> {
    let live: Vec<_> = engines().iter().filter_map(Weak::upgrade).collect();
    live.iter()
        .filter(|engine| !engine.is_closed())
        .flat_map(|e| super::open_executions(e))
        .collect()
}

fn engines() -> MutexGuard<'static, Vec<Weak<Engine>>> {
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}
