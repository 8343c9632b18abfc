//! Subscriptions to emitted events, the webhooks that they lead to, and listeners in this process.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::webhook::{Webhook, WebhookChange};
use super::{Event, EventId};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::events;
use crate::pattern;
use crate::time::Timestamp;

/// The channel of executions that were completed with an error.
pub const ERRORS: &str = "$errors";
/// Subscriptions and webhooks that there may be together.
const MAX_REGISTRATIONS: usize = 10_000;
/// Characters that a text of a registration may have.
pub(super) const MAX_TEXT: usize = 1024;

/// A subscription of a listener to the events of some emitters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// `sub_` and something unique.
    pub id: String,
    /// A workflow's id, or a pattern of ids in which `*` stands for any characters.
    pub emitter_id: String,
    /// A webhook's id (`wh_…`), or the name of a listener in the process.
    pub listener_id: String,
    /// The channel, or a pattern of channels; empty: events without one.
    pub event_name: String,
}

impl Subscription {
    /// Returns its members. Two subscriptions with equal ones are the same.
    #[must_use]
    pub fn members(&self) -> [&str; 3] {
        [&self.emitter_id, &self.listener_id, &self.event_name]
    }
}

/// A registration in its persisted form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// A subscription.
    Subscription(Subscription),
    /// A webhook.
    Webhook(Webhook),
}

impl Registration {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Subscription(subscription) => &subscription.id,
            Self::Webhook(webhook) => &webhook.id,
        }
    }
}

/// A filter of a listener in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerFilter {
    /// Events of these emitters on these channels: two patterns.
    Emitter {
        /// The emitters.
        emitter_id: String,
        /// The channels; empty: events without one.
        event_name: String,
    },
    /// The events that match the subscriptions of this listener.
    Listener(String),
}

/// A listener in this process.
#[derive(Debug)]
struct Local {
    filter: ListenerFilter,
    number: u32,
    target: Arc<events::Subscriber>,
}

#[derive(Debug, Default)]
struct Registrations {
    subscriptions: BTreeMap<String, Subscription>,
    webhooks: BTreeMap<String, Arc<Webhook>>,
    locals: Vec<Local>,
}

/// All subscriptions, webhooks and listeners.
#[derive(Debug, Default)]
pub struct Subscriptions {
    state: Mutex<Registrations>,
}

/// An emitted event, as listeners in this process get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmittedEvent<'a> {
    id: String,
    emit_id: Uuid,
    emitter_id: &'a str,
    name: &'a str,
    event: &'a RawValue,
    depth: u32,
}

/// The event with the numbers of the listeners that get it.
#[derive(Serialize)]
struct EventForListeners<'a> {
    to: Vec<u32>,
    event: EmittedEvent<'a>,
}

