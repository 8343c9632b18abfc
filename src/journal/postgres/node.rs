//! The thread of the journal: it writes, renews the lease and looks after the shards.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::answers::{answer, answer_taken, expire, refuse};
use super::connect::connect_to;
use super::error::{Trouble, journal};
use super::op::Op;
use super::ownership::Ownership;
use super::session::WriterSession;
use super::write::{Context, transaction};
use super::{Callbacks, Options, Params, Shared, events, poll, schema, shares};
use crate::error::{Error, Result};
use crate::execution::{ExecutionLog, Retention};
use crate::journal::crypto::Cipher;
use crate::journal::{Incident, MemoryJournal};
use crate::postgres::Connector;
use crate::time::fleet;

/// The time between two looks at shards that are to be given back.
const DRAINED: Duration = Duration::from_millis(100);
/// The wait before a connection or a transaction is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Bits of a call's number that one opening gives.
pub(super) const BLOCK_BITS: u32 = 32;

/// Starts the thread. Returns when the journal is open there.
pub(super) fn start(
    options: Options,
    cipher: Cipher,
    connector: Connector,
    callbacks: Callbacks,
) -> Result<(Arc<Shared>, JoinHandle<()>)> {
    let (opened, opening) = mpsc::channel();
    let thread = std::thread::Builder::new().name("dollar-send-journal".to_owned());
    let thread = thread.spawn(move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
            let _ = opened.send(Err(journal("the journal's runtime could not start")));
            return;
        };
        runtime.block_on(async {
            match NodeThread::open(options, cipher, connector, callbacks).await {
                Err(error) => drop(opened.send(Err(error))),
                Ok(node) => {
                    let shared = Arc::clone(&node.shared);
                    let tasks = poll::start(&shared);
                    let _ = opened.send(Ok(shared));
                    node.run().await;
                    for task in tasks {
                        task.abort();
                    }
                }
            }
        });
    });
    let failed = |error| journal("the journal's thread could not start").with_source(error);
    let thread = thread.map_err(failed)?;
    let shared = opening.recv().map_err(|_| journal("the journal's thread ended"))??;
    Ok((shared, thread))
}

/// This node, as its thread sees it.
pub(super) struct NodeThread {
    pub shared: Arc<Shared>,
    session: Option<WriterSession>,
    /// The number of the last transaction.
    pub number: i64,
    /// The number of a transaction that may be committed or not.
    pub unknown: Option<i64>,
    next_care: Instant,
    /// Draining shards of which nothing is under way, each with the number of operations that were queued
    /// by then.
    pub idle: HashMap<u16, u64>,
    /// `true` after a trouble was reported, until a transaction succeeds.
    is_troubled: bool,
    /// `true` after a wrong clock was reported, until it is right.
    has_wrong_clock: bool,
}

