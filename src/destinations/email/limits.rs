//! How many mails may leave in a time, by sender and by recipient. Pure: time is an argument.
//!
//! A mail over a limit gets the next free place in time and keeps it, however many others wait:
//! the generic cell rate algorithm, in which each key remembers when its next mail would be on time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::config::{Limits, Rate};

/// Keys past this many are looked through for those that mean nothing any more.
const MANY: usize = 10_000;

/// What was let through, and what waits for its place.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// When the next mail of a key would be on time, were they evenly spaced.
    on_time: HashMap<String, Instant>,
    /// The places that mails wait for.
    places: HashMap<Uuid, Instant>,
}

impl Ledger {
    /// Lets a mail through, or answers how long it has to wait.
    pub(super) fn admit(
        &mut self,
        id: Uuid,
        from: &str,
        to: &[String],
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Duration> {
        if let Some(place) = self.places.get(&id) {
            let left = place.saturating_duration_since(now);
            if !left.is_zero() {
                return Err(left);
            }
            self.places.remove(&id);
            return Ok(());
        }
        let sender = limits.per_sender.map(|rate| (format!("from {from}"), rate));
        let recipients = limits.per_recipient.into_iter().flat_map(|rate| {
            to.iter().map(move |recipient| (format!("to {}", recipient.to_lowercase()), rate))
        });
        let keys: Vec<(String, Rate)> = sender.into_iter().chain(recipients).collect();
        let place = keys.iter().map(|(key, rate)| self.earliest(key, *rate, now)).max();
        let place = place.unwrap_or(now);
        for (key, rate) in keys {
            let on_time = self.on_time.get(&key).copied().unwrap_or(now).max(place);
            self.on_time.insert(key, on_time + rate.spacing());
        }
        if self.on_time.len() > MANY {
            self.on_time.retain(|_, on_time| *on_time > now);
        }
        if place <= now {
            return Ok(());
        }
        self.places.insert(id, place);
        Err(place - now)
    }

    fn earliest(&self, key: &str, rate: Rate, now: Instant) -> Instant {
        let Some(on_time) = self.on_time.get(key) else { return now };
        // A whole burst may go at once, so being early by all but one of it is in order.
        let early = rate.period.saturating_sub(rate.spacing());
        on_time.checked_sub(early).map_or(now, |earliest| earliest.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_sender: Option<u32>, per_recipient: Option<u32>) -> Limits {
        let rate = |count| Rate { count, period: Duration::from_secs(60) };
        Limits {
            per_sender: per_sender.map(rate),
            per_recipient: per_recipient.map(rate),
            ..Limits::default()
        }
    }

    fn to(name: &str) -> Vec<String> {
        vec![format!("{name}@example.com")]
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_evenly() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let limits = limits(Some(3), None);
        let waits: Vec<_> = (1..=5)
            .map(|id| ledger.admit(Uuid::from_u128(id), "a", &to("b"), &limits, now))
            .map(|answer| answer.err().map_or(0, |wait| wait.as_secs()))
            .collect();
        assert_eq!(waits, [0, 0, 0, 20, 40]);
        // Who waits keeps its place, and somebody new comes behind.
        let later = now + Duration::from_secs(20);
        assert_eq!(
            ledger.admit(Uuid::from_u128(5), "a", &to("b"), &limits, later).err(),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            ledger.admit(Uuid::from_u128(6), "a", &to("b"), &limits, later).err(),
            Some(Duration::from_secs(40))
        );
        assert_eq!(ledger.admit(Uuid::from_u128(4), "a", &to("b"), &limits, later), Ok(()));
    }

    #[test]
    fn the_strictest_key_decides() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let limits = limits(Some(100), Some(1));
        let mut admit = |id, name| ledger.admit(Uuid::from_u128(id), "a", &to(name), &limits, now);
        assert_eq!(admit(1, "b"), Ok(()));
        assert_eq!(admit(2, "c"), Ok(()));
        assert_eq!(admit(3, "B"), Err(Duration::from_secs(60)));
    }

    #[test]
    fn without_limits_nothing_waits() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        for id in 0..1000 {
            assert_eq!(
                ledger.admit(Uuid::from_u128(id), "a", &to("b"), &limits(None, None), now),
                Ok(())
            );
        }
        assert!(ledger.on_time.is_empty() && ledger.places.is_empty());
    }
}
