//! `GET /pipelines/:workflow_id/sse`: a workflow's stream, as `EventSource` reads it.

use std::sync::{Arc, Weak};

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Version};
use axum::response::Response;
use tokio::sync::oneshot;

use super::access::Grant;
use super::connection::Connection;
use super::multiplexed::Frames;
use super::parameters::{PathParam, check_query};
use super::response::{ApiError, Problem};
use super::session::BrowserSession;
use super::state::Shared;
use super::workflow_id;
use crate::error::ErrorKind;
use crate::streams::{Follower, TransferCoding};
use crate::time::Timestamp;

/// The header with the id of the last event that a client got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Channels that one client may name.
const MAX_CHANNELS: usize = 100;

/// The query parameters of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) channels: Vec<Box<str>>,
    pub(super) last_event_id: Option<String>,
    pub(super) expires: Option<u64>,
    pub(super) signature: Option<String>,
}

/// The parameters. `lastEventId` is that of a widespread polyfill of `EventSource`.
const PARAMETERS: [&str; 5] = ["channel", "last_event_id", "lastEventId", "expires", "signature"];

impl Wanted {
    pub(super) fn of(query: &str) -> Result<Self, ApiError> {
        check_query(query, &PARAMETERS, &["channel"])?;
        let mut wanted = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "channel" if wanted.channels.len() == MAX_CHANNELS => {
                    let message = format!("channel: is given more than {MAX_CHANNELS} times");
                    return Err(ApiError::invalid(message));
                }
                "channel" => wanted.channels.push(value.into()),
                "last_event_id" | "lastEventId" => wanted.last_event_id = Some(value.into_owned()),
                "expires" => wanted.expires = value.parse().ok(),
                "signature" => wanted.signature = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(wanted)
    }
}

/// Follow the stream of a workflow
///
/// Server-sent events: first the most recent 100, then what is sent from now on. With
/// `Last-Event-ID`, only what came after that event. A stream that a session opened ends with it. An event of the type `:gap` comes before them if
/// some after it may be missing: `reason` is `forgotten` or `unknown`. Every 15 s there is a comment.
#[utoipa::path(
    get,
    path = "/pipelines/{workflow_id}/sse",
    tag = "streams",
    params(
        ("workflow_id" = String, Path, description = "The workflow", min_length = 1, max_length = 256),
        ("channel" = Option<Vec<String>>, Query, description = "Only events of these channels"),
        ("last_event_id" = Option<String>, Query, description = "As the header, for clients that cannot set it"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received"),
        ("expires" = Option<String>, Query, description = "Of a signed URL: seconds since 1970"),
        ("signature" = Option<String>, Query, description = "Of a signed URL"),
    ),
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 400, description = "This is no workflow's id, or a parameter is wrong", body = Problem),
        (status = 401, description = "A token or a signed URL is needed", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 503, description = "The engine is closed", body = Problem),
    ),
    security(("bearer" = []), ()),
)]
pub(super) async fn follow(
    State(shared): State<Shared>,
    Extension(connection): Extension<Connection>,
    PathParam(workflow): PathParam,
    RawQuery(query): RawQuery,
    head: Parts,
) -> Result<Response, ApiError> {
    let workflow = workflow_id(&workflow)?;
    let wanted = Wanted::of(query.as_deref().unwrap_or_default())?;
    let (access, now) = (shared.access(), Timestamp::now());
    let is_open = access.is_public(workflow)
        || access.is_signed(workflow, wanted.expires, wanted.signature.as_deref(), now);
    let grant = head.extensions.get::<Grant>().filter(|_| !is_open);
    if !is_open && grant.is_none() {
        if wanted.expires.is_some() || wanted.signature.is_some() {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                ErrorKind::InvalidArgument,
                "the signature of this URL is wrong or has expired: make a new URL with \
                 engine.streamUrl()",
            ));
        }
        return Err(ApiError::unauthorized());
    }
    let engine = shared.engine()?;
    let header = head.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let last = header.or(wanted.last_event_id.as_deref()).filter(|id| !id.is_empty());
    let coding = if head.version == Version::HTTP_11 {
        TransferCoding::Chunked
    } else {
        TransferCoding::Plain
    };
    let (cut, (open, closed)) = (connection.clone(), oneshot::channel::<()>());
    let end = Box::new(move || {
        let _held = &open;
        cut.cut();
    });
    let follower = Follower::new(coding, wanted.channels, end);
    if let Some(session) = grant.and_then(|grant| grant.session.clone()) {
        engine.runtime().spawn(end_with(session, Arc::downgrade(&follower), closed));
    }
    engine.catch_up(last).await;
    let following = engine.streams().follow(workflow, last, &follower);
    let mut response = Response::new(Body::empty());
    if head.version == Version::HTTP_2 {
        connection.stay_open();
        *response.body_mut() = Body::new(Frames(following));
    } else if head.method != Method::HEAD {
        connection.take_over(following);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy that compresses would hold events back until its buffer is full (RFC 9111, 5.2.2.6).
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx would otherwise hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Disconnects a follower when the session that opened its stream ends, unless the stream is `closed`
/// before.
async fn end_with(
    session: BrowserSession,
    follower: Weak<Follower>,
    closed: oneshot::Receiver<()>,
) {
    tokio::select! {
        () = session.ended() => {
            if let Some(follower) = follower.upgrade() {
                follower.disconnect();
            }
        }
        _ = closed => {}
    }
}
