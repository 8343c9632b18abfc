//! Who wants to be told of emitted events: subscriptions, the webhooks that they lead to, and
//! listeners of this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Event, EventId, glob};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::events;
use crate::observability::time::Timestamp;

/// The channel of executions that were completed with an error.
pub const ERRORS: &str = "$errors";
/// Subscriptions and webhooks that there may be together.
const MAX_REGISTRATIONS: usize = 10_000;
/// Bytes that a text of a registration may have.
const MAX_TEXT: usize = 1024;

/// A wish to have the events of some emitters told to a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// `sub_` and something unique.
    pub id: String,
    /// A workflow's id, or a pattern of ids in which `*` stands for any characters.
    pub emitter_id: String,
    /// A webhook's id (`wh_…`), or a name that a listener of the process goes by.
    pub listener_id: String,
    /// The channel, or a pattern of channels; empty: events without one.
    pub event_name: String,
}

/// A URL that events are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// `wh_` and something unique.
    pub id: String,
    /// Where events go.
    pub url: String,
    /// What people call it.
    pub name: Option<String>,
    /// What people say of it.
    pub description: Option<String>,
    /// What requests are signed with (`whsec_…`), as Standard Webhooks has it.
    pub secret: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
}

/// One registration, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// A subscription.
    Subscription(Subscription),
    /// A webhook.
    Webhook(Webhook),
}

impl Registration {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Subscription(subscription) => &subscription.id,
            Self::Webhook(webhook) => &webhook.id,
        }
    }
}

/// What a listener of this process wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Events of these emitters on these channels: two patterns.
    Emitter {
        /// The emitters.
        emitter_id: String,
        /// The channels; empty: events without one.
        event_name: String,
    },
    /// What subscriptions with this listener ask for.
    Listener(String),
}

/// A listener of this process.
#[derive(Debug)]
struct Local {
    wish: Wish,
    number: u32,
    target: Arc<events::Subscription>,
}

#[derive(Debug, Default)]
struct State {
    subscriptions: BTreeMap<String, Subscription>,
    webhooks: BTreeMap<String, Arc<Webhook>>,
    locals: Vec<Local>,
}

/// Everybody who wants to be told.
#[derive(Debug, Default)]
pub struct Subscriptions {
    state: Mutex<State>,
}

/// An emitted event, as listeners of this process get it.
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

/// The event with the numbers of the listeners that it is for.
#[derive(Serialize)]
struct Told<'a> {
    to: Vec<u32>,
    event: EmittedEvent<'a>,
}

