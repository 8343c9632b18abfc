//! The engines of this process: who may share one, and what must be waited for at exit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use once_cell::sync::Lazy;

use super::{Engine, runtime};
use crate::config::Config;
use crate::egress::SystemLookup;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{self, Options};

static ENGINES: Lazy<Mutex<Vec<Weak<Engine>>>> = Lazy::new(Mutex::default);

/// Opens an engine, or shares the one that is open under the same name, or on the same data
/// directory, in this process. `start` opens what belongs to a new one.
pub fn open(mut config: Config, start: impl Fn(&Arc<Engine>) -> Result<()>) -> Result<Arc<Engine>> {
    if let Some(journal) = &mut config.journal {
        // Whoever opens it says what is wrong with it.
        let _ = journal::create_directory(&journal.directory);
        if let Ok(path) = journal.directory.canonicalize() {
            journal.directory = path;
        }
    }
    let mut engines = engines();
    engines.retain(|engine| engine.strong_count() > 0);
    if let Some(shared) = shared(&engines, &config) {
        return join(shared, &config);
    }
    let engine = Engine::open(config, Arc::new(SystemLookup::new()))?;
    if let Err(error) = start(&engine) {
        // So that the data directory is free when the refusal is known.
        engine.runtime().block_on(engine.close(Duration::ZERO));
        return Err(error);
    }
    engines.push(Arc::downgrade(&engine));
    Ok(engine)
}

fn shared(engines: &[Weak<Engine>], config: &Config) -> Option<Arc<Engine>> {
    let directory = |config: &Config| Some(config.journal.as_ref()?.directory.clone());
    let (name, wanted) = (config.name.as_deref(), directory(config));
    let mut live = engines.iter().filter_map(Weak::upgrade);
    live.find(|engine| {
        let other = engine.config();
        let same_name = name.is_some() && other.name.as_deref() == name;
        let same_directory = wanted.is_some() && directory(other) == wanted;
        (same_name || same_directory) && engine.share()
    })
}

/// A second opener either repeats the options, or gives nothing but the name or the directory.
fn join(engine: Arc<Engine>, config: &Config) -> Result<Arc<Engine>> {
    let open = engine.config();
    let mut bare = Config { name: config.name.clone(), ..Config::default() };
    if let (Some(given), Some(known)) = (&config.journal, &open.journal) {
        bare.journal = Some(Options::bare(given.directory.clone()));
        if given.directory != known.directory {
            bare.journal = None;
        }
    }
    if config == open || *config == bare {
        return Ok(engine);
    }
    let which = match (&config.journal, &config.name) {
        (Some(journal), _) => format!("on {}", journal.directory.display()),
        (None, name) => format!("named {:?}", name.as_deref().unwrap_or_default()),
    };
    engine.abandon();
    Err(Error::new(
        ErrorKind::InvalidOption,
        format!(
            "an engine {which} is already open in this process with other options: repeat them, \
             or give the name or the dataDir alone to share it"
        ),
    ))
}

/// Waits on this thread, at most `limit`, until no engine has work; the answer is how many
/// deliveries are lost then. For the end of the process: best effort, never a guarantee.
#[must_use]
pub fn flush_all(limit: Duration) -> usize {
    let live: Vec<_> = engines().iter().filter_map(Weak::upgrade).collect();
    let Ok(runtime) = runtime::handle() else { return 0 };
    let deadline = std::time::Instant::now() + limit;
    let mut left = 0;
    for engine in live {
        let rest = deadline.saturating_duration_since(std::time::Instant::now());
        let flushed = runtime.block_on(async { engine.flush(Some(rest)).await });
        // What a durable journal holds is not lost.
        if flushed.is_err() && !engine.is_durable() {
            left += engine.stats().pending;
        }
    }
    left
}

fn engines() -> MutexGuard<'static, Vec<Weak<Engine>>> {
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}
