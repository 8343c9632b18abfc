//! A registered webhook as data: its URL, its secrets and its state. Pure: time is an argument.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::subscriptions::{MAX_TEXT, check_text, invalid};
use crate::error::Result;

/// Bytes that a URL may have.
const MAX_URL: usize = 8 * MAX_TEXT;
/// Seconds for which a replaced secret stays valid, unless another time is given: a day.
pub const OVERLAP_S: u64 = 24 * 60 * 60;
/// Replaced secrets that may be valid at once, so that the header of signatures stays small.
const MAX_REPLACED: usize = 4;

/// A URL that events are sent to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// `wh_` and a unique number.
    pub id: String,
    /// The URL, with its credentials.
    pub url: String,
    /// A name, for people.
    pub name: Option<String>,
    /// A description, for people.
    pub description: Option<String>,
    /// The secret that requests are signed with (`whsec_…`), as Standard Webhooks has it.
    pub secret: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Seconds since 1970 of the last change; `None`: it was never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<u64>,
    /// Secrets that were replaced and may still be valid, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedSecret>,
    /// The state of its deliveries.
    #[serde(default)]
    pub state: WebhookState,
}

/// A secret that another one replaced.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedSecret {
    /// The secret (`whsec_…`).
    secret: String,
    /// Seconds since 1970, from which on requests are not signed with it.
    valid_until: u64,
}

/// The state of deliveries to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum WebhookState {
    /// They are.
    #[default]
    Active,
    /// They wait until it is resumed.
    Paused {
        /// Seconds since 1970.
        since: u64,
    },
    /// They fail without an attempt, and new events lead to none.
    Disabled {
        /// Seconds since 1970.
        since: u64,
        /// A sentence for people.
        reason: String,
    },
}

/// Changes of a webhook; `None` leaves a member as it is.
#[derive(Clone, Default)]
pub struct WebhookChange {
    /// The new URL, which was checked.
    pub url: Option<String>,
    /// The new name; empty for none.
    pub name: Option<String>,
    /// The new description; empty for none.
    pub description: Option<String>,
    /// `true` resumes or enables it, `false` pauses it.
    pub active: Option<bool>,
    /// The new secret.
    pub secret: Option<String>,
    /// Seconds for which earlier secrets stay valid; `None`, with a new secret: [`OVERLAP_S`].
    pub secret_overlap_s: Option<u64>,
}

