//! Connections to the database of the journal.

use tokio_postgres::Client;

use super::error::{failed, journal, unreached};
use crate::error::Result;
use crate::postgres::Connector;
use crate::time::{Timestamp, fleet};

/// The time of the database, in milliseconds.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Opens a connection, which this thread drives. From here on this process knows the database's time.
#[expect(clippy::disallowed_methods, reason = "the journal's own runtime, which ends with it")]
pub(super) async fn connect(connector: &Connector) -> Result<Client> {
    let (client, connection) = connector.connect().await.map_err(|error| unreached(&error))?;
    tokio::spawn(async move {
        // Its client sees the error.
        let _ = connection.await;
    });
    let asked = Timestamp::steady();
    let ask = format!(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, {NOW}"
    );
    let rows = client.query_typed(&ask, &[]).await.map_err(|error| failed(&error))?;
    if rows[0].get(0) {
        return Err(journal("the journal's PostgreSQL is for reading alone: name the primary"));
    }
    fleet::agree(asked, time(rows[0].get(1)));
    Ok(client)
}

/// Reads a time of the database.
pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}
