//! The partitions of the log: one for each day. Retention drops them.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::Shared;
use super::connect::{NOW, connect, time};
use super::error::failed;
use crate::error;
use crate::execution::first_shared_serial;
use crate::journal::Incident;
use crate::time::Timestamp;

/// The interval at which partitions are made and dropped.
const INTERVAL: Duration = Duration::from_secs(3600);
/// The wait before that is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// The longest time of it, as the server limits a statement.
const LIMIT: Duration = Duration::from_secs(60);
const DAY: u64 = 86_400_000;
/// Days for which there are partitions ahead of time.
const AHEAD: u64 = 3;
/// Days ahead for which there can be partitions.
const MAX_AHEAD: u64 = 3660;
/// The lock under which one node does this.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(1685286500, hashtext(current_schema()))";

/// The condition of a dead letter.
const DEAD: &str =
    "status = 'failed' AND replayed_by IS NULL AND resolved_by IS NULL AND dismissed_at IS NULL";

/// Makes and drops partitions from time to time, on a connection of its own: what writes and renews the
/// lease does not wait for it.
pub(super) async fn keep_on(shared: Arc<Shared>) {
    let mut pause = INTERVAL;
    loop {
        tokio::time::sleep(pause).await;
        let kept = async {
            let client = connect(&shared.connector).await?;
            shared.upkeep(&client).await;
            Ok::<_, error::Error>(())
        };
        let is_kept = matches!(tokio::time::timeout(LIMIT, kept).await, Ok(Ok(())));
        pause = if is_kept { INTERVAL } else { RETRY_DELAY };
    }
}

impl Shared {
    /// Makes the partitions of the next days, and drops old ones. Reports what is wrong with that.
    pub(super) async fn upkeep(&self, client: &Client) {
        match keep(client, &self.begin, self.options.retention.max_age).await {
            Ok(0) => {}
            Ok(dead_letters) => self.report(Incident::DeadLettersRemoved(dead_letters)),
            Err(error) => {
                self.report(Incident::Trouble(&error));
                let _ = client.batch_execute("ROLLBACK").await;
            }
        }
    }
}

/// Makes the partitions of the next days, and drops those whose deliveries are older than `max_age`.
/// Returns the number of dead letters that it removed.
async fn keep(client: &Client, begin: &str, max_age: Duration) -> error::Result<u64> {
    let run = async |sql: &str| client.batch_execute(sql).await.map_err(|error| failed(&error));
    run(begin).await?;
    run("SET LOCAL lock_timeout TO '2s'").await?;
    let mut dead = 0;
    // The database's day: a node's clock may be wrong.
    let ask = format!("{LOCK}, {NOW}");
    let rows = client.query_typed(&ask, &[]).await.map_err(|error| failed(&error))?;
    if rows[0].get(0) {
        let today = time(rows[0].get(1)).as_millis() / DAY;
        let known = partitions(client).await?;
        for day in today..=today + AHEAD {
            if !known.contains(&day) {
                run(&create(day)).await?;
            }
        }
        let age = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
        let horizon = (today * DAY).saturating_sub(age) / DAY;
        let mut old: Vec<u64> = known.into_iter().filter(|day| *day < horizon).collect();
        old.sort_unstable();
        // A later day may have deliveries of an execution that is not finished.
        for day in old {
            let Some(dropped) = drop_day(client, day).await? else { break };
            dead += dropped;
        }
        run(&forget_others(horizon)).await?;
    }
    run("COMMIT").await?;
    Ok(dead)
}

/// Returns `true` for a day that a log can have: an older one has no numbers of executions, and one
/// farther ahead is of a clock that was wrong.
pub(super) fn is_plausible(day: u64) -> bool {
    let today = Timestamp::now().as_millis() / DAY;
    first_shared_serial(Timestamp::from_millis(day * DAY)) > 0 && day <= today + MAX_AHEAD
}

/// Makes the partitions of a day that has none, in the transaction that is open.
pub(super) async fn make_day(client: &Client, day: u64) -> Result<(), Error> {
    client.batch_execute("SET LOCAL lock_timeout TO '2s'").await?;
    client.query_typed(&LOCK.replace("pg_try_", "pg_"), &[]).await?;
    let name = format!("deliveries_d{day}");
    let ask = "SELECT to_regclass($1) IS NULL";
    let params = [(&name as &(dyn ToSql + Sync), Type::TEXT)];
    let rows = client.query_typed(ask, &params).await?;
    if rows[0].get(0) { client.batch_execute(&create(day)).await } else { Ok(()) }
}

/// Returns the days that have partitions.
async fn partitions(client: &Client) -> error::Result<Vec<u64>> {
    let ask = "SELECT c.relname FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'deliveries'::regclass";
    let rows = client.query_typed(ask, &[]).await.map_err(|error| failed(&error))?;
    let day = |row: &tokio_postgres::Row| {
        let name: String = row.try_get(0).ok()?;
        name.strip_prefix("deliveries_d")?.parse().ok()
    };
    Ok(rows.iter().filter_map(day).collect())
}

/// Returns the statements that make the partitions of a day.
fn create(day: u64) -> String {
    let (from, to) = (day * DAY, (day + 1) * DAY);
    let id = |at: u64| Uuid::from_u128(u128::from(at) << 80);
    let serial = |at: u64| first_shared_serial(Timestamp::from_millis(at));
    let (first_id, last_id) = (id(from), id(to));
    let (first_serial, last_serial) = (serial(from), serial(to));
    format!(
        "CREATE TABLE deliveries_d{day} PARTITION OF deliveries
             FOR VALUES FROM ('{first_id}') TO ('{last_id}');
         CREATE TABLE executions_d{day} PARTITION OF executions
             FOR VALUES FROM ({first_serial}) TO ({last_serial});"
    )
}

/// Returns the statements that remove old rows that no day has: their clocks were wrong.
fn forget_others(horizon: u64) -> String {
    let first = Uuid::from_u128(u128::from(horizon * DAY) << 80);
    let serial = first_shared_serial(Timestamp::from_millis(horizon * DAY));
    format!(
        "DELETE FROM deliveries_other WHERE id < '{first}';
         DELETE FROM executions_other WHERE serial < {serial} AND finished_at IS NOT NULL"
    )
}

/// Drops the partitions of a day, unless an execution of it is not finished. Returns the number of dead
/// letters in them if they are gone.
async fn drop_day(client: &Client, day: u64) -> error::Result<Option<u64>> {
    let ask = format!(
        "SELECT EXISTS (SELECT 1 FROM executions_d{day} WHERE finished_at IS NULL),
            (SELECT count(*) FROM deliveries_d{day} WHERE {DEAD})"
    );
    let found = client.query_typed(&ask, &[]).await.map_err(|error| failed(&error))?;
    let (is_open, dead): (bool, i64) = (found[0].get(0), found[0].get(1));
    if is_open {
        return Ok(None);
    }
    let last = first_shared_serial(Timestamp::from_millis((day + 1) * DAY));
    let sql = format!(
        "DROP TABLE deliveries_d{day}; DROP TABLE executions_d{day};
         DELETE FROM commits WHERE NOT is_open AND execution < {last};
         DELETE FROM nodes WHERE is_gone AND expires_at < clock_timestamp() - interval '7 days'"
    );
    client.batch_execute(&sql).await.map_err(|error| failed(&error))?;
    Ok(Some(dead.cast_unsigned()))
}