impl Webhook {
    /// Returns a new webhook. The URL was checked.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(super) fn new(id: String, change: WebhookChange, now: u64) -> Result<Self> {
        let mut webhook = Self {
            id,
            url: String::new(),
            name: None,
            description: None,
            secret: None,
            created_at: now,
            updated_at: None,
            replaced: Vec::new(),
            state: WebhookState::default(),
        };
        webhook.change(change, now)?;
        webhook.updated_at = None;
        Ok(webhook)
    }

    /// Returns the same webhook with changes.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn changed(&self, change: WebhookChange, now: u64) -> Result<Self> {
        let mut webhook = self.clone();
        webhook.change(change, now)?;
        Ok(webhook)
    }

    fn change(&mut self, change: WebhookChange, now: u64) -> Result<()> {
        let WebhookChange { url, name, description, active, secret, secret_overlap_s } = change;
        if let Some(url) = url {
            if url.len() > MAX_URL {
                return Err(invalid(format!("url: has more than {MAX_URL} bytes")));
            }
            self.url = url;
        }
        for (member, given, text) in
            [("name", name, &mut self.name), ("description", description, &mut self.description)]
        {
            if let Some(given) = given {
                check_text(member, &given, 0)?;
                *text = Some(given).filter(|given| !given.is_empty());
            }
        }
        if secret.is_some() || secret_overlap_s.is_some() {
            self.rotate(secret, secret_overlap_s, now)?;
        }
        match (active, &self.state) {
            (Some(true), _) => self.state = WebhookState::Active,
            (Some(false), WebhookState::Active) => self.state = WebhookState::Paused { since: now },
            _ => {}
        }
        self.updated_at = Some(now);
        Ok(())
    }

    /// Replaces the secret, if there is a new one. Earlier ones stay valid for the overlap at most.
    fn rotate(&mut self, secret: Option<String>, overlap_s: Option<u64>, now: u64) -> Result<()> {
        let until = now.saturating_add(overlap_s.unwrap_or(OVERLAP_S));
        for earlier in &mut self.replaced {
            earlier.valid_until = earlier.valid_until.min(until);
        }
        if let Some(secret) = secret {
            self.replaced.retain(|earlier| earlier.secret != secret);
            if let Some(old) = self.secret.replace(secret).filter(|old| !self.is_present(old)) {
                self.replaced.insert(0, ReplacedSecret { secret: old, valid_until: until });
            }
        }
        self.replaced.retain(|earlier| earlier.valid_until > now);
        if self.replaced.len() > MAX_REPLACED {
            return Err(invalid(format!(
                "secret: {MAX_REPLACED} earlier secrets are still valid; end them with \
                 secret_overlap_s=0, or wait"
            )));
        }
        Ok(())
    }

    fn is_present(&self, secret: &str) -> bool {
        self.secret.as_deref() == Some(secret)
    }

    /// Returns the secrets that a request is signed with at this time, newest first.
    pub fn secrets(&self, now: u64) -> impl Iterator<Item = &str> {
        let valid = self.replaced.iter().filter(move |replaced| replaced.valid_until > now);
        self.secret.as_deref().into_iter().chain(valid.map(|replaced| replaced.secret.as_str()))
    }

    /// Returns when the last of the replaced secrets becomes invalid, if one is valid now.
    #[must_use]
    pub fn replaced_until(&self, now: u64) -> Option<u64> {
        self.replaced.iter().map(|replaced| replaced.valid_until).filter(|until| *until > now).max()
    }

    /// Returns the same webhook, disabled for a reason.
    #[must_use]
    pub fn disabled(&self, reason: String, now: u64) -> Self {
        let state = WebhookState::Disabled { since: now, reason };
        Self { state, updated_at: Some(now), ..self.clone() }
    }

    /// Returns whether new events are to be delivered to it, now or when it is resumed.
    #[must_use]
    pub const fn takes_events(&self) -> bool {
        !matches!(self.state, WebhookState::Disabled { .. })
    }
}

