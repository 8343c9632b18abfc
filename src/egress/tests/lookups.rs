//! The system lookup: shared, bounded, and not blocked by callers that gave up.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::ip;
use crate::egress::Progress;
use crate::egress::lookup::{Looking, Lookup, SystemLookup};
use crate::egress::resolver::addresses_of;

/// A name server that responds for a name once its gate is opened.
macro_rules! gated {
    ($gate:ident, $asked:ident, $ask:ident) => {
        static $gate: Semaphore = Semaphore::const_new(0);
        static $asked: AtomicUsize = AtomicUsize::new(0);
        fn $ask(_name: String) -> Looking<'static> {
            $asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                $gate.acquire().await.map_err(io::Error::other)?.forget();
                Ok(vec![ip("192.0.2.1")])
            })
        }
    };
}

async fn settle() {
    // Every task of the current-thread runtime gets several turns.
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_system_knows_localhost_and_not_invalid() {
    let lookup = SystemLookup::new();
    assert!(lookup.lookup("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
    lookup.lookup("name.invalid").await.unwrap_err();
}

#[tokio::test]
async fn all_who_wait_for_a_name_share_one_lookup() {
    gated!(GATE, ASKED, ask);
    let lookup = SystemLookup::asking(ask, 8);
    let (first, second, other) =
        (lookup.lookup("a.test"), lookup.lookup("a.test"), lookup.lookup("b.test"));
    let all = async { tokio::join!(first, second, other) };
    let opened = async {
        settle().await;
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        GATE.add_permits(2);
    };
    let ((first, second, other), ()) = tokio::join!(all, opened);
    assert_eq!(first.unwrap(), [ip("192.0.2.1")]);
    assert_eq!(second.unwrap(), [ip("192.0.2.1")]);
    other.unwrap();
    // A completed lookup is not cached.
    GATE.add_permits(1);
    lookup.lookup("a.test").await.unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn whoever_gives_up_does_not_take_the_lookup_from_the_others() {
    gated!(GATE, ASKED, ask);
    let lookup = SystemLookup::asking(ask, 8);
    let mut first = lookup.lookup("a.test");
    let second = lookup.lookup("a.test");
    tokio::select! {
        biased;
        _ = &mut first => unreachable!("the gate is closed"),
        () = settle() => drop(first),
    }
    GATE.add_permits(1);
    second.await.unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn dead_name_servers_hold_a_bounded_number_of_lookups_and_no_queue_of_the_abandoned() {
    gated!(GATE, ASKED, ask);
    let lookup = Arc::new(SystemLookup::asking(ask, 2));
    for n in 0..50 {
        let name = format!("dead{n}.test");
        tokio::select! {
            biased;
            _ = lookup.lookup(&name) => unreachable!("the gate is closed"),
            () = settle() => {}
        }
    }
    settle().await;
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
    assert_eq!(lookup.pending_names(), 2, "only those that have a turn are left");
    // The abandoned lookups complete at last, and their permits are free again.
    GATE.add_permits(3);
    lookup.lookup("alive.test").await.unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), 3);
    assert_eq!(lookup.pending_names(), 0);
}

#[tokio::test]
async fn a_lookup_whose_task_is_lost_fails() {
    fn ask(_name: String) -> Looking<'static> {
        panic!("the resolver is broken")
    }
    let lookup = SystemLookup::asking(ask, 1);
    assert_eq!(lookup.lookup("a.test").await.unwrap_err().to_string(), "the lookup was stopped");
    assert_eq!(lookup.pending_names(), 0);
}

/// A name server that fails twice for now.
struct Recovering(AtomicUsize);

impl Lookup for Recovering {
    fn lookup<'a>(&'a self, _name: &'a str) -> Looking<'a> {
        let fails = self.0.fetch_add(1, Ordering::SeqCst) < 2;
        let later = || Err(io::Error::new(io::ErrorKind::WouldBlock, "later"));
        Box::pin(async move { if fails { later() } else { Ok(vec![ip("127.0.0.1")]) } })
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_waited_out_and_known_meanwhile() {
    let progress = Progress::new();
    let recovering = Recovering(AtomicUsize::new(0));
    let looking = progress.scope(addresses_of(&recovering, "a.test"));
    tokio::pin!(looking);
    tokio::select! {
        biased;
        _ = &mut looking => unreachable!("the first lookups fail"),
        () = tokio::task::yield_now() => {}
    }
    assert!(progress.lack().unwrap().contains("name server"));
    assert_eq!(looking.await.unwrap(), [ip("127.0.0.1")]);
    assert_eq!(progress.lack(), None);
    assert_eq!(recovering.0.load(Ordering::SeqCst), 3);
}
