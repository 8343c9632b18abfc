//! The engines of this process: who may share one, and what must be waited for at exit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use once_cell::sync::Lazy;

use super::{Engine, runtime};
use crate::config::Config;
use crate::egress::SystemLookup;
use crate::error::{Error, ErrorKind, Result};

static ENGINES: Lazy<Mutex<Vec<Weak<Engine>>>> = Lazy::new(Mutex::default);

/// Opens an engine, or shares the one that is open under the same name in this process.
pub fn open(config: Config) -> Result<Arc<Engine>> {
    let mut engines = engines();
    engines.retain(|engine| engine.strong_count() > 0);
    if let Some(shared) = named(&engines, config.name.as_deref()) {
        return join(shared, &config);
    }
    let engine = Engine::open(config, Arc::new(SystemLookup::new()))?;
    engines.push(Arc::downgrade(&engine));
    Ok(engine)
}

fn named(engines: &[Weak<Engine>], name: Option<&str>) -> Option<Arc<Engine>> {
    let name = name?;
    let mut live = engines.iter().filter_map(Weak::upgrade);
    live.find(|engine| engine.config().name.as_deref() == Some(name) && engine.share())
}

/// A second opener either repeats the options or gives none but the name.
fn join(engine: Arc<Engine>, config: &Config) -> Result<Arc<Engine>> {
    let only_name = Config { name: config.name.clone(), ..Config::default() };
    if config == engine.config() || *config == only_name {
        return Ok(engine);
    }
    engine.abandon();
    Err(Error::new(
        ErrorKind::InvalidOption,
        format!(
            "an engine named {:?} is already open in this process with other options: repeat \
             them, or give the name alone to share it",
            config.name.as_deref().unwrap_or_default()
        ),
    ))
}

/// Waits on this thread, at most `limit`, until no engine has work; the answer is how many
/// deliveries were not terminal then. For the end of the process: best effort, never a guarantee.
#[must_use]
pub fn flush_all(limit: Duration) -> usize {
    let live: Vec<_> = engines().iter().filter_map(Weak::upgrade).collect();
    let Ok(runtime) = runtime::handle() else { return 0 };
    let deadline = std::time::Instant::now() + limit;
    let mut left = 0;
    for engine in live {
        let rest = deadline.saturating_duration_since(std::time::Instant::now());
        if runtime.block_on(async { engine.flush(Some(rest)).await }).is_err() {
            left += engine.stats().pending;
        }
    }
    left
}

fn engines() -> MutexGuard<'static, Vec<Weak<Engine>>> {
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}
