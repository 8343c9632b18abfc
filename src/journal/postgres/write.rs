//! One transaction: its statements, each with arrays for all operations of a kind.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{BoxFuture, MaybeDone, maybe_done, poll_fn};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::op::{AppendOp, Counts, Ending, Op, Part, SettledRow};
use super::params::{Columns, int};
use crate::delivery::{Failure, Phase};
use crate::execution::{DeliveryRequest, ExecutionInfo, Logged, LoggedBody, Status};
use crate::time::Timestamp;

/// A statement and its parameters.
pub(super) type Statement = (&'static str, Columns);

/// What the statements of a transaction depend on beside its operations.
pub(super) struct Context<'a> {
    pub node: i64,
    pub number: i64,
    pub lease_millis: i64,
    /// The channel on which other nodes are notified.
    pub channel: &'a str,
    /// The shards of this node.
    pub owned: &'a HashSet<u16>,
}

/// Runs a transaction whose statements are sent at once. Returns the first error.
///
/// # Errors
/// The error of the first statement that failed, or of the commit.
pub(super) async fn run(
    client: &Client,
    begin: &str,
    statements: &[Statement],
) -> Result<(), Error> {
    let params: Vec<_> = statements.iter().map(|(_, columns)| columns.params()).collect();
    let mut sent: Vec<MaybeDone<BoxFuture<'_, Result<(), Error>>>> = Vec::new();
    sent.push(maybe_done(Box::pin(client.batch_execute(begin))));
    for ((sql, _), params) in statements.iter().zip(&params) {
        let run = async { client.query_typed(sql, params.values()).await.map(drop) };
        sent.push(maybe_done(Box::pin(run)));
    }
    sent.push(maybe_done(Box::pin(client.batch_execute("COMMIT"))));
    // Each is sent when it is polled first: in this order.
    poll_fn(|context| {
        let mut is_ready = true;
        for one in &mut sent {
            is_ready &= Pin::new(one).poll(context).is_ready();
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    sent.iter_mut().filter_map(|one| Pin::new(one).take_output()).collect()
}

/// Returns the statements of a transaction.
pub(super) fn statements(ops: &[Op], context: &Context<'_>) -> Vec<Statement> {
    let mut work = Work::default();
    for op in ops {
        work.add(op);
    }
    let mut statements = vec![fence(context)];
    work.executions(context, &mut statements);
    work.commits(context, &mut statements);
    work.deliveries(&mut statements);
    work.attempts(&mut statements);
    work.closes(&mut statements);
    statements.append(&mut work.others);
    if !work.ended.is_empty() {
        statements.push(ends(&work.ended, context));
    }
    statements
}

/// Returns the statement that renews the lease, and ends the transaction of a node that was replaced.
pub(super) fn fence(context: &Context<'_>) -> Statement {
    let mut columns = Columns::default();
    columns.number(context.node).number(context.number).number(context.lease_millis);
    ("SELECT fence($1, $2, $3)", columns)
}

/// The operations of a transaction, by their kinds.
#[derive(Default)]
struct Work<'a> {
    executions: BTreeMap<u64, ExecutionRow<'a>>,
    parts: Vec<(u64, &'a Part)>,
    settled: Vec<&'a SettledRow>,
    replays: Vec<(Uuid, Uuid)>,
    attempts: BTreeMap<u64, Progress<'a>>,
    closed: Vec<(i64, bool)>,
    ended: BTreeMap<u64, (i64, Counts)>,
    others: Vec<Statement>,
}

struct ExecutionRow<'a> {
    info: &'a ExecutionInfo,
    ending: Option<&'a Ending>,
    calls: i64,
    open: i64,
    counts: Counts,
}

/// The state of a call after the transaction.
enum Progress<'a> {
    None,
    UnderWay(u32),
    Waiting { attempts: u32, due: Timestamp, error: Option<&'a Failure> },
}

impl<'a> Work<'a> {
    fn add(&mut self, op: &'a Op) {
        match op {
            Op::Append(append, _) => self.append(append),
            Op::Settle(row) => {
                self.attempts.insert(row.seq, Progress::None);
                self.settle(row);
            }
            Op::Lease { seq, attempts, .. } => {
                self.attempts.insert(*seq, Progress::UnderWay(*attempts));
            }
            Op::Postpone { seq, attempts, due, last_error } => {
                let (attempts, due, error) = (*attempts, *due, last_error.as_deref());
                self.attempts.insert(*seq, Progress::Waiting { attempts, due, error });
            }
            Op::Close { first_seq, keep } => self.closed.push((int(*first_seq), *keep)),
            Op::Taken(parts) => {
                let mut columns = Columns::default();
                columns.numbers(parts.iter().map(|part| int(*part)));
                self.others.push(("DELETE FROM inbox WHERE first_seq = ANY($1)", columns));
            }
            Op::Seal { .. } | Op::Note { .. } | Op::Conclude { .. } | Op::Forget { .. } => {
                self.others.extend(super::batches::statement(op));
            }
            Op::Keep { event, forgotten } => {
                super::records::keep(event, forgotten, &mut self.others);
            }
            Op::Register { changes, .. } => super::records::register(changes, &mut self.others),
            Op::Dismiss { dead, at, .. } => self.dismiss(dead, *at),
            Op::Sync(_) => {}
        }
    }

    fn append(&mut self, append: &'a AppendOp) {
        let serial = append.execution.serial();
        let row = self.executions.entry(serial).or_insert_with(|| ExecutionRow {
            info: &append.execution.info,
            ending: None,
            calls: 0,
            open: 0,
            counts: Counts::default(),
        });
        row.ending = row.ending.or(append.ending.as_ref());
        row.calls += append.calls;
        row.open += append.open;
        row.counts += append.counts;
        self.parts.extend(append.parts.iter().map(|part| (serial, part)));
        self.replays.extend(&append.replays);
        append.settled.iter().for_each(|row| self.settle(row));
    }

    fn settle(&mut self, row: &'a SettledRow) {
        self.settled.push(row);
        if let Some(counts) = row.counts {
            let ended = self.ended.entry(row.execution).or_default();
            ended.0 += 1;
            ended.1 += counts;
        }
    }

    fn dismiss(&mut self, dead: &[(u64, Uuid)], at: Timestamp) {
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, dead.iter().map(|(_, id)| *id)).number(int(at.as_millis()));
        self.others.push((DISMISS, columns));
    }

    fn executions(&self, context: &Context<'_>, statements: &mut Vec<Statement>) {
        if self.executions.is_empty() {
            return;
        }
        let rows = || self.executions.values();
        let text = |text: &'a str| Some(Cow::Borrowed(text));
        let mut columns = Columns::default();
        columns
            .numbers(self.executions.keys().map(|serial| int(*serial)))
            .texts(rows().map(|row| text(&row.info.execution_id)))
            .texts(rows().map(|row| text(&row.info.workflow_id)))
            .numbers(rows().map(|row| i64::from(row.info.attempt)))
            .numbers(rows().map(|row| int(row.info.started_at.as_millis())))
            .numbers(rows().map(|row| i64::from(row.info.emit_depth)))
            .texts(rows().map(|row| row.info.trace.as_ref().map(|trace| trace.to_text().into())))
            .texts(rows().map(|row| row.ending.map(|ending| ending.how.into())))
            .add(Type::INT8_ARRAY, rows().map(|row| Some(int(row.ending?.at.as_millis()))))
            .texts(rows().map(|row| text(row.ending?.error.as_deref()?)))
            .numbers(rows().map(|row| row.calls))
            .numbers(rows().map(|row| row.open))
            .numbers(rows().map(|row| row.counts.failed))
            .numbers(rows().map(|row| row.counts.discarded))
            .numbers(rows().map(|row| row.counts.dismissed))
            .number(context.node)
            .number(int(Timestamp::now().as_millis()))
            .texts(rows().map(|row| text(row.info.trigger.as_deref()?)))
            .texts(rows().map(|row| text(row.ending?.message.as_deref()?)));
        statements.push((EXECUTIONS, columns));
    }

    fn commits(&self, context: &Context<'_>, statements: &mut Vec<Statement>) {
        if self.parts.is_empty() {
            return;
        }
        let parts = || self.parts.iter();
        let mut columns = Columns::default();
        columns
            .numbers(parts().map(|(_, part)| int(part.first_seq)))
            .add(Type::INT4_ARRAY, parts().map(|(_, part)| i32::from(part.shard)))
            .numbers(parts().map(|(_, part)| part.calls.cast_signed() as i64))
            .numbers(parts().map(|(serial, _)| int(*serial)))
            .numbers(parts().map(|(_, part)| int(part.seed)))
            .add(Type::BYTEA_ARRAY, parts().map(|(_, part)| part.ciphertext.clone()));
        statements.push((COMMITS, columns));
        let others = || parts().filter(|(_, part)| !context.owned.contains(&part.shard));
        if others().next().is_some() {
            let mut columns = Columns::default();
            columns
                .numbers(others().map(|(_, part)| int(part.first_seq)))
                .add(Type::INT4_ARRAY, others().map(|(_, part)| i32::from(part.shard)))
                .text(context.channel);
            statements.push((INBOX, columns));
        }
    }

    fn deliveries(&self, statements: &mut Vec<Statement>) {
        if !self.settled.is_empty() {
            statements.push((DELIVERIES, delivery_columns(&self.settled)));
        }
        if !self.replays.is_empty() {
            let mut columns = Columns::default();
            columns
                .add(Type::UUID_ARRAY, self.replays.iter().map(|(id, _)| *id))
                .add(Type::UUID_ARRAY, self.replays.iter().map(|(_, replay)| *replay));
            statements.push((REPLAYS, columns));
        }
        let resolved = self.settled.iter().filter_map(|row| {
            let call = row.entry.call_state.as_ref()?.call?;
            (row.entry.status == Status::Delivered).then_some((call, row.entry.id))
        });
        for (call, by) in resolved {
            let mut columns = Columns::default();
            columns.add(Type::UUID_ARRAY, [call]).add(Type::UUID_ARRAY, [by]);
            statements.push((RESOLVE, columns));
        }
    }

    fn attempts(&self, statements: &mut Vec<Statement>) {
        let ended = self.attempts.iter().filter(|(_, progress)| matches!(progress, Progress::None));
        let ended: Vec<i64> = ended.map(|(seq, _)| int(*seq)).collect();
        if !ended.is_empty() {
            let mut columns = Columns::default();
            columns.numbers(ended);
            statements.push(("DELETE FROM attempts WHERE seq = ANY($1)", columns));
        }
        let rows: Vec<_> = self
            .attempts
            .iter()
            .filter_map(|(seq, progress)| match progress {
                Progress::None => None,
                Progress::UnderWay(attempts) => Some((*seq, *attempts, None, None)),
                Progress::Waiting { attempts, due, error } => {
                    Some((*seq, *attempts, Some(*due), *error))
                }
            })
            .collect();
        if rows.is_empty() {
            return;
        }
        let error = |get: fn(&Failure) -> Option<Cow<'_, str>>| {
            rows.iter().map(move |(_, _, _, error)| get((*error)?))
        };
        let mut columns = Columns::default();
        columns
            .numbers(rows.iter().map(|(seq, ..)| int(*seq)))
            .numbers(rows.iter().map(|(_, attempts, ..)| i64::from(*attempts)))
            .add(
                Type::INT8_ARRAY,
                rows.iter().map(|(_, _, due, _)| due.map(|due| int(due.as_millis()))),
            )
            .texts(error(|failure| Some(failure.kind.code().into())))
            .texts(error(|failure| Some(failure.message.as_str().into())))
            .texts(error(|failure| failure.phase.map(|phase| phase.as_str().into())));
        statements.push((ATTEMPTS, columns));
    }

    fn closes(&self, statements: &mut Vec<Statement>) {
        for (keep, sql) in [
            (false, "DELETE FROM commits WHERE first_seq = ANY($1)"),
            (true, "UPDATE commits SET is_open = false WHERE first_seq = ANY($1)"),
        ] {
            let closed: Vec<_> =
                self.closed.iter().filter(|(_, kept)| *kept == keep).map(|(seq, _)| *seq).collect();
            if !closed.is_empty() {
                let mut columns = Columns::default();
                columns.numbers(closed);
                statements.push((sql, columns));
            }
        }
    }
}

