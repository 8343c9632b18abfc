//! The statements of a move.

use std::borrow::Cow;
use std::collections::HashSet;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{STAGED, Target, overtaken, slot};
use crate::delivery::{Failure, Phase};
use crate::error::Result;
use crate::execution::{AttemptLog, SLOTS, first_shared_serial};
use crate::journal::moving::{
    DirectoryContent, MovePlace, MovedAttempts, MovedBatch, MovedCommit, MovedDelivery,
    MovedExecution, MovedRest,
};
use crate::journal::postgres::error::{failed, journal};
use crate::journal::postgres::op::SettledRow;
use crate::journal::postgres::params::{Columns, int};
use crate::journal::postgres::write::delivery_columns;
use crate::time::Timestamp;

const BEGIN: &str = "
    UPDATE moves SET after = $3 WHERE id = ANY($1) AND after = $2 AND finished_at IS NULL
    RETURNING 1";

const END: &str = "
    UPDATE moves SET executions = executions + $2, deliveries = deliveries + $3, calls = calls + $4
    WHERE id = ANY($1)";

const EXECUTIONS: &str = "
    INSERT INTO executions (serial, execution_id, workflow_id, attempt, started_at, emit_depth, trace,
        trigger, ended, completed_at, error, message, total, open, delivered, failed, discarded,
        dismissed, finished_at, node)
    SELECT *, 0 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[],
        $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::text[],
        $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[],
        $19::bigint[])";

const COMMITS: &str = "
    INSERT INTO commits (first_seq, shard, calls, is_open, execution, seed, sealed)
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::boolean[], $5::bigint[],
        $6::bigint[], $7::bytea[])";

const ATTEMPTS: &str = "
    INSERT INTO attempts (seq, attempts, due_at, is_under_way, error_code, error_message, error_phase,
        attempt_log)
    SELECT seq, attempts, due_at, due_at IS NULL, error_code, error_message, error_phase, attempt_log
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
        $7::text[])
        AS d (seq, attempts, due_at, error_code, error_message, error_phase, attempt_log)";

const DELIVERIES: &str = "
    INSERT INTO deliveries (id, call_index, step, destination, status, attempts, recorded_at,
        settled_at, request, request_body, request_body_bytes, request_body_complete, response,
        response_body, response_body_bytes, response_body_complete, error_code, error_message,
        error_phase, replay_of, call, resolved_by, seq, execution, warnings, attempt_log,
        replayed_by, dismissed_at)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[],
        $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::bytea[], $11::bigint[],
        $12::boolean[], $13::text[], $14::bytea[], $15::bigint[], $16::boolean[], $17::text[],
        $18::text[], $19::text[], $20::uuid[], $21::uuid[], $22::uuid[], $23::bigint[],
        $24::bigint[], $25::text[], $26::text[], $27::uuid[], $28::bigint[])";

const BATCH: &str = "
    INSERT INTO batches (id, shard, destination, lane, name, reason, sealed_at, records, note,
        conclusion)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, ($9::text[])[1], ($9::text[])[2])";

const FORWARDS: &str = "
    INSERT INTO forwards (delivery, shard) SELECT * FROM unnest($1::uuid[], $2::int[])";

const HAND_OVER: &str = "
    UPDATE commits SET shard = shard + $3 WHERE first_seq >= $1 AND first_seq <= $2 AND shard < -$3";

const FINISH: &str = "
    UPDATE moves SET finished_at = clock_timestamp() WHERE id = ANY($1) AND finished_at IS NULL
    RETURNING 1";

