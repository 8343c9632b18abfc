//! Opening: the journal and the destinations that the options choose, and the rooms of the engine.

use std::sync::Arc;

use super::recovery::recover;
use super::{Lifecycle, runtime};
use crate::config::Config;
use crate::destinations::{DestinationRegistry, Publisher, Resources};
use crate::egress::{Egress, Lookup, Policy};
use crate::engine::Engine;
use crate::engine::alerts::{Alerts, begin_alerts};
use crate::engine::batches::BatchLanes;
use crate::engine::forward::{Forwards, begin_forwarding};
use crate::engine::intake::{Budget, Intake, Replays};
use crate::engine::lanes::{Lanes, Pauses, Services, Webhooks, is_pause, is_service};
use crate::engine::pending::Pending;
use crate::engine::shared::{Observers, SharedParts, Tasks};
use crate::engine::stage::Stage;
use crate::engine::streams::{open_streams, receive};
use crate::error::{Error, Result};
use crate::journal::{
    Callbacks, Describe, Incident, Journal, MemoryJournal, PostgresJournal, ReceiveEvents, Report,
    SqliteJournal,
};
use crate::streams::{Streams, Subscriptions};

/// Opens an engine of its own, with `lookup` to resolve host names. Blocks.
pub(crate) fn open(config: Config, lookup: Arc<dyn Lookup>) -> Result<Arc<Engine>> {
    let runtime = runtime::handle()?;
    let _inside = runtime.enter();
    let policy = Policy::new(&config.egress).map_err(|error| error.within("Engine.open()"))?;
    let lifecycle = Lifecycle::new(policy.self_addresses().clone());
    let egress = Egress::new(policy, lookup);
    let streams = Arc::<Streams>::default();
    let subscriptions = Arc::<Subscriptions>::default();
    let publisher = Publisher::new(Arc::clone(&streams));
    let resources = Resources {
        publisher: publisher.clone(),
        subscriptions: Arc::clone(&subscriptions),
        is_served: config.server.is_some(),
        ..Resources::new(egress.clone(), config.destinations.http.log_body_bytes)
    };
    let destinations = DestinationRegistry::open(&config.destinations, resources)
        .map_err(|error| error.within("Engine.open()"))?;
    let destinations = Arc::new(destinations);
    let observers = Observers::default();
    let receive_events = receive(Arc::clone(&streams), Arc::clone(&subscriptions));
    let journal = journal(&config, egress, &destinations, &observers, receive_events)?;
    let registrations = journal.registrations()?;
    let events = Arc::clone(&observers.events);
    let services = Services::open(&destinations, &*journal, &registrations, events)
        .map_err(|error| error.within("Engine.open()"))?;
    let concurrency = config.concurrency;
    let (alerts, outbox) = Alerts::new(config.alerts.clone());
    let (forwards, dead_letters) = config.on_failed.map(Forwards::new).unzip();
    let shared = Arc::new(SharedParts {
        journal,
        destinations,
        services,
        pauses: Pauses::restore(&registrations),
        observers,
        budget: Budget::new(config.max_pending_bytes),
        pending: Pending::default(),
        stage: Stage::default(),
        tasks: Tasks::new(runtime.clone()),
        alerts,
        forwards,
        registrations: tokio::sync::Mutex::default(),
        config,
    });
    open_streams(&shared, &publisher, &streams, &subscriptions)?;
    let is_other = |text: &&str| is_service(text) || is_pause(text);
    let texts = registrations.iter().map(String::as_str);
    subscriptions.restore(texts.filter(|text| !is_other(text)))?;
    let batches = Arc::new(BatchLanes::new(Arc::clone(&shared)));
    let webhooks = Webhooks::new(subscriptions);
    let lanes = Arc::new(Lanes::new(Arc::clone(&shared), batches, webhooks, concurrency));
    recover(&lanes);
    begin_forwarding(&lanes, dead_letters)?;
    begin_alerts(&lanes, outbox);
    let replays = Replays::new(Arc::clone(&lanes));
    Ok(Arc::new(Engine { shared, intake: Intake::default(), lanes, replays, streams, lifecycle }))
}

/// Opens the journal that the options choose.
fn journal(
    config: &Config,
    egress: Egress,
    destinations: &Arc<DestinationRegistry>,
    observers: &Observers,
    receive_events: ReceiveEvents,
) -> Result<Arc<dyn Journal>> {
    #[cfg(test)]
    if let Some(journal) = crate::engine::tests::simulated_journal() {
        return Ok(journal);
    }
    let shows = Arc::clone(destinations);
    let describe: Describe = Box::new(move |kind, payload| shows.of(kind).describe(payload));
    let (events, changes) = (Arc::clone(&observers.events), Arc::clone(&observers.changes));
    let max_age = config.log.max_age;
    let report: Report = Box::new(move |incident| match incident {
        Incident::Trouble(error) => events.journal_trouble(&error.to_string()),
        Incident::DeadLettersRemoved(count) => events.dead_letters_removed(count, max_age),
        Incident::ClockDiffers(ahead) => events.clock_differs(ahead),
    });
    let within = |error: Error| error.within("Engine.open()");
    if let Some(options) = &config.fleet {
        let is_followed = Box::new(move || changes.is_followed());
        let callbacks = Callbacks { describe, report, is_followed, receive_events };
        let opened = PostgresJournal::open(options.clone(), egress, callbacks);
        return Ok(Arc::new(opened.map_err(within)?));
    }
    let Some(options) = &config.journal else {
        return Ok(Arc::new(MemoryJournal::new(config.log)));
    };
    Ok(Arc::new(SqliteJournal::open(options, describe, report).map_err(within)?))
}