/// Returns the statement that counts terminal deliveries, and recognises the ends of executions.
fn ends(ended: &BTreeMap<u64, (i64, Counts)>, context: &Context<'_>) -> Statement {
    let mut columns = Columns::default();
    columns
        .numbers(ended.keys().map(|serial| int(*serial)))
        .numbers(ended.values().map(|(open, _)| *open))
        .numbers(ended.values().map(|(_, counts)| counts.delivered))
        .numbers(ended.values().map(|(_, counts)| counts.failed))
        .number(int(Timestamp::now().as_millis()))
        .number(context.node)
        .text(context.channel);
    (ENDS, columns)
}

fn delivery_columns(settled: &[&SettledRow]) -> Columns {
    let rows = || settled.iter().map(|row| &row.entry);
    let text = |text: &'static str| Some(Cow::Borrowed(text));
    let failure = || rows().map(|entry| entry.failure.as_deref());
    let state = || rows().map(|entry| entry.call_state.as_deref());
    let attempts = rows().map(|entry| entry.attempt_log.as_deref());
    let mut columns = Columns::default();
    columns
        .add(Type::UUID_ARRAY, rows().map(|entry| entry.id))
        .numbers(rows().map(|entry| i64::from(entry.index)))
        .texts(rows().map(|entry| Some(Cow::Borrowed(&*entry.step))))
        .texts(rows().map(|entry| text(entry.kind.name())))
        .texts(rows().map(|entry| text(entry.status.as_str())))
        .numbers(rows().map(|entry| i64::from(entry.attempts)))
        .numbers(rows().map(|entry| int(entry.recorded_at.as_millis())))
        .numbers(rows().map(|entry| int(entry.settled_at.unwrap_or_default().as_millis())));
    let request = |entry: &'_ crate::execution::Entry| match &entry.request {
        DeliveryRequest::Sent(request) => Some(request.clone()),
        // A call that was never shown: what it holds may be secret.
        DeliveryRequest::Recorded(_) => None,
    };
    side(&mut columns, rows().map(request), Some("{}"));
    side(&mut columns, rows().map(|entry| entry.response.as_deref().cloned()), None);
    columns
        .texts(failure().map(|failure| text(failure?.kind.code())))
        .texts(failure().map(|failure| Some(Cow::Borrowed(failure?.message.as_str()))))
        .texts(failure().map(|failure| failure?.phase.map(Phase::as_str).map(Cow::Borrowed)))
        .add(Type::UUID_ARRAY, state().map(|state| state?.replay_of))
        .add(Type::UUID_ARRAY, state().map(|state| state?.call))
        .add(Type::UUID_ARRAY, state().map(|state| state?.resolved_by))
        .numbers(settled.iter().map(|row| int(row.seq)))
        .numbers(settled.iter().map(|row| int(row.execution)))
        .texts(settled.iter().map(|row| row.warnings.as_deref().map(Cow::Borrowed)))
        .texts(attempts.map(|log| log.map(|log| Cow::Owned(log.to_text()))));
    columns
}

