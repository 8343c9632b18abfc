//! The rows of batches that are being loaded, for the thread that loads them: it takes them from
//! here, piece by piece, and no other JavaScript ever sees them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::names::renames;
use super::super::plan::Plan;
use super::super::rows::{RowSet, rename};
use super::super::types::Fields;

static BATCHES: Mutex<Option<HashMap<u64, Arc<Pieces>>>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Rows that can be taken until this is dropped.
#[derive(Debug)]
pub(super) struct Handoff {
    /// What to ask for.
    pub ticket: u64,
    /// How many pieces there are.
    pub pieces: usize,
    /// Bytes of the largest.
    pub largest: usize,
}

/// The rows that a table takes, in pieces of whole rows.
#[derive(Debug)]
struct Pieces {
    rows: Arc<RowSet>,
    refused: BTreeSet<usize>,
    ranges: Vec<Range<usize>>,
    /// What the columns are called, if that is not as their keys.
    names: Option<Fields>,
}

impl Handoff {
    /// Pieces of about this many bytes.
    pub(super) fn new(plan: &Plan, rows: &Arc<RowSet>, size: usize) -> Self {
        let refused = plan.refused.keys().filter_map(|place| usize::try_from(*place).ok());
        let mut pieces = Pieces {
            rows: Arc::clone(rows),
            refused: refused.collect(),
            ranges: Vec::new(),
            names: renames(&plan.after).then(|| plan.after.clone()),
        };
        let largest = pieces.cut(size);
        let count = pieces.ranges.len();
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        all().get_or_insert_default().insert(ticket, Arc::new(pieces));
        Self { ticket, pieces: count, largest }
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        if let Some(batches) = &mut *all() {
            batches.remove(&self.ticket);
        }
    }
}

impl Pieces {
    /// Cuts the rows into pieces; the answer is how many bytes the largest has.
    fn cut(&mut self, size: usize) -> usize {
        let (mut start, mut bytes, mut largest) = (0, 0, 0);
        let mut count = 0;
        for (place, row) in self.rows.texts().enumerate() {
            count = place + 1;
            if !self.refused.contains(&place) {
                bytes +=
                    self.names.as_ref().map_or(row.len(), |names| renamed(row, names).len()) + 1;
            }
            if bytes >= size {
                self.ranges.push(start..count);
                largest = largest.max(bytes);
                (start, bytes) = (count, 0);
            }
        }
        if bytes > 0 {
            self.ranges.push(start..count);
            largest = largest.max(bytes);
        }
        largest
    }

    fn write(&self, number: usize, into: &mut [u8]) -> Option<usize> {
        let mut end = 0;
        let mut add = |row: &str| {
            let line = into.get_mut(end..=end + row.len())?;
            line[..row.len()].copy_from_slice(row.as_bytes());
            line[row.len()] = b'\n';
            end += line.len();
            Some(())
        };
        for place in self.ranges.get(number)?.clone() {
            if self.refused.contains(&place) {
                continue;
            }
            let row = self.rows.text(place);
            match &self.names {
                Some(names) => add(&renamed(row, names))?,
                None => add(row)?,
            }
        }
        Some(end)
    }
}

fn renamed(row: &str, names: &Fields) -> String {
    let mut out = String::with_capacity(row.len());
    rename(row, names, &mut out);
    out
}

/// Writes a piece of the rows of a ticket, one line each; the answer is how many bytes that were.
/// `None`: nobody waits for them to be loaded any more, or there is not enough room.
pub fn write_piece(ticket: u64, number: usize, into: &mut [u8]) -> Option<usize> {
    let batch = Arc::clone(all().as_ref()?.get(&ticket)?);
    batch.write(number, into)
}

fn all() -> MutexGuard<'static, Option<HashMap<u64, Arc<Pieces>>>> {
    BATCHES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::super::names::Naming;
    use super::super::super::types::MAX_COLUMNS;
    use super::*;

    const NAMING: Naming = Naming { max_bytes: 63, taken: &[], reserved: &[], nested: true };

    #[test]
    fn pieces_are_whole_rows_whatever_their_size() {
        let rows: Vec<_> = (0..40_u32).map(|n| format!(r#"{{"n":{}}}"#, 1_u64 << n)).collect();
        let mut set = RowSet::default();
        for row in &rows {
            set.add(row.clone().into()).unwrap();
        }
        let set = Arc::new(set);
        let plan = Plan::new(None, &set, NAMING, MAX_COLUMNS);
        for size in [1, 30, 100, 10_000] {
            let handoff = Handoff::new(&plan, &set, size);
            let mut into = vec![0; handoff.largest];
            let mut all = Vec::new();
            for number in 0..handoff.pieces {
                let bytes = write_piece(handoff.ticket, number, &mut into).unwrap();
                assert!(bytes > 0 && into[..bytes].ends_with(b"\n"));
                all.extend_from_slice(&into[..bytes]);
            }
            assert_eq!(String::from_utf8(all).unwrap(), rows.join("\n") + "\n");
            assert_eq!(write_piece(handoff.ticket, handoff.pieces, &mut into), None);
            assert_eq!(write_piece(handoff.ticket, 0, &mut []), None);
            let ticket = handoff.ticket;
            drop(handoff);
            assert_eq!(write_piece(ticket, 0, &mut into), None);
        }
    }

    #[test]
    fn pieces_have_the_names_of_the_columns_and_no_refused_rows() {
        let mut set = RowSet::default();
        for row in [r#"{"a":1,"A":2}"#, r#"{"b":0}"#, r#"{"A":3}"#] {
            set.add(row.to_owned().into()).unwrap();
        }
        let set = Arc::new(set);
        let mut plan = Plan::new(None, &set, NAMING, MAX_COLUMNS);
        let failure = crate::destinations::Failure::new(crate::error::ErrorKind::Internal, "");
        plan.refused.insert(1, failure);
        let handoff = Handoff::new(&plan, &set, 1000);
        let mut into = vec![0; handoff.largest];
        assert_eq!(write_piece(handoff.ticket, 0, &mut into), Some(into.len()));
        assert_eq!(into, b"{\"a\":1,\"A_2\":2}\n{\"A_2\":3}\n");
    }
}
