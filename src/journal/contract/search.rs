//! The suite of searches in [`History`](crate::journal::History): what an index finds is what a look
//! at each row finds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::{completed, delivered, failed, items, lane};
use crate::execution::{
    DeliveryQuery, ExecutionInfo, ExecutionLog, ExecutionQuery, Found, RequestLog, ResponseLog,
    Search, SearchField, SearchTerm, Settlement, Status,
};
use crate::journal::{Commit, Completion, Journal};
use crate::time::Timestamp;

static NEXT: AtomicU32 = AtomicU32::new(0);
const RUNS: u32 = 40;
const CALLS: usize = 5;

pub(super) async fn check<J: Journal>(open: &impl Fn() -> J) {
    let journal = open();
    fill(&journal).await;
    compare(&journal).await;
    statistics_are_of_terminal_deliveries(open()).await;
}

/// Appends runs of several workflows, with calls of every end. Each seventh run does not end.
pub(in crate::journal) async fn fill(journal: &impl Journal) {
    let first = NEXT.fetch_add(RUNS, Ordering::Relaxed);
    for number in first..first + RUNS {
        let execution = Arc::new(ExecutionLog::new(ExecutionInfo {
            execution_id: format!("run-{number}").into(),
            workflow_id: format!("p_{}", number % 6).into(),
            attempt: 1,
            started_at: Timestamp::from_millis(u64::from(number) + 1),
            emit_depth: 0,
            trace: None,
            trigger: (number % 3 == 0).then(|| format!("POST /hooks/{number}").into()),
        }));
        let completion = match number % 7 {
            0 => Completion::Continues,
            1 => Completion::Discarded,
            2 => Completion::Completed { error: Some(format!("Boom {number}")), message: None },
            3 => Completion::Completed { error: None, message: Some("All done".to_owned()) },
            _ => completed(),
        };
        let seed = execution.serial();
        let commit =
            Commit { execution, seed, items: items(&["a"; CALLS]), completion, forwards: None };
        journal.append(commit).await.unwrap();
    }
    let mut number = 0;
    while let Some(record) = journal.lease(&lane("a")).await {
        number += 1;
        if number % 50 == 0 {
            continue;
        }
        journal.settle(&record, settlement(number));
    }
    journal.written().await;
}

fn settlement(number: u32) -> Settlement {
    let hosts = ["api.example", "Hooks.example", "kühl.example"];
    let url = match number % 20 {
        1 => format!("https://x.example/{}", "long".repeat(3000)),
        _ => format!("https://{}/order/{}", hosts[number as usize % 3], number * 37),
    };
    let request = Some(RequestLog::new(&json!({ "url": url }), None));
    let response =
        ResponseLog::new(&json!({ "status": 200, "durationMs": f64::from(number) }), None);
    let base = if number.is_multiple_of(4) { failed() } else { delivered() };
    Settlement { request, response: Some(Box::new(response)), ..base }
}

fn term(field: SearchField, text: &str) -> SearchTerm {
    SearchTerm { field, text: text.to_owned() }
}

fn searches() -> Vec<Vec<SearchTerm>> {
    use SearchField::{Any, Code, Destination, Execution, Host, Status, Trigger, Workflow};
    let mut searches = vec![
        vec![term(Status, "failed"), term(Host, "hooks")],
        vec![term(Status, "deliv"), term(Workflow, "p_3")],
        vec![term(Status, "completed"), term(Any, "/order/7")],
        vec![term(Any, "order"), term(Any, "37"), term(Any, "run-1")],
        vec![term(Any, "boom"), term(Any, "order")],
        vec![term(Any, "done"), term(Host, "api"), term(Trigger, "hooks")],
        vec![term(Any, "boom"), term(Host, "api")],
        vec![term(Status, "failed"), term(Status, "completed")],
        vec![term(Any, "hooks"), term(Host, "api")],
    ];
    for (field, texts) in [
        (Any, &["kühl", "ORDER", "order/11", "7", "74", "~", "é", "longlong", "answered 500"][..]),
        (Any, &["run-12", "p_5", "step", "boom 2", "nowhere", "https://api.example/order/1"]),
        (Host, &["api.example", "order", "ü", "x.", "nowhere"]),
        (Code, &["err_send_status", "discard", "status_"]),
        (Status, &["failed", "discarded", "running", "completed", "pending", "in-flight", "e"]),
        (Destination, &["http", "s3"]),
        (Workflow, &["p_1", "_", "order"]),
        (Trigger, &["hooks", "/3", "order"]),
        (Any, &["all done", "POST /hooks"]),
        (Execution, &["run-3", "39", "order"]),
    ] {
        searches.extend(texts.iter().map(|text| vec![term(field, &text.to_lowercase())]));
    }
    searches
}