/// Adds the columns of one side of exchanges.
fn side(columns: &mut Columns, sides: impl Iterator<Item = Option<Logged>>, absent: Option<&str>) {
    let sides: Vec<Option<Logged>> = sides.collect();
    let body = || sides.iter().map(|side| side.as_ref().and_then(Logged::body));
    let head = |side: &Option<Logged>| match side {
        Some(side) => Some(Cow::Owned(side.head().into_owned())),
        None => absent.map(|absent| Cow::Owned(absent.to_owned())),
    };
    columns
        .texts(sides.iter().map(head))
        .add(Type::BYTEA_ARRAY, body().map(|body| body.map(|body| body.bytes().to_vec())))
        .add(Type::INT8_ARRAY, body().map(|body| body.map(|body| int(body.total()))))
        .add(Type::BOOL_ARRAY, body().map(|body| body.map(LoggedBody::is_complete)));
}

const DELIVERIES: &str = "
    INSERT INTO deliveries (id, call_index, step, destination, status, attempts, recorded_at,
        settled_at, request, request_body, request_body_bytes, request_body_complete, response,
        response_body, response_body_bytes, response_body_complete, error_code, error_message,
        error_phase, replay_of, call, resolved_by, seq, execution, warnings, attempt_log)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[],
        $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::bytea[], $11::bigint[],
        $12::boolean[], $13::text[], $14::bytea[], $15::bigint[], $16::boolean[], $17::text[],
        $18::text[], $19::text[], $20::uuid[], $21::uuid[], $22::uuid[], $23::bigint[],
        $24::bigint[], $25::text[], $26::text[])
    ON CONFLICT (id) DO NOTHING";

