//! The access log: each request as an event of `tracing`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;

/// Logs each request. The query is left out: it may hold a signature.
pub(super) async fn record(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let ms = begun.elapsed().as_millis();
    tracing::info!(
        target: "dollar_send::access",
        %method, path, status, ms, peer = peer.map(|peer| peer.to_string()),
        "request"
    );
    response
}

/// Writes traces to standard error, unless the process has a subscriber already.
pub(super) fn to_stderr() {
    let only_ours = tracing_subscriber::filter::filter_fn(|metadata| {
        metadata.target().starts_with("dollar_send")
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        tracing_subscriber::Layer::with_filter(lines, only_ours),
    );
    // The first one in a process stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
