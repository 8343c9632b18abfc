//! Shards: which of them this node takes, and which it gives back. PostgreSQL decides.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connect::{NOW, time};
use super::error::Trouble;
use super::node::{NodeThread, millis};
use super::params::int;
use super::refill::{Load, Tenures};
use super::{Params, Shared};
use crate::time::{Timestamp, fleet};

type Done<T = ()> = std::result::Result<T, Trouble>;

/// Declares the nodes gone whose leases expired. One that is in a transaction is not: it has renewed its
/// lease there, which others see at the end. This node's own lease does not wait for that.
const DECLARE_GONE: &str = "
    UPDATE nodes SET is_gone = true WHERE id IN (
        SELECT id FROM nodes WHERE NOT is_gone AND expires_at < clock_timestamp()
        FOR UPDATE SKIP LOCKED)";

/// Ends the runs of nodes that are gone.
const END_RUNS: &str = "
    UPDATE executions SET ended = 'completed', completed_at = $1,
        error = 'the process ended before the execution was completed',
        finished_at = CASE WHEN open = 0 THEN $1 END
    WHERE node IN (SELECT id FROM nodes WHERE is_gone) AND finished_at IS NULL AND ended IS NULL";

/// Frees the shards of nodes that are gone.
const FREE_SHARDS: &str =
    "UPDATE shards SET owner = NULL WHERE owner IN (SELECT id FROM nodes WHERE is_gone)";

/// Frees the shards of this node that it does not know of: what took them, or gave them back, was not
/// acknowledged.
const FREE_UNKNOWN: &str =
    "UPDATE shards SET owner = NULL WHERE owner = $1 AND NOT shard = ANY($2)";

const TAKE: &str = "
    WITH taken AS (
        UPDATE shards SET owner = $1, epoch = epoch + 1 WHERE shard IN (
            SELECT shard FROM shards WHERE owner IS NULL ORDER BY shard LIMIT $2
            FOR UPDATE SKIP LOCKED)
        RETURNING shard, epoch
    ), cleared AS (
        DELETE FROM inbox WHERE shard IN (SELECT shard FROM taken)
    )
    SELECT t.shard, t.epoch, coalesce((SELECT sum(c.calls) FROM commits c
        WHERE c.is_open AND c.shard = t.shard), 0)::bigint
    FROM taken t";

/// Renews the lease, takes free shards and begins to give back those that are another node's share.
pub(super) async fn care(node: &mut NodeThread) -> Done {
    release_drained(node).await?;
    let id = node.shared.ownership().node;
    let held: Vec<i32> =
        node.shared.ownership().held.keys().map(|shard| i32::from(*shard)).collect();
    let (begun, lease) = (Instant::now(), millis(node.shared.options.lease));
    let adopting = node.shared.adopting_shards();
    let client = node.client()?;
    client.batch_execute(&node.shared.begin).await?;
    let cared = async {
        let params =
            [(&id as _, Type::INT8), (&node.number as _, Type::INT8), (&lease as _, Type::INT8)];
        client.query_typed("SELECT fence($1, $2, $3)", &params).await?;
        take_over(client).await?;
        let params = Params::of(&[(&id as _, Type::INT8), (&held as _, Type::INT4_ARRAY)]);
        client.query_typed(FREE_UNKNOWN, params.values()).await?;
        let ask = format!(
            "SELECT count(*) FILTER (WHERE delivers), count(*),
                (SELECT count(*) FROM shards WHERE owner = $1), {NOW}
            FROM nodes WHERE NOT is_gone"
        );
        let asked = Timestamp::steady();
        let rows = client.query_typed(&ask, Params::of(&[(&id, Type::INT8)]).values()).await?;
        fleet::agree(asked, time(rows[0].get(3)));
        let (delivering, nodes, mine): (i64, i64, i64) =
            (rows[0].get(0), rows[0].get(1), rows[0].get(2));
        client.query_typed(super::changes::FORGET, &[]).await?;
        client.query_typed(super::commands::FORGET, &[]).await?;
        let share = node.shared.share(delivering);
        let wanted = (share - mine).max(0);
        let params = Params::of(&[(&id as _, Type::INT8), (&wanted as _, Type::INT8)]);
        let taken = client.query_typed(TAKE, params.values()).await?;
        let just: Vec<i32> = taken.iter().map(|row| row.get(0)).collect();
        node.shared.adopt(client, &adopting, &just).await?;
        client.batch_execute("COMMIT").await?;
        Ok::<_, tokio_postgres::Error>((taken, mine - share, nodes))
    };
    let cared = cared.await;
    if cared.as_ref().is_err_and(|error| error.as_db_error().is_some()) {
        client.batch_execute("ROLLBACK").await?;
    }
    let (taken, surplus, nodes) = cared?;
    let surplus = usize::try_from(surplus).unwrap_or(0);
    node.shared.figures().nodes = usize::try_from(nodes).unwrap_or(0);
    node.renewed(begun);
    let taken: Vec<(i32, i64, i64)> =
        taken.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    node.shared.take(&taken);
    node.shared.note_adopted();
    node.shared.drain_surplus(surplus);
    Ok(())
}

