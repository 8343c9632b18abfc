//! The log as it is followed: each settlement once, in the order in which deliveries became terminal.
//!
//! [`Recent`] keeps the last settlements of a log in memory while something follows, also of
//! executions that the log has forgotten.
//!
//! **Invariant:** a settlement costs one atomic read while nothing follows.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DeliveryQuery, DeliveryRequest, ExecutionLog, Found};
use crate::time::Timestamp;

/// Settlements that are kept in memory for followers.
const MAX_RECENT: usize = 16_384;
/// Bytes of requests and responses that they may keep.
const MAX_BYTES: usize = 16 << 20;

const PREFIX: &str = "set_";
const DIGITS: usize = 16;

/// A place in the order of settlements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementCursor {
    /// The numbering that the number is of.
    pub epoch: u64,
    /// The number of the settlement before this place.
    pub number: u64,
}

/// A text that is not a [`SettlementCursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASettlementCursor;

impl fmt::Display for SettlementCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:0DIGITS$x}{:0DIGITS$x}", self.epoch, self.number)
    }
}

impl FromStr for SettlementCursor {
    type Err = NotASettlementCursor;

    fn from_str(text: &str) -> Result<Self, NotASettlementCursor> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotASettlementCursor)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 2 * DIGITS || !digits.bytes().all(is_digit) {
            return Err(NotASettlementCursor);
        }
        let number = |part| u64::from_str_radix(part, 16).map_err(|_| NotASettlementCursor);
        let (epoch, last) = digits.split_at(DIGITS);
        Ok(Self { epoch: number(epoch)?, number: number(last)? })
    }
}

/// Settlements that a follower cannot get any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// So many, those that a filter leaves out included.
    Count(u64),
    /// The numbering is a new one: of the one before, any number may be missing.
    Unknown,
}

/// Settlements after a place.
#[derive(Debug)]
pub struct SettledPage {
    /// The deliveries, in the order of their settlement.
    pub found: Vec<Found>,
    /// The place after them.
    pub cursor: SettlementCursor,
    /// The settlements that are missing between the two places.
    pub dropped: Dropped,
}

/// The part of each delivery that a follower gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All that the log has.
    Full,
    /// No bodies.
    Heads,
}

impl SettledPage {
    /// Leaves out what a follower does not want.
    pub fn reduce(&mut self, detail: Detail) {
        if detail == Detail::Full {
            return;
        }
        for (_, entry) in &mut self.found {
            if let DeliveryRequest::Sent(request) = &mut entry.request {
                request.leave_out_body();
            }
            if let Some(response) = &mut entry.response {
                response.leave_out_body();
            }
        }
    }

    /// An empty page, from which a follower begins.
    #[must_use]
    pub const fn at(cursor: SettlementCursor) -> Self {
        Self { found: Vec::new(), cursor, dropped: Dropped::Count(0) }
    }
}

/// The last settlements of a log in memory.
#[derive(Debug)]
pub(super) struct Recent {
    opened_at: u64,
    is_followed: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: u64,
    /// The number before the oldest of the rows.
    before: u64,
    rows: VecDeque<Row>,
    bytes: usize,
    /// Settlements since the last look of a follower.
    unread: usize,
}

/// It holds the execution, which the log may have forgotten.
#[derive(Debug)]
struct Row {
    execution: Arc<ExecutionLog>,
    place: usize,
    bytes: usize,
}

impl Recent {
    pub(super) fn new() -> Self {
        let opened_at = Timestamp::now().as_millis();
        Self { opened_at, is_followed: AtomicBool::new(false), kept: Mutex::default() }
    }

    /// Takes note of a settlement that keeps so many bytes.
    pub(super) fn note(&self, execution: &Arc<ExecutionLog>, place: usize, bytes: usize) {
        if !self.is_followed.load(Ordering::Acquire) {
            return;
        }
        let mut kept = self.kept();
        kept.unread += 1;
        if kept.unread > MAX_RECENT {
            // Nothing follows any more, or too slowly to miss nothing.
            self.is_followed.store(false, Ordering::Release);
            *kept = Kept { epoch: kept.epoch, ..Kept::default() };
            return;
        }
        kept.push(Row { execution: Arc::clone(execution), place, bytes });
    }

