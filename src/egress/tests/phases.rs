//! The phases that [`Progress`] reports while real servers do nothing.

use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::servers::{OK, OK_ONCE, Server, listen};
use super::trust::{tls_server, trust_test_authority};
use super::{Answers, egress};
use crate::delivery::Phase;
use crate::egress::lookup::{Looking, Lookup};
use crate::egress::{Egress, Progress};

/// Sends a GET that gets no response, until `reached` completes.
async fn stuck(egress: &Egress, target: &str, reached: impl Future<Output = ()>) -> Progress {
    let client = egress.client_builder().unwrap().build().unwrap();
    let progress = Progress::new();
    let sending = progress.scope(client.get(target).send());
    tokio::select! {
        answer = sending => panic!("answered: {answer:?}"),
        () = reached => {}
    }
    progress
}

/// Returns a server that notifies `heard` of the first byte, and then sends nothing.
fn black_hole(heard: Arc<Notify>) -> Server {
    Server::on(listen(), move |mut stream, _tell| {
        stream.read_exact(&mut [0])?;
        heard.notify_one();
        stream.read_to_end(&mut Vec::new()).map(drop)
    })
}

#[tokio::test]
async fn a_name_server_that_does_not_answer_is_dns() {
    struct Silence(Notify);
    impl Lookup for Silence {
        fn lookup<'a>(&'a self, _name: &'a str) -> Looking<'a> {
            self.0.notify_one();
            Box::pin(std::future::pending())
        }
    }
    let silence = Arc::new(Silence(Notify::new()));
    let progress =
        stuck(&egress(silence.clone()), "http://silent.test/", silence.0.notified()).await;
    assert_eq!(progress.phase(), Phase::Dns);
    let timings = progress.timings();
    assert!(timings.dns.is_some() && timings.connect.is_none() && timings.tls.is_none());
}

#[tokio::test]
async fn a_host_that_does_not_accept_is_connect() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(200);
    let mut backlog = Vec::new();
    while let Ok(connection) = timeout(patience, TcpStream::connect(address)).await {
        backlog.push(connection.unwrap());
        assert!(backlog.len() < 100, "the backlog never fills");
    }
    let egress = egress(Answers::new(&[&["127.0.0.1"]]));
    let target = format!("https://full.test:{}/", address.port());
    let waited = async {
        timeout(patience, std::future::pending::<()>()).await.unwrap_err();
    };
    let progress = stuck(&egress, &target, waited).await;
    assert_eq!(progress.phase(), Phase::Connect);
    let timings = progress.timings();
    assert!(timings.dns.is_some() && timings.connect >= Some(patience / 2), "{timings:?}");
    assert_eq!(timings.tls, None);
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_handshake_is_tls() {
    let heard = Arc::new(Notify::new());
    let server = black_hole(Arc::clone(&heard));
    let egress = egress(Answers::new(&[&["127.0.0.1"]]));
    for host in ["127.0.0.1", "hole.test"] {
        let target = server.url("https", host);
        let progress = stuck(&egress, target.as_str(), heard.notified()).await;
        assert_eq!(progress.phase(), Phase::Tls);
        let timings = progress.timings();
        assert!(timings.connect.is_some() && timings.tls.is_some());
        assert_eq!(timings.dns.is_some(), host == "hole.test");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_connect() {
    let heard = Arc::new(Notify::new());
    let server = black_hole(Arc::clone(&heard));
    for scheme in ["http", "socks5"] {
        let proxy = Some(format!("{scheme}://{}", server.address));
        let options = crate::egress::Options { proxy, ..super::options(&["127.0.0.0/8"], &[]) };
        let policy = crate::egress::Policy::new(&options).unwrap();
        let egress = Egress::new(policy, Answers::new(&[&["127.0.0.1"]]));
        let progress = stuck(&egress, "https://target.test/", heard.notified()).await;
        assert_eq!(progress.phase(), Phase::Connect);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_request_is_request_until_the_destination_says_more() {
    let heard = Arc::new(Notify::new());
    let server = black_hole(Arc::clone(&heard));
    let egress = egress(Answers::new(&[]));
    let target = server.url("http", "127.0.0.1");
    let progress = stuck(&egress, target.as_str(), heard.notified()).await;
    assert_eq!(progress.phase(), Phase::Request);
    progress.set(Phase::Response);
    assert_eq!(progress.phase(), Phase::Response);
    let timings = progress.timings();
    assert!(timings.connect.is_some() && timings.tls.is_none());
}

#[tokio::test]
async fn a_finished_request_has_its_timings_and_a_reused_connection_has_none() {
    let server = Server::http(OK);
    let egress = egress(Answers::new(&[&["127.0.0.1"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    let target = server.url("http", "reused.test");
    for reused in [false, true] {
        let progress = Progress::new();
        let sent = progress.scope(client.get(target.clone()).send()).await.unwrap();
        assert_eq!(sent.text().await.unwrap(), "ok");
        assert_eq!(progress.phase(), Phase::Request);
        let timings = progress.timings();
        assert_eq!(timings.dns.is_none(), reused);
        assert_eq!(timings.connect.is_none(), reused);
    }
}

#[tokio::test]
async fn a_handshake_that_succeeds_is_timed() {
    let server = tls_server();
    let egress = egress(Answers::new(&[&["127.0.0.1"]])).trusting(trust_test_authority);
    let client = egress.client_builder().unwrap().build().unwrap();
    let progress = Progress::new();
    progress.scope(client.get(server.url("https", "tls.test")).send()).await.unwrap();
    assert_eq!(progress.phase(), Phase::Request);
    let timings = progress.timings();
    assert!(timings.dns.is_some() && timings.connect.is_some() && timings.tls.is_some());
    assert_eq!(timings, progress.timings(), "the clock has stopped");
}

#[tokio::test]
async fn a_request_that_gets_another_connection_while_connecting_is_no_longer_connecting() {
    // Completes the first lookup at once and no other.
    struct Once(Arc<Answers>, Notify);
    impl Lookup for Once {
        fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a> {
            if self.0.asked().is_empty() {
                return self.0.lookup(name);
            }
            self.1.notify_one();
            Box::pin(std::future::pending())
        }
    }
    let (heard, answer) = (Arc::new(Notify::new()), Arc::new(std::sync::Barrier::new(2)));
    let server = {
        let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
        Server::on(listen(), move |stream, _tell| {
            let mut reader = std::io::BufReader::new(stream.try_clone()?);
            for reply in [OK, OK_ONCE] {
                super::servers::read_head(&mut reader)?;
                heard.notify_one();
                answer.wait();
                std::io::Write::write_all(&mut &stream, reply.as_bytes())?;
            }
            Ok(())
        })
    };
    let once = Arc::new(Once(Answers::new(&[&["127.0.0.1"]]), Notify::new()));
    let client = egress(once.clone()).client_builder().unwrap().build().unwrap();
    let target = server.url("http", "shared.test");
    let first = async { client.get(target.clone()).send().await.unwrap().text().await };
    let progress = Progress::new();
    let second = progress.scope(async {
        heard.notified().await;
        client.get(target.clone()).send().await.unwrap().text().await
    });
    let watched = async {
        once.1.notified().await;
        assert_eq!(progress.phase(), Phase::Dns);
        answer.wait();
        heard.notified().await;
        // The abandoned connecting has its first turn in a task of its own.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(progress.phase(), Phase::Request);
        answer.wait();
    };
    let (first, second, ()) = tokio::join!(first, second, watched);
    assert_eq!((first.unwrap().as_str(), second.unwrap().as_str()), ("ok", "ok"));
    assert_eq!(progress.phase(), Phase::Request);
}
