//! The promises that every destination keeps, as one suite over all of them.

use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::registry::examples;
use super::{Attempt, Config, DestinationRegistry, Encoded, Origin, Resources, email, s3, sql};
use crate::delivery::{Kind, Payload, Verdict};
use crate::egress::{Egress, Policy, SystemLookup};
use crate::time::Timestamp;

/// A text that is in the calls below where a secret can be.
const SECRET: &str = "s3cr3t-of-the-step";

fn registry() -> DestinationRegistry {
    let policy = Policy::new(&crate::egress::Options::default()).unwrap();
    let egress = Egress::new(policy, Arc::new(SystemLookup::new()));
    let folder = PathBuf::from("never-written");
    let warehouse = sql::DuckDbConfig::inside(&folder);
    let config = Config {
        email: email::Config::files(folder.clone(), false),
        s3: s3::Config::files(folder, false),
        sql: sql::Config {
            warehouse: Some(sql::Warehouse::DuckDb(warehouse)),
            ..sql::Config::default()
        },
        ..Config::default()
    };
    DestinationRegistry::open(&config, Resources::new(egress, 100)).unwrap()
}

/// Every kind, with a call of it.
fn calls() -> Vec<(Kind, &'static str)> {
    let custom = Kind::from_name("contract").unwrap();
    examples().into_iter().chain([(custom, r#"{"a":1}"#)]).collect()
}

fn payload(text: &str) -> Payload {
    Payload::from_text(text.to_owned())
}

fn attempt() -> Attempt<'static> {
    Attempt {
        id: Uuid::from_u128(1),
        call: Uuid::from_u128(1),
        workflow_id: "w",
        emit_depth: 0,
        trace: None,
        recorded_at: Timestamp::now(),
        recovered: false,
    }
}

/// A batch of copies of a call, begun with a name or without one.
fn batch(kind: Kind, text: &str, at: Timestamp, name: Option<&str>) -> Encoded {
    let registry = registry();
    let destination = registry.of(kind);
    let lane = registry.lane(kind, &payload(text), "p_1");
    let mut open = destination.batching().unwrap().begin(&lane, Uuid::from_u128(7), name);
    for number in 1..=3 {
        let id = Uuid::from_u128(number);
        let origin = Origin { id, call: id, workflow_id: "w", recorded_at: at };
        open.add(&payload(text), origin).unwrap();
    }
    open.close(at).unwrap()
}

#[test]
fn the_destination_of_a_kind_is_its_own() {
    let registry = registry();
    for (kind, destination) in registry.built_in() {
        let debugged = format!("{destination:?}").to_lowercase();
        assert!(debugged.starts_with(kind.name()), "{} is {debugged}", kind.name());
    }
    assert!(registry.built_in().map(|(kind, _)| kind).eq(Kind::ALL));
}

#[test]
fn every_kind_has_its_call() {
    let calls = calls();
    let kinds: Vec<_> = calls.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds[..Kind::ALL.len()], Kind::ALL);
    assert_eq!(kinds.len(), Kind::ALL.len() + 1, "and one is custom");
    assert!(calls.iter().any(|(_, text)| text.contains(SECRET)));
}

#[tokio::test]
async fn what_is_no_call_is_delivered_nowhere() {
    let registry = registry();
    for (kind, _) in calls() {
        for text in ["", "{", "{\"a\":\u{1}}", "nonsense"] {
            let (payload, attempt) = (payload(text), attempt());
            let destination = registry.of(kind);
            // None of these panics either.
            let _ = (registry.lane(kind, &payload, "p_1"), destination.describe(&payload));
            if registry.is_batched(kind) {
                let lane = registry.lane(kind, &payload, "p_1");
                let mut open = destination.batching().unwrap().begin(&lane, attempt.id, None);
                let Attempt { id, recorded_at, .. } = attempt;
                let origin = Origin { id, call: id, workflow_id: "w", recorded_at };
                assert!(open.add(&payload, origin).is_err(), "{} {text:?}", kind.name());
            } else {
                let verdict = destination.deliver(&payload, &attempt).await.verdict;
                assert!(matches!(verdict, Verdict::Rejected(_)), "{} {text:?}", kind.name());
            }
        }
    }
}

#[test]
fn what_is_shown_of_a_call_has_no_secret() {
    let registry = registry();
    for (kind, text) in calls() {
        let payload = payload(text);
        for shown in [registry.of(kind).describe(&payload), super::describe(kind, &payload)] {
            let shown = format!("{} {:?}", shown.head(), shown.body());
            assert!(!shown.contains(SECRET), "{}: {shown}", kind.name());
        }
        assert!(!registry.lane(kind, &payload, "p_1").contains(SECRET), "{}", kind.name());
    }
}

#[test]
fn a_call_waits_at_most_as_long_as_its_destination_says() {
    let registry = registry();
    for (kind, text) in calls() {
        let (destination, payload) = (registry.of(kind), payload(text));
        let policy = destination.retry_policy(&payload);
        let longest = policy.map(|policy| policy.longest_wait()).unwrap_or_default();
        assert!(destination.longest_wait(&payload) >= longest, "{}", kind.name());
    }
}

#[test]
fn the_same_calls_are_the_same_batch() {
    let at = Timestamp::now();
    let mut tried = 0;
    for (kind, text) in calls() {
        if registry().of(kind).batching().is_none() {
            continue;
        }
        let first = batch(kind, text, at, None);
        let again = batch(kind, text, at, Some(&first.name));
        assert_eq!((&first.name, &first.bytes), (&again.name, &again.bytes), "{}", kind.name());
        assert_eq!(first.len(), again.len(), "{}", kind.name());
        assert!(!first.is_empty(), "{}", kind.name());
        tried += 1;
    }
    assert!(tried >= 3, "{tried} kinds have batches");
}
