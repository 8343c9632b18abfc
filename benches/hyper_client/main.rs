//! The practical limit: what a bare hyper client can post from this machine.
//!
//! `follow` is in [`followers`].
//!
//! `post URL BODY REQUESTS WARM_UP` sends from 64 workers over one pooled client and prints one
//! line of JSON. `serve` answers 200 to everything and is the fallback when nginx is missing;
//! `post-tls` and `post-h2` do it over TLS, with the authority's certificate as the last argument.
//! `GET /status` tells the number of requests so far, in the form of nginx's `stub_status`.
//! Without arguments (`cargo bench`) it posts to its own server, as a smoke test.

mod followers;
mod secure;

use std::{
    convert::Infallible,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

type Failure = Box<dyn Error + Send + Sync>;
type Posting = Client<HttpConnector, Full<Bytes>>;

/// Requests in flight, the same for every candidate of the comparison.
const IN_FLIGHT: usize = 64;

const EXAMPLE: &str = r#"{"name":"Luke Skywalker"}"#;

fn main() -> Result<(), Failure> {
    // `cargo bench` adds a `--bench` of its own.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["follow", url, clients, events] = arguments.as_slice() {
        return followers::follow(url, clients.parse()?, events.parse()?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(chosen(&arguments))
}

async fn chosen(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["post", url, body, requests, warm_up] => {
            post(url, body, requests.parse()?, warm_up.parse()?).await
        }
        ["post-tls", url, body, requests, warm_up, ca] => {
            post_secure(url, body, (requests.parse()?, warm_up.parse()?), ca, false).await
        }
        ["post-h2", url, body, requests, warm_up, ca] => {
            post_secure(url, body, (requests.parse()?, warm_up.parse()?), ca, true).await
        }
        ["serve"] => {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            println!("{{\"port\":{}}}", listener.local_addr()?.port());
            serve(listener).await
        }
        [] => smoke().await,
        _ => Err("usage: hyper_client post URL BODY REQUESTS WARM_UP | follow URL CLIENTS EVENTS | serve".into()),
    }
}

async fn smoke() -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    tokio::select! {
        ended = serve(listener) => ended,
        posted = post(&url, EXAMPLE, 20_000, 2_000) => posted,
    }
}

async fn post(url: &str, body: &str, requests: usize, warm_up: usize) -> Result<(), Failure> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Posting =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IN_FLIGHT).build(connector);
    let (url, body) = (url.parse::<Uri>()?, Bytes::copy_from_slice(body.as_bytes()));

    run(&client, &url, &body, warm_up).await?;
    let (cpu_before, start) = (cpu_micros()?, Instant::now());
    run(&client, &url, &body, requests).await?;
    print(requests, warm_up, start.elapsed(), cpu_micros()? - cpu_before);
    Ok(())
}

async fn post_secure(
    url: &str,
    body: &str,
    (requests, warm_up): (usize, usize),
    ca: &str,
    is_http2: bool,
) -> Result<(), Failure> {
    let (url, body) = (url.parse::<Uri>()?, Bytes::copy_from_slice(body.as_bytes()));
    let senders = secure::senders(&url, ca, is_http2).await?;
    let senders = secure::run(senders, &url, &body, warm_up).await?;
    let (cpu_before, start) = (cpu_micros()?, Instant::now());
    secure::run(senders, &url, &body, requests).await?;
    print(requests, warm_up, start.elapsed(), cpu_micros()? - cpu_before);
    Ok(())
}

fn print(requests: usize, warm_up: usize, elapsed: Duration, cpu: u64) {
    println!(
        "{{\"requests\":{requests},\"warmUp\":{warm_up},\"elapsedMs\":{:.3},\"cpuUs\":{cpu}}}",
        elapsed.as_secs_f64() * 1000.0
    );
}

/// Posts `requests` times from [`IN_FLIGHT`] workers; any answer but 200 is an error.
async fn run(client: &Posting, url: &Uri, body: &Bytes, requests: usize) -> Result<(), Failure> {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, url, body) = (client.clone(), url.clone(), body.clone());
        let taken = Arc::clone(&taken);
        workers.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < requests {
                post_once(&client, &url, &body).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

async fn post_once(client: &Posting, url: &Uri, body: &Bytes) -> Result<(), Failure> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = client.request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    if status == StatusCode::OK { Ok(()) } else { Err(format!("answered {status}").into()) }
}

/// CPU time of all threads so far. The kernel counts in ticks of 10 ms: fine for rounds of seconds.
fn cpu_micros() -> Result<u64, Failure> {
    const TICK_MICROS: u64 = 10_000;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in parentheses and may hold spaces: start behind it.
    let behind_name = stat.rsplit(") ").next().unwrap_or_default();
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks =
        || fields.next().ok_or("short /proc/self/stat")?.parse::<u64>().map_err(Failure::from);
    Ok((ticks()? + ticks()?) * TICK_MICROS)
}

async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let seen = Arc::new(AtomicU64::new(0));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let seen = Arc::clone(&seen);
        connections.spawn(async move {
            let answering = service_fn(move |request| answer(request, Arc::clone(&seen)));
            // A client that goes away is the ordinary end of a round.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), answering)
                .await;
        });
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    seen: Arc<AtomicU64>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let count = seen.fetch_add(1, Ordering::Relaxed) + 1;
    let is_status = request.uri().path() == "/status";
    let text = if is_status { format!(" 0 0 {count} \n") } else { "ok".to_owned() };
    let _ = request.into_body().collect().await;
    Ok(Response::new(Full::from(text)))
}
