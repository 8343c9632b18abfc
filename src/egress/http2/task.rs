//! The task of a connection: it reads and writes, and finds out when nothing comes back.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::shared::SharedConnection;
use super::traffic::Counted;

/// The interval between checks of a connection.
const TICK: Duration = Duration::from_millis(250);

/// Ticks of silence, while a stream is open, after which a PING is sent.
const PING_AFTER: u32 = 4;

/// Ticks of silence after which the connection takes no further requests.
const DEAF_AFTER: u32 = 8;

/// Ticks of silence after which it is closed.
const DEAD_AFTER: u32 = 80;

/// Drives a connection until it is closed.
pub(super) async fn drive(
    mut connection: Connection<Counted, Bytes>,
    shared: Arc<SharedConnection>,
    idle: Duration,
) {
    let mut pulse = Pulse {
        ping_pong: connection.ping_pong(),
        is_pinged: false,
        ticks: interval(TICK),
        reads: 0,
        silent: 0,
        unused: 0,
        max_unused: u32::try_from(idle.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX),
    };
    pulse.ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut limit = connection.max_concurrent_send_streams();
    poll_fn(|cx| {
        shared.traffic.begin_turn();
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let now = connection.max_concurrent_send_streams();
        if std::mem::replace(&mut limit, now) != now {
            shared.wake_all();
        }
        pulse.poll(cx, &shared)
    })
    .await;
    shared.retire();
}

/// The observed activity of the connection's other side.
struct Pulse {
    ping_pong: Option<PingPong>,
    is_pinged: bool,
    ticks: Interval,
    /// Reads until the last tick.
    reads: u64,
    /// Ticks without a read, while a stream was open.
    silent: u32,
    /// Ticks without a stream.
    unused: u32,
    max_unused: u32,
}

impl Pulse {
    /// Completes when the connection should be closed.
    fn poll(&mut self, cx: &mut Context<'_>, shared: &SharedConnection) -> Poll<()> {
        while self.ticks.poll_tick(cx).is_ready() {
            if self.tick(cx, shared) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn tick(&mut self, cx: &mut Context<'_>, shared: &SharedConnection) -> bool {
        let reads = shared.traffic.reads();
        let is_silent = std::mem::replace(&mut self.reads, reads) == reads;
        self.silent = if is_silent { self.silent + 1 } else { 0 };
        if shared.is_busy() {
            self.unused = 0;
            self.listen(cx, shared);
            return self.silent >= DEAD_AFTER;
        }
        self.unused += 1;
        if self.unused >= self.max_unused {
            shared.retire_if_idle();
        }
        let is_left_over = shared.is_retired() && self.silent >= DEAF_AFTER;
        if !is_left_over {
            // Silence counts from when something is expected.
            self.silent = if shared.is_retired() { self.silent } else { 0 };
        }
        is_left_over
    }

    fn listen(&mut self, cx: &mut Context<'_>, shared: &SharedConnection) {
        let Some(ping_pong) = &mut self.ping_pong else { return };
        if self.is_pinged && ping_pong.poll_pong(cx).is_ready() {
            self.is_pinged = false;
        }
        if self.silent >= PING_AFTER && !self.is_pinged {
            self.is_pinged = ping_pong.send_ping(Ping::opaque()).is_ok();
        }
        if self.silent >= DEAF_AFTER {
            shared.retire();
        }
    }
}
