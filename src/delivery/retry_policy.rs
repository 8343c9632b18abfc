//! The retry policy as data. A destination selects the policy of a call; the engine applies it.

use std::time::Duration;

use crate::error::ErrorKind;

/// The delays between the attempts of one delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Delays {
    /// One after another; there is one attempt more than delays.
    Schedule(Vec<Duration>),
    /// Growing ones.
    Exponential {
        /// Before the second attempt.
        initial: Duration,
        /// The ratio between each delay and the one before.
        factor: f64,
        /// No delay is longer.
        max: Duration,
        /// The share of a delay that chance decides, from 0 to 1.
        jitter: f64,
        /// Attempts altogether.
        attempts: u32,
    },
}

impl Delays {
    /// Attempts altogether.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Schedule(delays) => u32::try_from(delays.len() + 1).unwrap_or(u32::MAX),
            Self::Exponential { attempts, .. } => *attempts,
        }
    }

    /// The longest of them.
    #[must_use]
    pub fn longest(&self) -> Duration {
        match self {
            Self::Schedule(delays) => delays.iter().max().copied().unwrap_or_default(),
            Self::Exponential { max, .. } => *max,
        }
    }

    /// The delay after so many attempts, with `chance` from 0 to 1; `None`: that was the last.
    #[must_use]
    pub fn after(&self, attempts: u32, chance: f64) -> Option<Duration> {
        match self {
            Self::Schedule(delays) => {
                delays.get(usize::try_from(attempts.checked_sub(1)?).ok()?).copied()
            }
            Self::Exponential { initial, factor, max, jitter, attempts: all } => {
                if attempts >= *all {
                    return None;
                }
                let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
                let seconds = initial.as_secs_f64() * factor.powi(exponent);
                let delay = seconds.min(max.as_secs_f64());
                Some(Duration::from_secs_f64(delay * (1.0 - jitter * chance)))
            }
        }
    }
}

impl RetryPolicy {
    /// The longest time between two attempts.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.delays.longest().max(self.retry_after_max)
    }
}

/// The circuit breaker of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Consecutive failures that open the breaker.
    pub failures: u32,
    /// The time from opening to the first probe.
    pub cooldown: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 10, cooldown: Duration::from_secs(30) }
    }
}

/// The retry policy of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The delays.
    pub delays: Delays,
    /// No attempt is made later than this after the call.
    pub max_age: Duration,
    /// The longest `Retry-After` that is waited for.
    pub retry_after_max: Duration,
    /// Response statuses after which there is another attempt.
    pub statuses: Vec<u16>,
    /// Failures without a response after which there is.
    pub errors: Vec<ErrorKind>,
    /// The circuit breaker; `None`: none.
    pub breaker: Option<BreakerPolicy>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            delays: Delays::Exponential {
                initial: Duration::from_secs(1),
                factor: 2.0,
                max: Duration::from_secs(300),
                jitter: 0.5,
                attempts: 5,
            },
            max_age: Duration::from_secs(24 * 60 * 60),
            retry_after_max: Duration::from_secs(60 * 60),
            statuses: [408, 425, 429, 500, 502, 503, 504, 507]
                .into_iter()
                .chain(520..=530)
                .collect(),
            errors: TRANSIENT.to_vec(),
            breaker: Some(BreakerPolicy::default()),
        }
    }
}

/// Transient failures without a response.
pub const TRANSIENT: [ErrorKind; 5] =
    [ErrorKind::Dns, ErrorKind::Connect, ErrorKind::Tls, ErrorKind::Connection, ErrorKind::Timeout];
