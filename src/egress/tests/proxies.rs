//! Real proxies: the requests that they get, and those that never reach them.

use super::servers::{OK, OK_ONCE, Server};
use super::trust::{tls_server, trust_test_authority};
use super::{Answers, get, options, url};
use crate::delivery::Phase;
use crate::egress::{Egress, Options, Policy};
use crate::error::ErrorKind;

/// Returns a gateway behind a proxy at this URL, for which 127.0.0.2 is not public.
fn behind(proxy: String, answers: &[&[&str]]) -> Egress {
    let options = Options { proxy: Some(proxy), ..options(&["127.0.0.1"], &["127.0.0.2"]) };
    Egress::new(Policy::new(&options).unwrap(), Answers::new(answers))
        .trusting(trust_test_authority)
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_the_whole_url_with_its_credentials() {
    let server = Server::http(OK_ONCE);
    let proxy = Server::http_proxy(server.address);
    let egress = behind(format!("http://al%69ce:hunter%402@{}", proxy.address), &[&["127.0.0.1"]]);
    let client = egress.client_builder().unwrap().build().unwrap();
    let url = url("http://target.test:81/path");
    assert_eq!(get(&egress, &client, &url).await.unwrap(), "ok");
    let head = proxy.heard.recv().unwrap();
    assert!(head.starts_with("GET http://target.test:81/path HTTP/1.1\r\n"), "{head}");
    // alice:hunter@2
    assert!(head.contains("proxy-authorization: Basic YWxpY2U6aHVudGVyQDI=\r\n"), "{head}");
}

#[tokio::test]
async fn https_goes_through_connect() {
    let server = tls_server();
    let proxy = Server::http_proxy(server.address);
    let egress = behind(format!("http://alice:hunter2@{}", proxy.address), &[&["127.0.0.1"]]);
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &url("https://tls.test:444/")).await.unwrap(), "ok");
    let head = proxy.heard.recv().unwrap();
    assert!(head.starts_with("CONNECT tls.test:444 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    assert!(!server.heard.recv().unwrap().to_lowercase().contains("proxy-authorization"));
}

#[tokio::test]
async fn a_socks5_proxy_is_asked_for_the_checked_address() {
    let server = Server::http(OK_ONCE);
    let proxy = Server::socks5(server.address);
    let egress = behind(format!("socks5://alice:hunter2@{}", proxy.address), &[&["127.0.0.1"]]);
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &url("http://target.test:81/")).await.unwrap(), "ok");
    assert_eq!(proxy.heard.recv().unwrap(), "alice hunter2");
    assert_eq!(proxy.heard.recv().unwrap(), "127.0.0.1:81");
}

#[tokio::test]
async fn a_socks5_proxy_can_be_asked_for_an_address_of_the_url() {
    let server = Server::http(OK_ONCE);
    let proxy = Server::socks5(server.address);
    let egress = behind(format!("socks5://{}", proxy.address), &[]);
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &url("http://127.1:81/")).await.unwrap(), "ok");
    assert_eq!(proxy.heard.recv().unwrap(), "127.0.0.1:81");
}

#[tokio::test]
async fn a_socks5h_proxy_is_asked_for_the_name_over_which_tls_is_spoken() {
    let server = tls_server();
    let proxy = Server::socks5(server.address);
    let egress = behind(format!("socks5h://{}", proxy.address), &[&["127.0.0.1"]]);
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &url("https://tls.test:444/")).await.unwrap(), "ok");
    assert_eq!(proxy.heard.recv().unwrap(), "tls.test:444");
}

#[tokio::test]
async fn a_socks5_name_that_rebinds_after_it_was_admitted_is_refused() {
    let proxy = Server::socks5(Server::http(OK).address);
    let egress = behind(format!("socks5://{}", proxy.address), &[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = egress.client_builder().unwrap().build().unwrap();
    let failure = get(&egress, &client, &url("http://rebinding.test/")).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::EgressDenied);
    assert!(proxy.heard_nothing());
}

#[tokio::test]
async fn a_target_with_any_denied_address_never_reaches_the_proxy() {
    for (target, answers) in [
        ("http://127.0.0.2/", &[][..]),
        ("http://10.0.0.1/", &[]),
        ("https://[::1]/", &[]),
        ("http://inside.test/", &[&["127.0.0.2"][..]]),
        ("https://inside.test/", &[&["10.0.0.1"]]),
        ("http://mixed.test/", &[&["127.0.0.1", "127.0.0.2"]]),
    ] {
        for scheme in ["http", "socks5", "socks5h"] {
            let proxy = Server::http_proxy(Server::http(OK).address);
            let egress = behind(format!("{scheme}://{}", proxy.address), answers);
            let client = egress.client_builder().unwrap().build().unwrap();
            let failure = get(&egress, &client, &url(target)).await.unwrap_err();
            assert_eq!(failure.kind, ErrorKind::EgressDenied, "{target}");
            assert!(proxy.heard_nothing());
        }
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_never_reaches_the_proxy() {
    let egress = behind("http://127.0.0.1:9".into(), &[]);
    let failure = egress.check_url(&url("http://nowhere.test/")).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (ErrorKind::Dns, Some(Phase::Dns)));
}

#[tokio::test]
async fn a_name_that_is_open_at_every_address_is_not_resolved_for_the_proxy() {
    let proxy = Some("http://127.0.0.1:9".to_owned());
    let open = Options { proxy: proxy.clone(), ..options(&["*.partner.test"], &[]) };
    let answers = Answers::new(&[]);
    let egress = Egress::new(Policy::new(&open).unwrap(), answers.clone());
    egress.check_url(&url("http://api.partner.test/")).await.unwrap();
    assert!(answers.asked().is_empty());
    // With an address in `deny`, its addresses matter.
    let guarded = Options { proxy, ..options(&["*.partner.test"], &["192.0.2.1"]) };
    let egress = Egress::new(Policy::new(&guarded).unwrap(), answers.clone());
    assert_eq!(
        egress.check_url(&url("http://api.partner.test/")).await.unwrap_err().kind,
        ErrorKind::Dns
    );
}

#[tokio::test]
async fn the_proxys_own_name_may_be_private_and_is_no_target() {
    let server = Server::http(OK_ONCE);
    let proxy = Server::http_proxy(server.address);
    let port = proxy.address.port();
    let options = Options {
        proxy: Some(format!("http://Proxy.TEST:{port}")),
        ..options(&["target.test"], &[])
    };
    let egress = Egress::new(Policy::new(&options).unwrap(), Answers::new(&[&["127.0.0.1"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &url("http://target.test/")).await.unwrap(), "ok");
    let target = url(&format!("http://proxy.test:{port}/"));
    assert_eq!(get(&egress, &client, &target).await.unwrap_err().kind, ErrorKind::EgressDenied);
}

#[tokio::test]
async fn an_error_behind_a_proxy_does_not_show_its_password() {
    // A server that closes every connection.
    let proxy = Server::on(super::servers::listen(), |_stream, _tell| Ok(()));
    for scheme in ["http", "https", "socks5", "socks5h"] {
        let url_of_proxy = format!("{scheme}://alice:hunter2@{}", proxy.address);
        let egress = behind(url_of_proxy, &[&["127.0.0.1"]]);
        let client = egress.client_builder().unwrap().build().unwrap();
        let error = client.get("https://target.test/").send().await.unwrap_err();
        let printed = format!("{error} {error:?} {egress:?}");
        assert!(!printed.contains("alice") && !printed.contains("hunter2"), "{printed}");
    }
}
