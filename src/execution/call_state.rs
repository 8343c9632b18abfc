//! The attempt chains of one call: its first delivery, the replays of it, and its dead letter.

use uuid::Uuid;

use super::Status;
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// The link of a delivery to the other deliveries of its call. Most deliveries have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallState {
    /// The delivery that this one repeats, if it is a replay.
    pub replay_of: Option<Uuid>,
    /// The first delivery of the call, if this is a replay.
    pub call: Option<Uuid>,
    /// The place in the execution's log of the delivery that this one repeats, if it is there.
    pub base: Option<usize>,
    /// The replay of this delivery.
    pub replayed_by: Option<Uuid>,
    /// The replay that delivered the call.
    pub resolved_by: Option<Uuid>,
    /// The time at which the dead letter was dismissed.
    pub dismissed_at: Option<Timestamp>,
}

impl CallState {
    /// Returns the state of a new replay.
    #[must_use]
    pub const fn of(replay: &ReplayOf) -> Self {
        let resolved_by = match replay.before {
            Resolution::Failed | Resolution::Dismissed => None,
            Resolution::Delivered(id) => Some(id),
        };
        Self {
            replay_of: Some(replay.id),
            call: Some(replay.call),
            base: None,
            replayed_by: None,
            resolved_by,
            dismissed_at: None,
        }
    }
}

/// The call that a replay belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayOf {
    /// The delivery that is repeated: the newest of the call.
    pub id: Uuid,
    /// The first delivery of the call.
    pub call: Uuid,
    /// The state of the call before the replay.
    pub before: Resolution,
}

/// The state of a call whose deliveries are terminal, one of which failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It is a dead letter.
    Failed,
    /// It was dismissed.
    Dismissed,
    /// This delivery of it reached the destination.
    Delivered(Uuid),
}

/// One delivery of a call, as far as a replay has to know it.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The delivery.
    pub id: Uuid,
    /// Its status.
    pub status: Status,
    /// `true` if it was replayed.
    pub is_replayed: bool,
    /// `true` if it was dismissed.
    pub is_dismissed: bool,
    /// The code of its failure.
    pub code: Option<ErrorKind>,
}

/// The reason why a selected delivery is not replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The log has no failed delivery of the call.
    Unknown,
    /// The log has the failed delivery without its payload.
    WithoutPayload,
    /// The newest delivery of the call is not terminal.
    UnderWay,
    /// The call was delivered.
    Delivered,
    /// The call was dismissed.
    Dismissed,
}

impl SkipReason {
    /// The reason as a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "the log has no failed delivery with this id",
            Self::WithoutPayload => {
                "the log has not the payload of this delivery any more (log.retention)"
            }
            Self::UnderWay => "a replay of this call is under way",
            Self::Delivered => {
                "a replay has delivered this call; to send it again, name its id with force: true"
            }
            Self::Dismissed => {
                "this call was dismissed; to send it again, name its id with force: true"
            }
        }
    }
}

/// Permission to replay calls that are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Force {
    /// Only dead letters are replayed.
    #[default]
    No,
    /// Calls that were delivered by a replay or dismissed are replayed, too.
    Resolved,
}

/// Decides on the replay of a call by its deliveries, oldest first.
///
/// # Errors
/// The reason why it is not replayed.
pub fn replay_of(chain: &[Link], force: Force) -> Result<ReplayOf, SkipReason> {
    let (Some(first), Some(newest)) = (chain.first(), chain.last()) else {
        return Err(SkipReason::Unknown);
    };
    if chain.iter().all(|link| link.status != Status::Failed) {
        return Err(SkipReason::Unknown);
    }
    if newest.is_replayed || !newest.status.is_terminal() {
        return Err(SkipReason::UnderWay);
    }
    let delivered = chain.iter().find(|link| link.status == Status::Delivered);
    let before = match delivered {
        Some(delivered) => Resolution::Delivered(delivered.id),
        None if newest.is_dismissed => Resolution::Dismissed,
        None => Resolution::Failed,
    };
    match (before, force) {
        (Resolution::Delivered(_), Force::No) => Err(SkipReason::Delivered),
        (Resolution::Dismissed, Force::No) => Err(SkipReason::Dismissed),
        (Resolution::Failed, _) | (_, Force::Resolved) => {
            Ok(ReplayOf { id: newest.id, call: first.id, before })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(id: u128, status: Status) -> Link {
        let id = Uuid::from_u128(id);
        Link { id, status, is_replayed: false, is_dismissed: false, code: None }
    }

    fn replayed(id: u128, status: Status) -> Link {
        Link { is_replayed: true, ..link(id, status) }
    }

    #[test]
    fn only_unresolved_calls_are_replayed() {
        use Status::{Delivered, Failed, InFlight};
        let dismissed = Link { is_dismissed: true, ..link(1, Failed) };
        let cases = [
            (vec![link(1, Failed)], Ok(1), Ok(1)),
            (vec![replayed(1, Failed), link(2, Failed)], Ok(2), Ok(2)),
            (vec![replayed(1, Failed)], Err(SkipReason::UnderWay), Err(SkipReason::UnderWay)),
            (
                vec![replayed(1, Failed), link(2, InFlight)],
                Err(SkipReason::UnderWay),
                Err(SkipReason::UnderWay),
            ),
            (vec![replayed(1, Failed), link(2, Delivered)], Err(SkipReason::Delivered), Ok(2)),
            (
                vec![replayed(1, Failed), replayed(2, Delivered), link(3, Failed)],
                Err(SkipReason::Delivered),
                Ok(3),
            ),
            (vec![dismissed], Err(SkipReason::Dismissed), Ok(1)),
            (vec![link(1, Delivered)], Err(SkipReason::Unknown), Err(SkipReason::Unknown)),
            (vec![], Err(SkipReason::Unknown), Err(SkipReason::Unknown)),
        ];
        for (chain, expected, forced) in cases {
            let decided = |force| replay_of(&chain, force).map(|replay| replay.id.as_u128());
            assert_eq!(decided(Force::No), expected, "{chain:?}");
            assert_eq!(decided(Force::Resolved), forced, "{chain:?}");
        }
    }
}
