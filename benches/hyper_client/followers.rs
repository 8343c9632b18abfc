//! Many clients that follow one stream, and when each event arrived at each of them.
//!
//! `follow URL CLIENTS EVENTS` connects, prints `ready`, then `event N` when the Nth event has
//! arrived everywhere, and at the end one line of JSON with the latencies. An event's data is
//! `{"n":N,"t":T}`, T in nanoseconds of the monotonic clock.

use std::{cell::RefCell, rc::Rc};

use hyper::Uri;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::LocalSet,
};

use super::Failure;

/// Connections that are opened at once: more would meet a full backlog.
const AT_ONCE: usize = 100;

struct Arrivals {
    clients: usize,
    latencies: RefCell<Vec<u64>>,
    changed: Notify,
}

/// Follows, and tells of it on standard output.
pub(super) fn follow(url: &str, clients: usize, events: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(url.parse()?, clients, events))
}

async fn run(url: Uri, clients: usize, events: usize) -> Result<(), Failure> {
    let authority = url.authority().ok_or("the URL has no authority")?.to_string();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let arrivals = Rc::new(Arrivals {
        clients,
        latencies: RefCell::new(Vec::with_capacity(clients * events)),
        changed: Notify::new(),
    });
    let mut connected = 0;
    while connected < clients {
        let some = AT_ONCE.min(clients - connected);
        let opening = (0..some).map(|_| open(&authority, &request));
        let streams = joined(opening).await?;
        for stream in streams {
            tokio::task::spawn_local(read(stream, Rc::clone(&arrivals)));
        }
        connected += some;
    }
    println!("ready");
    for event in 1..=events {
        while arrivals.latencies.borrow().len() < event * arrivals.clients {
            arrivals.changed.notified().await;
        }
        println!("event {event}");
    }
    let latencies = arrivals.latencies.borrow();
    let texts: Vec<_> = latencies.iter().map(|ns| (ns / 1000).to_string()).collect();
    println!("{{\"latenciesUs\":[{}]}}", texts.join(","));
    Ok(())
}

/// Opens connections side by side.
async fn joined(
    opening: impl Iterator<Item = impl Future<Output = Result<TcpStream, Failure>> + 'static>,
) -> Result<Vec<TcpStream>, Failure> {
    let tasks: Vec<_> = opening.map(tokio::task::spawn_local).collect();
    let mut streams = Vec::with_capacity(tasks.len());
    for task in tasks {
        streams.push(task.await??);
    }
    Ok(streams)
}

/// A connection whose response has begun.
fn open(
    authority: &str,
    request: &str,
) -> impl Future<Output = Result<TcpStream, Failure>> + 'static {
    let (authority, request) = (authority.to_owned(), request.to_owned());
    async move {
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        // Up to the comment that both servers begin with.
        while !head.windows(4).any(|four| four == b":ok\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the stream ended before it began".into());
            }
        }
        Ok(stream)
    }
}

async fn read(mut stream: TcpStream, arrivals: Rc<Arrivals>) {
    let mut buffer = vec![0; 4096];
    let mut text = Vec::new();
    loop {
        let Ok(length) = stream.read(&mut buffer).await else { return };
        if length == 0 {
            return;
        }
        let now = now();
        text.extend_from_slice(&buffer[..length]);
        let mut taken = 0;
        while let Some(sent) = next_time(&text, &mut taken) {
            arrivals.latencies.borrow_mut().push(now.saturating_sub(sent));
        }
        text.drain(..taken);
        if arrivals.latencies.borrow().len().is_multiple_of(arrivals.clients) {
            arrivals.changed.notify_one();
        }
    }
}

/// The time in the next whole event; `taken` is moved behind it.
fn next_time(text: &[u8], taken: &mut usize) -> Option<u64> {
    let rest = &text[*taken..];
    let at = rest.windows(4).position(|four| four == b"\"t\":")?;
    let digits = &rest[at + 4..];
    let end = digits.iter().position(|byte| *byte == b'}')?;
    *taken += at + 4 + end;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