impl Subscriptions {
    /// Brings back what was written down. What cannot be read is left out.
    pub fn restore<'a>(&self, registrations: impl IntoIterator<Item = &'a str>) {
        for text in registrations {
            if let Ok(registration) = serde_json::from_str(text) {
                self.add(registration);
            }
        }
    }

    /// A subscription: an equal one that is there, or a new one that is not in effect before
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
        if let Some(known) = state.find(emitter_id, listener_id, event_name) {
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

    /// A new webhook, which is not in effect before [`Subscriptions::add`]. The URL was checked.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn webhook(
        &self,
        url: &str,
        name: Option<String>,
        description: Option<String>,
        secret: Option<String>,
    ) -> Result<Webhook> {
        if url.len() > 8 * MAX_TEXT {
            return Err(invalid(format!("url: has more than {} bytes", 8 * MAX_TEXT)));
        }
        check_text("name", name.as_deref().unwrap_or_default(), 0)?;
        check_text("description", description.as_deref().unwrap_or_default(), 0)?;
        self.state().check_room()?;
        let created_at = Timestamp::now().as_millis() / 1000;
        Ok(Webhook { id: new_id("wh"), url: url.to_owned(), name, description, secret, created_at })
    }

    /// Puts a registration into effect.
    pub fn add(&self, registration: Registration) {
        let mut state = self.state();
        match registration {
            Registration::Subscription(subscription) => {
                state.subscriptions.insert(subscription.id.clone(), subscription);
            }
            Registration::Webhook(webhook) => {
                state.webhooks.insert(webhook.id.clone(), Arc::new(webhook));
            }
        }
    }

    /// Ends the effect of these registrations.
    pub fn remove(&self, ids: &[String]) {
        let mut state = self.state();
        for id in ids {
            state.subscriptions.remove(id);
            state.webhooks.remove(id);
        }
    }

    /// The subscription with exactly these members.
    #[must_use]
    pub fn find(&self, emitter: &str, listener: &str, event_name: &str) -> Option<Subscription> {
        self.state().find(emitter, listener, event_name).cloned()
    }

    /// Whether there is such a webhook, and the ids that go when it does: its own, and those of the
    /// subscriptions that lead to it.
    #[must_use]
    pub fn ids_of_webhook(&self, id: &str) -> Option<Vec<String>> {
        let state = self.state();
        let webhook = state.webhooks.get(id)?;
        let leading = state.subscriptions.values().filter(|other| other.listener_id == id);
        Some(std::iter::once(&webhook.id).chain(leading.map(|other| &other.id)).cloned().collect())
    }

    /// Every subscription, in the order of the ids.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.state().subscriptions.values().cloned().collect()
    }

    /// Every webhook, in the order of the ids.
    #[must_use]
    pub fn webhooks(&self) -> Vec<Arc<Webhook>> {
        self.state().webhooks.values().cloned().collect()
    }

    /// Adds a listener of this process: events go to `target` under its number.
    pub fn listen(&self, wish: Wish, number: u32, target: Arc<events::Subscription>) {
        self.state().locals.push(Local { wish, number, target });
    }

    /// Removes a listener, or with no number all of this target.
    pub fn ignore(&self, number: Option<u32>, target: &Arc<events::Subscription>) {
        self.state().locals.retain(|local| {
            !(Arc::ptr_eq(&local.target, target) && number.is_none_or(|n| n == local.number))
        });
    }

    /// The webhooks that are to be told of an event of this emitter on this channel.
    #[must_use]
    pub fn webhooks_for(&self, emitter: &str, name: &str) -> Vec<Arc<Webhook>> {
        let state = self.state();
        let mut found: Vec<_> = state
            .matching(emitter, name)
            .filter_map(|subscription| state.webhooks.get(&subscription.listener_id).cloned())
            .collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }

    /// Tells the listeners of this process; the answer is how many there were.
    pub fn tell(&self, event: &Event) -> usize {
        let state = self.state();
        if state.locals.is_empty() {
            return 0;
        }
        let mut told: Vec<(&Arc<events::Subscription>, Vec<u32>)> = Vec::new();
        for local in &state.locals {
            if !state.is_wished(&local.wish, &event.workflow_id, &event.name) {
                continue;
            }
            match told.iter_mut().find(|(target, _)| Arc::ptr_eq(target, &local.target)) {
                Some((_, numbers)) => numbers.push(local.number),
                None => told.push((&local.target, vec![local.number])),
            }
        }
        let content = event.content.bytes();
        let Ok(content) = serde_json::from_slice::<&RawValue>(&content) else { return 0 };
        let mut count = 0;
        for (target, to) in told {
            count += to.len();
            let Event { id, delivery, workflow_id, name, depth, .. } = event;
            let (id, emit_id, depth): (EventId, Uuid, u32) = (*id, *delivery, *depth);
            let id = id.to_string();
            let event =
                EmittedEvent { id, emit_id, emitter_id: workflow_id, name, event: content, depth };
            target.tell(events::EMITTED, &Told { to, event });
        }
        count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, emitter: &str, listener: &str, event_name: &str) -> Option<&Subscription> {
        self.subscriptions.values().find(|known| {
            known.emitter_id == emitter
                && known.listener_id == listener
                && known.event_name == event_name
        })
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
            glob::matches(&subscription.emitter_id, emitter)
                && is_channel(&subscription.event_name, name)
        })
    }

    fn is_wished(&self, wish: &Wish, emitter: &str, name: &str) -> bool {
        match wish {
            Wish::Emitter { emitter_id, event_name } => {
                glob::matches(emitter_id, emitter) && is_channel(event_name, name)
            }
            Wish::Listener(id) => {
                self.matching(emitter, name).any(|subscription| subscription.listener_id == *id)
            }
        }
    }
}

