//! Connections to the database of the journal.

use tokio_postgres::Client;

use super::error::{failed, journal, unreached};
use crate::error::Result;
use crate::postgres::{Connector, ServerProcess};
use crate::time::{Timestamp, fleet};

/// The time of the database, in milliseconds.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Opens a connection, which this thread drives.
pub(super) async fn connect(connector: &Connector) -> Result<Client> {
    Ok(connect_to(connector).await?.0)
}

/// Opens a connection, which this thread drives. From here on this process knows the database's time.
/// Returns `true` with it if the other side is the server itself, and not a pooler, which may run each
/// transaction in another session.
#[expect(clippy::disallowed_methods, reason = "the journal's own runtime, which ends with it")]
pub(super) async fn connect_to(connector: &Connector) -> Result<(Client, bool)> {
    let named = ServerProcess::default();
    let opened = connector.connect_noting(&named).await;
    let (client, connection) = opened.map_err(|error| unreached(&error))?;
    tokio::spawn(async move {
        // Its client sees the error.
        let _ = connection.await;
    });
    let asked = Timestamp::steady();
    let ask = format!(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, {NOW},
            pg_backend_pid()"
    );
    let rows = client.query_typed(&ask, &[]).await.map_err(|error| failed(&error))?;
    if rows[0].get(0) {
        return Err(journal("the journal's PostgreSQL is for reading alone: name the primary"));
    }
    fleet::agree(asked, time(rows[0].get(1)));
    let process: i32 = rows[0].get(2);
    let is_server = named.get() == Some(&process);
    Ok((client, is_server))
}

/// Reads a time of the database.
pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}
