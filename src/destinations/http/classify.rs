//! Classification of failures by facts: error types, phases and statuses, never by texts.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use super::response::Received;
use crate::delivery::{Failure, Phase, Verdict};
use crate::egress::{NetworkPlace, ResponseOrigin, explain, is_local_shortage, policy_failure_in};
use crate::error::ErrorKind;

/// Characters of a reason phrase that a message repeats.
const MAX_REASON: usize = 200;

/// Returns the verdict on a response, which nothing that its body does changes.
pub(super) fn verdict(response: &Received, place: impl FnOnce() -> NetworkPlace) -> Verdict {
    let Received { status, headers, .. } = response;
    if status.is_success() {
        return Verdict::Delivered;
    }
    let failure = failure_of_status(response, &place());
    let transient = status.is_server_error()
        || matches!(
            *status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        );
    let after = retry_after(headers, SystemTime::now());
    if transient || after.is_some() {
        return Verdict::Retry { failure, after };
    }
    Verdict::Rejected(failure)
}

fn failure_of_status(response: &Received, place: &NetworkPlace) -> Failure {
    let status = response.status.as_u16();
    let reason: String = response.reason.chars().take(MAX_REASON).collect();
    let answered = format!("answered {status} {reason}").trim_end().to_owned();
    let failure = match &response.answerer {
        ResponseOrigin::Host => Failure::new(ErrorKind::Status, format!("the server {answered}")),
        ResponseOrigin::Either(proxy) => {
            Failure::new(ErrorKind::Status, format!("the server, or {proxy}, {answered}"))
        }
        ResponseOrigin::Proxy(proxy) => {
            let why = match status {
                407 => {
                    "it asks for credentials, or for others than those in egress.proxy".to_owned()
                }
                403 | 405 => format!("it does not permit requests to {place}"),
                _ => format!("it did not reach {place}"),
            };
            Failure::new(ErrorKind::Proxy, format!("{proxy} {answered}: {why}"))
        }
    };
    failure.with_status(status)
}

/// Parses `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3). A date is relative to that of
/// the response, if there is one, because the clocks of two machines differ.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(header::RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(asked).ok()?;
    let sent = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(date.duration_since(sent.unwrap_or(now)).unwrap_or_default())
}