const EXECUTIONS: &str = "
    INSERT INTO executions AS e (serial, execution_id, workflow_id, attempt, started_at, emit_depth,
        trace, ended, completed_at, error, total, open, failed, discarded, dismissed, trigger,
        message, node, finished_at)
    SELECT serial, execution_id, workflow_id, attempt, started_at, emit_depth, trace, ended,
        completed_at, error, total, open, failed, discarded, dismissed, trigger, message, $16,
        CASE WHEN ended IS NOT NULL AND open = 0 THEN $17 END
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::text[], $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[],
        $13::bigint[], $14::bigint[], $15::bigint[], $18::text[], $19::text[])
        AS d (serial, execution_id, workflow_id, attempt, started_at, emit_depth, trace, ended,
            completed_at, error, total, open, failed, discarded, dismissed, trigger, message)
    ON CONFLICT (serial) DO UPDATE SET
        ended = coalesce(e.ended, excluded.ended),
        completed_at = coalesce(e.completed_at, excluded.completed_at),
        error = coalesce(e.error, excluded.error),
        message = coalesce(e.message, excluded.message),
        total = e.total + excluded.total,
        open = e.open + excluded.open,
        failed = e.failed + excluded.failed,
        discarded = e.discarded + excluded.discarded,
        dismissed = e.dismissed + excluded.dismissed,
        node = CASE WHEN e.ended IS NULL THEN excluded.node ELSE e.node END,
        finished_at = CASE WHEN coalesce(e.ended, excluded.ended) IS NOT NULL
            AND e.open + excluded.open = 0 THEN $17 END";

