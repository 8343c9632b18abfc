//! Calls of data directories that were moved here: the owner of a shard takes those of the shard, its
//! batches and what is to be forwarded at once, so that no call of a batch is seen without it.
//!
//! They have negative shards until then. **Invariant:** a shard is not looked at while its calls are
//! still read: these would be brought without their batches.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::refill::{Load, Moved};
use super::{Params, Shared};

/// Takes everything of these shards. One statement: all of it is seen, or nothing.
const ADOPT: &str = "
    WITH calls AS (
        UPDATE commits SET shard = -1 - shard WHERE is_open AND shard = ANY($1)
        RETURNING shard, first_seq, calls
    ), sealed AS (
        UPDATE batches SET shard = -1 - shard WHERE shard = ANY($1) RETURNING shard, id
    ), noted AS (
        UPDATE forwards SET shard = -1 - shard WHERE shard = ANY($1) RETURNING shard, delivery
    )
    SELECT shard, min(first_seq), max(first_seq), sum(calls)::bigint, NULL::bigint, NULL::uuid
    FROM calls GROUP BY shard
    UNION ALL SELECT shard, NULL, NULL, NULL, id, NULL FROM sealed
    UNION ALL SELECT shard, NULL, NULL, NULL, NULL, delivery FROM noted";

/// Calls that were taken by a transaction whose commit may not be acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Adoption {
    /// The first and the last part of each shard, and its calls.
    parts: HashMap<i32, (i64, i64, i64)>,
    batches: BTreeSet<(i32, i64)>,
    forwards: BTreeSet<(i32, Uuid)>,
}

impl Adoption {
    fn add(&mut self, row: &Row) {
        let shard: i32 = row.get(0);
        if let Some(first) = row.get::<_, Option<i64>>(1) {
            let (last, calls): (i64, i64) = (row.get(2), row.get(3));
            let known = self.parts.entry(shard).or_insert((first, last, calls));
            *known = (known.0.min(first), known.1.max(last), known.2.max(calls));
        }
        self.batches.extend(row.get::<_, Option<i64>>(4).map(|id| (shard, id)));
        self.forwards.extend(row.get::<_, Option<Uuid>>(5).map(|delivery| (shard, delivery)));
    }

    fn retain(&mut self, is_kept: &dyn Fn(i32) -> bool) {
        self.parts.retain(|shard, _| is_kept(*shard));
        self.batches.retain(|(shard, _)| is_kept(*shard));
        self.forwards.retain(|(shard, _)| is_kept(*shard));
    }

    fn shards(&self) -> Vec<i32> {
        let parts = self.parts.keys().copied();
        let beside = self.batches.iter().map(|(shard, _)| *shard);
        let noted = self.forwards.iter().map(|(shard, _)| *shard);
        parts.chain(beside).chain(noted).collect::<BTreeSet<i32>>().into_iter().collect()
    }
}

impl Shared {
    fn adoption(&self) -> MutexGuard<'_, Adoption> {
        self.adoption.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the shards of this node whose calls are all read.
    pub(super) fn adopting_shards(&self) -> Vec<i32> {
        if self.arrivals().are_loads_left() {
            return Vec::new();
        }
        let ownership = self.ownership();
        let served = ownership.held.keys().filter(|shard| ownership.serves(**shard));
        served.map(|shard| i32::from(*shard)).collect()
    }

    /// Takes the calls of `shards`, and of those that were `taken` just now, which are read as a whole.
    pub(super) async fn adopt(
        &self,
        client: &Client,
        shards: &[i32],
        taken: &[i32],
    ) -> Result<(), Error> {
        let waiting: Vec<i32> = shards.iter().chain(taken).map(|shard| -1 - shard).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let params = Params::of(&[(&waiting as _, Type::INT4_ARRAY)]);
        let rows = client.query_typed(ADOPT, params.values()).await?;
        // The transaction may be committed and not acknowledged: they are not found again then.
        let mut adoption = self.adoption();
        for row in &rows {
            adoption.add(row);
        }
        adoption.retain(&|shard| !taken.contains(&shard));
        Ok(())
    }

    /// Has the calls read that were taken: the transaction is committed.
    pub(super) fn note_adopted(&self) {
        let mut adoption = std::mem::take(&mut *self.adoption());
        let mut tenures = self.ownership().held.clone();
        adoption.retain(&|shard| tenures.keys().any(|held| i32::from(*held) == shard));
        let shards = adoption.shards();
        if shards.is_empty() {
            return;
        }
        tenures.retain(|shard, _| shards.contains(&i32::from(*shard)));
        let parts = || adoption.parts.values();
        let calls = parts().map(|(.., calls)| usize::try_from(*calls).unwrap_or(0)).sum();
        let first = parts().map(|(first, ..)| *first).min().unwrap_or(0);
        let moved = Moved {
            last: parts().map(|(_, last, _)| *last).max().unwrap_or(-1),
            batches: adoption.batches.iter().map(|(_, id)| *id).collect(),
            forwards: adoption.forwards.iter().map(|(_, delivery)| *delivery).collect(),
        };
        self.backlog.fetch_add(calls, Ordering::AcqRel);
        let load = Load { tenures, after: first - 1, calls, sealed: None, moved: Some(moved) };
        self.arrivals().loads.push_back(load);
        self.arrived.notify_waiters();
    }
}