/// Compares each search, in pages and whole, with a look at every delivery and every run.
pub(in crate::journal) async fn compare(journal: &impl Journal) {
    let all = DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() };
    let everything = journal.deliveries(&all, &[]).await.unwrap();
    assert!(everything.len() >= 20);
    for terms in searches() {
        let search = Arc::new(Search { terms, since: None, until: None });
        let query = DeliveryQuery { search: Some(Arc::clone(&search)), ..all.clone() };
        check_deliveries(journal, &everything, &query).await;
        check_executions(journal, &everything, &search).await;
    }
    let text = |text: &str| Some(text.to_owned());
    for query in [
        DeliveryQuery { status: text("failed"), ..all.clone() },
        DeliveryQuery { status: text("pending"), step: text("step"), ..all.clone() },
        DeliveryQuery { workflow_id: text("p_2"), ..all.clone() },
        DeliveryQuery { workflow_id: text("p_"), ..all.clone() },
        DeliveryQuery { destination: text("http"), status: text("delivered"), ..all.clone() },
        DeliveryQuery { execution_id: text("run-5"), ..all.clone() },
    ] {
        check_deliveries(journal, &everything, &query).await;
        let expected = expected(&everything, &query).len();
        assert_eq!(
            journal.count_deliveries(&query, &[], usize::MAX >> 1).await.unwrap(),
            expected,
            "{query:?}"
        );
    }
}

fn expected(everything: &[Found], query: &DeliveryQuery) -> Vec<uuid::Uuid> {
    let admitted = everything
        .iter()
        .filter(|(info, entry)| query.admits_execution(0, info) && query.admits(info, entry));
    admitted.map(|(_, entry)| entry.id).collect()
}

async fn check_deliveries(journal: &impl Journal, everything: &[Found], query: &DeliveryQuery) {
    let expected = expected(everything, query);
    let ids = |found: Vec<Found>| found.iter().map(|(_, entry)| entry.id).collect::<Vec<_>>();
    let found = ids(journal.deliveries(query, &[]).await.unwrap());
    assert_eq!(found, expected, "{query:?}");
    let mut paged = Vec::new();
    loop {
        let page = DeliveryQuery { limit: Some(7), before: paged.last().copied(), ..query.clone() };
        let page = ids(journal.deliveries(&page, &[]).await.unwrap());
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected, "{query:?}");
}

/// A run matches by what it is itself, or with the rest by one of its deliveries.
async fn check_executions(journal: &impl Journal, everything: &[Found], search: &Arc<Search>) {
    let query = |limit| ExecutionQuery { limit: Some(limit), ..ExecutionQuery::default() };
    let rows = async |query: ExecutionQuery| -> Vec<serde_json::Value> {
        serde_json::from_str(&journal.executions(&query, &[]).await.unwrap()).unwrap()
    };
    let mut expected = Vec::new();
    for run in rows(query(10_000)).await {
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_lowercase();
        let of_run = |term: &&SearchTerm| {
            let texts = match term.field {
                SearchField::Status => vec![text("status")],
                SearchField::Workflow => vec![text("workflowId")],
                SearchField::Execution => vec![text("executionId")],
                SearchField::Trigger => vec![text("trigger")],
                SearchField::Any => ["workflowId", "executionId", "error", "trigger", "message"]
                    .into_iter()
                    .map(text)
                    .collect(),
                SearchField::Host | SearchField::Code | SearchField::Destination => vec![],
            };
            texts.iter().any(|text| text.contains(&term.text))
        };
        let terms: Vec<_> = search.terms.iter().filter(|term| !of_run(term)).cloned().collect();
        let rest = Search { terms, since: None, until: None };
        let mut of_run = everything
            .iter()
            .filter(|(info, _)| run["executionId"].as_str() == Some(&*info.execution_id));
        let is_found =
            rest.terms.is_empty() || of_run.any(|(info, entry)| rest.admits_entry(info, entry));
        if is_found {
            expected.push(run["executionId"].clone());
        }
    }
    for limit in [3, 10_000] {
        let query = ExecutionQuery { search: Some(Arc::clone(search)), ..query(limit) };
        let found: Vec<_> =
            rows(query).await.iter().map(|run| run["executionId"].clone()).collect();
        assert_eq!(found, expected[..limit.min(expected.len())], "{search:?}");
    }
}

async fn statistics_are_of_terminal_deliveries(journal: impl Journal) {
    let before = Timestamp::now();
    fill(&journal).await;
    let samples = journal.samples(Timestamp::from_millis(0)).await.unwrap();
    let count = async |status: Status| {
        let status = Some(status.as_str().to_owned());
        let query = DeliveryQuery { status, ..DeliveryQuery::default() };
        journal.count_deliveries(&query, &[], usize::MAX >> 1).await.unwrap()
    };
    let of = |status| samples.iter().filter(|sample| sample.status == status).count();
    for status in [Status::Delivered, Status::Failed] {
        assert_eq!(of(status), count(status).await);
        assert!(of(status) > 10);
    }
    assert_eq!(of(Status::Discarded), 0);
    for sample in &samples {
        assert!(sample.at >= before);
        assert_eq!(sample.http_status, Some(200));
        assert!(sample.duration_ms.is_some_and(|ms| ms >= 1.0));
        assert!(sample.host.ends_with(".example"), "{}", sample.host);
    }
    let later = Timestamp::from_millis(Timestamp::now().as_millis() + 60_000);
    assert!(journal.samples(later).await.unwrap().is_empty());
}