/// Errors are asked for by their name: a pattern does not find them.
fn is_channel(pattern: &str, name: &str) -> bool {
    if name == ERRORS { pattern == ERRORS } else { glob::matches(pattern, name) }
}

fn check_text(member: &str, text: &str, least: usize) -> Result<()> {
    if text.len() < least {
        return Err(invalid(format!("{member}: must not be empty")));
    }
    if text.len() > MAX_TEXT {
        return Err(invalid(format!("{member}: has more than {MAX_TEXT} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(format!("{member}: has control characters in it")));
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// An id that sorts by its time.
fn new_id(kind: &str) -> String {
    format!("{kind}_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(subscriptions: &[(&str, &str, &str)]) -> Subscriptions {
        let all = Subscriptions::default();
        for id in ["wh_a", "wh_b"] {
            let mut webhook = all.webhook("https://example.com", None, None, None).unwrap();
            webhook.id = id.to_owned();
            all.add(Registration::Webhook(webhook));
        }
        for (emitter, listener, name) in subscriptions {
            let new = all.subscription(emitter, listener, name).unwrap();
            all.add(Registration::Subscription(new));
        }
        all
    }

    fn told(all: &Subscriptions, emitter: &str, name: &str) -> Vec<String> {
        all.webhooks_for(emitter, name).iter().map(|webhook| webhook.id.clone()).collect()
    }

    #[test]
    fn patterns_choose_emitters_and_channels() {
        let all = with(&[("p_*", "wh_a", ""), ("p_1", "wh_b", "orders"), ("dc_1", "wh_b", "*")]);
        assert_eq!(told(&all, "p_1", ""), ["wh_a"]);
        assert_eq!(told(&all, "p_1", "orders"), ["wh_b"]);
        assert_eq!(told(&all, "p_2", "orders"), [""; 0]);
        assert_eq!(told(&all, "dc_1", "anything"), ["wh_b"]);
        assert_eq!(told(&all, "dc_1", ERRORS), [""; 0]);
        assert_eq!(told(&with(&[("*", "wh_a", ERRORS)]), "p_1", ERRORS), ["wh_a"]);
    }

    #[test]
    fn a_webhook_is_told_once_and_takes_its_subscriptions_along() {
        let all = with(&[("p_*", "wh_a", ""), ("p_1", "wh_a", "")]);
        assert_eq!(told(&all, "p_1", ""), ["wh_a"]);
        let ids = all.ids_of_webhook("wh_a").unwrap();
        assert_eq!(ids.len(), 3);
        all.remove(&ids);
        assert!(told(&all, "p_1", "").is_empty() && all.subscriptions().is_empty());
    }

    #[test]
    fn the_same_subscription_is_there_once() {
        let all = with(&[("p_1", "p_2", "x"), ("p_1", "p_2", "x")]);
        assert_eq!(all.subscriptions().len(), 1);
        assert!(all.find("p_1", "p_2", "x").is_some() && all.find("p_1", "p_2", "").is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let all = with(&[]);
        let long = "x".repeat(MAX_TEXT + 1);
        for (emitter, listener, name, expected) in [
            ("", "p_1", "", "emitter_id: must not be empty"),
            ("p_1", "", "", "listener_id: must not be empty"),
            ("p_1", "wh_gone", "", "there is no webhook"),
            ("p_1", "p_2", "a\nb", "event_name: has control characters"),
            (&long, "p_2", "", "emitter_id: has more than"),
        ] {
            let error = all.subscription(emitter, listener, name).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn registrations_survive_their_text() {
        let all = with(&[("p_1", "wh_a", "x")]);
        let texts: Vec<_> = std::iter::empty()
            .chain(all.webhooks().iter().map(|hook| Registration::Webhook((**hook).clone())))
            .chain(all.subscriptions().into_iter().map(Registration::Subscription))
            .map(|registration| serde_json::to_string(&registration).unwrap())
            .collect();
        let restored = Subscriptions::default();
        restored.restore(texts.iter().map(String::as_str).chain(["not json"]));
        assert_eq!(restored.subscriptions(), all.subscriptions());
        assert_eq!(restored.webhooks(), all.webhooks());
    }
}