    /// Returns the settlements after a place; without one, the place after the newest.
    pub(super) fn after(
        &self,
        cursor: Option<SettlementCursor>,
        query: &DeliveryQuery,
    ) -> Result<SettledPage, OtherNumbering> {
        let mut kept = self.kept();
        kept.unread = 0;
        if !self.is_followed.swap(true, Ordering::AcqRel) {
            let epoch = Timestamp::now().as_millis().max(kept.epoch + 1);
            *kept = Kept { epoch, ..Kept::default() };
        }
        match cursor {
            None => Ok(SettledPage::at(kept.end())),
            Some(cursor) if cursor.epoch == kept.epoch => Ok(kept.page(cursor.number, query)),
            Some(cursor) => Err(OtherNumbering {
                now: kept.end(),
                is_of_earlier_engine: cursor.epoch < self.opened_at,
            }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cursor of another numbering: nothing was followed for a while, or the engine is another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct OtherNumbering {
    /// The place after the newest settlement.
    pub now: SettlementCursor,
    pub is_of_earlier_engine: bool,
}

impl Kept {
    fn push(&mut self, row: Row) {
        self.bytes += row.bytes;
        self.rows.push_back(row);
        while self.rows.len() > MAX_RECENT || self.bytes > MAX_BYTES {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.bytes -= oldest.bytes;
            self.before += 1;
        }
    }

    fn end(&self) -> SettlementCursor {
        SettlementCursor { epoch: self.epoch, number: self.before + self.rows.len() as u64 }
    }

    fn page(&self, after: u64, query: &DeliveryQuery) -> SettledPage {
        let end = self.end();
        let from = after.clamp(self.before, end.number);
        let mut page = SettledPage::at(SettlementCursor { number: from, ..end });
        page.dropped = Dropped::Count(from.saturating_sub(after));
        let skipped = usize::try_from(from - self.before).unwrap_or(usize::MAX);
        for Row { execution, place, .. } in self.rows.iter().skip(skipped) {
            if page.found.len() >= query.limit() {
                break;
            }
            page.cursor.number += 1;
            if !query.admits_execution(execution.serial(), &execution.info) {
                continue;
            }
            let state = execution.state();
            let entry = state.entries.get(*place).filter(|entry| entry.status.is_terminal());
            if let Some(entry) = entry.filter(|entry| query.admits(&execution.info, entry)) {
                page.found.push((Arc::clone(&execution.info), entry.clone()));
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = SettlementCursor { epoch: 7, number: u64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "set_", "set_7", "exc_00000000000000070000000000000000"] {
            assert_eq!(text.parse::<SettlementCursor>(), Err(NotASettlementCursor), "{text}");
        }
    }

    fn execution() -> Arc<ExecutionLog> {
        Arc::new(ExecutionLog::new(crate::execution::ExecutionInfo {
            execution_id: "e".into(),
            workflow_id: "p".into(),
            attempt: 1,
            started_at: Timestamp::from_millis(1),
            emit_depth: 0,
            trace: None,
            trigger: None,
        }))
    }

    #[test]
    fn settlements_that_are_kept_no_more_are_counted() {
        let (recent, execution, all) = (Recent::new(), execution(), DeliveryQuery::default());
        let start = recent.after(None, &all).unwrap().cursor;
        for _ in 0..3 {
            recent.note(&execution, 0, MAX_BYTES / 2 + 1);
        }
        let page = recent.after(Some(start), &all).unwrap();
        assert_eq!((page.dropped, page.cursor.number), (Dropped::Count(2), 3));
    }

    #[test]
    fn a_follower_that_does_not_look_is_not_waited_for() {
        let (recent, execution, all) = (Recent::new(), execution(), DeliveryQuery::default());
        let start = recent.after(None, &all).unwrap().cursor;
        for _ in 0..=MAX_RECENT {
            recent.note(&execution, 0, 0);
        }
        assert_eq!(Arc::strong_count(&execution), 1, "nothing is kept");
        let other = recent.after(Some(start), &all).unwrap_err();
        assert!(!other.is_of_earlier_engine);
        assert_ne!(other.now.epoch, start.epoch);
    }
}