impl Target {
    /// Begins a part: the executions after `after`, up to `last`.
    pub(in crate::journal) async fn begin_part(
        &mut self,
        place: MovePlace,
        after: i64,
        last: i64,
    ) -> Result<()> {
        self.serials.clear();
        self.run(&self.begin).await?;
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, [place.id]).number(after).number(last);
        if self.query(BEGIN, &columns).await?.is_empty() {
            return Err(overtaken());
        }
        Ok(())
    }

    /// Commits a part.
    pub(in crate::journal) async fn end_part(
        &self,
        id: Uuid,
        part: &DirectoryContent,
    ) -> Result<()> {
        let mut columns = Columns::default();
        columns
            .add(Type::UUID_ARRAY, [id])
            .number(int(part.executions))
            .number(int(part.deliveries))
            .number(int(part.calls));
        self.query(END, &columns).await?;
        self.run("COMMIT").await
    }

    /// Writes executions, each under a number of its own.
    pub(in crate::journal) async fn write_executions(
        &mut self,
        place: MovePlace,
        executions: &[MovedExecution],
    ) -> Result<()> {
        self.number(slot(place), executions).await?;
        let rows = || executions.iter();
        let text = |text: &'static str| Some(Cow::Borrowed(text));
        let how = |discarded: bool| text(if discarded { "discarded" } else { "completed" });
        let now = Timestamp::now();
        // One whose last call became terminal just before the process ended is finished.
        let finished = |execution: &MovedExecution| {
            let at = (execution.open == 0).then(|| execution.finished_at.unwrap_or(now));
            at.map(|at| int(at.as_millis()))
        };
        let mut columns = Columns::default();
        columns
            .numbers(rows().map(|row| int(self.serials[&row.serial])))
            .texts(rows().map(|row| Some(Cow::Borrowed(&*row.info.execution_id))))
            .texts(rows().map(|row| Some(Cow::Borrowed(&*row.info.workflow_id))))
            .numbers(rows().map(|row| i64::from(row.info.attempt)))
            .numbers(rows().map(|row| int(row.info.started_at.as_millis())))
            .numbers(rows().map(|row| i64::from(row.info.emit_depth)))
            .texts(rows().map(|row| row.info.trace.as_ref().map(|trace| trace.to_text().into())))
            .texts(rows().map(|row| row.info.trigger.as_deref().map(Cow::Borrowed)))
            .texts(rows().map(|row| how(row.end.discarded)))
            .numbers(rows().map(|row| int(row.end.at.as_millis())))
            .texts(rows().map(|row| row.end.error.as_deref().map(Cow::Borrowed)))
            .texts(rows().map(|row| row.end.message.as_deref().map(Cow::Borrowed)))
            .numbers(rows().map(|row| count(row.total)))
            .numbers(rows().map(|row| count(row.open)))
            .numbers(rows().map(|row| count(row.tally.delivered)))
            .numbers(rows().map(|row| count(row.tally.failed)))
            .numbers(rows().map(|row| count(row.tally.discarded)))
            .numbers(rows().map(|row| count(row.tally.dismissed)))
            .add(Type::INT8_ARRAY, rows().map(finished));
        self.query(EXECUTIONS, &columns).await.map(drop)
    }

    /// Finds a number for each execution that no other has.
    async fn number(&mut self, slot: u64, executions: &[MovedExecution]) -> Result<()> {
        let numbered = |execution: &MovedExecution, turn: u64| {
            let turn = execution.serial % TURNS + turn;
            first_shared_serial(execution.info.started_at) + turn * SLOTS + slot
        };
        let mut left: Vec<(&MovedExecution, u64)> = executions.iter().map(|one| (one, 0)).collect();
        let mut given = HashSet::new();
        while !left.is_empty() {
            let mut columns = Columns::default();
            columns.numbers(left.iter().map(|(execution, turn)| int(numbered(execution, *turn))));
            let ask = "SELECT serial FROM executions WHERE serial = ANY($1)";
            let rows = self.query(ask, &columns).await?;
            let known: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
            let mut next = Vec::new();
            for (execution, turn) in left {
                let serial = numbered(execution, turn);
                if known.contains(&int(serial)) || !given.insert(serial) {
                    next.push((execution, turn + 1));
                } else {
                    self.serials.insert(execution.serial, serial);
                }
            }
            left = next;
        }
        Ok(())
    }

    fn serial(&self, execution: u64) -> Result<u64> {
        self.serials.get(&execution).copied().ok_or_else(|| {
            journal(format!(
                "the directory is damaged: the execution {execution} of a call is not there"
            ))
        })
    }

    /// Writes commits. Returns the number of their calls that wait.
    pub(in crate::journal) async fn write_commits(&self, commits: &[MovedCommit]) -> Result<u64> {
        if commits.is_empty() {
            return Ok(0);
        }
        let rows = || commits.iter();
        let shard = |commit: &MovedCommit| {
            let shard = i32::from(commit.shard);
            if commit.open > 0 { -1 - shard - STAGED } else { shard }
        };
        let serials = rows().map(|commit| self.serial(commit.execution).map(int));
        let encrypt = |commit: &MovedCommit| {
            self.cipher.encrypt(&commit.first_seq.to_le_bytes(), &commit.plain)
        };
        let mut columns = Columns::default();
        columns
            .numbers(rows().map(|commit| int(commit.first_seq)))
            .add(Type::INT4_ARRAY, rows().map(shard))
            .numbers(rows().map(|commit| count(commit.calls)))
            .add(Type::BOOL_ARRAY, rows().map(|commit| commit.open > 0))
            .numbers(serials.collect::<Result<Vec<_>>>()?)
            .numbers(rows().map(|commit| int(commit.seed)))
            .add(Type::BYTEA_ARRAY, rows().map(encrypt).collect::<Result<Vec<_>>>()?);
        self.query(COMMITS, &columns).await?;
        let attempts: Vec<&MovedAttempts> = rows().flat_map(|commit| &commit.attempts).collect();
        if !attempts.is_empty() {
            self.query(ATTEMPTS, &attempt_columns(&attempts)).await?;
        }
        Ok(rows().map(|commit| commit.open as u64).sum())
    }

    /// Writes terminal deliveries.
    pub(in crate::journal) async fn write_deliveries(
        &self,
        deliveries: Vec<MovedDelivery>,
    ) -> Result<()> {
        let row = |MovedDelivery { seq, execution, entry }: MovedDelivery| {
            let warnings = (!entry.warnings.as_slice().is_empty()).then(|| {
                serde_json::to_string(&entry.warnings).unwrap_or_else(|_| "[]".to_owned())
            });
            let execution = self.serial(execution)?;
            let execution_id = "".into();
            let (counts, forwards_in) = (None, None);
            Ok(SettledRow { seq, execution, execution_id, entry, counts, forwards_in, warnings })
        };
        let rows = deliveries.into_iter().map(row).collect::<Result<Vec<SettledRow>>>()?;
        let state = || rows.iter().map(|row| row.entry.call_state.as_deref());
        let mut columns = delivery_columns(&rows.iter().collect::<Vec<_>>());
        columns.add(Type::UUID_ARRAY, state().map(|state| state?.replayed_by)).add(
            Type::INT8_ARRAY,
            state().map(|state| state?.dismissed_at.map(|at| int(at.as_millis()))),
        );
        let params = columns.params();
        let written = self.client.query_typed(DELIVERIES, params.values()).await;
        written.map(drop).map_err(|error| match error.code() {
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => journal(
                "the shared journal has deliveries of this directory already: a copy of it was moved \
                 before, without the mark. Nothing of this part was written",
            ),
            _ => failed(&error),
        })
    }

    /// Hands over what waits, in one transaction: the move is over.
    pub(in crate::journal) async fn finish(
        &self,
        place: MovePlace,
        rest: &MovedRest,
    ) -> Result<()> {
        self.run(&self.begin).await?;
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, [place.id]);
        if self.query(FINISH, &columns).await?.is_empty() {
            return Err(overtaken());
        }
        for batch in &rest.batches {
            self.query(BATCH, &batch_columns(batch)).await?;
        }
        let mut columns = Columns::default();
        columns
            .add(Type::UUID_ARRAY, rest.forwards.iter().map(|(delivery, _)| *delivery))
            .add(Type::INT4_ARRAY, rest.forwards.iter().map(|(_, shard)| -1 - i32::from(*shard)));
        self.query(FORWARDS, &columns).await?;
        self.register(&rest.registrations).await?;
        let last = place.base | u64::from(u32::MAX);
        let mut columns = Columns::default();
        columns.number(int(place.base)).number(int(last)).number(i64::from(STAGED));
        self.query(HAND_OVER, &columns).await?;
        self.write_events(&rest.events).await?;
        self.run("COMMIT").await
    }
}

