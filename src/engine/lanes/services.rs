//! Destinations without their service: the data directory remembers which ones had a mail server, a
//! bucket or a database, and an engine that is opened without it lets their calls wait.
//!
//! **Invariant:** a call that was recorded for a service is never delivered into a file beside the
//! journal, unless the options ask for files.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::delivery::{Failure, Kind};
use crate::destinations::{Backend, BackendChoice, DestinationRegistry};
use crate::engine::lifecycle::runtime;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Journal;
use crate::observability::events::{Events, Topic, Warning};

/// A service that a destination had, as the journal registers it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RegisteredService {
    Service { destination: String },
}

/// The destinations of one engine that lack their service, and those that use files.
#[derive(Debug)]
pub(crate) struct Services {
    missing: Vec<(Kind, Backend)>,
    /// Those that use files, with their warning.
    files: Vec<(Kind, String)>,
    /// Calls that wait for their service.
    waiting: AtomicUsize,
    /// Those that a warning was given of.
    warned: Mutex<Vec<Kind>>,
    /// Those that may be registered soon.
    watched: Mutex<Vec<Kind>>,
    events: Arc<Events>,
}

impl Services {
    /// Compares the options with the services that the journal remembers, and has it remember those
    /// of the options. Blocks.
    ///
    /// # Errors
    /// `Journal`.
    pub(crate) fn open(
        destinations: &DestinationRegistry,
        journal: &dyn Journal,
        registrations: &[String],
        events: Arc<Events>,
    ) -> Result<Self> {
        let known: Vec<String> = registrations.iter().filter_map(|text| service(text)).collect();
        let (mut missing, mut files, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, destination) in destinations.built_in() {
            let Some(backend) = destination.backend() else { continue };
            let is_known = known.iter().any(|name| name == kind.name());
            match backend.transport {
                BackendChoice::Service if is_known => {}
                BackendChoice::Service => new.push(registration(kind)?),
                BackendChoice::DefaultFiles if is_known => missing.push((kind, backend)),
                BackendChoice::ChosenFiles | BackendChoice::DefaultFiles => {
                    files.extend(backend.file_warning.map(|warning| (kind, warning)));
                }
            }
        }
        if !new.is_empty() {
            runtime::handle()?.block_on(journal.register(new))?;
        }
        let (waiting, warned, watched) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
        Ok(Self { missing, files, waiting, warned, watched, events })
    }

    /// Returns the reason why a call of this kind waits for its service; `None`: it does not.
    pub(crate) fn missing(&self, kind: Kind) -> Option<Failure> {
        let (_, backend) = self.missing.iter().find(|(missing, _)| *missing == kind)?;
        let failure = not_configured(kind, backend);
        self.warn_once(kind, "NOT_CONFIGURED", &failure.message);
        Some(failure)
    }

    /// Warns once that what was delivered is in a file.
    pub(crate) fn warn_of_files(&self, kind: Kind) {
        if let Some((_, message)) = self.files.iter().find(|(files, _)| *files == kind) {
            self.warn_once(kind, "FILE_TRANSPORT", message);
        }
    }

    /// Counts a call that waits for its service.
    pub(crate) fn count_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns `true` if calls of this kind wait for their service.
    pub(crate) fn is_missing(&self, kind: Kind) -> bool {
        self.missing.iter().any(|(missing, _)| *missing == kind)
    }

    /// Returns the number of calls that wait for their service: nothing ends their wait but another
    /// opening.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Returns `true` if this kind is not watched yet.
    pub(crate) fn begin_watch(&self, kind: Kind) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !watched.contains(&kind);
        if is_new {
            watched.push(kind);
        }
        is_new
    }

    /// Ends the watch of a kind.
    pub(crate) fn end_watch(&self, kind: Kind) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != kind);
    }

    /// Warns once that calls wait for a destination that no thread has registered.
    pub(crate) fn warn_of_absent(&self, kind: Kind, waiting: usize) {
        let name = kind.name();
        let message = format!(
            "calls of $send.{name} wait ({waiting} now): nothing in this process has registered the \
             destination. Call engine.destination({name:?}, …)"
        );
        self.warn_once(kind, "NOT_CONFIGURED", &message);
    }

    fn warn_once(&self, kind: Kind, code: &'static str, message: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.contains(&kind) {
            return;
        }
        warned.push(kind);
        drop(warned);
        self.events.emit(Topic::Warning, || Warning { code, message, execution_id: None });
    }
}

