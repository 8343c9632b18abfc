//! The checked options of alerts.

use std::time::Duration;

use crate::delivery::Rate;

/// The limits whose excess raises an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertLimits {
    /// The receiver of alerts; `None`: listeners and metrics alone.
    pub webhook: Option<AlertWebhook>,
    /// Percentages of a breaker's failures, in rising order.
    pub breaker: Vec<u32>,
    /// The age of the call that has waited longest.
    pub oldest: Option<Duration>,
    /// The rate of dead letters.
    pub dead_letters: Option<Rate>,
    /// The bytes of the journal's file.
    pub journal_bytes: Option<u64>,
    /// The time for which a value is calm before its episode ends.
    pub calm: Duration,
}

/// The receiver of alerts.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertWebhook {
    /// Its URL.
    pub url: String,
    /// The secret that requests are signed with.
    pub secret: String,
}

/// Neither the URL, which may hold credentials, nor the secret is shown.
impl std::fmt::Debug for AlertWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AlertWebhook")
    }
}

/// The default percentages of a breaker.
const BREAKER: [u32; 4] = [50, 70, 90, 100];
/// The default age: 15 minutes.
const OLDEST: Duration = Duration::from_secs(15 * 60);
/// The default rate of dead letters: 10 in a minute.
const DEAD_LETTERS: Rate = Rate { count: 10, period: Duration::from_secs(60) };
/// The default size of the journal without `journal.maxBytes`: 1 GiB.
pub const JOURNAL_BYTES: u64 = 1 << 30;
/// The default size of the journal with `journal.maxBytes`, in percent of it.
pub const JOURNAL_PERCENT: u64 = 80;
/// The default calm: a minute.
const CALM: Duration = Duration::from_secs(60);

impl Default for AlertLimits {
    fn default() -> Self {
        Self {
            webhook: None,
            breaker: BREAKER.to_vec(),
            oldest: Some(OLDEST),
            dead_letters: Some(DEAD_LETTERS),
            journal_bytes: Some(JOURNAL_BYTES),
            calm: CALM,
        }
    }
}