const COMMITS: &str = "
    INSERT INTO commits (first_seq, shard, calls, execution, seed, sealed)
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::bytea[])";

/// The parts of other nodes, which are notified once.
const INBOX: &str = "
    WITH added AS (
        INSERT INTO inbox (first_seq, shard) SELECT * FROM unnest($1::bigint[], $2::int[])
    )
    SELECT pg_notify($3, 'calls')";

const REPLAYS: &str = "
    UPDATE deliveries d SET replayed_by = r.replay
    FROM unnest($1::uuid[], $2::uuid[]) AS r (id, replay)
    WHERE d.id = r.id AND d.id = ANY($1::uuid[])";

const RESOLVE: &str = "
    UPDATE deliveries SET resolved_by = ($2::uuid[])[1]
    WHERE (id = ($1::uuid[])[1] OR call = ($1::uuid[])[1])
        AND status = 'failed' AND resolved_by IS NULL";

const DISMISS: &str = "
    WITH gone AS (
        UPDATE deliveries SET dismissed_at = $2 WHERE id = ANY($1::uuid[]) AND status = 'failed'
            AND replayed_by IS NULL AND resolved_by IS NULL AND dismissed_at IS NULL
        RETURNING execution
    ), counted AS (SELECT execution, count(*) AS n FROM gone GROUP BY execution)
    UPDATE executions e SET failed = e.failed - c.n, dismissed = e.dismissed + c.n
    FROM counted c WHERE e.serial = c.execution";

const ATTEMPTS: &str = "
    INSERT INTO attempts AS a (seq, attempts, is_under_way, due_at, error_code, error_message,
        error_phase)
    SELECT seq, attempts, due_at IS NULL, due_at, error_code, error_message, error_phase
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[])
        AS d (seq, attempts, due_at, error_code, error_message, error_phase)
    ON CONFLICT (seq) DO UPDATE SET
        attempts = excluded.attempts,
        is_under_way = excluded.is_under_way,
        due_at = excluded.due_at,
        error_phase = CASE WHEN excluded.error_code IS NULL THEN a.error_phase
            ELSE excluded.error_phase END,
        error_message = coalesce(excluded.error_message, a.error_message),
        error_code = coalesce(excluded.error_code, a.error_code)";

/// Counts terminal deliveries. The last one finishes its execution, whichever node made it; the node
/// that recorded it is notified.
const ENDS: &str = "
    WITH counted AS (
        UPDATE executions e SET
            open = e.open - d.n,
            delivered = e.delivered + d.delivered,
            failed = e.failed + d.failed,
            finished_at = CASE WHEN e.open - d.n <= 0 AND e.ended IS NOT NULL THEN $5
                ELSE e.finished_at END
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
            AS d (serial, n, delivered, failed)
        WHERE e.serial = d.serial AND e.serial = ANY($1::bigint[])
        RETURNING e.node, e.finished_at
    )
    SELECT pg_notify($7, 'ends') FROM counted
    WHERE finished_at IS NOT NULL AND node <> $6 LIMIT 1";