impl NodeThread {
    pub(super) async fn open(
        options: Options,
        cipher: Cipher,
        connector: Connector,
        callbacks: Callbacks,
    ) -> Result<Self> {
        let within = |error: Error| error.within("Engine.open()");
        let (client, is_server) = connect_to(&connector).await.map_err(within)?;
        let named = schema::Named { schema: &options.schema, shards: Some(options.shards) };
        let id = schema::open(&client, named, &cipher).await?.block;
        ExecutionLog::number_in_slot(id.cast_unsigned());
        let shared = Arc::new(shared(id, options, cipher, connector, callbacks));
        let session = WriterSession::new(client, is_server, &shared.session).await;
        let session = session.map_err(|error| super::error::failed(&error))?;
        let now = Instant::now();
        let mut node = Self {
            shared,
            session: Some(session),
            number: 0,
            unknown: None,
            next_care: now,
            idle: HashMap::new(),
            is_troubled: false,
            has_wrong_clock: false,
        };
        let failed = |trouble| match trouble {
            Trouble::Replaced => super::error::replaced(),
            Trouble::Broken(error) | Trouble::Refused(error) => error,
            Trouble::Contended | Trouble::Taken(_) => journal("the journal could not be opened"),
        };
        // First: it may take longer than a lease.
        node.shared.upkeep(node.client().map_err(failed)?).await;
        node.register(id).await.map_err(failed)?;
        let cared = match node.care().await {
            Err(Trouble::Replaced) => node.replace(&mut Vec::new()).await,
            cared => cared,
        };
        cared.map_err(failed)?;
        Ok(node)
    }

    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            tokio::select! {
                biased;
                () = shared.ops.due() => {}
                () = tokio::time::sleep_until(self.next_care.into()) => {}
            }
            if !shared.ops.is_empty() {
                self.write().await;
            }
            if shared.ops.is_closed() {
                if shared.ops.is_empty() || self.is_troubled {
                    break;
                }
                continue;
            }
            if Instant::now() >= self.next_care {
                let cared = self.care_all().await;
                self.recover_from(cared).await;
            }
        }
        if self.session.is_some() {
            // What it leaves is taken at once, not after its lease.
            let _ = shared.answered(shared.options.silence(), shares::leave(&mut self)).await;
        }
    }

    async fn care_all(&mut self) -> std::result::Result<(), Trouble> {
        self.connect().await?;
        let shared = Arc::clone(&self.shared);
        shared.answered(shared.options.silence(), self.care()).await?;
        Ok(())
    }

    /// Renews the lease, takes shards and gives some back.
    async fn care(&mut self) -> std::result::Result<(), Trouble> {
        shares::care(self).await?;
        self.shared.forget_events();
        self.note_clock();
        let renewal = self.shared.options.lease / 4;
        let drains = !self.shared.ownership().draining.is_empty();
        self.next_care = Instant::now() + if drains { renewal.min(DRAINED) } else { renewal };
        Ok(())
    }

    /// Returns the connection.
    pub(super) fn client(&self) -> std::result::Result<&Client, Trouble> {
        self.session().map(WriterSession::client)
    }

    fn session(&self) -> std::result::Result<&WriterSession, Trouble> {
        let away = || Trouble::Broken(journal("the journal in PostgreSQL is not reachable"));
        let session = self.session.as_ref();
        session.filter(|session| !session.client().is_closed()).ok_or_else(away)
    }

    /// Writes the operations that wait, in one transaction, as soon as that is possible.
    async fn write(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut batch = shared.ops.take();
        // An earlier transaction says nothing of these, also if its outcome is unknown.
        self.unknown = None;
        while !batch.is_empty() {
            let written = self.write_batch(&mut batch).await;
            let Err(trouble) = written else {
                self.is_troubled = false;
                return;
            };
            let is_closed = shared.ops.is_closed();
            self.handle(&mut batch, trouble).await;
            if is_closed && self.is_troubled {
                batch.drain(..).for_each(|op| op.answer(Err(super::error::closed())));
                return;
            }
        }
    }

    async fn write_batch(&mut self, batch: &mut Vec<Op>) -> std::result::Result<(), Trouble> {
        self.connect().await?;
        let shared = Arc::clone(&self.shared);
        shared.answered(shared.options.silence(), self.write_open(batch)).await
    }

    async fn write_open(&mut self, batch: &mut Vec<Op>) -> std::result::Result<(), Trouble> {
        if let Some(number) = self.unknown {
            if self.was_committed(number).await? {
                self.committed_late(batch).await?;
                self.unknown = None;
                return Ok(());
            }
            // The callers of these were refused.
            batch.retain(|op| !matches!(op, Op::Append(_, None)));
            self.unknown = None;
        }
        let held = self.shared.ownership().held.clone();
        let draining = self.shared.ownership().draining.clone();
        let owned: HashSet<u16> =
            held.keys().copied().filter(|shard| !draining.contains(shard)).collect();
        self.number += 1;
        let begun = Instant::now();
        let context = Context {
            node: self.shared.ownership().node,
            number: self.number,
            lease_millis: millis(self.shared.options.lease),
            channel: &self.shared.channel,
            owned: &owned,
            is_followed: self.shared.others_follow.load(Ordering::Acquire),
        };
        let transaction = transaction(batch, &context);
        self.unknown = Some(self.number);
        let result = self.session()?.run(&self.shared.begin, &transaction.statements).await;
        let rows = result.map_err(Trouble::from).inspect_err(|trouble| {
            self.unknown = self.unknown.filter(|_| matches!(trouble, Trouble::Broken(_)));
        })?;
        self.unknown = None;
        self.renewed(begun);
        self.shared.note_closed(batch);
        let mut published = transaction.events.map(|place| rows[place].iter());
        let mut dismissed = rows[transaction.dismissals].iter();
        let epoch = |shard| held.get(&shard).copied().filter(|_| owned.contains(&shard));
        for op in std::mem::take(batch) {
            match op {
                Op::Dismiss { waiter, .. } => {
                    let rows = dismissed.next().into_iter().flatten();
                    let _ = waiter.answer.send(Ok(rows.map(|row| row.get(0)).collect()));
                }
                Op::Publish { waiter, .. } => {
                    let row = published.as_mut().and_then(Iterator::next);
                    let missing = || Err(super::error::damaged("events"));
                    let _ = waiter.answer.send(row.map_or_else(missing, events::numbered));
                }
                op => answer(op, epoch),
            }
        }
        if published.is_some() {
            // A pooler passes no notifications on.
            self.shared.look_for_signals();
        }
        Ok(self.session()?.keep(&transaction.statements).await?)
    }

    /// Notes that the lease was renewed by a transaction that began then.
    pub(super) fn renewed(&self, begun: Instant) {
        // A part of the lease is left for what is on its way.
        let lease = self.shared.options.lease;
        let mut ownership = self.shared.ownership();
        let was_valid = ownership.is_valid();
        ownership.renewed_at = begun;
        ownership.valid_until = begun + lease.saturating_sub(lease / 8);
        drop(ownership);
        if !was_valid {
            self.shared.wake_all();
        }
    }

    /// Deals with a trouble, and waits a moment.
    pub(super) async fn handle(&mut self, batch: &mut Vec<Op>, trouble: Trouble) {
        match trouble {
            Trouble::Replaced => {
                let shared = Arc::clone(&self.shared);
                let replaced = shared.answered(shared.options.silence(), self.replace(batch)).await;
                if let Err(trouble) = replaced {
                    if matches!(trouble, Trouble::Broken(_)) {
                        self.session = None;
                    }
                    self.note(&trouble);
                }
            }
            Trouble::Broken(_) => {
                self.session = None;
                self.note(&trouble);
            }
            Trouble::Refused(ref error) => {
                self.note(&trouble);
                // It may refuse the question what became of them, too.
                if self.unknown.is_none() {
                    refuse(batch, error);
                }
            }
            Trouble::Taken(ref taken) => answer_taken(batch, taken),
            // The other transaction goes first.
            Trouble::Contended => {}
        }
        let patience = self.shared.options.patience;
        let away = || {
            journal(format!(
                "the journal in PostgreSQL was not reachable for {} ms (journal.patienceMs): \
                 nothing was stored",
                patience.as_millis()
            ))
        };
        expire(batch, patience, self.unknown.is_some(), &away);
        self.shared.ops.expire(patience, away);
        if self.is_troubled {
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn recover_from(&mut self, result: std::result::Result<(), Trouble>) {
        if let Err(trouble) = result {
            self.handle(&mut Vec::new(), trouble).await;
        }
    }

    /// Reports a trouble once.
    fn note(&mut self, trouble: &Trouble) {
        if let Trouble::Broken(error) | Trouble::Refused(error) = trouble
            && !std::mem::replace(&mut self.is_troubled, true)
        {
            self.shared.report(Incident::Trouble(error));
        }
    }

    /// Reports once that the clock of this machine is wrong.
    fn note_clock(&mut self) {
        let error = fleet::error();
        let was_wrong = std::mem::replace(&mut self.has_wrong_clock, error.is_some());
        if let Some(ahead) = error.filter(|_| !was_wrong) {
            self.shared.report(Incident::ClockDiffers(ahead));
        }
    }

    /// Goes on as another node: others have the shards of this one.
    async fn replace(&mut self, batch: &mut Vec<Op>) -> std::result::Result<(), Trouble> {
        let all: HashSet<u16> = self.shared.ownership().held.keys().copied().collect();
        self.shared.let_go(&all);
        self.shared.ops.drop_owners();
        let (dropped, rest) = std::mem::take(batch).into_iter().partition(Op::is_owners);
        *batch = rest;
        let dropped: Vec<Op> = dropped;
        for op in dropped {
            op.answer(Err(super::error::replaced()));
        }
        let client = self.client()?;
        client.batch_execute(&self.shared.begin).await?;
        let take = "UPDATE meta SET next_block = next_block + 1 RETURNING next_block - 1";
        let id: i64 = client.query_typed(take, &[]).await?[0].get(0);
        client.batch_execute("COMMIT").await?;
        self.register(id).await?;
        self.unknown = None;
        self.care().await
    }

    async fn register(&mut self, id: i64) -> std::result::Result<(), Trouble> {
        let client = self.client()?;
        let lease = millis(self.shared.options.lease);
        client.batch_execute(&self.shared.begin).await?;
        let insert = "INSERT INTO nodes (id, expires_at, delivers)
            VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond', $3)";
        let delivers = self.shared.options.delivers;
        let values =
            [(&id as _, Type::INT8), (&lease as _, Type::INT8), (&delivers as _, Type::BOOL)];
        let params = Params::of(&values);
        client.query_typed(insert, params.values()).await?;
        client.batch_execute("COMMIT").await?;
        self.number = 0;
        self.shared.ownership().node = id;
        Ok(())
    }

    async fn connect(&mut self) -> std::result::Result<(), Trouble> {
        if self.client().is_ok() {
            return Ok(());
        }
        let patience = self.shared.options.patience.max(Duration::from_secs(1));
        let late = || journal("the journal in PostgreSQL is not reachable: no connection in time");
        let shared = Arc::clone(&self.shared);
        let opening = async {
            let (client, is_server) =
                connect_to(&shared.connector).await.map_err(Trouble::Broken)?;
            Ok(WriterSession::new(client, is_server, &shared.session).await?)
        };
        let opened = tokio::time::timeout(patience, opening).await;
        self.session = Some(opened.unwrap_or_else(|_| Err(Trouble::Broken(late())))?);
        Ok(())
    }
}

impl Shared {
    /// Waits for the database, but not for longer than this: a network that loses packets closes no
    /// connection. What waits on other connections then gives up as well.
    async fn answered<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = std::result::Result<T, Trouble>>,
    ) -> std::result::Result<T, Trouble> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            if let Ok(mut reader) = self.reader.try_lock() {
                *reader = None;
            }
            self.silent.notify_waiters();
            Err(Trouble::Broken(super::error::silent()))
        })
    }

    /// Notes the parts whose ends are written.
    pub(super) fn note_closed(&self, batch: &[Op]) {
        let mut ownership = self.ownership();
        for op in batch {
            if let Op::Close { first_seq, .. } = op {
                ownership.closed(*first_seq);
            }
        }
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Resolves with the result of a thread that runs on its own.
pub(super) fn block_on<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (answer, answered) = mpsc::channel();
    shared.handle.spawn(async move { answer.send(work.await) });
    answered.recv().unwrap_or_else(|_| Err(super::error::closed()))
}

