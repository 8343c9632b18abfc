//! Rate limits. Pure: time is an argument.
//!
//! What is over a limit gets the next free place in time and keeps it, however many others wait:
//! the generic cell rate algorithm, in which each key remembers when its next delivery would be on
//! time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Keys past this many are looked through for those that mean nothing any more.
const MANY: usize = 10_000;

/// A delivery may go this much before its time. Due times are whole milliseconds, so one that is tried
/// at its due time may be early by a part of one: it would be tried again at once until that is over.
const EARLY: Duration = Duration::from_millis(1);

/// A number of deliveries in a period, all at once or spread over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of deliveries, at least 1.
    pub count: u32,
    /// In which time.
    pub period: Duration,
}

impl Rate {
    /// Returns the time between two of them, were they evenly spaced.
    #[must_use]
    pub fn spacing(self) -> Duration {
        self.period / self.count.max(1)
    }
}

/// A limit that applies to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateKey {
    /// The name of what is counted.
    pub key: String,
    /// The limit.
    pub rate: Rate,
    /// The option that holds it.
    pub option: String,
}

/// The wait of a delivery that is over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateWait {
    /// The time until its place.
    pub left: Duration,
    /// The option that holds the limit.
    pub option: String,
}

/// Deliveries that were made, and reservations of those that wait.
#[derive(Debug, Default)]
pub struct RateLimiter {
    /// The time at which a key's next delivery would be due, were they evenly spaced.
    next_allowed: HashMap<String, Instant>,
    /// The places that deliveries wait for, each with the option that holds the limit.
    reservations: HashMap<Uuid, (Instant, String)>,
}

impl RateLimiter {
    /// Permits a delivery under all its limits.
    ///
    /// # Errors
    /// The time that it has to wait. It keeps its place until it is asked for again.
    pub fn admit(&mut self, id: Uuid, keys: Vec<RateKey>, now: Instant) -> Result<(), RateWait> {
        if let Some((place, option)) = self.reservations.get(&id) {
            let left = place.saturating_duration_since(now);
            if left >= EARLY {
                return Err(RateWait { left, option: option.clone() });
            }
            self.reservations.remove(&id);
            return Ok(());
        }
        let places = keys.iter().map(|key| (self.earliest(&key.key, key.rate, now), &key.option));
        let strictest = places.max_by_key(|(place, _)| *place);
        let (place, option) =
            strictest.map_or((now, String::new()), |(place, option)| (place, option.clone()));
        for RateKey { key, rate, .. } in keys {
            let next_allowed = self.next_allowed.get(&key).copied().unwrap_or(now).max(place);
            self.next_allowed.insert(key, next_allowed + rate.spacing());
        }
        if self.next_allowed.len() > MANY {
            self.next_allowed.retain(|_, next_allowed| *next_allowed > now);
        }
        if place <= now {
            return Ok(());
        }
        self.reservations.insert(id, (place, option.clone()));
        Err(RateWait { left: place - now, option })
    }

    fn earliest(&self, key: &str, rate: Rate, now: Instant) -> Instant {
        let Some(next_allowed) = self.next_allowed.get(key) else { return now };
        // A whole burst may go at once, so being early by all but one of it is in order.
        let early = rate.period.saturating_sub(rate.spacing());
        next_allowed.checked_sub(early).map_or(now, |earliest| earliest.max(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(key: &str, count: u32, millis: u64) -> RateKey {
        let rate = Rate { count, period: Duration::from_millis(millis) };
        RateKey { key: key.to_owned(), rate, option: format!("option of {key}") }
    }

    fn millis(limiter: &mut RateLimiter, id: u128, keys: Vec<RateKey>, now: Instant) -> u128 {
        let wait = limiter.admit(Uuid::from_u128(id), keys, now);
        wait.err().map_or(0, |wait| wait.left.as_millis())
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_evenly() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        let mut wait = |id, now| millis(&mut limiter, id, vec![key("a", 3, 60_000)], now);
        let waits: Vec<_> = (1..=5).map(|id| wait(id, now)).collect();
        assert_eq!(waits, [0, 0, 0, 20_000, 40_000]);
        // A waiting one keeps its place, and a new one comes behind.
        let later = now + Duration::from_secs(20);
        assert_eq!(wait(5, later), 20_000);
        assert_eq!(wait(6, later), 40_000);
        assert_eq!(wait(4, later), 0);
    }

    #[test]
    fn a_place_has_come_when_less_than_a_millisecond_is_left() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        let mut wait = |id, at| {
            let wait = limiter.admit(Uuid::from_u128(id), vec![key("a", 1, 200)], now + at);
            wait.err().map(|wait| wait.left)
        };
        let micros = Duration::from_micros;
        assert_eq!(wait(1, micros(0)), None);
        assert_eq!(wait(2, micros(100)), Some(micros(199_900)));
        assert_eq!(wait(2, micros(199_000)), Some(micros(1000)));
        assert_eq!(wait(2, micros(199_001)), None);
        // The one behind it is not any earlier.
        assert_eq!(wait(3, micros(199_001)), Some(micros(200_999)));
    }

    #[test]
    fn the_strictest_key_decides_and_is_named() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        let keys = |other| vec![key("a", 100, 60_000), key(other, 1, 60_000)];
        let mut admit = |id, other| limiter.admit(Uuid::from_u128(id), keys(other), now);
        assert_eq!(admit(1, "b"), Ok(()));
        assert_eq!(admit(2, "c"), Ok(()));
        let wait = RateWait { left: Duration::from_secs(60), option: "option of b".to_owned() };
        assert_eq!(admit(3, "b"), Err(wait));
    }

    #[test]
    fn without_limits_nothing_waits_and_nothing_is_kept() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        for id in 0..1000 {
            assert_eq!(limiter.admit(Uuid::from_u128(id), Vec::new(), now), Ok(()));
        }
        assert!(limiter.next_allowed.is_empty() && limiter.reservations.is_empty());
    }

