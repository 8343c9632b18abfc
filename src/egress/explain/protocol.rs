//! Errors of HTTP/1 and HTTP/2.

use std::error::Error as StdError;
use std::fmt;

use h2::Reason;

use super::NetworkPlace;
use super::io::ended;
use crate::delivery::Phase;

/// A server sent more bytes before its response's body than are read.
#[derive(Debug, Clone, Copy)]
pub(in crate::egress) struct TooMuchHead;

impl fmt::Display for TooMuchHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many interim responses or headers")
    }
}

impl StdError for TooMuchHead {}

/// A server sent more frames that move nothing, or more DATA, than its requests have room for.
#[derive(Debug, Clone, Copy)]
pub(in crate::egress) struct TooManyFrames;

impl fmt::Display for TooManyFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many frames")
    }
}

impl StdError for TooManyFrames {}

/// Returns the sentence of a cause that is an error of the protocol.
pub(super) fn sentence(
    cause: &(dyn StdError + 'static),
    phase: Phase,
    place: &NetworkPlace,
) -> Option<String> {
    if cause.is::<TooMuchHead>() {
        return Some(too_large(place));
    }
    if cause.is::<TooManyFrames>() {
        return Some(format!(
            "the HTTP/2 connection to {place} was ended, because the server floods it with frames \
             that belong to no response"
        ));
    }
    if let Some(error) = cause.downcast_ref::<h2::Error>() {
        return http2(error, place);
    }
    http(cause.downcast_ref()?, phase, place)
}

fn too_large(place: &NetworkPlace) -> String {
    format!(
        "the headers of the response of {place}, interim responses included, are more than 64 KiB \
         or 1,000 lines"
    )
}

fn http(error: &hyper::Error, phase: Phase, place: &NetworkPlace) -> Option<String> {
    let next = place.next();
    if error.is_parse_too_large() {
        return Some(too_large(place));
    }
    if error.is_parse_version_h2() {
        return Some(format!("{next} answers with HTTP/2, where HTTP/1.1 is spoken"));
    }
    if error.is_parse_status() {
        return Some(format!("the response of {place} has no valid status line"));
    }
    if error.is_parse() {
        return Some(format!(
            "the response of {place} is not valid HTTP: perhaps the port speaks another protocol, \
             or HTTPS"
        ));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Some(ended(&next, "closed", phase));
    }
    None
}

/// Returns the sentence of an HTTP/2 error; `None` for one of the system's.
fn http2(error: &h2::Error, place: &NetworkPlace) -> Option<String> {
    let reason = error.reason()?;
    let next = place.next();
    let what = match reason {
        Reason::NO_ERROR => "without an error: it shuts down, or restarts",
        Reason::PROTOCOL_ERROR => "because HTTP/2 was not spoken correctly",
        Reason::INTERNAL_ERROR => "after an internal error",
        Reason::FLOW_CONTROL_ERROR => "after an error in flow control",
        Reason::SETTINGS_TIMEOUT => "because its settings were not acknowledged in time",
        Reason::STREAM_CLOSED => "because a frame came for a closed stream",
        Reason::FRAME_SIZE_ERROR => "because a frame had the wrong size",
        Reason::REFUSED_STREAM => "before it processed the request",
        Reason::CANCEL => "because it cancelled the request",
        Reason::COMPRESSION_ERROR => "because of an error in header compression",
        Reason::CONNECT_ERROR => "because its own connection broke",
        Reason::ENHANCE_YOUR_CALM => "because it gets too many requests (ENHANCE_YOUR_CALM)",
        Reason::INADEQUATE_SECURITY => "because TLS is not secure enough for it",
        Reason::HTTP_1_1_REQUIRED => "because it asks for HTTP/1.1",
        _ => "for a reason of its own",
    };
    let how = match (error.is_remote(), error.is_go_away()) {
        (true, true) => format!("{next} ended the HTTP/2 connection {what}"),
        (true, false) => format!("{next} ended the HTTP/2 stream {what}"),
        (false, true) => format!(
            "the HTTP/2 connection to {place} was ended, because a response on it was not valid"
        ),
        (false, false) => format!(
            "the HTTP/2 response of {place} is not valid, or its headers are far too long: the stream \
             was ended"
        ),
    };
    Some(how)
}
