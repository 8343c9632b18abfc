//! The journal in PostgreSQL, which the nodes of a fleet share.
//!
//! A lane belongs to a shard, and a shard to one node at a time. The owner has the calls of its shards
//! in lanes in memory, and delivers them; what other nodes record for it comes through the table
//! `inbox`. PostgreSQL decides who owns what: there is no other agreement between nodes.
//!
//! [`schema`] is the layout, [`ownership`] the shards of this node, [`node`] the thread that writes, renews
//! the lease and takes over shards, [`write`] the statements of a transaction, [`poll`] follows other
//! nodes, [`signals`] are what they tell each other beside calls, [`events`] those of streams, [`refill`]
//! brings calls into the lanes, [`restore`] reads them, [`log`] has the queries.
//! `docs/operating/many-machines.md` describes it for operators.

mod adoption;
mod answers;
mod batches;
mod changes;
mod columns;
mod commands;
mod conditions;
mod connect;
mod error;
mod events;
mod figures;
mod following;
mod log;
mod moving;
mod node;
mod op;
mod op_queue;
mod ownership;
mod params;
mod partitions;
mod poll;
mod queue;
mod records;
mod refill;
mod replay;
mod restore;
mod row;
mod schema;
mod session;
mod shares;
mod signals;
mod statements;
mod unacknowledged;
mod write;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_postgres::Client;
use uuid::Uuid;

use super::crypto::{Cipher, JournalKey};
use super::{Describe, Incident, MemoryJournal, OnInterrupted, Report};
use crate::egress::Egress;
use crate::error::Result;
use crate::execution::{ExecutionLog, Retention};
use crate::postgres::{Connector, PostgreSqlServer};
use adoption::Adoption;
use events::EventCursor;
pub use events::{ReceiveEvents, ReceivedEvents};
use figures::SeenFleet;
pub(super) use moving::Target;
use op_queue::OpQueue;
use ownership::Ownership;
use params::Params;
use refill::Arrivals;

/// The options of a shared journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The server and the database.
    pub server: PostgreSqlServer,
    /// The authorities to trust instead of the machine's, in PEM.
    pub ca: Option<String>,
    /// The schema of the journal's tables.
    pub schema: String,
    /// The number of shards, fixed when the journal is set up.
    pub shards: u16,
    /// The key of all nodes, 32 bytes.
    pub key: Vec<u8>,
    /// The longest wait of a commit for a database that is away.
    pub patience: Duration,
    /// The time after which the shards of a node are taken that does not renew its lease.
    pub lease: Duration,
    /// The treatment of a delivery that was in progress when its node ended.
    pub on_interrupted: OnInterrupted,
    /// The retention of the log.
    pub retention: Retention,
    /// `true` if this node takes shards, and delivers their calls.
    pub delivers: bool,
}

impl Options {
    /// The wait for a response after which a connection is lost: the lease is then over too.
    fn silence(&self) -> Duration {
        self.patience.min(self.lease).max(Duration::from_secs(1))
    }
}

/// The functions that a shared journal calls.
pub struct Callbacks {
    /// Shows a payload without its secrets.
    pub describe: Describe,
    /// Reports a trouble.
    pub report: Report,
    /// Returns `true` while the changes of the log are shown.
    pub is_followed: IsFollowed,
    /// Takes the events that any node publishes.
    pub receive_events: ReceiveEvents,
}

/// Returns `true` while the changes of the log are shown.
pub(super) type IsFollowed = Box<dyn Fn() -> bool + Send + Sync>;

/// A journal that the nodes of a fleet share.
pub struct PostgresJournal {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresJournal").finish_non_exhaustive()
    }
}

/// The state that the journal, its thread and its tasks share.
struct Shared {
    options: Options,
    memory: MemoryJournal,
    ops: OpQueue,
    ownership: Mutex<Ownership>,
    arrivals: Mutex<Arrivals>,
    arrived: Notify,
    /// Calls that other nodes left and that are in no lane yet.
    backlog: AtomicUsize,
    /// Calls of other nodes in lanes that are not terminal.
    in_lanes: AtomicUsize,
    room: Notify,
    /// Executions of this process of which other nodes deliver calls.
    awaited: Mutex<HashMap<u64, Arc<ExecutionLog>>>,
    /// Calls of data directories that are being taken.
    adoption: Mutex<Adoption>,
    /// Deliveries in the log in memory that other nodes make.
    withdrawn: Mutex<HashSet<Uuid>>,
    /// Notified when other nodes may have recorded or delivered something.
    look: Notify,
    cipher: Cipher,
    describe: Describe,
    report: Mutex<Report>,
    is_followed: IsFollowed,
    receive_events: ReceiveEvents,
    event_cursor: Mutex<EventCursor>,
    /// `true` while another node shows the changes of the log.
    others_follow: AtomicBool,
    /// `true` if another node notified this one of a signal.
    is_signalled: AtomicBool,
    figures: Mutex<SeenFleet>,
    next_seq: AtomicU64,
    connector: Connector,
    reader: tokio::sync::Mutex<Option<Arc<Client>>>,
    /// Notified when the database does not respond.
    silent: Notify,
    /// The beginning of every transaction.
    begin: String,
    /// The beginning of a session in which all transactions have the same settings.
    session: String,
    channel: String,
    handle: Handle,
    is_closed: AtomicBool,
}

impl PostgresJournal {
    /// Opens the journal, setting it up if it is not there. Blocks.
    ///
    /// # Errors
    /// `InvalidOption`, `Journal`.
    pub fn open(options: Options, egress: Egress, callbacks: Callbacks) -> Result<Self> {
        let key = JournalKey::given(&options.key)?;
        let cipher = Cipher::new(&key)?;
        let (server, silence) = (options.server.clone(), options.silence());
        let connector = Connector::new(server, options.ca.as_deref(), egress, silence)?;
        let (shared, thread) = node::start(options, cipher, connector, callbacks)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }
}

impl Shared {
    fn ownership(&self) -> MutexGuard<'_, Ownership> {
        self.ownership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaited(&self) -> MutexGuard<'_, HashMap<u64, Arc<ExecutionLog>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn withdrawn(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event_cursor(&self) -> MutexGuard<'_, EventCursor> {
        self.event_cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn shard_of(&self, lane: &super::Lane) -> u16 {
        ownership::shard_of(lane, self.options.shards)
    }

    fn report(&self, incident: Incident<'_>) {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report(incident);
    }
}

impl Drop for PostgresJournal {
    /// Lets the thread write the rest and end, without waiting for it.
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
        self.shared.ops.close();
        self.shared.arrived.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
