//! Options that are taken, and refused.

use super::*;
use crate::error::ErrorKind;

#[test]
fn empty_options_are_the_defaults() {
    assert_eq!(read("{}").unwrap().config, Config::default());
}

#[test]
fn the_options_of_a_destination_are_an_object() {
    for kind in Kind::ALL {
        let error = read(&format!(r#"{{"{}":[]}}"#, kind.name())).unwrap_err().to_string();
        let has_none = error.contains("unknown option");
        assert!(has_none || error.contains("must be an object, not a list"), "{error}");
    }
}

/// Each of these options is refused with a message that has this text.
fn assert_refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn refusals_name_the_path() {
    assert_refused(&[
        (r#"{"htpp":{}}"#, "unknown option htpp. Did you mean http?"),
        (r#"{"http":{"timeout":5}}"#, "unknown option http.timeout. Did you mean http.timeoutMs?"),
        (r#"{"http":{"timeoutMs":"5"}}"#, "http.timeoutMs: must be a number, not \"5\""),
        (r#"{"http":{"timeoutMs":0}}"#, "http.timeoutMs: 0 is not a whole number from 1 to"),
        (r#"{"http":{"perHostConcurrency":1.5}}"#, "http.perHostConcurrency: 1.5 is not"),
        (r#"{"maxPayloadBytes":-1}"#, "maxPayloadBytes: -1 is not a whole number"),
        (r#"{"egress":{"allow":"10.0.0.0/8"}}"#, "egress.allow: must be a list, not"),
        (r#"{"egress":{"ports":[80,70000]}}"#, "egress.ports[1]: must be a whole number"),
        (r#"{"log":[]}"#, "log: must be an object"),
        (r#"{"dataDir":""}"#, "dataDir: must not be empty"),
        (r#"{"dataDir":"x","durability":"disk"}"#, "durability: \"disk\" is neither"),
        (r#"{"dataDir":"x","journal":{"key":"abc"}}"#, "journal.key: must be 32 bytes"),
        (r#"{"dataDir":"x","journal":{"maxBytes":5}}"#, "journal.maxBytes: 5 is not"),
        (r#"{"http":{"retry":{"factor":0}}}"#, "http.retry.factor: 0 is not from 1 to 100"),
        (
            r#"{"http":{"retry":{"hosts":{"a.b":{"jitter":9}}}}}"#,
            "http.retry.hosts.a.b.jitter: 9 is not",
        ),
        (r#"{"http":{"idempotencyKey":"x"}}"#, "http.idempotencyKey: \"x\" is none"),
        (r#"{"http":{"onInterrupted":"x"}}"#, "http.onInterrupted: \"x\" is neither"),
        (r#"{"lateCalls":"ignore"}"#, "lateCalls: \"ignore\" is neither 'warn' nor"),
        (r#"{"name":""}"#, "name: must not be empty"),
        (r#"{"http":{"headerCase":"Lower"}}"#, "http.headerCase: \"Lower\" is neither"),
        (r#"{"http":{"userAgent":"a\nb"}}"#, "http.userAgent: is not a header value"),
    ]);
}

#[test]
fn a_shared_journal_refuses_what_it_cannot_do() {
    assert_refused(&[
        (r#"{"journal":{"postgres":{}}}"#, "journal.key: is needed with journal.postgres"),
        (
            r#"{"journal":{"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","postgres":{}}}"#,
            "journal.postgres.url: is needed",
        ),
        (
            r#"{"dataDir":"x","journal":{"postgres":{"url":"postgres://u@h/d"}}}"#,
            "dataDir: is for another journal than journal.postgres",
        ),
        (
            r#"{"dataDir":"x","journal":{"patienceMs":100}}"#,
            "journal.patienceMs: has no meaning without journal.postgres",
        ),
        (
            r#"{"journal":{"postgres":{"shard":1}}}"#,
            "unknown option journal.postgres.shard. Did you mean journal.postgres.shards?",
        ),
        (
            r#"{"sql":{"duckdb":{"file":"x"}},"journal":{"postgres":{}}}"#,
            "sql.duckdb: is a file of one machine",
        ),
        (
            r#"{"log":{"maxExecutionsPerWorkflow":5},"journal":{"postgres":{}}}"#,
            "log.maxExecutionsPerWorkflow: has no effect with journal.postgres",
        ),
    ]);
}

#[test]
fn rates_and_alerts_are_checked() {
    assert_refused(&[
        (r#"{"http":{"rate":{"perHost":{"count":0,"perMs":1}}}}"#, "http.rate.perHost.count: 0"),
        (r#"{"http":{"rate":{"perHots":{}}}}"#, "http.rate.perHots. Did you mean"),
        (
            r#"{"http":{"rate":{"hosts":{"a b":{"count":1,"perMs":1}}}}}"#,
            "http.rate.hosts: \"a b\" is neither a host name",
        ),
        (
            r#"{"http":{"rate":{"workflows":{"p":{"count":1,"perMs":0.5}}}}}"#,
            "http.rate.workflows.p.perMs: 0.5",
        ),
        (r#"{"alerts":{"url":"https://a"}}"#, "alerts.secret: is needed with url"),
        (r#"{"alerts":{"secret":"whsec_x"}}"#, "alerts.secret: has no meaning without url"),
        (r#"{"alerts":{"url":"x","secret":"whsec_x"}}"#, "alerts.url: is not the URL"),
        (r#"{"alerts":{"url":"http://a","secret":"x"}}"#, "alerts.secret: must be whsec_"),
        (r#"{"alerts":{"breaker":[50,0]}}"#, "alerts.breaker[1]: 0 is not"),
        (r#"{"alerts":{"oldestMs":-1}}"#, "alerts.oldestMs: -1 is not"),
        (r#"{"alerts":{"oldest":1}}"#, "unknown option alerts.oldest. Did you mean"),
        (r#"{"alerts":{"deadLetters":{"count":1,"perMs":0}}}"#, "alerts.deadLetters.perMs: 0"),
    ]);
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    assert_refused(&[
        (r#"{"durability":"os"}"#, "durability: has no meaning without dataDir"),
        (r#"{"onFailed":"http"}"#, "onFailed: 'http' needs a URL"),
        (r#"{"onFailed":"a b"}"#, "onFailed: \"a b\" is not the name of a destination"),
        (r#"{"sql":{}}"#, "sql.duckdb.file: is needed without dataDir"),
        (r#"{"deliver":false}"#, "deliver: false needs dataDir or journal.postgres"),
        (
            r#"{"egress":{"proxy":"http://p:1"},"http":{"tls":{}}}"#,
            "http.tls: has no effect behind egress.proxy",
        ),
        (
            r#"{"egress":{"proxy":"http://p:1"},"http":{"headerCase":"as-given"}}"#,
            "http.headerCase: must be 'lower' behind egress.proxy",
        ),
    ]);
}