/// Returns `true` for the registration of a service.
pub(crate) fn is_service(text: &str) -> bool {
    service(text).is_some()
}

fn service(text: &str) -> Option<String> {
    let RegisteredService::Service { destination } = serde_json::from_str(text).ok()?;
    Some(destination)
}

fn registration(kind: Kind) -> Result<(String, Option<String>)> {
    let destination = kind.name().to_owned();
    let id = format!("service:{destination}");
    let text =
        serde_json::to_string(&RegisteredService::Service { destination }).map_err(|error| {
            let message = "a service cannot be registered";
            Error::new(ErrorKind::Internal, message).with_source(error)
        })?;
    Ok((id, Some(text)))
}

/// Returns the reason why calls of this kind wait.
fn not_configured(kind: Kind, backend: &Backend) -> Failure {
    let Backend { noun, options, .. } = backend;
    let message = format!(
        "{} had {noun} in this data directory, and the options name none: its calls wait until \
         Engine.open() gets {options}",
        kind.name()
    );
    Failure::new(ErrorKind::NotConfigured, message)
}

/// Returns the note of a delivery that waits for its service.
pub(crate) fn waiting_note(failure: &Failure) -> String {
    format!("{}: {}", failure.kind.code(), failure.message)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::Config;
    use crate::destinations::{self, Resources, email, sql};
    use crate::egress::{Egress, Policy, SystemLookup};
    use crate::execution::Retention;
    use crate::journal::MemoryJournal;

    fn config(file: bool, service: bool) -> Config {
        let email = email::Config {
            smtp: service.then(|| email::SmtpServer::parse("smtp://mail.example.com").unwrap()),
            folder_is_chosen: file,
            ..email::Config::files(PathBuf::from("mail"), false)
        };
        let destinations = destinations::Config { email, ..destinations::Config::default() };
        Config { destinations, ..Config::default() }
    }

    fn destinations(config: &Config) -> DestinationRegistry {
        let policy = Policy::new(&config.egress).unwrap();
        let egress = Egress::new(policy, Arc::new(SystemLookup::new()));
        DestinationRegistry::open(&config.destinations, Resources::new(egress, 0)).unwrap()
    }

    fn transport(config: &Config, kind: Kind) -> Option<BackendChoice> {
        let destinations = destinations(config);
        destinations.of(kind).backend().map(|backend| backend.transport)
    }

    #[tokio::test]
    async fn the_options_choose_the_transport() {
        for (file, service, expected) in [
            (false, true, BackendChoice::Service),
            (true, false, BackendChoice::ChosenFiles),
            (false, false, BackendChoice::DefaultFiles),
        ] {
            assert_eq!(transport(&config(file, service), Kind::Email), Some(expected));
        }
        assert_eq!(transport(&Config::default(), Kind::S3), Some(BackendChoice::DefaultFiles));
        assert_eq!(transport(&Config::default(), Kind::Http), None);
        for (is_chosen, expected) in
            [(true, BackendChoice::ChosenFiles), (false, BackendChoice::DefaultFiles)]
        {
            let inside = sql::DuckDbConfig::inside(Path::new("warehouse"));
            let sql = sql::Config {
                warehouse: Some(sql::Warehouse::DuckDb(inside)),
                warehouse_is_chosen: is_chosen,
                ..sql::Config::default()
            };
            let destinations = destinations::Config { sql, ..destinations::Config::default() };
            let config = Config { destinations, ..Config::default() };
            assert_eq!(transport(&config, Kind::Sql), Some(expected));
        }
    }

    #[test]
    fn a_service_is_told_from_other_registrations() {
        let (id, text) = registration(Kind::S3).unwrap();
        assert_eq!(id, "service:s3");
        assert_eq!(service(&text.unwrap()).as_deref(), Some("s3"));
        assert!(!is_service(r#"{"subscription":{"id":"sub_1"}}"#));
    }

    #[test]
    fn nothing_is_missing_in_memory() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _inside = runtime.enter();
        let journal = MemoryJournal::new(Retention::default());
        let open = |config: &Config| {
            Services::open(&destinations(config), &journal, &[], Arc::default()).unwrap()
        };
        assert!(!open(&config(false, true)).is_missing(Kind::Email));
        let services = open(&Config::default());
        assert!(services.missing.is_empty());
        let files: Vec<_> = services.files.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(files, [Kind::Email, Kind::S3]);
        services.warn_of_files(Kind::S3);
        services.warn_of_files(Kind::S3);
        assert_eq!(*services.warned.lock().unwrap(), [Kind::S3], "once");
    }
}
