//! Dead letters in memory: their selection, and their payloads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::MemoryJournal;
use crate::error::ErrorKind;
use crate::execution::{
    DeliveryQuery, Entry, ExecutionLog, Force, Link, Selection, SkipReason, replay_of,
};
use crate::journal::{Replayable, Selected};
use crate::recording::Item;
use crate::time::Timestamp;

impl MemoryJournal {
    /// Returns the calls of a selection.
    pub(super) fn select(&self, selection: &Selection) -> Selected {
        let mut selected = Selected::default();
        let (wanted, force) = self.wanted(selection);
        let mut missing: HashSet<Uuid> = wanted.iter().copied().collect();
        for execution in self.log.known(|_| true) {
            let state = execution.state();
            let mut chains: HashMap<Uuid, Vec<&Entry>> = HashMap::new();
            for entry in &state.entries {
                if missing.remove(&entry.id) {
                    chains.insert(entry.call(), Vec::new());
                }
            }
            for entry in &state.entries {
                if let Some(chain) = chains.get_mut(&entry.call()) {
                    chain.push(entry);
                }
            }
            for (call, chain) in chains {
                match replayable(&execution, &chain, force) {
                    Ok(replayable) => selected.calls.push(replayable),
                    Err(reason) => {
                        let mut ids = chain.iter().map(|entry| entry.id);
                        let named = ids.rfind(|id| wanted.contains(id));
                        selected.skipped.push((named.unwrap_or(call), reason));
                    }
                }
            }
        }
        selected.skipped.extend(missing.into_iter().map(|id| (id, SkipReason::Unknown)));
        selected.calls.sort_unstable_by_key(|call| call.replay.call);
        if let Selection::Ids(ids, _) = selection {
            let place = |id| ids.iter().position(|named| *named == id);
            selected.skipped.sort_by_cached_key(|(id, _)| place(*id));
        }
        selected
    }

    /// Dismisses the dead letters of a selection. Returns their number.
    pub(super) fn dismiss_selected(&self, selection: &Selection) -> usize {
        let (wanted, _) = self.wanted(selection);
        let now = Timestamp::now();
        let mut dismissed = 0;
        for execution in self.log.known(|_| true) {
            let dead: Vec<Uuid> = {
                let state = execution.state();
                let named = state.entries.iter().filter(|entry| wanted.contains(&entry.id));
                let calls: HashSet<Uuid> = named.map(Entry::call).collect();
                let dead = state
                    .entries
                    .iter()
                    .filter(|entry| entry.is_dead_letter() && calls.contains(&entry.call()));
                dead.map(|entry| entry.id).collect()
            };
            dismissed += dead.len();
            for id in dead {
                execution.dismiss(id, now);
            }
        }
        dismissed
    }

    /// Returns the selected deliveries.
    fn wanted(&self, selection: &Selection) -> (HashSet<Uuid>, Force) {
        match selection {
            Selection::Ids(ids, force) => (ids.iter().copied().collect(), *force),
            Selection::Query(query) => (self.dead_letters(query), Force::No),
        }
    }

    /// Counts the dead letters.
    pub(super) fn count_dead(&self) -> usize {
        let dead = |log: &Arc<ExecutionLog>| {
            log.state().entries.iter().filter(|entry| entry.is_dead_letter()).count()
        };
        self.log.known(|_| true).iter().map(dead).sum()
    }

    fn dead_letters(&self, query: &DeliveryQuery) -> HashSet<Uuid> {
        let mut found = Vec::new();
        for execution in self.log.known(|log| query.admits_execution(log.serial(), &log.info)) {
            let state = execution.state();
            let dead = state
                .entries
                .iter()
                .filter(|entry| entry.is_dead_letter() && query.admits(&execution.info, entry));
            found.extend(dead.map(|entry| entry.id));
        }
        found.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        found.truncate(query.limit());
        found.into_iter().collect()
    }
}

fn replayable(
    execution: &Arc<ExecutionLog>,
    chain: &[&Entry],
    force: Force,
) -> Result<Replayable, SkipReason> {
    let links: Vec<Link> = chain.iter().map(|entry| entry.link()).collect();
    let replay = replay_of(&links, force)?;
    let with_payload =
        chain.iter().rev().find_map(|entry| Some((entry, entry.replayable.as_deref()?)));
    let (entry, payload) = with_payload.ok_or(SkipReason::WithoutPayload)?;
    let code = links.iter().rev().find_map(|link| link.code).unwrap_or(ErrorKind::Internal);
    let item = Item {
        kind: entry.kind,
        step: Arc::clone(&entry.step),
        index: entry.index,
        replay: Some(Box::new(replay)),
        recorded_at: Timestamp::now(),
        payload: payload.clone(),
        warnings: Vec::new(),
        refused: None,
    };
    Ok(Replayable { replay, code, execution: Arc::clone(execution), item })
}
