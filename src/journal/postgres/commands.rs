//! Commands to all nodes that deliver, and their results.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use super::op::Op;
use super::params::{Columns, int};
use super::row::RowReader;
use super::write::Statement;
use crate::error::Result;

/// The longest wait for the results of other nodes.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The interval at which results are looked for.
const INTERVAL: Duration = Duration::from_millis(25);

/// Removes commands that no node waits for.
pub(super) const FORGET: &str = "
    WITH old AS (
        DELETE FROM commands WHERE at < clock_timestamp() - interval '60 s' RETURNING id
    )
    DELETE FROM command_results WHERE command IN (SELECT id FROM old)";

/// Commands that a node has not begun yet may be older than the node, and are not for it.
pub(super) const LOOK: &str = "
    SELECT c.id, c.content FROM commands c JOIN nodes n ON n.id = $1 AND c.at >= n.opened_at
    WHERE c.at > clock_timestamp() - interval '30 s' ORDER BY c.id";

const SEND: &str = "
    WITH sent AS (INSERT INTO commands (content) VALUES ($1) RETURNING id)
    SELECT id, pg_notify($2, 'command') FROM sent";

const RESULTS: &str = "
    SELECT coalesce(sum(result), 0)::bigint AS result, (
        SELECT count(*) FROM nodes n JOIN commands c ON c.id = $1 AND n.opened_at <= c.at
        WHERE NOT n.is_gone AND n.delivers AND n.expires_at > clock_timestamp()
            AND NOT EXISTS (
                SELECT 1 FROM command_results r WHERE r.command = $1 AND r.node = n.id)
    ) AS missing
    FROM command_results WHERE command = $1";

/// Returns the statement that writes a node's result.
pub(super) fn answer(command: u64, result: usize, node: i64) -> Statement {
    let mut columns = Columns::default();
    columns.number(int(command)).number(node).number(int(result as u64));
    (
        "INSERT INTO command_results (command, node, result) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
        columns,
    )
}

impl Shared {
    /// Sends a command and waits until every node that delivers has answered, or is late.
    pub(super) async fn send_command(&self, content: &str) -> Result<usize> {
        let begun = Instant::now();
        let mut columns = Columns::default();
        columns.text(content).text(&self.channel);
        let rows = self.read_all(&[(SEND, &columns)]).await?.pop().unwrap_or_default();
        let command: i64 = RowReader::new("commands", &rows[0]).get("id")?;
        self.is_signalled.store(true, Ordering::Release);
        self.look.notify_one();
        loop {
            let mut columns = Columns::default();
            columns.number(command);
            let rows = self.read(RESULTS, &columns).await?;
            let row = RowReader::new("command_results", &rows[0]);
            if row.get::<i64>("missing")? == 0 || begun.elapsed() >= MAX_WAIT {
                return row.count("result");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    pub(super) fn answer_command(&self, command: u64, result: usize) {
        self.ops.push_all([Op::Answer { command, result }]);
    }
}