/// Returns what the journal and its thread share, of a node that gives numbers from this block.
fn shared(
    id: i64,
    options: Options,
    cipher: Cipher,
    connector: Connector,
    Callbacks { describe, report, is_followed, receive_events }: Callbacks,
) -> Shared {
    // Executions that are over are in the database; memory need not keep them.
    let live = Retention { max_executions_per_workflow: 0, ..options.retention };
    Shared {
        memory: MemoryJournal::new(live),
        ops: super::OpQueue::default(),
        ownership: Mutex::new(Ownership::new(id)),
        arrivals: Mutex::default(),
        arrived: tokio::sync::Notify::new(),
        backlog: 0.into(),
        in_lanes: 0.into(),
        room: tokio::sync::Notify::new(),
        silent: tokio::sync::Notify::new(),
        awaited: Mutex::default(),
        adoption: Mutex::default(),
        withdrawn: Mutex::default(),
        look: tokio::sync::Notify::new(),
        cipher,
        describe,
        report: Mutex::new(report),
        is_followed,
        receive_events,
        event_cursor: Mutex::default(),
        others_follow: false.into(),
        is_signalled: false.into(),
        figures: Mutex::default(),
        next_seq: (id.cast_unsigned() << BLOCK_BITS).into(),
        connector,
        reader: tokio::sync::Mutex::default(),
        begin: schema::begin(&options.schema, options.lease),
        session: schema::session(&options.schema, options.lease),
        channel: poll::channel(&options.schema),
        handle: tokio::runtime::Handle::current(),
        is_closed: false.into(),
        options,
    }
}
