//! Patterns, webhooks and listeners of subscriptions.

use super::*;

const URL: &str = "https://example.com";

fn with(subscriptions: &[(&str, &str, &str)]) -> Subscriptions {
    let all = Subscriptions::default();
    for id in ["wh_a", "wh_b"] {
        let members = WebhookChange { url: Some(URL.into()), ..WebhookChange::default() };
        let mut webhook = all.webhook(members, Timestamp::from_millis(0)).unwrap();
        webhook.id = id.to_owned();
        all.add(Registration::Webhook(webhook));
    }
    for (emitter, listener, name) in subscriptions {
        let new = all.subscription(emitter, listener, name).unwrap();
        all.add(Registration::Subscription(new));
    }
    all
}

fn targets(all: &Subscriptions, emitter: &str, name: &str) -> Vec<String> {
    all.webhooks_for(emitter, name).iter().map(|webhook| webhook.id.clone()).collect()
}

#[test]
fn patterns_choose_emitters_and_channels() {
    let all = with(&[("p_*", "wh_a", ""), ("p_1", "wh_b", "orders"), ("dc_1", "wh_b", "*")]);
    assert_eq!(targets(&all, "p_1", ""), ["wh_a"]);
    assert_eq!(targets(&all, "p_1", "orders"), ["wh_b"]);
    assert_eq!(targets(&all, "p_2", "orders"), [""; 0]);
    assert_eq!(targets(&all, "dc_1", "anything"), ["wh_b"]);
    assert_eq!(targets(&all, "dc_1", ERRORS), [""; 0]);
    assert_eq!(targets(&with(&[("*", "wh_a", ERRORS)]), "p_1", ERRORS), ["wh_a"]);
}

#[test]
fn a_subscription_that_two_nodes_made_at_once_is_one() {
    let all = with(&[("p_1", "wh_a", "orders"), ("p_1", "wh_b", "orders")]);
    let mut twin = all.subscriptions()[0].clone();
    twin.id = new_id("sub");
    all.add(Registration::Subscription(twin.clone()));
    let ids = all.ids_of("p_1", "wh_a", "orders");
    assert_eq!((ids.len(), &ids[1]), (2, &twin.id));
    assert_eq!(all.subscriptions().len(), 2);
    assert_eq!(all.subscription("p_1", "wh_a", "orders").unwrap().id, ids[0]);
    all.remove(&ids);
    assert_eq!(all.subscriptions().len(), 1);
}

#[test]
fn a_webhook_is_told_once_and_takes_its_subscriptions_along() {
    let all = with(&[("p_*", "wh_a", ""), ("p_1", "wh_a", "")]);
    assert_eq!(targets(&all, "p_1", ""), ["wh_a"]);
    let ids = all.ids_of_webhook("wh_a").unwrap();
    assert_eq!(ids.len(), 3);
    all.remove(&ids);
    assert!(targets(&all, "p_1", "").is_empty() && all.subscriptions().is_empty());
}

#[test]
fn the_same_subscription_is_there_once() {
    let all = with(&[("p_1", "p_2", "x"), ("p_1", "p_2", "x")]);
    assert_eq!(all.subscriptions().len(), 1);
    assert_eq!([all.ids_of("p_1", "p_2", "x").len(), all.ids_of("p_1", "p_2", "").len()], [1, 0]);
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let all = with(&[]);
    let long = "x".repeat(MAX_TEXT + 1);
    for (emitter, listener, name, expected) in [
        ("", "p_1", "", "emitter_id: must not be empty"),
        ("p_1", "", "", "listener_id: must not be empty"),
        ("p_1", "wh_gone", "", "there is no webhook"),
        ("p_1", "p_2", "a\nb", "event_name: has control characters"),
        (&long, "p_2", "", "emitter_id: has more than"),
    ] {
        let error = all.subscription(emitter, listener, name).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn registrations_survive_their_text() {
    let all = with(&[("p_1", "wh_a", "x")]);
    let texts: Vec<_> = std::iter::empty()
        .chain(all.webhooks().iter().map(|hook| Registration::Webhook((**hook).clone())))
        .chain(all.subscriptions().into_iter().map(Registration::Subscription))
        .map(|registration| serde_json::to_string(&registration).unwrap())
        .collect();
    let restored = Subscriptions::default();
    restored.restore(texts.iter().map(String::as_str)).unwrap();
    assert_eq!(restored.subscriptions(), all.subscriptions());
    assert_eq!(restored.webhooks(), all.webhooks());
}

#[test]
fn a_registration_that_cannot_be_read_is_an_error_that_repeats_none_of_it() {
    let text = r#"{"webhook":{"id":"wh_a","url":5,"secret":"whsec_x"}}"#;
    let error = Subscriptions::default().restore([text]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    let message = error.to_string();
    assert!(message.starts_with("registration 1 of") && !message.contains("whsec"), "{message}");
}

#[test]
fn a_disabled_webhook_gets_no_events_and_a_paused_one_does() {
    let all = with(&[("*", "wh_a", ""), ("*", "wh_b", "")]);
    let webhook = all.find_webhook("wh_a").unwrap();
    all.add(Registration::Webhook(webhook.disabled("gone".into(), 1)));
    let pause = WebhookChange { active: Some(false), ..WebhookChange::default() };
    let paused = all.find_webhook("wh_b").unwrap().changed(pause, 1).unwrap();
    all.add(Registration::Webhook(paused));
    assert_eq!(targets(&all, "p_1", ""), ["wh_b"]);
}