/// Neither the URL, which may hold credentials, nor a secret is shown.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({}, {:?})", self.id, self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook() -> Webhook {
        let change = WebhookChange { url: Some("https://example.com".into()), ..change() };
        Webhook::new("wh_a".into(), change, 100).unwrap()
    }

    fn change() -> WebhookChange {
        WebhookChange::default()
    }

    fn with_secret(webhook: &Webhook, secret: &str, overlap: u64, now: u64) -> Webhook {
        let (secret, secret_overlap_s) = (Some(secret.to_owned()), Some(overlap));
        webhook.changed(WebhookChange { secret, secret_overlap_s, ..change() }, now).unwrap()
    }

    fn secrets(webhook: &Webhook, now: u64) -> Vec<&str> {
        webhook.secrets(now).collect()
    }

    #[test]
    fn a_replaced_secret_is_valid_until_its_time_is_over() {
        let first = with_secret(&webhook(), "a", 50, 100);
        assert_eq!((secrets(&first, 100), first.replaced_until(100)), (vec!["a"], None));
        let second = with_secret(&first, "b", 50, 100);
        assert_eq!(secrets(&second, 149), ["b", "a"]);
        assert_eq!(second.replaced_until(149), Some(150));
        assert_eq!((secrets(&second, 150), second.replaced_until(150)), (vec!["b"], None));
        let third = with_secret(&second, "c", 10, 120);
        assert_eq!(secrets(&third, 129), ["c", "b", "a"]);
        assert_eq!(secrets(&third, 130), ["c"]);
        assert_eq!(secrets(&with_secret(&second, "c", 500, 120), 151), ["c", "b"]);
    }

    #[test]
    fn an_overlap_of_zero_ends_every_earlier_secret() {
        let second = with_secret(&with_secret(&webhook(), "a", 50, 100), "b", 50, 100);
        assert_eq!(secrets(&with_secret(&second, "c", 0, 110), 110), ["c"]);
    }

    #[test]
    fn a_day_is_the_default_and_an_overlap_alone_shortens_what_is_left() {
        let first = with_secret(&webhook(), "a", 50, 100);
        let secret = WebhookChange { secret: Some("b".to_owned()), ..change() };
        let second = first.changed(secret, 100).unwrap();
        assert_eq!(second.replaced_until(100), Some(100 + 86_400));
        let overlap = |seconds| {
            let overlap = WebhookChange { secret_overlap_s: Some(seconds), ..change() };
            second.changed(overlap, 200).unwrap()
        };
        assert_eq!(overlap(30).replaced_until(200), Some(230));
        assert_eq!(overlap(1_000_000).replaced_until(200), Some(100 + 86_400));
        assert_eq!(secrets(&overlap(0), 200), ["b"]);
    }

    #[test]
    fn a_secret_is_never_signed_with_twice() {
        let second = with_secret(&with_secret(&webhook(), "a", 50, 100), "b", 50, 100);
        assert_eq!(secrets(&with_secret(&second, "b", 50, 110), 110), ["b", "a"]);
        assert_eq!(secrets(&with_secret(&second, "a", 50, 110), 110), ["a", "b"]);
    }

    #[test]
    fn the_number_of_valid_secrets_is_limited() {
        let mut rotated = with_secret(&webhook(), "0", 50, 100);
        for secret in ["1", "2", "3", "4"] {
            rotated = with_secret(&rotated, secret, 50, 100);
        }
        let five = || WebhookChange { secret: Some("5".to_owned()), ..change() };
        let refusal = rotated.changed(five(), 100).unwrap_err().to_string();
        assert!(refusal.contains("secret_overlap_s=0"), "{refusal}");
        assert_eq!(secrets(&rotated.changed(five(), 150).unwrap(), 150), ["5", "4"]);
    }

    #[test]
    fn a_webhook_is_paused_resumed_disabled_and_enabled() {
        let set = |webhook: &Webhook, active, now| {
            webhook.changed(WebhookChange { active: Some(active), ..change() }, now).unwrap()
        };
        let paused = set(&webhook(), false, 110);
        assert_eq!(paused.state, WebhookState::Paused { since: 110 });
        assert_eq!(set(&paused, false, 120).state, WebhookState::Paused { since: 110 });
        assert_eq!(set(&paused, true, 120).state, WebhookState::Active);
        let disabled = paused.disabled("gone".into(), 130);
        assert!(paused.takes_events() && !disabled.takes_events());
        // Pausing does not hide why it is disabled.
        assert_eq!(set(&disabled, false, 140).state, disabled.state);
        assert_eq!(set(&disabled, true, 140).state, WebhookState::Active);
    }

    #[test]
    fn what_is_not_given_stays_and_an_empty_text_clears() {
        let named = WebhookChange { name: Some("mine".into()), ..change() };
        let named = webhook().changed(named, 110).unwrap();
        let described = WebhookChange { description: Some("x".into()), ..change() };
        let described = named.changed(described, 120).unwrap();
        assert_eq!(described.name.as_deref(), Some("mine"));
        assert_eq!((described.created_at, described.updated_at), (100, Some(120)));
        let cleared = WebhookChange { name: Some(String::new()), ..change() };
        assert_eq!(described.changed(cleared, 130).unwrap().name, None);
        let long = WebhookChange { url: Some("x".repeat(MAX_URL + 1)), ..change() };
        assert!(described.changed(long, 130).is_err());
    }

    #[test]
    fn a_webhook_of_an_earlier_version_is_read() {
        let text = r#"{"id":"wh_a","url":"https://example.com","name":null,"description":null,
            "secret":"a","created_at":100}"#;
        let webhook: Webhook = serde_json::from_str(text).unwrap();
        assert_eq!(
            (webhook.state.clone(), secrets(&webhook, 100)),
            (WebhookState::Active, vec!["a"])
        );
        assert_eq!(webhook.updated_at, None);
    }

    #[test]
    fn its_debug_form_shows_no_credentials() {
        let url = Some("https://user:hush@example.com/".to_owned());
        let hook = webhook().changed(WebhookChange { url, ..change() }, 110).unwrap();
        let shown = format!("{:?}", with_secret(&hook, "whsec_x", 50, 110));
        assert!(!shown.contains("hush") && !shown.contains("whsec"), "{shown}");
    }
}
