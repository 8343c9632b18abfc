//! Failed deliveries, made again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Engine;
use super::execution::Work;
use crate::error::Result;
use crate::journal::{Commit, Completion, Journal, Lane, Replayable};
use crate::observability::log::{ExecutionLog, Selection};
use crate::recording::{Item, delivery_id, id_seed};

/// What became of a wish to replay.
#[derive(Debug, Default, Serialize)]
pub struct Replayed {
    /// The new deliveries.
    pub replayed: Vec<Replay>,
    /// What could not be replayed.
    pub skipped: Vec<Skipped>,
}

/// A new delivery and the one that it repeats.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// The new delivery.
    pub id: Uuid,
    /// The failed one.
    pub replay_of: Uuid,
}

/// A delivery that cannot be replayed.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The delivery.
    pub id: Uuid,
    /// Why.
    pub reason: &'static str,
}

/// The calls of one execution that are handed over again.
struct Again {
    execution: Arc<ExecutionLog>,
    seed: u64,
    items: Vec<(Lane, Item)>,
    bytes: usize,
}

impl Engine {
    /// Makes failed deliveries again, as new ones of their executions. Resolves when those are as
    /// durable as a completion.
    pub async fn replay(self: &Arc<Self>, selection: &Selection) -> Result<Replayed> {
        self.check_open()?;
        let work = Work::begin(self);
        let found = self.journal.replayable(selection).await?;
        let mut answer = Replayed { skipped: skipped(selection, &found), ..Replayed::default() };
        for again in self.grouped(found)?.into_values() {
            let replays: Vec<_> = again
                .items
                .iter()
                .map(|(_, item)| Replay {
                    id: delivery_id(item.recorded_at, item.index, again.seed),
                    replay_of: item.replay_of.unwrap_or_default(),
                })
                .collect();
            self.hand_over_again(again).await?;
            answer.replayed.extend(replays);
        }
        drop(work);
        Ok(answer)
    }

    fn grouped(&self, found: Vec<Replayable>) -> Result<BTreeMap<u64, Again>> {
        let mut groups: BTreeMap<u64, Again> = BTreeMap::new();
        for Replayable { execution, mut item, .. } in found {
            self.reserve(item.payload.len())?;
            let lane = self.lane_of(&item, None);
            // New calls at the end of the execution: their ids follow from their places.
            let before = groups.get(&execution.serial()).map_or(0, |group| group.items.len());
            let place = execution.state().total() + before;
            item.index = u32::try_from(place).unwrap_or(u32::MAX);
            let group = groups.entry(execution.serial()).or_insert_with(|| {
                let random = Uuid::now_v7().as_u64_pair().1;
                let seed = id_seed(execution.serial(), random);
                Again { execution, seed, items: Vec::new(), bytes: 0 }
            });
            group.bytes += item.payload.len();
            group.items.push((lane, item));
        }
        Ok(groups)
    }

    async fn hand_over_again(self: &Arc<Self>, again: Again) -> Result<()> {
        let Again { execution, seed, items, bytes } = again;
        let count = items.len();
        self.begin(count);
        let completion = Completion::Continues;
        match self.journal.append(Commit { execution, seed, items, completion }).await {
            Ok(lanes) => {
                self.wake(lanes);
                Ok(())
            }
            Err(refusal) => {
                self.release(bytes);
                self.end(count);
                Err(refusal.error)
            }
        }
    }
}

/// What was asked for by its id and is no failed delivery with a payload.
fn skipped(selection: &Selection, found: &[Replayable]) -> Vec<Skipped> {
    let Selection::Ids(ids) = selection else { return Vec::new() };
    let found: HashSet<_> = found.iter().map(|replayable| replayable.id).collect();
    let missing = ids.iter().filter(|id| !found.contains(id));
    let reason = "the log has no failed delivery with this id, or not its payload any more";
    missing.map(|id| Skipped { id: *id, reason }).collect()
}
