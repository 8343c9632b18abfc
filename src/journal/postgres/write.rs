//! One transaction: its statements, each with arrays for all operations of a kind.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::op::{AppendOp, Counts, Ending, Op, Part, ReplayClaim, SettledRow};
use super::params::{Columns, int};
use super::statements::{
    ATTEMPTS, COMMITS, DELIVERIES, DISMISS, ENDS, EXECUTIONS, FORWARDS, INBOX, RESOLVE,
};
use crate::delivery::{Failure, Phase};
use crate::execution::{DeliveryRequest, ExecutionInfo, Logged, LoggedBody, Resolution, Status};
use crate::streams::NewEvent;
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
    /// `true` if another node shows the changes of the log.
    pub is_followed: bool,
}

/// The statements of a transaction.
pub(super) struct Transaction {
    pub statements: Vec<Statement>,
    /// The places of those that dismiss dead letters, in the order of their operations.
    pub dismissals: Range<usize>,
    /// The place of the one that publishes events, if there is one.
    pub events: Option<usize>,
}

/// Returns the statements of a transaction.
pub(super) fn transaction(ops: &[Op], context: &Context<'_>) -> Transaction {
    let mut work = Work::default();
    for op in ops {
        work.add(op, context);
    }
    let mut statements = vec![fence(context)];
    work.claims(&mut statements);
    let dismissals = statements.len()..statements.len() + work.dismissals.len();
    statements.append(&mut work.dismissals);
    work.executions(context, &mut statements);
    work.commits(context, &mut statements);
    work.deliveries(&mut statements);
    work.attempts(&mut statements);
    work.closes(&mut statements);
    statements.append(&mut work.others);
    if !work.ended.is_empty() {
        statements.push(ends(&work.ended, context));
    }
    if context.is_followed {
        statements.extend(super::changes::statement(ops, context.node));
    }
    // Last, so that a transaction waits for nothing while others wait for it.
    statements.append(&mut work.forgotten);
    let has_events = !work.events.is_empty();
    let events = has_events.then_some(statements.len());
    if has_events {
        statements.push(super::events::publish(&work.events, context.channel));
    }
    Transaction { statements, dismissals, events }
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
    executions: BTreeMap<u64, ExecutionChange<'a>>,
    parts: Vec<(u64, &'a Part)>,
    settled: Vec<&'a SettledRow>,
    replays: Vec<ReplayClaim>,
    dismissals: Vec<Statement>,
    forwarded: Vec<Uuid>,
    attempts: BTreeMap<u64, AttemptProgress<'a>>,
    closed: Vec<(i64, bool)>,
    ended: BTreeMap<u64, (i64, Counts)>,
    others: Vec<Statement>,
    events: Vec<&'a NewEvent>,
    forgotten: Vec<Statement>,
}

struct ExecutionChange<'a> {
    info: &'a ExecutionInfo,
    /// `true` for an execution of another node, or of an earlier one.
    is_restored: bool,
    ending: Option<&'a Ending>,
    calls: i64,
    open: i64,
    counts: Counts,
}

/// The state of a call after the transaction.
enum AttemptProgress<'a> {
    None,
    UnderWay(u32),
    Waiting { attempts: u32, due: Timestamp, error: Option<&'a Failure>, log: Option<&'a str> },
}

impl<'a> Work<'a> {
    fn add(&mut self, op: &'a Op, context: &Context<'_>) {
        match op {
            Op::Append(append, _) => self.append(append),
            Op::Settle(row) => {
                self.attempts.insert(row.seq, AttemptProgress::None);
                self.settle(row);
            }
            Op::Lease { seq, attempts, .. } => {
                self.attempts.insert(*seq, AttemptProgress::UnderWay(*attempts));
            }
            Op::Postpone { seq, attempts, due, last_error, attempt_log } => {
                let (attempts, due, error) = (*attempts, *due, last_error.as_deref());
                let log = attempt_log.as_deref();
                self.attempts.insert(*seq, AttemptProgress::Waiting { attempts, due, error, log });
            }
            Op::Close { first_seq, keep } => self.closed.push((int(*first_seq), *keep)),
            Op::Seal { .. } | Op::Note { .. } | Op::Conclude { .. } | Op::Forget { .. } => {
                self.others.extend(super::batches::statement(op, context.node));
            }
            Op::Keep { event, forgotten } => {
                super::records::keep(event, forgotten, &mut self.others);
            }
            Op::Publish { event, .. } => self.events.push(event),
            Op::ForgetEvents(ids) => self.forgotten.push(super::events::forget(ids)),
            Op::Register { changes, .. } => {
                super::records::register(changes, context.channel, &mut self.others);
            }
            Op::Answer { command, result } => {
                self.others.push(super::commands::answer(*command, *result, context.node));
            }
            Op::Dismiss { dead, at, .. } => self.dismiss(dead, *at),
            Op::Sync(_) => {}
        }
    }

