//! Transactions whose commit was not acknowledged: the next connection finds out whether they are
//! committed.

use std::collections::HashSet;

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::answers::answer;
use super::error::Trouble;
use super::node::NodeThread;
use super::op::{AppendOp, Op, Part};
use super::params::int;
use super::refill::InboxPart;
use super::{Params, Shared};
use crate::time::Timestamp;

/// Takes the counts of a commit back. An execution that had ended before is over again.
const UNDO: &str = "
    UPDATE executions SET total = total - $2, open = open - $3,
        failed = failed - $5, dismissed = dismissed - $6,
        ended = CASE WHEN $4 THEN NULL ELSE ended END,
        completed_at = CASE WHEN $4 THEN NULL ELSE completed_at END,
        error = CASE WHEN $4 THEN NULL ELSE error END,
        finished_at = CASE WHEN NOT $4 AND ended IS NOT NULL AND open - $3 <= 0 THEN $7 END
    WHERE serial = $1";

impl NodeThread {
    /// Answers the operations of a transaction whose commit was not acknowledged. Commits whose callers
    /// were refused stay in the batch until they are removed: the callers hand the calls over again. Events
    /// are published once more, which finds their numbers.
    pub(super) async fn committed_late(
        &mut self,
        batch: &mut Vec<Op>,
    ) -> std::result::Result<(), Trouble> {
        let held = self.shared.ownership().held.clone();
        self.shared.note_closed(batch);
        let is_refused = |op: &Op| matches!(op, Op::Append(_, None));
        let (refused, stored): (Vec<Op>, Vec<Op>) =
            std::mem::take(batch).into_iter().partition(is_refused);
        *batch = refused;
        let is_event = |op: &Op| matches!(op, Op::Publish { .. });
        let (events, stored): (Vec<Op>, Vec<Op>) = stored.into_iter().partition(is_event);
        self.shared.ops.put_back(events);
        for op in stored {
            answer(op, |shard| held.get(&shard).copied());
        }
        while let Some(Op::Append(append, _)) = batch.last() {
            if !self.undo(append).await? {
                self.shared.bring_stored(&append.parts);
            }
            batch.pop();
        }
        Ok(())
    }

    /// Removes a commit that its caller was told was not made. Returns `false` if that is not possible: other
    /// nodes deliver it.
    pub(super) async fn undo(&self, append: &AppendOp) -> std::result::Result<bool, Trouble> {
        if append.parts.is_empty() {
            return Ok(true);
        }
        let parts: Vec<i64> = append.parts.iter().map(|part| int(part.first_seq)).collect();
        let client = self.client()?;
        client.batch_execute(&self.shared.begin).await?;
        let params = Params::of(&[(&parts as _, Type::INT8_ARRAY)]);
        if !self.is_untouched(append, &params).await? {
            client.batch_execute("ROLLBACK").await?;
            return Ok(false);
        }
        let remove = "DELETE FROM commits WHERE first_seq = ANY($1) RETURNING 1";
        if client.query_typed(remove, params.values()).await?.is_empty() {
            // It was removed before, and that was not acknowledged.
            client.batch_execute("ROLLBACK").await?;
            return Ok(true);
        }
        let (of, replays): (Vec<Uuid>, Vec<Uuid>) =
            append.replays.iter().map(|claim| (claim.of, claim.replay)).unzip();
        let params = Params::of(&[(&of as _, Type::UUID_ARRAY), (&replays as _, Type::UUID_ARRAY)]);
        let unclaim = "UPDATE deliveries SET replayed_by = NULL
            WHERE id = ANY($1) AND replayed_by = ANY($2)";
        client.query_typed(unclaim, params.values()).await?;
        if let Some(forwarded) = append.forwards {
            let shard = i32::from(append.parts[0].shard);
            let params = Params::of(&[(&forwarded as _, Type::UUID), (&shard as _, Type::INT4)]);
            let note =
                "INSERT INTO forwards (delivery, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            client.query_typed(note, params.values()).await?;
        }
        let serial = int(append.execution.serial());
        let (ends, now) = (append.ending.is_some(), int(Timestamp::now().as_millis()));
        let params = Params::of(&[
            (&serial as _, Type::INT8),
            (&append.calls as _, Type::INT8),
            (&append.open as _, Type::INT8),
            (&ends as _, Type::BOOL),
            (&append.counts.failed as _, Type::INT8),
            (&append.counts.dismissed as _, Type::INT8),
            (&now as _, Type::INT8),
        ]);
        client.query_typed(UNDO, params.values()).await?;
        client.batch_execute("COMMIT").await?;
        Ok(true)
    }

    /// Returns `true` if no other node has taken a part: those of this node's shards are its own still, and
    /// the others wait in the inbox, out of which they are taken.
    async fn is_untouched(
        &self,
        append: &AppendOp,
        parts: &Params<'_>,
    ) -> std::result::Result<bool, Trouble> {
        let (node, held) = {
            let ownership = self.shared.ownership();
            (ownership.node, ownership.held.keys().copied().collect::<HashSet<u16>>())
        };
        let shards: HashSet<u16> = append.parts.iter().map(|part| part.shard).collect();
        let own: Vec<i32> = shards.intersection(&held).copied().map(i32::from).collect();
        let others = append.parts.iter().filter(|part| !held.contains(&part.shard)).count();
        let client = self.client()?;
        let params = Params::of(&[(&node as _, Type::INT8), (&own as _, Type::INT4_ARRAY)]);
        let lock =
            "SELECT 1 FROM shards WHERE owner = $1 AND shard = ANY($2) ORDER BY shard FOR UPDATE";
        let owned = client.query_typed(lock, params.values()).await?;
        let take = "DELETE FROM inbox WHERE first_seq = ANY($1) RETURNING 1";
        let waiting = client.query_typed(take, parts.values()).await?;
        Ok(owned.len() == own.len() && waiting.len() >= others)
    }

    /// Returns `true` if the transaction with this number was committed. If not, it is not from here on: it
    /// may be on its way still, and a later number goes before it.
    pub(super) async fn was_committed(
        &mut self,
        number: i64,
    ) -> std::result::Result<bool, Trouble> {
        self.number += 1;
        let (node, later) = (self.shared.ownership().node, self.number);
        let client = self.client()?;
        client.batch_execute(&self.shared.begin).await?;
        // Waits for the transaction, if its session is still there.
        let ask = "SELECT last_transaction FROM nodes WHERE id = $1 FOR UPDATE";
        let rows = client.query_typed(ask, Params::of(&[(&node, Type::INT8)]).values()).await?;
        let was_committed = rows.first().is_some_and(|row| row.get::<_, i64>(0) == number);
        if !was_committed {
            let params = Params::of(&[(&node as _, Type::INT8), (&later as _, Type::INT8)]);
            let number = "UPDATE nodes SET last_transaction = $2 WHERE id = $1";
            client.query_typed(number, params.values()).await?;
        }
        client.batch_execute("COMMIT").await?;
        Ok(was_committed)
    }
}

impl Shared {
    /// Has parts brought that are stored, and that no caller has: those of this node's shards, which no
    /// other node looks for.
    fn bring_stored(&self, parts: &[Part]) {
        let own: Vec<InboxPart> = {
            let ownership = self.ownership();
            let own = parts.iter().filter(|part| ownership.serves(part.shard));
            own.filter_map(|Part { first_seq, shard, .. }| {
                let epoch = *ownership.held.get(shard)?;
                Some(InboxPart { first_seq: int(*first_seq), shard: *shard, epoch })
            })
            .collect()
        };
        self.arrivals().inbox.extend(own);
        self.arrived.notify_waiters();
    }
}
