//! `GET /log/stream`: the rows of the log that change, as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::KEEPALIVE;
use super::access::Grant;
use super::connection::Connection;
use super::parameters::{Nothing, QueryParams};
use super::response::{ApiError, CommonErrors, Problem};
use super::state::Shared;
use crate::error::ErrorKind;
use crate::observability::changes::{ChangeFollower, ChangeReport, Missed};

/// Streams at once.
const MAX_STREAMS: usize = 100;

const LAGGED: &str = "event: lagged\ndata: {}\n\n";

/// Follow the log
///
/// Server-sent events, four a second at most, each with the rows that changed since the one before:
/// `change` with `{ executions: [id], deliveries: [{ id, executionId, status }] }`, and `lagged` when
/// some were left out. The stream ends with the session. 100 can be open at once.
#[utoipa::path(
    get,
    path = "/log/stream",
    tag = "log",
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 400, description = "There is a parameter", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn follow(
    State(shared): State<Shared>,
    Extension(grant): Extension<Grant>,
    Extension(connection): Extension<Connection>,
    method: Method,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<Response, ApiError> {
    let engine = shared.engine()?;
    let Some(follower) = engine.changes().follow(MAX_STREAMS) else {
        let message = format!("{MAX_STREAMS} streams of the log are open: close one of them");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(ApiError::new(status, ErrorKind::Unavailable, message));
    };
    let changes = std::sync::Arc::clone(engine.changes());
    engine.runtime().spawn(async move { changes.report().await });
    let session = grant.session;
    let ended = async move {
        let session_ends = async {
            match session {
                Some(session) => session.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = session_ends => {}
            () = shared.stopped() => {}
        }
    };
    let state = ChangeStream { follower, ended: Box::pin(ended), is_new: true };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        connection.stay_open();
        Body::from_stream(futures_util::stream::unfold(state, ChangeStream::next))
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

struct ChangeStream {
    follower: ChangeFollower,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_new: bool,
}

impl ChangeStream {
    /// Returns the next frame; `None`: the stream ends.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if std::mem::take(&mut self.is_new) {
            // The client knows from then on that it misses nothing.
            return Some((Ok(Bytes::from_static(b":open\n\n")), self));
        }
        let frame = tokio::select! {
            biased;
            () = &mut self.ended => return None,
            report = self.follower.next() => frame(report),
            () = tokio::time::sleep(KEEPALIVE) => Bytes::from_static(b":keepalive\n\n"),
        };
        Some((Ok(frame), self))
    }
}

fn frame(report: Result<std::sync::Arc<ChangeReport>, Missed>) -> Bytes {
    let Ok(report) = report else { return Bytes::from_static(LAGGED.as_bytes()) };
    let data = serde_json::to_string(&*report).unwrap_or_else(|_| "{}".to_owned());
    let lagged = if report.left_out { LAGGED } else { "" };
    format!("event: change\ndata: {data}\n\n{lagged}").into()
}
