//! The phase of a request and the duration of connecting: for time-outs and for the log.
//!
//! A client library says neither. Every delivery therefore runs inside a [`Progress`] of its own,
//! which the parts of the connector find as a task-local and report to. A request on a connection
//! that is open already passes through none of them, and pays for nothing but the cell.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::futures::TaskLocalFuture;

use crate::delivery::Phase;

tokio::task_local! {
    static CURRENT: Progress;
}

/// Every phase, at the index of its discriminant.
const PHASES: [Phase; 6] =
    [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Request, Phase::Response, Phase::Body];

/// Durations of the steps towards a connection, each the sum over all connections that were opened
/// for the request; `None` if there was no such step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving host names.
    pub dns: Option<Duration>,
    /// Opening TCP connections, and the proxy's part of it.
    pub connect: Option<Duration>,
    /// TLS handshakes.
    pub tls: Option<Duration>,
}

/// The phase of one delivery, shared between the one who waits for it and the connector. Clones
/// are the same cell.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Cell>);

#[derive(Debug)]
struct Cell {
    phase: AtomicU8,
    clock: Mutex<Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    timings: Timings,
    /// The start of the connecting phase in progress.
    since: Option<Instant>,
    /// The delivery that opens the connection that this one waits for.
    followed: Option<Progress>,
    /// Time spent in line, which is not the delivery's.
    waited: Duration,
    waits_since: Option<Instant>,
    /// The resource that this machine lacks for the connection, as a sentence.
    lack: Option<&'static str>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Returns a delivery that has not begun to connect. Its phase is [`Phase::Request`], because
    /// a request on an open connection begins there.
    #[must_use]
    pub fn new() -> Self {
        let phase = AtomicU8::new(Phase::Request as u8);
        Self(Arc::new(Cell { phase, clock: Mutex::default() }))
    }

    /// Runs a future, usually the sending of a request, so that its connector reports here.
    pub fn scope<F: Future>(&self, future: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self.clone(), future)
    }

    /// Returns the phase that is under way, or that was under way when the future was dropped.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phase = self.own_phase();
        if phase != Phase::Connect {
            return phase;
        }
        let followed = self.clock().followed.clone();
        followed
            .map(|other| other.own_phase())
            .filter(|phase| is_connecting(*phase))
            .unwrap_or(phase)
    }

    fn own_phase(&self) -> Phase {
        PHASES[usize::from(self.0.phase.load(Ordering::Acquire))]
    }

    /// Returns how long the delivery has waited in line for a stream or a connection.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let clock = self.clock();
        clock.waited + clock.waits_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns the resource that this machine lacks for the connection now, as a sentence.
    #[must_use]
    pub fn lack(&self) -> Option<&'static str> {
        self.clock().lack
    }

    /// Begins a wait in line, which ends when the guard is dropped.
    pub(super) fn wait(self) -> QueueTimer {
        self.clock().waits_since = Some(Instant::now());
        QueueTimer(self)
    }

    /// Enters a phase. [`Phase::Response`] and [`Phase::Body`] are the destination's to set.
    pub fn set(&self, phase: Phase) {
        let previous = self.own_phase();
        if previous == phase {
            return;
        }
        if is_connecting(previous) || is_connecting(phase) {
            self.clock().turn(previous, phase, Instant::now());
        }
        self.0.phase.store(phase as u8, Ordering::Release);
    }

    /// Returns the durations of the steps towards a connection until now.
    #[must_use]
    pub fn timings(&self) -> Timings {
        let clock = self.clock();
        let mut timings = clock.timings;
        if let (Some(since), Some(total)) = (clock.since, timings.of(self.own_phase())) {
            add(total, since.elapsed());
        }
        timings
    }

    /// Ends connecting, if that is where the delivery is.
    pub(super) fn connected(&self) {
        if is_connecting(self.own_phase()) {
            self.set(Phase::Request);
        }
    }

    /// Returns the delivery that the current task is polling.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Returns whether the current task is polling this very delivery.
    pub(super) fn is_current(&self) -> bool {
        CURRENT.try_with(|current| Arc::ptr_eq(&current.0, &self.0)).unwrap_or(false)
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.0.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait in line.
pub(super) struct QueueTimer(Progress);

impl Drop for QueueTimer {
    fn drop(&mut self) {
        let mut clock = self.0.clock();
        if let Some(since) = clock.waits_since.take() {
            clock.waited += since.elapsed();
        }
    }
}

/// Waits until another delivery has opened a connection, in the phase that it is in.
pub(super) async fn follow(opener: Option<&Progress>, over: impl Future<Output = ()>) {
    let Some(progress) = Progress::current() else { return over.await };
    progress.clock().followed = opener.cloned();
    progress.set(Phase::Connect);
    over.await;
    progress.clock().followed = None;
    progress.connected();
}

/// Notes what this machine lacks for the connection of the current delivery.
pub(super) fn lack(reason: Option<&'static str>) {
    let _ = CURRENT.try_with(|progress| progress.clock().lack = reason);
}

/// Enters a phase of the delivery that the current task is polling, if it is polling one.
pub(super) fn enter(phase: Phase) {
    // It fails only outside a request: the connection is finished in the background.
    let _ = CURRENT.try_with(|progress| progress.set(phase));
}

impl Clock {
    fn turn(&mut self, from: Phase, to: Phase, now: Instant) {
        let spent = self.since.map(|since| now.duration_since(since));
        self.since = is_connecting(to).then_some(now);
        // A connector is entered as `Connect` and calls the resolver at once: no time was spent on
        // connecting.
        if (from, to) == (Phase::Connect, Phase::Dns) {
            return;
        }
        if let (Some(spent), Some(total)) = (spent, self.timings.of(from)) {
            add(total, spent);
        }
    }
}

impl Timings {
    fn of(&mut self, phase: Phase) -> Option<&mut Option<Duration>> {
        match phase {
            Phase::Dns => Some(&mut self.dns),
            Phase::Connect => Some(&mut self.connect),
            Phase::Tls => Some(&mut self.tls),
            Phase::Request | Phase::Response | Phase::Body => None,
        }
    }
}

fn add(total: &mut Option<Duration>, spent: Duration) {
    *total = Some(total.unwrap_or_default() + spent);
}

const fn is_connecting(phase: Phase) -> bool {
    matches!(phase, Phase::Dns | Phase::Connect | Phase::Tls)
}