/// Numbers of executions that begin in one millisecond, for each slot.
const TURNS: u64 = 4096;

fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

fn attempt_columns(attempts: &[&MovedAttempts]) -> Columns {
    let rows = || attempts.iter();
    let failure = || rows().map(|row| row.last_error.as_deref());
    let text = |get: fn(&Failure) -> Option<&str>| {
        failure().map(move |failure| get(failure?).map(|text| Cow::Owned(text.to_owned())))
    };
    let mut columns = Columns::default();
    columns
        .numbers(rows().map(|row| int(row.seq)))
        .numbers(rows().map(|row| i64::from(row.made)))
        .add(Type::INT8_ARRAY, rows().map(|row| row.due.map(|due| int(due.as_millis()))))
        .texts(text(|failure| Some(failure.kind.code())))
        .texts(text(|failure| Some(&failure.message)))
        .texts(text(|failure| failure.phase.map(Phase::as_str)))
        .texts(rows().map(|row| row.log.as_ref().map(AttemptLog::to_text).map(Cow::Owned)));
    columns
}

fn batch_columns(batch: &MovedBatch) -> Columns {
    let MovedBatch { sealed, shard, records, note, conclusion } = batch;
    let optional = |text: &Option<String>| text.clone().map(Cow::Owned);
    let mut columns = Columns::default();
    columns
        .number(int(sealed.id))
        .number(i64::from(-1 - i32::from(*shard)))
        .text(sealed.lane.kind.name())
        .text(&sealed.lane.key)
        .text(&sealed.name)
        .text(&sealed.reason)
        .number(int(sealed.sealed_at.as_millis()))
        .text(&serde_json::to_string(records).unwrap_or_default())
        .texts([optional(note), optional(conclusion)]);
    columns
}
