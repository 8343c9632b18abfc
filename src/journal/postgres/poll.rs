//! Follows other nodes: what they recorded for this one, and the ends that they made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client};

use super::connect::connect;
use super::error::failed;
use super::params::Columns;
use super::refill::{InboxPart, Tenures};
use super::row::RowReader;
use super::session::run;
use super::signals::Signals;
use super::{Shared, partitions, schema};
use crate::error::Result;
use crate::execution::Entry;

/// The longest time between two looks, which needs no notification.
const INTERVAL: Duration = Duration::from_millis(250);
/// The wait before a connection is opened again.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Executions whose ends are looked for at once.
const ENDS_AT_ONCE: usize = 5000;
/// Parts that one look takes.
const PARTS_AT_ONCE: i64 = 2000;

/// Returns the channel of notifications of the journals in a schema.
pub(super) fn channel(schema: &str) -> String {
    let hash = schema.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("dollar_send_{hash:016x}")
}

/// Starts the tasks on the journal's thread.
#[expect(clippy::disallowed_methods, reason = "the journal's own runtime, which ends with it")]
pub(super) fn start(shared: &Arc<Shared>) -> [JoinHandle<()>; 3] {
    [
        tokio::spawn(follow(Arc::clone(shared))),
        tokio::spawn(listen(Arc::clone(shared))),
        tokio::spawn(partitions::keep_on(Arc::clone(shared))),
    ]
}

async fn follow(shared: Arc<Shared>) {
    let mut client = None;
    let mut signals = Signals::new();
    let silence = shared.options.silence();
    loop {
        let until = signals.next().min(Instant::now() + INTERVAL);
        let _ = tokio::time::timeout_at(until.into(), shared.look.notified()).await;
        if client.as_ref().is_none_or(Client::is_closed) {
            let opened = tokio::time::timeout(silence, connect(&shared.connector)).await;
            client = opened.ok().and_then(Result::ok);
        }
        let Some(open) = &client else {
            tokio::time::sleep(RETRY_DELAY).await;
            continue;
        };
        let looked = async {
            look(&shared, open).await?;
            signals.look(&shared, open).await
        };
        if !matches!(tokio::time::timeout(silence, looked).await, Ok(Ok(()))) {
            // The writer reports what is wrong with the database.
            client = None;
        }
    }
}

async fn look(shared: &Arc<Shared>, client: &Client) -> Result<()> {
    let tenures: Tenures = {
        let ownership = shared.ownership();
        let served = ownership.held.iter().filter(|(shard, _)| ownership.serves(**shard));
        served.map(|(shard, epoch)| (*shard, *epoch)).collect()
    };
    let mut columns = Columns::default();
    columns
        .add(Type::INT4_ARRAY, tenures.keys().map(|shard| i32::from(*shard)))
        .number(PARTS_AT_ONCE);
    let ask = "SELECT first_seq, shard,
            greatest(extract(epoch FROM clock_timestamp() - at), 0)::float8 AS age
        FROM inbox WHERE shard = ANY($1) ORDER BY first_seq LIMIT $2";
    let rows = query(shared, client, ask, &columns).await?;
    let (mut parts, mut oldest) = (Vec::new(), Duration::ZERO);
    for row in &rows {
        let row = RowReader::new("inbox", row);
        let number = row.parse("shard", |shard: i32| u16::try_from(shard).ok())?;
        let epoch = tenures.get(&number).copied().unwrap_or_default();
        parts.push(InboxPart { first_seq: row.get("first_seq")?, shard: number, epoch });
        oldest = oldest.max(Duration::from_secs_f64(row.get("age")?));
    }
    {
        let mut figures = shared.figures();
        (figures.inbox, figures.inbox_lag) = (parts.len(), oldest);
    }
    if !parts.is_empty() {
        let mut arrivals = shared.arrivals();
        parts.retain(|part| !arrivals.inbox.contains(part));
        arrivals.inbox.extend(parts);
        drop(arrivals);
        shared.arrived.notify_waiters();
    }
    find_ends(shared, client).await
}

/// Finds the executions of this process that other nodes finished.
async fn find_ends(shared: &Arc<Shared>, client: &Client) -> Result<()> {
    let awaited: Vec<i64> = {
        let awaited = shared.awaited();
        awaited.keys().take(ENDS_AT_ONCE).map(|serial| serial.cast_signed()).collect()
    };
    if awaited.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::default();
    columns.numbers(awaited);
    let ask = "SELECT serial FROM executions WHERE serial = ANY($1) AND finished_at IS NOT NULL";
    for row in &query(shared, client, ask, &columns).await? {
        let serial = RowReader::new("executions", row).unsigned("serial")?;
        let Some(execution) = shared.awaited().get(&serial).cloned() else { continue };
        let mut columns = Columns::default();
        columns.number(serial.cast_signed());
        let ask = "SELECT * FROM deliveries WHERE execution = $1 ORDER BY id";
        let rows = query(shared, client, ask, &columns).await?;
        let entries = rows.iter().map(|row| RowReader::new("deliveries", row).entry());
        let entries = entries.collect::<Result<Vec<Entry>>>()?;
        {
            let mut withdrawn = shared.withdrawn();
            for entry in &entries {
                withdrawn.remove(&entry.id);
            }
        }
        shared.awaited().remove(&serial);
        if execution.end_elsewhere(entries) {
            shared.memory.log().finish(&execution);
            shared.arrivals().ended.push(execution);
            shared.arrived.notify_waiters();
        }
    }
    Ok(())
}

/// Runs a query on the connection that follows other nodes.
pub(super) async fn query(
    shared: &Shared,
    client: &Client,
    sql: &str,
    columns: &Columns,
) -> Result<Vec<tokio_postgres::Row>> {
    let read = run(client, &shared.begin, &[(sql, columns)]).await;
    Ok(read.map_err(|error| failed(&error))?.pop().unwrap_or_default())
}

/// Waits for notifications on a connection of its own.
async fn listen(shared: Arc<Shared>) {
    loop {
        if let Ok((client, mut connection)) = shared.connector.connect().await {
            let statement = format!("LISTEN {}", schema::quoted(&shared.channel));
            let mut messages =
                futures_util::stream::poll_fn(move |context| connection.poll_message(context));
            let listening = async { client.batch_execute(&statement).await };
            tokio::pin!(listening);
            let mut is_listening = false;
            loop {
                tokio::select! {
                    listened = &mut listening, if !is_listening => match listened {
                        Ok(()) => is_listening = true,
                        Err(_) => break,
                    },
                    message = messages.next() => match message {
                        Some(Ok(AsyncMessage::Notification(told))) => {
                            if matches!(told.payload(), "registrations" | "command" | "events") {
                                shared.is_signalled.store(true, Ordering::Release);
                            }
                            shared.look.notify_one();
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break,
                    },
                }
            }
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
