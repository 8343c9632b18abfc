//! The calls that forward a dead letter (`onFailed`): the failed delivery, as the log shows it, in the
//! form that a destination takes.

use serde_json::{Value, json};

use super::registry::dead_letter;
use crate::delivery::{Kind, Payload};

/// The table of dead letters in the warehouse.
const TABLE: &str = "dead_letters";
/// The name of the emitted events.
const EVENT: &str = "dead_letter";

/// Returns the reason why a destination cannot take dead letters, if it cannot.
#[must_use]
pub fn refusal(kind: Kind) -> Option<String> {
    dead_letter(kind).err().map(|reason| format!("'{}' {reason}", kind.name()))
}

/// Returns the call that forwards a failed delivery, a JSON object. `None`: this destination takes no
/// dead letters.
#[must_use]
pub fn forwarded(kind: Kind, delivery: &str) -> Option<Payload> {
    let text = dead_letter(kind).ok()?(delivery);
    Some(Payload::from_text(text))
}

/// Returns the text of a call of `$send.emit` for a failed delivery.
pub(super) fn event(delivery: &str) -> String {
    format!("{{\"event\":{delivery},\"channel\":\"{EVENT}\"}}")
}

/// Returns the text of a call of `$send.email` for a failed delivery.
pub(super) fn mail(delivery: &str) -> String {
    let delivery = parsed(delivery);
    let subject = format!(
        "Failed: {} of {} ({})",
        member(&delivery, "/destination"),
        member(&delivery, "/workflowId"),
        member(&delivery, "/error/code"),
    );
    let text = serde_json::to_string_pretty(&delivery).unwrap_or_default();
    let message = member(&delivery, "/error/message");
    json!({ "subject": subject, "text": format!("{message}\n\n{text}\n") }).to_string()
}

/// Returns the text of a call of `$send.sql` for a failed delivery.
pub(super) fn record(delivery: &str) -> String {
    json!({ "table": TABLE, "payload": row(delivery) }).to_string()
}

fn member<'a>(delivery: &'a Value, path: &str) -> &'a str {
    delivery.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn parsed(delivery: &str) -> Value {
    serde_json::from_str(delivery).unwrap_or_default()
}

/// Returns the row of a delivery: what is searched for has columns of its own.
fn row(delivery: &str) -> Value {
    let whole = parsed(delivery);
    let mut row = serde_json::Map::new();
    for (column, path) in [
        ("delivery_id", "/id"),
        ("replay_of", "/replayOf"),
        ("workflow_id", "/workflowId"),
        ("execution_id", "/executionId"),
        ("step", "/step"),
        ("destination", "/destination"),
        ("error_code", "/error/code"),
        ("error_message", "/error/message"),
        ("http_status", "/response/status"),
        ("attempts", "/attempts"),
        ("recorded_at", "/recordedAt"),
        ("settled_at", "/settledAt"),
    ] {
        row.insert(column.to_owned(), whole.pointer(path).cloned().unwrap_or_default());
    }
    row.insert("delivery".to_owned(), delivery.into());
    Value::Object(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERY: &str = r#"{"id":"1","workflowId":"p_a","destination":"http","attempts":2,"error":{"code":"ERR_SEND_STATUS","message":"the server answered 500"}}"#;

    fn text(kind: Kind) -> Value {
        let payload = forwarded(kind, DELIVERY).unwrap();
        serde_json::from_slice(&payload.text).unwrap()
    }

    #[test]
    fn a_dead_letter_has_the_form_of_its_destination() {
        let own = Kind::from_name("dead").unwrap();
        assert_eq!(text(own), parsed(DELIVERY));
        assert_eq!(text(Kind::Emit)["event"]["error"]["code"], "ERR_SEND_STATUS");
        let mail = text(Kind::Email);
        assert_eq!(mail["subject"], "Failed: http of p_a (ERR_SEND_STATUS)");
        assert!(mail["text"].as_str().unwrap().starts_with("the server answered 500\n\n{\n"));
        let row = &text(Kind::Sql)["payload"];
        assert_eq!(row["error_code"], "ERR_SEND_STATUS");
        assert_eq!((&row["attempts"], &row["step"]), (&json!(2), &Value::Null));
        assert_eq!(row["delivery"], DELIVERY);
    }

    #[test]
    fn what_takes_no_dead_letter_says_why() {
        for kind in Kind::ALL {
            assert_eq!(refusal(kind).is_some(), forwarded(kind, DELIVERY).is_none());
        }
    }
}
