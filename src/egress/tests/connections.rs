//! Real connections: rebinding, mixed addresses, redirects, the local address.

use std::sync::Arc;

use super::servers::{OK, OK_ONCE, Server, public_and_private};
use super::{Answers, egress, get, options, policy, url};
use crate::delivery::Phase;
use crate::egress::{Egress, Options, Policy, SystemLookup};
use crate::error::ErrorKind;

#[tokio::test]
async fn a_name_that_rebinds_between_two_connections_is_refused_the_second_one() {
    let (public, private) = public_and_private();
    let server = Server::http_on(public, OK_ONCE);
    let answers = Answers::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let egress = egress(answers.clone());
    let client = egress.client_builder().unwrap().build().unwrap();
    let url = server.url("http", "rebinding.test");

    assert_eq!(get(&egress, &client, &url).await.unwrap(), "ok");
    assert_eq!(answers.asked(), ["rebinding.test"], "one lookup for one connection");
    let failure = get(&egress, &client, &url).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::EgressDenied);
    assert_eq!(failure.phase, Some(Phase::Dns));
    let expected = "127.0.0.2, an address of \"rebinding.test\", is denied by egress.deny[0]";
    assert_eq!(failure.message, expected);
    assert!(private.heard_nothing());
}

#[tokio::test]
async fn a_name_that_rebinds_to_loopback_is_refused_by_the_default_policy() {
    let server = Server::http(OK);
    let answers = Answers::new(&[&["127.0.0.1", "::1"]]);
    let egress = Egress::new(Policy::new(&Options::default()).unwrap(), answers);
    let client = egress.client_builder().unwrap().build().unwrap();
    let failure = get(&egress, &client, &server.url("http", "rebinding.test")).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::EgressDenied);
    assert!(failure.message.contains("loopback"), "{}", failure.message);
    assert!(server.heard_nothing());
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_permitted_addresses_are_connected_to() {
    let (public, private) = public_and_private();
    let server = Server::http_on(public, OK_ONCE);
    let egress = egress(Answers::new(&[&["127.0.0.2", "10.0.0.1", "127.0.0.1"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &server.url("http", "mixed.test")).await.unwrap(), "ok");
    assert!(private.heard_nothing());
}

#[tokio::test]
async fn a_name_without_addresses_fails_as_dns() {
    for lookup in [Answers::new(&[]), Answers::new(&[&[]])] {
        let egress = egress(lookup);
        let client = egress.client_builder().unwrap().build().unwrap();
        let failure = get(&egress, &client, &url("http://nowhere.test/")).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (ErrorKind::Dns, Some(Phase::Dns)));
        assert!(failure.message.starts_with("\"nowhere.test\" did not resolve: "));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_is_not_admitted() {
    let (public, private) = public_and_private();
    let port = private.address.port();
    for target in [format!("127.0.0.2:{port}"), format!("2130706434:{port}")] {
        let location = format!("http://{target}/latest/meta-data/");
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\n\r\n");
        let server = Server::http_on(public.try_clone().unwrap(), &answer);
        let egress = egress(Answers::new(&[&["127.0.0.1"]]));
        let client = egress.client_builder().unwrap().build().unwrap();
        let first = server.url("http", "public.test");
        egress.check_url(&first).await.unwrap();
        let response = client.get(first.clone()).send().await.unwrap();
        assert_eq!(response.status(), 302);
        let hop = first.join(response.headers()["location"].to_str().unwrap()).unwrap();
        assert_eq!(egress.check_url(&hop).await.unwrap_err().kind, ErrorKind::EgressDenied);
    }
    assert!(private.heard_nothing());
}

#[tokio::test]
async fn a_redirect_to_a_name_of_a_private_address_is_refused_where_it_is_resolved() {
    let (_public, private) = public_and_private();
    let egress = egress(Answers::new(&[&["127.0.0.2"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    let failure = get(&egress, &client, &private.url("http", "inside.test")).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::EgressDenied);
    assert!(private.heard_nothing());
}

#[tokio::test]
async fn localhost_is_resolved_by_the_system_and_checked() {
    let server = Server::http(OK);
    let closed =
        Egress::new(Policy::new(&Options::default()).unwrap(), Arc::new(SystemLookup::new()));
    let open = Egress::new(
        Policy::new(&options(&["localhost"], &[])).unwrap(),
        Arc::new(SystemLookup::new()),
    );
    for name in ["localhost", "LOCALHOST"] {
        let url = server.url("http", name);
        let client = closed.client_builder().unwrap().build().unwrap();
        let failure = get(&closed, &client, &url).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::EgressDenied, "{name}: {failure}");
        assert!(server.heard_nothing());
        let client = open.client_builder().unwrap().build().unwrap();
        assert_eq!(get(&open, &client, &url).await.unwrap(), "ok", "{name}");
        assert!(server.heard.recv().unwrap().starts_with("GET / HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn an_absolute_name_is_the_same_host() {
    let server = Server::http(OK);
    let egress =
        Egress::new(policy(&["host.test"], &["*.denied.test"]), Answers::new(&[&["127.0.0.1"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &server.url("http", "host.test.")).await.unwrap(), "ok");
    for host in ["other.test.", "a.denied.test."] {
        let failure = get(&egress, &client, &server.url("http", host)).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::EgressDenied, "{host}");
    }
}

#[tokio::test]
async fn connections_are_made_from_the_local_address() {
    let listener = super::servers::listen();
    let server = Server::on(listener, |stream, tell| {
        tell.send(stream.peer_addr()?.ip().to_string()).map_err(std::io::Error::other)
    });
    let local_address = Some("127.0.0.77".into());
    let options = Options { local_address, ..options(&["127.0.0.0/8"], &[]) };
    let egress = Egress::new(Policy::new(&options).unwrap(), Answers::new(&[]));
    let client = egress.client_builder().unwrap().build().unwrap();
    // The server closes the connection without a response.
    client.get(server.url("http", "127.0.0.1")).send().await.unwrap_err();
    assert_eq!(server.heard.recv().unwrap(), "127.0.0.77");
}

#[tokio::test]
async fn a_local_address_of_the_other_family_never_falls_back_to_the_systems_choice() {
    let server = Server::http(OK);
    let local_address = Some("::1".into());
    let options = Options { local_address, ..options(&["127.0.0.0/8"], &[]) };
    let egress = Egress::new(Policy::new(&options).unwrap(), Answers::new(&[&["127.0.0.1"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    for host in ["127.0.0.1", "name.test"] {
        assert!(client.get(server.url("http", host)).send().await.unwrap_err().is_connect());
    }
    assert!(server.heard_nothing());
}
