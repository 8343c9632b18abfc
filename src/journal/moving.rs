//! Moves a data directory into the journal that the nodes of a fleet share: its log, the calls that wait,
//! their attempts and their sealed batches, kept events and registrations.
//!
//! The directory is read under its lock, in parts. Each part is one transaction, which notes how far the
//! move is, so that one that was ended anywhere goes on there. The last transaction hands over what waits.
//!
//! **Invariant:** an engine that opens the directory refuses from before the first part on, and no node
//! delivers anything of it before the last transaction. So each call has one journal at each time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use uuid::Uuid;

use super::postgres::Target;
use super::sqlite::{Access, Source};
use crate::delivery::Failure;
use crate::egress::Egress;
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{AttemptLog, Entry, ExecutionEnd, ExecutionInfo, Tally};
use crate::postgres::PostgreSqlServer;
use crate::streams::Event;
use crate::time::Timestamp;

/// Deliveries that one statement writes.
const DELIVERIES: usize = 200;
/// Bytes of payloads that one statement writes.
const PAYLOADS: usize = 8 << 20;

/// The options of a move.
#[derive(Debug, Clone)]
pub struct MoveOptions {
    /// The data directory.
    pub directory: PathBuf,
    /// Its key, 32 bytes; `None`: the one in the directory.
    pub directory_key: Option<Vec<u8>>,
    /// The server and the database of the shared journal.
    pub server: PostgreSqlServer,
    /// The authorities to trust instead of the machine's, in PEM.
    pub ca: Option<String>,
    /// The schema of the journal's tables.
    pub schema: String,
    /// The number of shards; `None`: that of the journal.
    pub shards: Option<u16>,
    /// The key of all nodes, 32 bytes.
    pub key: Vec<u8>,
}

impl MoveOptions {
    /// Returns the name of the shared journal, without a user and a password.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{} (schema {})", self.server, self.schema)
    }
}

/// The progress of a move.
#[derive(Debug, Default)]
pub struct MoveProgress {
    /// Executions that are moved.
    pub executions: AtomicU64,
    /// All executions.
    pub total: AtomicU64,
}

/// The state of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MoveState {
    /// Nothing was moved.
    Planned,
    /// Some of it was moved by an earlier command.
    Begun,
    /// Everything was moved.
    Moved,
    /// Everything was moved by an earlier command.
    AlreadyMoved,
}

/// A move, or the plan of one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveReport {
    /// The state.
    pub state: MoveState,
    /// The name of the shared journal.
    pub target: String,
    /// The end of an earlier move.
    pub moved_at: Option<Timestamp>,
    /// The content of the directory.
    #[serde(flatten)]
    pub content: DirectoryContent,
}

/// The content of a data directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryContent {
    /// Executions.
    pub executions: u64,
    /// Deliveries that are terminal.
    pub deliveries: u64,
    /// Calls that wait.
    pub calls: u64,
    /// Sealed batches that wait.
    pub batches: u64,
    /// Pauses.
    pub pauses: u64,
    /// Kept events.
    pub events: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Webhooks.
    pub webhooks: u64,
}

/// An execution that is moved.
#[derive(Debug)]
pub(super) struct MovedExecution {
    /// Its number in the directory.
    pub serial: u64,
    pub info: ExecutionInfo,
    pub end: ExecutionEnd,
    pub tally: Tally,
    pub total: usize,
    /// Its calls that wait.
    pub open: usize,
    pub finished_at: Option<Timestamp>,
}

/// The calls of a commit in one shard.
#[derive(Debug)]
pub(super) struct MovedCommit {
    /// The number of its first call in the shared journal.
    pub first_seq: u64,
    pub shard: u16,
    pub calls: usize,
    /// The number of its execution in the directory.
    pub execution: u64,
    pub seed: u64,
    /// The calls, encoded.
    pub plain: Vec<u8>,
    /// The calls that wait; 0: the payloads are only kept for replays.
    pub open: usize,
    pub attempts: Vec<MovedAttempts>,
}