/// Returns the verdict on a request that got no whole response.
pub(in crate::destinations) fn classify_transport_error(
    error: &(dyn StdError + 'static),
    phase: Phase,
    place: &NetworkPlace,
) -> Verdict {
    if let Some(failure) = policy_failure_in(error) {
        return match failure.kind {
            ErrorKind::EgressDenied => Verdict::Rejected(failure),
            _ => Verdict::Retry { failure, after: None },
        };
    }
    let kind = classify(error, phase);
    let mut failure = Failure::new(kind, explain(error, phase, place)).during(phase);
    failure.is_local = is_local_shortage(error);
    match kind {
        ErrorKind::InvalidResponse | ErrorKind::InvalidHeader => Verdict::Rejected(failure),
        _ => Verdict::Retry { failure, after: None },
    }
}

fn classify(error: &(dyn StdError + 'static), phase: Phase) -> ErrorKind {
    if chain(error).any(|cause| cause.is::<rustls::Error>() || in_io::<rustls::Error>(cause)) {
        return ErrorKind::Tls;
    }
    match phase {
        Phase::Dns => ErrorKind::Dns,
        Phase::Connect => ErrorKind::Connect,
        Phase::Tls => ErrorKind::Tls,
        Phase::Request | Phase::Response | Phase::Body => {
            let parse = hyper_error(error).is_some_and(hyper::Error::is_parse);
            if parse || is_malformed(error) || is_malformed_stream(error) {
                ErrorKind::InvalidResponse
            } else {
                ErrorKind::Connection
            }
        }
    }
}

/// Returns whether neither this crate nor the system failed the request: the response came from a
/// proxy.
pub(super) fn is_without_cause(error: &(dyn StdError + 'static)) -> bool {
    policy_failure_in(error).is_none() && !chain(error).any(<dyn StdError>::is::<io::Error>)
}

/// Classifies a body that is not complete.
pub(super) fn broken_body(error: &(dyn StdError + 'static)) -> &'static str {
    if is_malformed(error) {
        "the response's body is not valid HTTP"
    } else {
        "the connection broke before the response's body was over"
    }
}

fn hyper_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a hyper::Error> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// Returns whether hyper reports a chunked body with malformed framing; a connection that ends
/// early is `UnexpectedEof` there.
fn is_malformed(error: &(dyn StdError + 'static)) -> bool {
    chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}

/// Returns an HTTP/2 response that the protocol forbids: this side ended its stream, and no other.
fn is_malformed_stream(error: &(dyn StdError + 'static)) -> bool {
    let mut errors = chain(error).filter_map(|cause| cause.downcast_ref::<h2::Error>());
    errors.any(|error| error.is_reset() && error.is_library())
}

fn in_io<T: StdError + 'static>(cause: &(dyn StdError + 'static)) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .is_some_and(<dyn StdError + Send + Sync>::is::<T>)
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}

/// Returns a delivery whose whole-request deadline passed.
pub(super) fn timed_out(
    limit: Duration,
    phase: Phase,
    place: Option<&NetworkPlace>,
    lack: Option<&str>,
) -> Verdict {
    let doing = match phase {
        Phase::Dns => "resolving the host name of",
        Phase::Connect => "connecting to",
        Phase::Tls => "in the TLS handshake with",
        Phase::Request => "writing the request to",
        Phase::Response => "waiting for the response of",
        Phase::Body => "reading the response's body from",
    };
    let through = place.and_then(NetworkPlace::proxy).map(|proxy| format!(" through {proxy}"));
    let place = place.map_or_else(|| "the server".to_owned(), ToString::to_string);
    let through = through.unwrap_or_default();
    let mut message =
        format!("timed out after {} ms while {doing} {place}{through}", limit.as_millis());
    let failure = |message| Failure::new(ErrorKind::Timeout, message).during(phase);
    let failure = match lack {
        None => failure(message),
        Some(lack) => {
            message.push_str(": ");
            message.push_str(lack);
            failure(message).local()
        }
    };
    Verdict::Retry { failure, after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, reason: &str, headers: HeaderMap, answerer: ResponseOrigin) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap();
        let received = Received::of(status, reason, headers, answerer);
        let place = NetworkPlace::direct(&url::Url::parse("https://example.com/").unwrap());
        verdict(&received, || place)
    }

    fn kind(verdict: Verdict) -> (&'static str, Option<ErrorKind>) {
        match verdict {
            Verdict::Delivered => ("delivered", None),
            Verdict::Later { .. } => ("later", None),
            Verdict::Retry { failure, .. } => ("retry", Some(failure.kind)),
            Verdict::Rejected(failure) => ("rejected", Some(failure.kind)),
        }
    }

    #[test]
    fn only_2xx_is_delivered_and_only_passing_trouble_may_be_retried() {
        for (status, expected) in [
            (200, "delivered"),
            (204, "delivered"),
            (304, "rejected"),
            (400, "rejected"),
            (404, "rejected"),
            (408, "retry"),
            (429, "retry"),
            (500, "retry"),
            (503, "retry"),
        ] {
            let verdict = answer(status, "", HeaderMap::new(), ResponseOrigin::Host);
            assert_eq!(kind(verdict).0, expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "7".parse().unwrap())]);
        for status in [503, 409] {
            let Verdict::Retry { after, .. } =
                answer(status, "", headers.clone(), ResponseOrigin::Host)
            else {
                panic!("{status} may be retried");
            };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn a_failure_names_the_side_that_answered() {
        let proxy = || "the proxy p port 3128".to_owned();
        for (status, reason, answerer, kind, message) in [
            (
                404,
                "Gone fishing",
                ResponseOrigin::Host,
                ErrorKind::Status,
                "the server answered 404 Gone fishing",
            ),
            (520, "", ResponseOrigin::Host, ErrorKind::Status, "the server answered 520"),
            (
                502,
                "No",
                ResponseOrigin::Either(proxy()),
                ErrorKind::Status,
                "the server, or the proxy p port 3128, answered 502 No",
            ),
            (
                403,
                "No",
                ResponseOrigin::Proxy(proxy()),
                ErrorKind::Proxy,
                "the proxy p port 3128 answered 403 No: it does not permit requests to example.com \
                 port 443",
            ),
        ] {
            let verdict = answer(status, reason, HeaderMap::new(), answerer);
            let (Verdict::Retry { failure, .. } | Verdict::Rejected(failure)) = verdict else {
                panic!("{status} is a failure");
            };
            assert_eq!((failure.kind, failure.message.as_str()), (kind, message));
            assert_eq!(failure.status, Some(status));
        }
    }

    #[test]
    fn what_this_machine_lacks_is_no_fault_of_the_host() {
        let place = NetworkPlace::at("example.com", 443);
        let limit = Duration::from_secs(5);
        let verdict = |lack| timed_out(limit, Phase::Connect, Some(&place), lack);
        for (lack, expected) in [(None, false), (Some("no file"), true)] {
            let Verdict::Retry { failure, .. } = verdict(lack) else { panic!("it may be retried") };
            assert_eq!(
                (failure.is_local, failure.message.ends_with(": no file")),
                (expected, expected)
            );
        }
        let none_left = io::Error::from_raw_os_error(24);
        let Verdict::Retry { failure, .. } =
            classify_transport_error(&none_left, Phase::Connect, &place)
        else {
            panic!("it may be retried");
        };
        assert_eq!(failure.is_local, cfg!(unix));
    }

    #[test]
    fn retry_after_is_read_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("Sun Nov  6 08:49:37 1994", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn a_date_counts_from_that_of_the_response() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let after = |date: &str| {
            let date = (header::DATE, date.parse().unwrap());
            let asked = "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap();
            let headers = HeaderMap::from_iter([date, (header::RETRY_AFTER, asked)]);
            retry_after(&headers, now)
        };
        assert_eq!(after("Sun, 06 Nov 1994 08:48:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::ZERO));
        assert_eq!(after("nonsense"), Some(Duration::ZERO));
    }
}
