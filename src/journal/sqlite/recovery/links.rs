//! The replays that were under way when a file of layout 4 was left: they are linked to their calls.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::id::delivery_id;
use crate::journal::sqlite::read::{JournalReader, RecoveredCommit};
use crate::journal::sqlite::row::int;

/// Links the replays in commits that the migration could not read.
pub(crate) fn link_replays(connection: &mut Connection, reader: &JournalReader) -> Result<()> {
    let failed = |error| reader.failed_to_read(error);
    let commits: Vec<i64> = {
        let mut select =
            connection.prepare("SELECT first_seq FROM unlinked_commits").map_err(failed)?;
        let rows = select.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)?
    };
    if commits.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(failed)?;
    for first_seq in commits {
        for commit in reader.unsettled(first_seq.cast_unsigned() - 1, 1, 1)? {
            link(&transaction, &commit).map_err(failed)?;
        }
    }
    transaction.execute("DELETE FROM unlinked_commits", []).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn link(connection: &Connection, commit: &RecoveredCommit) -> rusqlite::Result<()> {
    for call in &commit.calls {
        let Some(replay) = &call.item.replay else { continue };
        let id = delivery_id(call.item.recorded_at, call.item.index, commit.seed);
        connection.execute(
            "UPDATE deliveries SET replayed_by = ?2 WHERE seq =
                (SELECT max(seq) FROM deliveries WHERE id = ?1 OR call = ?1)",
            params![replay.call.as_bytes().as_slice(), id.as_bytes().as_slice()],
        )?;
        connection.execute(
            "UPDATE executions SET total = total - 1 WHERE serial = ?1",
            [int(commit.execution)],
        )?;
    }
    Ok(())
}
