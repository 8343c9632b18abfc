//! The changes of the log, as nodes tell each other of them while one of them shows the log.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::op::Op;
use super::params::Columns;
use super::write::Statement;
use crate::execution::Status;
use crate::journal::ChangedRows;

/// Rows of each kind that one transaction names.
const MAX_ROWS: usize = 1000;

/// Removes what every node has seen.
pub(super) const FORGET: &str =
    "DELETE FROM changes WHERE at < clock_timestamp() - interval '60 s'";

/// The changes of one transaction.
#[derive(Default, Serialize, Deserialize)]
struct Content {
    executions: HashSet<Box<str>>,
    deliveries: Vec<(Uuid, Box<str>, String)>,
    left_out: bool,
}

impl Content {
    fn add(&mut self, op: &Op) {
        match op {
            Op::Append(append, _) => {
                self.executions.insert((&*append.execution.info.execution_id).into());
                for row in &append.settled {
                    self.add_delivery(row.entry.id, &row.execution_id, row.entry.status);
                }
            }
            Op::Settle(row) => {
                self.add_delivery(row.entry.id, &row.execution_id, row.entry.status);
            }
            Op::Lease { .. }
            | Op::Postpone { .. }
            | Op::Close { .. }
            | Op::Seal { .. }
            | Op::Note { .. }
            | Op::Conclude { .. }
            | Op::Forget { .. }
            | Op::Keep { .. }
            | Op::Publish { .. }
            | Op::ForgetEvents(_)
            | Op::Dismiss { .. }
            | Op::Register { .. }
            | Op::Answer { .. }
            | Op::Sync(_) => {}
        }
    }

    fn add_delivery(&mut self, id: Uuid, execution_id: &str, status: Status) {
        self.executions.insert(execution_id.into());
        if self.deliveries.len() < MAX_ROWS {
            self.deliveries.push((id, execution_id.into(), status.as_str().to_owned()));
        } else {
            self.left_out = true;
        }
    }
}

/// Returns the statement that tells other nodes of these operations, if they change the log.
pub(super) fn statement(ops: &[Op], node: i64) -> Option<Statement> {
    let mut content = Content::default();
    for op in ops {
        content.add(op);
    }
    if content.executions.is_empty() {
        return None;
    }
    let mut columns = Columns::default();
    columns.number(node).text(&serde_json::to_string(&content).ok()?);
    Some(("INSERT INTO changes (node, content) VALUES ($1, $2)", columns))
}

impl ChangedRows {
    /// Adds what another node wrote. What cannot be read is left out, and shown as such.
    pub(super) fn add(&mut self, text: &str) {
        let Ok(content) = serde_json::from_str::<Content>(text) else {
            self.left_out = true;
            return;
        };
        self.left_out |= content.left_out;
        self.executions.extend(content.executions.into_iter().map(Into::into));
        for (id, execution_id, status) in content.deliveries {
            match Status::from_name(&status) {
                Some(status) => self.deliveries.push((id, execution_id.into(), status)),
                None => self.left_out = true,
            }
        }
    }
}