impl Subscriptions {
    /// Restores stored registrations, in place of those that are there. Listeners in this process stay.
    ///
    /// # Errors
    /// `Journal`: a text is not a registration. The message repeats nothing of it: it may hold a secret.
    pub fn restore<'a>(&self, registrations: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let registrations = parsed(registrations)?;
        let mut state = self.state();
        state.subscriptions.clear();
        state.webhooks.clear();
        for registration in registrations {
            state.add(registration);
        }
        Ok(())
    }

    /// Returns an equal subscription that exists, or a new one that is not in effect before
    /// [`Subscriptions::add`].
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn subscription(
        &self,
        emitter_id: &str,
        listener_id: &str,
        event_name: &str,
    ) -> Result<Subscription> {
        check_text("emitter_id", emitter_id, 1)?;
        check_text("listener_id", listener_id, 1)?;
        check_text("event_name", event_name, 0)?;
        let state = self.state();
        if listener_id.starts_with("wh_") && !state.webhooks.contains_key(listener_id) {
            return Err(invalid(format!("listener_id: there is no webhook {listener_id:?}")));
        }
        if let Some(known) = state.equal([emitter_id, listener_id, event_name]).next() {
            return Ok(known.clone());
        }
        state.check_room()?;
        Ok(Subscription {
            id: new_id("sub"),
            emitter_id: emitter_id.to_owned(),
            listener_id: listener_id.to_owned(),
            event_name: event_name.to_owned(),
        })
    }

    /// Returns a new webhook, which is not in effect before [`Subscriptions::add`]. Its URL was
    /// checked.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn webhook(&self, members: WebhookChange, now: Timestamp) -> Result<Webhook> {
        self.state().check_room()?;
        Webhook::new(new_id("wh"), members, now.as_millis() / 1000)
    }

    /// Returns the webhook with this id.
    #[must_use]
    pub fn find_webhook(&self, id: &str) -> Option<Arc<Webhook>> {
        self.state().webhooks.get(id).cloned()
    }

    /// Puts a registration into effect.
    pub fn add(&self, registration: Registration) {
        self.state().add(registration);
    }

    /// Removes these registrations.
    pub fn remove(&self, ids: &[String]) {
        let mut state = self.state();
        for id in ids {
            state.subscriptions.remove(id);
            state.webhooks.remove(id);
        }
    }

    /// Returns the ids of the subscription with exactly these members: more than one if several nodes
    /// made it at the same time.
    #[must_use]
    pub fn ids_of(&self, emitter: &str, listener: &str, event_name: &str) -> Vec<String> {
        self.state().equal([emitter, listener, event_name]).map(|known| known.id.clone()).collect()
    }

    /// Returns the ids to remove with a webhook: its own, and those of the subscriptions that lead
    /// to it; `None` if there is no such webhook.
    #[must_use]
    pub fn ids_of_webhook(&self, id: &str) -> Option<Vec<String>> {
        let state = self.state();
        let webhook = state.webhooks.get(id)?;
        let leading = state.subscriptions.values().filter(|other| other.listener_id == id);
        Some(std::iter::once(&webhook.id).chain(leading.map(|other| &other.id)).cloned().collect())
    }

    /// Returns every subscription, in the order of the ids. Of equal ones, the first one stands for all.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let state = self.state();
        let mut seen = HashSet::new();
        let mut all: Vec<&Subscription> = state.subscriptions.values().collect();
        all.retain(|known| seen.insert(known.members()));
        all.into_iter().cloned().collect()
    }

    /// Returns every webhook, in the order of the ids.
    #[must_use]
    pub fn webhooks(&self) -> Vec<Arc<Webhook>> {
        self.state().webhooks.values().cloned().collect()
    }

    /// Adds a listener in this process: events go to `target` under its number.
    pub fn listen(&self, filter: ListenerFilter, number: u32, target: Arc<events::Subscriber>) {
        self.state().locals.push(Local { filter, number, target });
    }

    /// Removes a listener, or without a number all listeners of this target.
    pub fn ignore(&self, number: Option<u32>, target: &Arc<events::Subscriber>) {
        self.state().locals.retain(|local| {
            !(Arc::ptr_eq(&local.target, target) && number.is_none_or(|n| n == local.number))
        });
    }

    /// Returns the webhooks that take an event of this emitter on this channel.
    #[must_use]
    pub fn webhooks_for(&self, emitter: &str, name: &str) -> Vec<Arc<Webhook>> {
        let state = self.state();
        let mut found: Vec<_> = state
            .matching(emitter, name)
            .filter_map(|subscription| state.webhooks.get(&subscription.listener_id).cloned())
            .filter(|webhook| webhook.takes_events())
            .collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }

    /// Returns the number of listeners in this process that an event is for.
    #[must_use]
    pub fn count_listeners(&self, event: &Event) -> usize {
        let state = self.state();
        let is_wished =
            |local: &&Local| state.is_wished(&local.filter, &event.workflow_id, &event.name);
        state.locals.iter().filter(is_wished).count()
    }

    /// Publishes an event to the listeners in this process. Returns their number.
    pub fn publish(&self, event: &Event) -> usize {
        let state = self.state();
        if state.locals.is_empty() {
            return 0;
        }
        let mut targets: Vec<(&Arc<events::Subscriber>, Vec<u32>)> = Vec::new();
        for local in &state.locals {
            if !state.is_wished(&local.filter, &event.workflow_id, &event.name) {
                continue;
            }
            match targets.iter_mut().find(|(target, _)| Arc::ptr_eq(target, &local.target)) {
                Some((_, numbers)) => numbers.push(local.number),
                None => targets.push((&local.target, vec![local.number])),
            }
        }
        let content = event.content.bytes();
        let Ok(content) = serde_json::from_slice::<&RawValue>(&content) else { return 0 };
        let mut count = 0;
        for (target, to) in targets {
            count += to.len();
            let Event { id, delivery, workflow_id, name, depth, .. } = event;
            let (id, emit_id, depth): (EventId, Uuid, u32) = (*id, *delivery, *depth);
            let id = id.to_string();
            let event =
                EmittedEvent { id, emit_id, emitter_id: workflow_id, name, event: content, depth };
            target.publish(events::EMITTED, &EventForListeners { to, event });
        }
        count
    }

    fn state(&self) -> MutexGuard<'_, Registrations> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registrations {
    fn add(&mut self, registration: Registration) {
        match registration {
            Registration::Subscription(subscription) => {
                self.subscriptions.insert(subscription.id.clone(), subscription);
            }
            Registration::Webhook(webhook) => {
                self.webhooks.insert(webhook.id.clone(), Arc::new(webhook));
            }
        }
    }

    /// Returns the subscriptions with exactly these members, in the order of the ids.
    fn equal<'a>(&'a self, members: [&'a str; 3]) -> impl Iterator<Item = &'a Subscription> {
        self.subscriptions.values().filter(move |known| known.members() == members)
    }

    fn check_room(&self) -> Result<()> {
        if self.subscriptions.len() + self.webhooks.len() < MAX_REGISTRATIONS {
            return Ok(());
        }
        Err(invalid(format!(
            "there are {MAX_REGISTRATIONS} subscriptions and webhooks already: delete some"
        )))
    }

    fn matching(&self, emitter: &str, name: &str) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values().filter(move |subscription| {
            pattern::matches(&subscription.emitter_id, emitter)
                && is_channel(&subscription.event_name, name)
        })
    }

    fn is_wished(&self, filter: &ListenerFilter, emitter: &str, name: &str) -> bool {
        match filter {
            ListenerFilter::Emitter { emitter_id, event_name } => {
                pattern::matches(emitter_id, emitter) && is_channel(event_name, name)
            }
            ListenerFilter::Listener(id) => {
                self.matching(emitter, name).any(|subscription| subscription.listener_id == *id)
            }
        }
    }
}

/// Reads registrations.
fn parsed<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Registration>> {
    let read = |(place, text): (usize, &str)| {
        serde_json::from_str(text).map_err(|error| {
            let message = format!(
                "registration {} of a subscription or webhook in the journal cannot be read at \
                 column {}: it is damaged, or a newer version of dollar-send wrote it",
                place + 1,
                error.column(),
            );
            Error::new(ErrorKind::Journal, message)
        })
    };
    texts.into_iter().enumerate().map(read).collect()
}

/// Returns whether a channel matches. `$errors` matches only by its name, not by a pattern.
fn is_channel(pattern: &str, name: &str) -> bool {
    if name == ERRORS { pattern == ERRORS } else { pattern::matches(pattern, name) }
}

pub(super) fn check_text(member: &str, text: &str, least: usize) -> Result<()> {
    if text.len() < least {
        return Err(invalid(format!("{member}: must not be empty")));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(invalid(format!("{member}: has more than {MAX_TEXT} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(format!("{member}: has control characters in it")));
    }
    Ok(())
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Returns an id that sorts by its time.
fn new_id(kind: &str) -> String {
    format!("{kind}_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests;
