//! The clock of a fleet: that of its database. A process whose own clock differs goes by it.

use std::sync::atomic::{AtomicI64, Ordering};

use super::{SET_MILLIS, Timestamp};

/// The database's clock less the steady one, in milliseconds. A process has one, as it has one system's
/// clock: that of the database that it read last.
static AHEAD: AtomicI64 = AtomicI64::new(NONE);
/// This process is of no fleet.
const NONE: i64 = i64::MIN;

/// Notes the time of the database, which it told since `asked` by the steady clock.
pub fn agree(asked: Timestamp, told: Timestamp) {
    let told_at = (asked, Timestamp::steady());
    let by_system = difference(Timestamp::system(), told_at.1);
    let agree = |known| Some(agreed(if known == NONE { by_system } else { known }, told, told_at));
    let _ = AHEAD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, agree);
}

/// Returns the present by the clock of the fleet; `None`: this process is of none.
pub(super) fn now() -> Option<Timestamp> {
    let ahead = AHEAD.load(Ordering::Relaxed);
    (ahead != NONE).then(|| later(Timestamp::steady(), ahead))
}

/// Returns the difference of the system's clock from that of the fleet, if it is set wrong.
#[must_use]
pub fn error() -> Option<i64> {
    let system = Timestamp::system();
    now().filter(|now| is_other(system, *now)).map(|now| difference(system, now))
}

/// Returns this time of the system's clock, or that of the fleet if it is another.
pub(super) fn corrected(system: Timestamp) -> Timestamp {
    now().filter(|now| is_other(system, *now)).unwrap_or(system)
}

fn is_other(system: Timestamp, fleet: Timestamp) -> bool {
    system.as_millis().abs_diff(fleet.as_millis()) >= SET_MILLIS
}

/// Returns what is known of the difference, as far as the response confirms it: the database told its time
/// somewhere between these two.
fn agreed(known: i64, told: Timestamp, (from, to): (Timestamp, Timestamp)) -> i64 {
    known.max(difference(told, to)).min(difference(told, from))
}

fn difference(one: Timestamp, other: Timestamp) -> i64 {
    one.as_millis().cast_signed().saturating_sub(other.as_millis().cast_signed())
}

fn later(time: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add_signed(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_is_known_is_changed_no_more_than_the_response_demands() {
        for (known, told, asked, expected) in [
            // As far as the response shows, the clocks are the same.
            (0, 1005, (1000, 1010), 0),
            (3, 1005, (1000, 1010), 3),
            // A slow response proves less.
            (40, 1005, (1000, 1010), 5),
            (-40, 1005, (1000, 1010), -5),
            (-40, 1005, (1000, 1050), -40),
            (0, 5_000_000, (1000, 1010), 4_998_990),
            (0, 1000, (3_601_000, 3_601_010), -HOUR),
        ] {
            let (from, to) = asked;
            assert_eq!(agreed(known, at(told), (at(from), at(to))), expected, "{known} {told}");
        }
    }

    #[test]
    fn a_difference_of_less_than_a_second_is_left() {
        assert!(!is_other(at(10_000), at(10_999)) && !is_other(at(10_999), at(10_000)));
        assert!(is_other(at(10_000), at(11_000)) && is_other(at(11_000), at(10_000)));
    }

    #[test]
    fn a_time_moves_by_the_difference_in_both_directions() {
        assert_eq!(later(at(5), HOUR), at(3_600_005));
        assert_eq!(later(at(3_600_005), -HOUR), at(5));
        assert_eq!(later(at(5), -HOUR), at(0));
    }
}
