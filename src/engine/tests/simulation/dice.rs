//! The choices of a seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::time::simulated::draw;

/// The generator of choices.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number of the range.
    pub(super) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        low + draw(&mut self.0) % (high - low + 1)
    }

    /// Returns a number below this one.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(draw(&mut self.0) % end as u64).unwrap()
    }

    /// Returns `true` so many times out of a hundred.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.within(0..=99) < share
    }

    /// Returns a duration of so many milliseconds.
    pub(super) fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// Returns a place of a list of weights.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.within(0..=weights.iter().sum::<u64>() - 1);
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        unreachable!("the weights have a sum")
    }
}