    fn append(&mut self, append: &'a AppendOp) {
        let serial = append.execution.serial();
        let row = self.executions.entry(serial).or_insert_with(|| ExecutionChange {
            info: &append.execution.info,
            is_restored: append.execution.is_restored(),
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
        self.forwarded.extend(append.forwards);
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

    fn dismiss(&mut self, dead: &[Uuid], at: Timestamp) {
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, dead.iter().copied()).number(int(at.as_millis()));
        self.dismissals.push((DISMISS, columns));
    }

    /// Claims the deliveries that are repeated, before anything else: their rows are locked before
    /// those of their executions.
    fn claims(&self, statements: &mut Vec<Statement>) {
        if self.replays.is_empty() {
            return;
        }
        let claims = || self.replays.iter();
        let mut columns = Columns::default();
        columns
            .add(Type::UUID_ARRAY, claims().map(|claim| claim.of))
            .add(Type::UUID_ARRAY, claims().map(|claim| claim.replay))
            .texts(claims().map(|claim| Some(before(claim.before).into())));
        statements.push(("SELECT claim($1, $2, $3)", columns));
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
            .numbers(rows().map(|row| if row.is_restored { 0 } else { context.node }))
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
        self.forwards(statements);
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

    /// Notes what is to be forwarded, and takes the notes of what is forwarded.
    fn forwards(&self, statements: &mut Vec<Statement>) {
        let noted = self.settled.iter().filter_map(|row| Some((row.entry.id, row.forwards_in?)));
        let (ids, shards): (Vec<Uuid>, Vec<i32>) =
            noted.map(|(id, shard)| (id, i32::from(shard))).unzip();
        if !ids.is_empty() {
            let mut columns = Columns::default();
            columns.add(Type::UUID_ARRAY, ids).add(Type::INT4_ARRAY, shards);
            statements.push((FORWARDS, columns));
        }
        if !self.forwarded.is_empty() {
            let mut columns = Columns::default();
            columns.add(Type::UUID_ARRAY, self.forwarded.iter().copied());
            statements.push(("SELECT forward($1)", columns));
        }
    }

    fn attempts(&self, statements: &mut Vec<Statement>) {
        let ended =
            self.attempts.iter().filter(|(_, progress)| matches!(progress, AttemptProgress::None));
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
                AttemptProgress::None => None,
                AttemptProgress::UnderWay(attempts) => Some((*seq, *attempts, None, None, None)),
                AttemptProgress::Waiting { attempts, due, error, log } => {
                    Some((*seq, *attempts, Some(*due), *error, *log))
                }
            })
            .collect();
        if rows.is_empty() {
            return;
        }
        let error = |get: fn(&Failure) -> Option<Cow<'_, str>>| {
            rows.iter().map(move |(_, _, _, error, _)| get((*error)?))
        };
        let mut columns = Columns::default();
        columns
            .numbers(rows.iter().map(|(seq, ..)| int(*seq)))
            .numbers(rows.iter().map(|(_, attempts, ..)| i64::from(*attempts)))
            .add(
                Type::INT8_ARRAY,
                rows.iter().map(|(_, _, due, ..)| due.map(|due| int(due.as_millis()))),
            )
            .texts(error(|failure| Some(failure.kind.code().into())))
            .texts(error(|failure| Some(failure.message.as_str().into())))
            .texts(error(|failure| failure.phase.map(|phase| phase.as_str().into())))
            .texts(rows.iter().map(|(.., log)| log.map(Cow::Borrowed)));
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

/// Returns the name of a state for the function `claim`.
const fn before(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Failed => "failed",
        Resolution::Dismissed => "dismissed",
        Resolution::Delivered(_) => "delivered",
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

pub(super) fn delivery_columns(settled: &[&SettledRow]) -> Columns {
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
