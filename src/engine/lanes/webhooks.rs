//! Deliveries to webhooks: the webhook's present URL and secrets, if one may be attempted, and the
//! effect of a response on the webhook.
//!
//! **Invariant:** a recorded call names its webhook by id. Its present state is looked up at each
//! attempt, so a change applies to what waits already.

use std::borrow::Cow;
use std::sync::Arc;

use super::Lanes;
use crate::delivery::{Failure, Payload, Verdict};
use crate::destinations::emit::renewed;
use crate::engine::intake::Budget;
use crate::engine::streams::renew_subscriptions;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Record;
use crate::streams::{Registration, Subscriptions, Webhook, WebhookChange, WebhookState};
use crate::time::Timestamp;

/// The status by which a receiver says that it wants no more requests.
const GONE: u16 = 410;

/// The reason why no attempt is made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// The webhook is paused; with a note for the log.
    Held(String),
    /// There will be none.
    Over(Failure),
}

/// The webhooks and the other registrations of one engine.
#[derive(Debug)]
pub(crate) struct Webhooks {
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// Held while a webhook is changed, so that no change is lost to another one.
    changing: tokio::sync::Mutex<()>,
}

impl Webhooks {
    pub(crate) fn new(subscriptions: Arc<Subscriptions>) -> Self {
        Self { subscriptions, changing: tokio::sync::Mutex::default() }
    }

    /// Returns the webhook with this id as it is now, if a delivery to it may be attempted.
    pub(super) fn find(&self, id: &str) -> std::result::Result<Arc<Webhook>, Barred> {
        admitted(id, self.subscriptions.find_webhook(id))
    }

    /// Returns the webhook that a record is for, if it is for one.
    pub(super) fn recipient(
        &self,
        record: &Record,
        budget: &Budget,
    ) -> std::result::Result<Option<Arc<Webhook>>, Barred> {
        let Some(id) = record.payload.webhook() else { return Ok(None) };
        match self.find(id) {
            Err(Barred::Held(_)) if budget.is_half_full() => Err(Barred::Over(not_kept(
                Failure::new(ErrorKind::WebhookDisabled, format!("webhook {id} is paused")),
            ))),
            found => found.map(Some),
        }
    }
}

impl Lanes {
    /// Puts a registration into effect; resolves when it is as durable as a completion.
    pub(crate) async fn register(&self, registration: Registration) -> Result<()> {
        self.shared.stage.check_open()?;
        let text = serde_json::to_string(&registration).map_err(|error| {
            let message = "a registration cannot be written";
            Error::new(ErrorKind::Internal, message).with_source(error)
        })?;
        let change = (registration.id().to_owned(), Some(text));
        let _alone = self.shared.registrations.lock().await;
        self.shared.journal.register(vec![change]).await?;
        self.webhooks.subscriptions.add(registration);
        Ok(())
    }

    /// Takes on the subscriptions and webhooks that other nodes of a fleet registered before.
    ///
    /// # Errors
    /// `Journal`, `Closed`.
    pub(crate) async fn renew_webhooks(&self) -> Result<()> {
        if self.shared.journal.fleet().is_none() {
            return Ok(());
        }
        renew_subscriptions(&self.shared, &self.webhooks.subscriptions, 0).await
    }

    /// Takes on the webhook that a record is for, if another node of a fleet has just made it.
    pub(super) async fn learn_webhook(&self, record: &Record) -> Result<()> {
        let unknown = |id: &&str| self.webhooks.subscriptions.find_webhook(id).is_none();
        match record.payload.webhook().filter(unknown) {
            Some(_) => self.renew_webhooks().await,
            None => Ok(()),
        }
    }

    /// Ends the effect of registrations; resolves when that is as durable as a completion.
    pub(crate) async fn unregister(self: &Arc<Self>, ids: Vec<String>) -> Result<()> {
        self.shared.stage.check_open()?;
        let changing = self.webhooks.changing.lock().await;
        let changes = ids.iter().map(|id| (id.clone(), None)).collect();
        let alone = self.shared.registrations.lock().await;
        self.shared.journal.register(changes).await?;
        self.webhooks.subscriptions.remove(&ids);
        drop((alone, changing));
        self.release_held(None);
        Ok(())
    }

    /// Changes a webhook; resolves when the change is as durable as a completion. Returns the
    /// webhook as it is then, or `None` if there is none with this id.
    ///
    /// # Errors
    /// `InvalidArgument`, `Closed`, `Journal`.
    pub(crate) async fn change_webhook(
        self: &Arc<Self>,
        id: &str,
        change: WebhookChange,
    ) -> Result<Option<Arc<Webhook>>> {
        let is_renewed = change.url.is_some() || change.active == Some(true);
        let now = seconds(Timestamp::now());
        let Webhooks { subscriptions, changing } = &self.webhooks;
        let changing = changing.lock().await;
        self.renew_webhooks().await?;
        let Some(webhook) = subscriptions.find_webhook(id) else { return Ok(None) };
        self.register(Registration::Webhook(webhook.changed(change, now)?)).await?;
        drop(changing);
        self.release_held(is_renewed.then_some(id));
        Ok(subscriptions.find_webhook(id))
    }