/// The attempts of a call that waits.
#[derive(Debug)]
pub(super) struct MovedAttempts {
    pub seq: u64,
    pub made: u32,
    /// `None`: one is under way, and its outcome is unknown.
    pub due: Option<Timestamp>,
    pub last_error: Option<std::sync::Arc<Failure>>,
    pub log: Option<AttemptLog>,
}

/// A terminal delivery.
#[derive(Debug)]
pub(super) struct MovedDelivery {
    pub seq: u64,
    /// The number of its execution in the directory.
    pub execution: u64,
    pub entry: Entry,
}

/// A sealed batch.
#[derive(Debug)]
pub(super) struct MovedBatch {
    pub sealed: super::SealedBatch,
    pub shard: u16,
    pub records: Vec<u64>,
    pub note: Option<String>,
    pub conclusion: Option<String>,
}

/// The rest, which is handed over when everything else is moved.
#[derive(Debug, Default)]
pub(super) struct MovedRest {
    pub batches: Vec<MovedBatch>,
    /// Failed deliveries that are to be forwarded, each with the shard of its lane.
    pub forwards: Vec<(Uuid, u16)>,
    /// Registrations by their ids.
    pub registrations: Vec<(String, String)>,
    /// Kept events, in the order of their numbers.
    pub events: Vec<Event>,
}

/// The place of a move in the shared journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct MovePlace {
    pub id: Uuid,
    /// The first number of the calls there.
    pub base: u64,
    /// The first and the last number of the calls in the directory.
    pub numbers: (u64, u64),
    /// The last execution that was moved, by its number in the directory; -1: none.
    pub after: i64,
    pub moved: DirectoryContent,
    pub finished_at: Option<Timestamp>,
}

/// Checks a move, and counts what it would do. Changes nothing. Blocks.
///
/// # Errors
/// `DataDirLocked`, `InvalidOption`, `Journal`.
pub fn plan_move(options: &MoveOptions, egress: Egress) -> Result<MoveReport> {
    let source = Source::open(&options.directory, options.directory_key.as_deref(), Access::Read)?;
    let target = options.target();
    if let Some(report) = finished(&source, &target)? {
        return Ok(report);
    }
    let content = source.content()?;
    let mark = source.mark()?;
    let place = block_on(Target::look(options, egress, mark.as_ref().map(|mark| mark.id)))?;
    let state = if place.is_some() { MoveState::Begun } else { MoveState::Planned };
    Ok(MoveReport { state, target, moved_at: None, content })
}

/// Moves a data directory, or goes on with a move that was ended. Blocks.
///
/// # Errors
/// `DataDirLocked`, `InvalidOption`, `Journal`.
pub fn move_directory(
    options: &MoveOptions,
    egress: Egress,
    progress: &MoveProgress,
) -> Result<MoveReport> {
    let source = Source::open(&options.directory, options.directory_key.as_deref(), Access::Write)?;
    let target = options.target();
    if let Some(report) = finished(&source, &target)? {
        return Ok(report);
    }
    let content = source.content()?;
    progress.total.store(content.executions, Ordering::Relaxed);
    block_on(async {
        let mut opened = Target::open(options, egress).await?;
        let place = begin(&source, &mut opened, &target).await?;
        progress.executions.store(place.moved.executions, Ordering::Relaxed);
        if place.finished_at.is_none() {
            copy(&source, &mut opened, place, progress).await?;
            let moved = opened.moved(place.id).await?;
            check_whole(&content, &moved)?;
            let rest = source.rest(place.base, &|lane| opened.shard_of(lane))?;
            opened.finish(place, &rest).await?;
        }
        Ok(())
    })?;
    source.finish()?;
    Ok(MoveReport { state: MoveState::Moved, target, moved_at: None, content })
}

/// Returns the report of a directory that was moved before.
fn finished(source: &Source, target: &str) -> Result<Option<MoveReport>> {
    let Some(mark) = source.mark()? else { return Ok(None) };
    let Some(at) = mark.finished_at else { return Ok(None) };
    let target = if mark.target.is_empty() { target.to_owned() } else { mark.target };
    let (state, content) = (MoveState::AlreadyMoved, DirectoryContent::default());
    Ok(Some(MoveReport { state, target, moved_at: Some(at), content }))
}