/// Gives back the shards of which nothing is under way any more.
async fn release_drained(node: &mut NodeThread) -> Done {
    let drained = node.drained();
    if drained.is_empty() {
        return Ok(());
    }
    node.shared.let_go(&drained);
    let id = node.shared.ownership().node;
    let shards: Vec<i32> = drained.into_iter().map(i32::from).collect();
    let client = node.client()?;
    client.batch_execute(&node.shared.begin).await?;
    let release = "UPDATE shards SET owner = NULL WHERE owner = $1 AND shard = ANY($2)";
    let params = Params::of(&[(&id as _, Type::INT8), (&shards as _, Type::INT4_ARRAY)]);
    client.query_typed(release, params.values()).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

impl NodeThread {
    /// Returns the draining shards of which nothing is under way, and everything is written.
    fn drained(&mut self) -> HashSet<u16> {
        let ownership = self.shared.ownership();
        let (queued, taken) = self.shared.ops.counts();
        self.idle.retain(|shard, _| ownership.draining.contains(shard));
        for shard in &ownership.draining {
            if !ownership.is_busy(*shard) {
                self.idle.entry(*shard).or_insert(queued);
            }
        }
        // What was taken by now is written.
        let is_written = |(_, until): &(&u16, &u64)| **until <= taken;
        self.idle.iter().filter(is_written).map(|(shard, _)| *shard).collect()
    }
}

/// Gives everything back: this node ends.
pub(super) async fn leave(node: &mut NodeThread) -> Done {
    let id = node.shared.ownership().node;
    let client = node.client()?;
    client.batch_execute(&node.shared.begin).await?;
    let expire = "UPDATE nodes SET expires_at = '-infinity' WHERE id = $1 AND NOT is_gone";
    client.query_typed(expire, Params::of(&[(&id, Type::INT8)]).values()).await?;
    take_over(client).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// Takes nodes whose leases expired for gone. The last transaction of such a node may end while this is
/// found out: what that changed is seen by the next statements alone.
async fn take_over(client: &Client) -> std::result::Result<(), tokio_postgres::Error> {
    let now = int(Timestamp::now().as_millis());
    client.query_typed(DECLARE_GONE, &[]).await?;
    client.query_typed(END_RUNS, Params::of(&[(&now, Type::INT8)]).values()).await?;
    client.query_typed(FREE_SHARDS, &[]).await?;
    Ok(())
}

impl Shared {
    /// Returns the number of shards that this node should have, of so many that deliver.
    fn share(&self, delivering: i64) -> i64 {
        let delivering = delivering.max(1);
        let share = (i64::from(self.options.shards) + delivering - 1) / delivering;
        if self.options.delivers { share } else { 0 }
    }

    /// Notes shards that this node owns from here on, each with its epoch and its calls.
    fn take(&self, taken: &[(i32, i64, i64)]) {
        if taken.is_empty() {
            return;
        }
        let mut tenures = Tenures::new();
        let mut calls = 0;
        let mut ownership = self.ownership();
        for (shard, epoch, waiting) in taken {
            let Ok(number) = u16::try_from(*shard) else { continue };
            ownership.held.insert(number, *epoch);
            tenures.insert(number, *epoch);
            calls += usize::try_from(*waiting).unwrap_or(0);
        }
        drop(ownership);
        self.backlog.fetch_add(calls, Ordering::AcqRel);
        let load = Load { tenures, after: -1, calls, sealed: None, moved: None };
        self.arrivals().loads.push_back(load);
        self.arrived.notify_waiters();
    }

    /// Hands out nothing more of shards that are another node's share.
    fn drain_surplus(&self, surplus: usize) {
        let mut ownership = self.ownership();
        let more = surplus.saturating_sub(ownership.draining.len());
        let given = ownership.part_of_load(more);
        ownership.draining.extend(&given);
        ownership.age_load();
        drop(ownership);
        if !given.is_empty() {
            self.withdraw(&given);
        }
    }

    /// Forgets shards that another node has, or may have from here on.
    pub(super) fn let_go(&self, shards: &HashSet<u16>) {
        let mut ownership = self.ownership();
        let brought = ownership.open.values().filter(|part| part.was_brought);
        let calls = brought.filter(|part| shards.contains(&part.shard)).map(|part| part.left).sum();
        ownership.let_go(shards);
        let has_none = ownership.held.is_empty();
        drop(ownership);
        self.note_settled(calls);
        if has_none {
            let loads = {
                let mut arrivals = self.arrivals();
                arrivals.inbox.clear();
                std::mem::take(&mut arrivals.loads)
            };
            let calls = loads.iter().map(|load| load.calls).sum();
            self.backlog.fetch_sub(calls, Ordering::AcqRel);
            loads.iter().filter_map(|load| load.sealed.as_ref()).for_each(|sealed| {
                self.give_up_sealed(sealed);
            });
        }
        self.withdraw(shards);
    }

    /// Takes the records of these shards out of the lanes.
    fn withdraw(&self, shards: &HashSet<u16>) {
        let records = self.memory.withdraw(&|lane| shards.contains(&self.shard_of(lane)));
        let left: Vec<usize> = records.iter().map(|record| record.payload.cost()).collect();
        for record in &records {
            self.left_elsewhere(record);
        }
        {
            let mut arrivals = self.arrivals();
            arrivals.left.extend(left);
        }
        self.arrived.notify_waiters();
    }
}
