//! The statements that the server keeps for the writer.

use tokio_postgres::types::Type;

use super::*;
use connect::connect_to;
use params::Columns;
use session::WriterSession;
use write::Statement;

async fn open_session(server: &Server, is_server: bool) -> WriterSession {
    let place = PostgreSqlServer::parse(&server.url("boss")).unwrap();
    let connector = Connector::new(place, None, egress(), Duration::from_secs(10)).unwrap();
    let (client, found) = connect_to(&connector).await.unwrap();
    assert!(found, "no pooler is in between");
    WriterSession::new(client, is_server, "SET search_path TO events, pg_temp").await.unwrap()
}

fn insert(number: i64) -> Statement {
    let mut columns = Columns::default();
    columns.add(Type::INT8_ARRAY, [number]);
    ("INSERT INTO marks SELECT * FROM unnest($1::bigint[]) RETURNING *", columns)
}

const BEGIN: &str = "BEGIN; SET LOCAL search_path TO events";
const KEPT: &str = "SELECT count(*) FROM pg_prepared_statements";

async fn kept(session: &WriterSession) -> i64 {
    session.client().query_typed(KEPT, &[]).await.unwrap()[0].get(0)
}

#[tokio::test]
async fn a_statement_is_planned_once_and_again_after_a_change_of_its_table() {
    let Some(server) = Server::start() else { return };
    server.sql("CREATE SCHEMA events; CREATE TABLE events.marks (mark bigint)");
    let session = open_session(&server, true).await;
    for number in 1..=3 {
        let rows = session.run(BEGIN, &[insert(number), insert(-number)]).await.unwrap();
        assert_eq!(rows.iter().map(|rows| rows[0].get::<_, i64>(0)).sum::<i64>(), 0);
        session.keep(&[insert(number), insert(-number)]).await.unwrap();
        assert_eq!(kept(&session).await, 1);
    }
    server.sql("ALTER TABLE events.marks ADD COLUMN more text");
    let refused = session.run(BEGIN, &[insert(4)]).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("cached plan"), "{refused:?}");
    session.run(BEGIN, &[insert(5)]).await.unwrap();
    assert_eq!(server.sql("SELECT max(mark), count(*) FROM events.marks"), "5|7");
}

#[tokio::test]
async fn a_pooler_has_to_keep_nothing() {
    let Some(server) = Server::start() else { return };
    server.sql("CREATE SCHEMA events; CREATE TABLE events.marks (mark bigint)");
    let session = open_session(&server, false).await;
    session.run(BEGIN, &[insert(1)]).await.unwrap();
    session.keep(&[insert(1)]).await.unwrap();
    assert_eq!(kept(&session).await, 0);
    let rows = session.client().query_typed("SHOW search_path", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, &str>(0), "\"$user\", public");
}
