//! Journals that are refused before anything is taken: tables that were changed by hand, and roles that lack
//! rights.

use super::*;

/// The rows that an opening takes.
const TAKEN: &str = "SELECT next_block, (SELECT count(*) FROM fleet.nodes) FROM fleet.meta";

#[test]
fn tables_that_were_changed_by_hand_are_refused() {
    let Some(server) = Server::start() else { return };
    drop(open(options(&server, "fleet")).unwrap());
    let found = format!(
        "SET search_path TO fleet; SELECT a || ' ' || b FROM ({}) f (a, b, c)",
        columns::FOUND
    );
    assert_eq!(server.sql(&found), columns::COLUMNS.trim_end());
    let before = server.sql(TAKEN);
    let cases = [
        (
            "ALTER TABLE deliveries RENAME warnings TO notes",
            "deliveries.warnings is missing",
            "ALTER TABLE deliveries RENAME notes TO warnings",
        ),
        (
            "ALTER TABLE inbox ALTER COLUMN shard TYPE text",
            "inbox.shard is text, not integer",
            "ALTER TABLE inbox ALTER COLUMN shard TYPE integer USING shard::integer",
        ),
        (
            "ALTER TABLE commits RENAME TO others",
            "commits.calls is missing",
            "ALTER TABLE others RENAME TO commits",
        ),
    ];
    for (change, expected, mend) in cases {
        server.sql(&format!("SET search_path TO fleet; {change}"));
        let error = open(options(&server, "fleet")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Journal);
        let message = error.to_string();
        assert!(message.contains(expected) && message.contains("restore"), "{message}");
        assert_eq!(server.sql(TAKEN), before);
        server.sql(&format!("SET search_path TO fleet; {mend}"));
    }
    open(options(&server, "fleet")).unwrap();
}

#[test]
fn a_role_that_may_not_write_is_refused() {
    let Some(server) = Server::start() else { return };
    drop(open(options(&server, "fleet")).unwrap());
    server.sql(
        "CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA fleet TO guest;
         GRANT ALL ON ALL TABLES IN SCHEMA fleet TO guest; REVOKE INSERT ON fleet.commits FROM guest",
    );
    let before = server.sql(TAKEN);
    let url = PostgreSqlServer::parse(&server.url("guest")).unwrap();
    let error = open(Options { server: url, ..options(&server, "fleet") }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    let message = error.to_string();
    assert!(message.contains("it may not read and write the table commits"), "{message}");
    assert_eq!(server.sql(TAKEN), before);
}