    /// Arrivals at some milliseconds, each of one of two workflows, to one host.
    fn arrivals() -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0_u64..200, any::<bool>()), 1..150)
    }

    /// Makes each attempt at its time, and again when its wait is over. Returns the milliseconds of
    /// the admissions, in the order of the arrivals.
    fn simulate(gaps: &[(u64, bool)], host: &RateKey, workflow: (u32, u64)) -> Vec<(u64, bool)> {
        let (mut limiter, begin) = (RateLimiter::default(), Instant::now());
        let mut queue = std::collections::BinaryHeap::new();
        let mut at = 0;
        for (id, (gap, is_first)) in gaps.iter().enumerate() {
            at += gap;
            queue.push(std::cmp::Reverse((at * 1000, id, *is_first)));
        }
        let mut admitted = vec![(u64::MAX, false); gaps.len()];
        while let Some(std::cmp::Reverse((micros, id, is_first))) = queue.pop() {
            let name = if is_first { "first" } else { "second" };
            let keys = vec![host.clone(), key(name, workflow.0, workflow.1)];
            let now = begin + Duration::from_micros(micros);
            match limiter.admit(Uuid::from_u128(id as u128), keys, now) {
                Ok(()) => admitted[id] = (micros, is_first),
                Err(wait) => {
                    let micros = micros + u64::try_from(wait.left.as_micros()).unwrap() + 1;
                    queue.push(std::cmp::Reverse((micros, id, is_first)));
                }
            }
        }
        assert!(limiter.reservations.is_empty(), "nothing waits for ever");
        admitted
    }

    /// The most admissions in any window of this length, in microseconds.
    fn most_within(mut times: Vec<u64>, window: u64) -> usize {
        times.sort_unstable();
        let within = |(first, time): (usize, &u64)| {
            times[first..].iter().take_while(|other| **other - time < window).count()
        };
        times.iter().enumerate().map(within).max().unwrap_or(0)
    }

    proptest! {
        /// Every delivery is admitted; in a period there are at most a burst and what the rate adds,
        /// for the host and for each workflow.
        #[test]
        fn no_limit_is_exceeded_and_nothing_starves(
            gaps in arrivals(),
            (count, period) in (1_u32..20, 1_u64..2000),
            workflow in (1_u32..20, 1_u64..2000),
        ) {
            let admitted = simulate(&gaps, &key("host", count, period), workflow);
            prop_assert!(admitted.iter().all(|(micros, _)| *micros < u64::MAX));
            let all = admitted.iter().map(|(micros, _)| *micros).collect();
            prop_assert!(most_within(all, period * 1000) <= 2 * count as usize);
            for first in [true, false] {
                let of = admitted.iter().filter(|(_, is_first)| *is_first == first);
                let of = of.map(|(micros, _)| *micros).collect();
                prop_assert!(most_within(of, workflow.1 * 1000) <= 2 * workflow.0 as usize);
            }
        }

        /// Under one limit nothing waits longer than what was admitted before it needs, and the order
        /// is that of the arrivals.
        #[test]
        fn no_place_is_wasted(gaps in arrivals(), (count, period) in (1_u32..20, 20_u64..2000)) {
            let host = key("host", count, period);
            let spacing = u64::try_from(host.rate.spacing().as_micros()).unwrap();
            let admitted = simulate(&gaps, &host, (1_000_000, 1));
            let mut arrival = 0;
            for (place, ((gap, _), (micros, _))) in gaps.iter().zip(&admitted).enumerate() {
                arrival += gap * 1000;
                if place > 0 {
                    prop_assert!(*micros >= admitted[place - 1].0);
                }
                let longest = (place as u64 + 1) * (spacing + 2);
                prop_assert!(*micros <= arrival + longest, "{place}: {micros} {arrival} {longest}");
            }
        }
    }
}