/// Begins a move, first in the directory: its engine refuses from here on.
async fn begin(source: &Source, opened: &mut Target, target: &str) -> Result<MovePlace> {
    let mark = source.mark()?;
    if let Some(mark) = &mark
        && let Some(place) = opened.place(mark.id).await?
    {
        return check_same(source, place);
    }
    if let Some(mark) = mark.filter(|mark| mark.target != target) {
        return Err(Error::new(
            ErrorKind::Journal,
            format!(
                "the move of {} into {} has begun, and {target} does not know of it: name that journal",
                source.path().display(),
                mark.target
            ),
        ));
    }
    let mark = source.begin(target)?;
    let name = source.path().display().to_string();
    opened.begin(mark.id, &name, source.numbers()?).await
}

/// Refuses a directory that is not as it was when its move began.
fn check_same(source: &Source, place: MovePlace) -> Result<MovePlace> {
    if place.finished_at.is_some() || source.numbers()? == place.numbers {
        return Ok(place);
    }
    let message = format!(
        "the directory {} is not as it was when its move began: a copy was put back. Move the same state \
         of it",
        source.path().display()
    );
    Err(Error::new(ErrorKind::Journal, message))
}

/// Copies what is left of the executions, with their commits and deliveries.
async fn copy(
    source: &Source,
    target: &mut Target,
    place: MovePlace,
    progress: &MoveProgress,
) -> Result<()> {
    let mut after = place.after;
    loop {
        let executions = source.executions(after)?;
        let Some(last) = executions.last().map(|execution| execution.serial.cast_signed()) else {
            return Ok(());
        };
        let days: BTreeSet<u64> = source.days(after, last)?;
        target.make_partitions(&days).await?;
        target.begin_part(place, after, last).await?;
        target.write_executions(place, &executions).await?;
        let mut calls = 0;
        let mut numbering = source.numbering(place.base)?;
        let mut part = Vec::new();
        for first_seq in source.commits(after, last)? {
            let shard_of = |lane: &super::Lane| target.shard_of(lane);
            part.extend(source.commit(first_seq, &mut numbering, &shard_of)?);
            if part.iter().map(|commit| commit.plain.len()).sum::<usize>() >= PAYLOADS {
                calls += target.write_commits(&std::mem::take(&mut part)).await?;
            }
        }
        calls += target.write_commits(&part).await?;
        let (mut deliveries, mut from) = (0, (after, i64::MAX));
        loop {
            let rows = source.deliveries(from, last, DELIVERIES, &numbering)?;
            let Some((next, _)) = rows.last() else { break };
            from = *next;
            deliveries += rows.len() as u64;
            let rows: Vec<MovedDelivery> = rows.into_iter().map(|(_, row)| row).collect();
            target.write_deliveries(rows).await?;
        }
        let executions = executions.len() as u64;
        let part = DirectoryContent { executions, deliveries, calls, ..Default::default() };
        target.end_part(place.id, &part).await?;
        progress.executions.fetch_add(executions, Ordering::Relaxed);
        after = last;
    }
}

/// Refuses to hand over less than everything.
fn check_whole(content: &DirectoryContent, moved: &DirectoryContent) -> Result<()> {
    let of = |content: &DirectoryContent| (content.executions, content.deliveries, content.calls);
    if of(content) == of(moved) {
        return Ok(());
    }
    let [has, got] = [content, moved].map(|content| {
        let (executions, deliveries, calls) = of(content);
        format!("{executions} executions, {deliveries} deliveries and {calls} waiting calls")
    });
    let message = format!(
        "the directory has {has}, but {got} were moved: it is damaged, or it was changed. Nothing of it \
         is delivered"
    );
    Err(Error::new(ErrorKind::Journal, message))
}

/// Runs a future to its end, on a runtime of its own.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failed = |error| {
        Error::new(ErrorKind::Internal, "the runtime of the move could not start")
            .with_source(error)
    };
    runtime.map_err(failed)?.block_on(work)
}
