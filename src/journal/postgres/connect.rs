//! Connections to the database of the journal.

use tokio_postgres::Client;

use super::error::{failed, journal, unreached};
use crate::error::Result;
use crate::postgres::Connector;

/// Opens a connection, which this thread drives.
#[expect(clippy::disallowed_methods, reason = "the journal's own runtime, which ends with it")]
pub(super) async fn connect(connector: &Connector) -> Result<Client> {
    let (client, connection) = connector.connect().await.map_err(|error| unreached(&error))?;
    tokio::spawn(async move {
        // Its client sees the error.
        let _ = connection.await;
    });
    let ask = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool";
    let rows = client.query_typed(ask, &[]).await.map_err(|error| failed(&error))?;
    if rows[0].get(0) {
        return Err(journal("the journal's PostgreSQL is for reading alone: name the primary"));
    }
    Ok(client)
}
