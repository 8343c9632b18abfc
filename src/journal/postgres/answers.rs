//! Replies to the callers of operations.

use std::time::Duration;

use uuid::Uuid;

use super::op::{Appended, Op, Waiter};
use crate::error::Error;

/// Answers the caller of an operation that was written.
pub(super) fn answer(op: Op, epoch: impl Fn(u16) -> Option<i64>) {
    match op {
        Op::Append(append, waiter) => {
            if let Some(Waiter { answer, .. }) = waiter {
                let parts = append.parts.iter().map(|part| epoch(part.shard)).collect();
                let _ = answer.send(Ok(Appended::Stored(parts)));
            }
        }
        op => op.answer(Ok(())),
    }
}

/// Refuses the callers of a transaction that the server refused. The other operations stay.
pub(super) fn refuse(batch: &mut Vec<Op>, error: &Error) {
    let (awaited, rest): (Vec<Op>, Vec<Op>) =
        std::mem::take(batch).into_iter().partition(|op| op.waits_since().is_some());
    *batch = rest;
    for op in awaited {
        op.answer(Err(Error::new(error.kind(), error.to_string())));
    }
}

/// Answers the callers that have waited for long. A commit that may be stored stays, without its
/// caller, until that is known.
pub(super) fn expire(
    batch: &mut Vec<Op>,
    patience: Duration,
    is_unknown: bool,
    error: &dyn Fn() -> Error,
) {
    let is_late = |op: &Op| op.is_late(patience);
    let (late, mut rest): (Vec<Op>, Vec<Op>) = std::mem::take(batch).into_iter().partition(is_late);
    for op in late {
        match op {
            Op::Append(append, Some(waiter)) if is_unknown => {
                let _ = waiter.answer.send(Err(error()));
                rest.push(Op::Append(append, None));
            }
            op => op.answer(Err(error())),
        }
    }
    *batch = rest;
}

/// Answers the commits that repeat one of these deliveries, which another node has: nothing of them is
/// stored.
pub(super) fn answer_taken(batch: &mut Vec<Op>, taken: &[Uuid]) {
    let is_taken = |op: &mut Op| {
        let Op::Append(append, waiter) = op else { return false };
        let claims = append.replays.iter().map(|claim| claim.of).chain(append.forwards);
        let taken: Vec<Uuid> = claims.filter(|id| taken.contains(id)).collect();
        if taken.is_empty() {
            return false;
        }
        if let Some(Waiter { answer, .. }) = waiter.take() {
            let _ = answer.send(Ok(Appended::Taken(taken)));
        }
        true
    };
    batch.retain_mut(|op| !is_taken(op));
}