    /// Disables a webhook that answered 410 Gone, unless its URL was changed meanwhile.
    pub(super) async fn disable_if_gone(
        self: &Arc<Self>,
        attempted: Option<&Webhook>,
        verdict: &Verdict,
    ) {
        let Some(attempted) = attempted.filter(|_| is_gone(verdict)) else { return };
        let Webhooks { subscriptions, changing } = &self.webhooks;
        let changing = changing.lock().await;
        // What cannot be read now is as it was.
        let _ = self.renew_webhooks().await;
        let present = subscriptions.find_webhook(&attempted.id);
        let Some(present) = present.filter(|present| present.url == attempted.url) else { return };
        if !present.takes_events() {
            return;
        }
        let now = Timestamp::now();
        let disabled = present.disabled("it answered 410 Gone".to_owned(), seconds(now));
        let registered = self.register(Registration::Webhook(disabled.clone())).await;
        if registered.is_err() {
            // What follows in this process is held back all the same.
            subscriptions.add(Registration::Webhook(disabled));
        }
        drop(changing);
        let message = format!(
            "webhook {} answered 410 Gone and is disabled: nothing is sent to it before it is \
             enabled (PATCH /v1/webhooks/{0} with active=true)",
            attempted.id
        );
        self.shared.observers.warn("WEBHOOK_DISABLED", &message, None);
        self.release_held(None);
    }
}

/// Returns the payload that is sent for a record: for a webhook, with its present URL and secrets.
pub(crate) fn payload_of<'a>(record: &'a Record, webhook: Option<&Webhook>) -> Cow<'a, Payload> {
    match webhook {
        Some(webhook) => Cow::Owned(renewed(&record.payload, webhook, Timestamp::now())),
        None => Cow::Borrowed(&record.payload),
    }
}

/// Returns the failure of a delivery that could wait for another attempt, if there were room.
pub(crate) fn not_kept(mut failure: Failure) -> Failure {
    failure.message.push_str(
        " (it does not wait for a later attempt, because undelivered calls hold more than half of \
         maxPendingBytes; replay it)",
    );
    failure
}

fn admitted(id: &str, webhook: Option<Arc<Webhook>>) -> std::result::Result<Arc<Webhook>, Barred> {
    let over = |message| Barred::Over(Failure::new(ErrorKind::WebhookDisabled, message));
    let Some(webhook) = webhook else {
        return Err(over(format!("nothing was sent: webhook {id} was removed")));
    };
    match &webhook.state {
        WebhookState::Active => Ok(webhook),
        WebhookState::Paused { since } => {
            let since = Timestamp::from_millis(since.saturating_mul(1000));
            Err(Barred::Held(format!("webhook {id} is paused since {since}: it waits")))
        }
        WebhookState::Disabled { since, reason } => {
            let since = Timestamp::from_millis(since.saturating_mul(1000));
            let message =
                format!("nothing was sent: webhook {id} is disabled since {since}: {reason}");
            Err(over(message))
        }
    }
}

/// Returns `true` if the receiver itself, and not a proxy, answered 410.
fn is_gone(verdict: &Verdict) -> bool {
    let (Verdict::Retry { failure, .. } | Verdict::Rejected(failure)) = verdict else {
        return false;
    };
    failure.kind == ErrorKind::Status && failure.status == Some(GONE)
}

const fn seconds(time: Timestamp) -> u64 {
    time.as_millis() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Subscriptions;

    #[test]
    fn the_state_of_a_webhook_decides_over_an_attempt() {
        let url = Some("https://example.com".to_owned());
        let members = WebhookChange { url, ..WebhookChange::default() };
        let now = Timestamp::from_millis(1_795_000_000_000);
        let webhook = Subscriptions::default().webhook(members, now).unwrap();
        let decided = |webhook: &Webhook| admitted("wh_a", Some(Arc::new(webhook.clone())));
        assert!(decided(&webhook).is_ok());
        let pause = WebhookChange { active: Some(false), ..WebhookChange::default() };
        let paused = webhook.changed(pause, seconds(now)).unwrap();
        let note = "webhook wh_a is paused since 2026-11-18T11:06:40.000Z: it waits".to_owned();
        assert_eq!(decided(&paused).unwrap_err(), Barred::Held(note));
        let gone = webhook.disabled("it answered 410 Gone".into(), seconds(now));
        for (barred, expected) in [
            (
                decided(&gone),
                "wh_a is disabled since 2026-11-18T11:06:40.000Z: it answered 410 Gone",
            ),
            (admitted("wh_a", None), "wh_a was removed"),
        ] {
            let Err(Barred::Over(failure)) = barred else { panic!("it is over") };
            assert_eq!(failure.kind, ErrorKind::WebhookDisabled);
            assert!(failure.message.contains(expected), "{failure}");
        }
    }

    #[test]
    fn only_the_receiver_says_that_it_is_gone() {
        let status = |kind, status| {
            is_gone(&Verdict::Rejected(Failure::new(kind, "no").with_status(status)))
        };
        assert!(status(ErrorKind::Status, 410));
        assert!(!status(ErrorKind::Status, 404) && !status(ErrorKind::Proxy, 410));
        assert!(!is_gone(&Verdict::Delivered));
    }
}
