//! The request of every call in a table that axios itself has filled, and hostile input.
//!
//! `vectors.json` is generated: `node __test__/support/axios-vectors.mjs` sends each case of
//! `__test__/support/axios-wire.mjs` through axios to an echo server and writes down what arrived.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::item::Item;
use super::request::{self, Defaults, Prepared};
use crate::delivery::{Body, Failure, Payload};
use crate::egress::HeaderCase;
use crate::error::ErrorKind;

#[derive(Deserialize)]
struct Vector {
    name: String,
    text: String,
    body: Option<VectorBody>,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorBody {
    bytes: String,
    content_type: Option<Box<str>>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Expected {
    Sent {
        method: String,
        target: String,
        headers: BTreeMap<String, Vec<String>>,
        body: String,
    },
    /// `true`, or the code of the failure.
    Refused {
        error: serde_json::Value,
    },
}

fn defaults() -> Defaults {
    Defaults {
        user_agent: HeaderValue::from_static("{agent}"),
        retries: super::Retries::default(),
        header_case: HeaderCase::Lower,
    }
}

pub(super) fn prepare(payload: &Payload, defaults: &Defaults) -> Result<Prepared, Failure> {
    request::prepare(&Item::parse(&payload.text)?, payload, defaults)
}

fn prepared(text: &str) -> Result<Prepared, Failure> {
    prepare(&Payload::from_text(text.to_owned()), &defaults())
}

fn bytes(latin1: &str) -> Bytes {
    latin1.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<_>>().into()
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn listed(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut listed = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers {
        listed.entry(name.to_string()).or_default().push(latin1(value.as_bytes()));
    }
    listed
}

/// Gives every boundary the name that the table gives it.
fn without_boundary(headers: &mut BTreeMap<String, Vec<String>>, body: &mut String) {
    let Some(value) = headers.get_mut("content-type").and_then(|values| values.first_mut()) else {
        return;
    };
    if let Some((_, boundary)) = value.clone().split_once("multipart/form-data; boundary=--") {
        let boundary = format!("--{boundary}");
        let name = "B".repeat(boundary.len());
        *value = value.replace(&boundary, &name);
        *body = body.replace(&boundary, &name);
    }
}

/// Returns the difference from the vector, if there is one.
fn difference(vector: &Vector) -> Option<String> {
    let body = vector.body.as_ref().map(|body| {
        Box::new(Body {
            bytes: bytes(&body.bytes),
            content_type: body.content_type.clone(),
            ..Body::default()
        })
    });
    let result = prepare(&Payload { text: vector.text.clone().into(), body }, &defaults());
    let (method, target, headers, body) = match (&vector.expected, &result) {
        (Expected::Sent { method, target, headers, body }, Ok(_)) => {
            (method, target, headers, body)
        }
        (Expected::Refused { error }, Err(failure)) => {
            let known = error.as_str().is_none_or(|code| code == failure.kind.code());
            return (!known).then(|| format!("{failure:?}"));
        }
        _ => return Some(format!("{result:?}")),
    };
    let sent = result.ok()?;
    let mut sent_headers = listed(&sent.headers);
    let mut sent_body = latin1(&sent.body.unwrap_or_default());
    without_boundary(&mut sent_headers, &mut sent_body);
    let uri: http::Uri = sent.url.as_str().parse().ok()?;
    let sent_target = uri.path_and_query().map_or("", |target| target.as_str());
    let same = (sent.method.as_str(), sent_target, &sent_headers, &sent_body)
        == (method, target, headers, body);
    (!same).then(|| format!("{} {sent_target} {sent_headers:?} {sent_body}", sent.method))
}

#[test]
fn every_call_is_sent_as_axios_sends_it() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.len() > 200);
    let mut report = String::new();
    for vector in &vectors {
        if let Some(found) = difference(vector) {
            let _ =
                writeln!(report, "{}\n  is     {found}\n  not {:?}", vector.name, vector.expected);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn an_object_is_passed_through_without_a_copy() {
    let payload = Payload::from_text(r#"{"url":"http://h/","data":{"a":[1.0,"\ud800"]}}"#);
    let body = prepare(&payload, &defaults()).unwrap().body.unwrap();
    assert_eq!(body, r#"{"a":[1.0,"\ud800"]}"#);
    assert!(payload.text.as_ptr_range().contains(&body.as_ptr()));
}

#[test]
fn what_to_json_made_of_an_object_is_sent_as_json() {
    for data in ["5", "null", "true", "0"] {
        let text = format!(r#"{{"url":"http://h/","method":"POST","data":{data}}}"#);
        let sent = prepared(&text).unwrap();
        assert_eq!(sent.body.unwrap(), data);
        assert_eq!(sent.headers["content-type"], "application/json");
    }
}

#[test]
fn a_body_with_a_boundary_keeps_it() {
    let payload = |bytes: &'static str, content_type: &str| Payload {
        text: r#"{"url":"http://h/","headers":{"Content-Type":"multipart/form-data"}}"#.into(),
        body: Some(Box::new(Body {
            bytes: bytes.into(),
            content_type: Some(content_type.into()),
            ..Body::default()
        })),
    };
    let sent = prepare(&payload("--x--", "multipart/form-data; boundary=x"), &defaults()).unwrap();
    assert_eq!(sent.headers["content-type"], "multipart/form-data; boundary=x");
    assert_eq!((sent.method.as_str(), &*sent.body.unwrap()), ("POST", &b"--x--"[..]));
    let failure = prepare(&payload("x", "a\r\nb"), &defaults()).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidHeader);
}

#[test]
fn harmless_headers_of_the_connection_are_left_out_with_a_warning() {
    let text = r#"{"url":"http://h:81/","method":"GET","headers":{"Connection":"close","TE":"trailers",
        "Content-Length":0,"host":"H:81","Keep-Alive":"timeout=5","Proxy-Connection":"keep-alive"}}"#;
    let sent = prepared(text).unwrap();
    let names: Vec<_> = sent.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["accept", "user-agent"]);
    assert_eq!(sent.warnings.len(), 6);
    assert_eq!(sent.warnings[0], "the header connection is left out: the client sets its own");
}

#[test]
fn messages_name_the_header_and_never_its_value() {
    for (headers, message) in [
        (r#"{"X-Key":"hunter2\n"}"#, "the header x-key contains a line break or NUL"),
        (r#"{"X-Key":"hunter2\u0007"}"#, "the header x-key contains a control character"),
        (
            r#"{"X-Key":["hunter2","hunter2ž"]}"#,
            "the header x-key contains a character outside ISO 8859-1: encode it first",
        ),
        (r#"{"X Key":"hunter2"}"#, r#""X Key" is not the name of a header"#),
        (r#"{"X-Key: hunter2":""}"#, r#""X-Key" is not the name of a header"#),
        (r#"{"X-Key=hunter2":""}"#, r#""X-Key" is not the name of a header"#),
        (
            r#"{"Proxy-Authorization":"hunter2"}"#,
            "the header proxy-authorization belongs to the connection and may not be set",
        ),
        (r#"{"Host":"hunter2"}"#, "the header host belongs to the connection and may not be set"),
    ] {
        let text = format!(r#"{{"url":"http://h/","headers":{headers}}}"#);
        let failure = prepared(&text).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (ErrorKind::InvalidHeader, message));
    }
}

#[test]
fn methods_are_normalised_with_a_warning_or_refused() {
    for (rest, method, warnings) in [
        (r#","method":"POST""#, "POST", 0),
        (r#","method":"post""#, "POST", 1),
        ("", "GET", 1),
        (r#","data":"""#, "POST", 1),
        (r#","method":null"#, "GET", 1),
    ] {
        let sent = prepared(&format!(r#"{{"url":"http://h/"{rest}}}"#)).unwrap();
        assert_eq!((sent.method.as_str(), sent.warnings.len()), (method, warnings), "{rest}");
    }
    for method in [r#""CONNECT""#, r#""connect""#, r#""A B""#, "5", r#""\u0000""#, r#""é""#] {
        let failure = prepared(&format!(r#"{{"url":"http://h/","method":{method}}}"#)).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::InvalidArgument, "{method}");
    }
}

#[test]
fn a_timeout_is_honoured_within_its_range() {
    for (timeout, expected, warnings) in [
        ("1", Some(1), 0),
        ("300000", Some(300_000), 0),
        ("2500.5", Some(2500), 0),
        ("null", None, 0),
        ("0", None, 1),
        ("-1", None, 1),
        ("300001", None, 1),
        ("1e999", None, 1),
        (r#""5000""#, None, 1),
        ("{}", None, 1),
    ] {
        let text = format!(r#"{{"url":"http://h/","method":"GET","timeout":{timeout}}}"#);
        let sent = prepared(&text).unwrap();
        assert_eq!(sent.timeout.map(|timeout| timeout.as_millis()), expected, "{timeout}");
        assert_eq!(sent.warnings.len(), warnings, "{timeout}");
    }
}

#[test]
fn thousands_of_headers_are_sent_and_too_many_refused() {
    let text = |count: usize| {
        let headers: Vec<_> = (0..count).map(|i| format!(r#""X-{i}":"v""#)).collect();
        format!(r#"{{"url":"http://h/","headers":{{{}}}}}"#, headers.join(","))
    };
    assert_eq!(prepared(&text(10_000)).unwrap().headers.len(), 10_002);
    assert_eq!(prepared(&text(100_000)).unwrap_err().kind, ErrorKind::InvalidHeader);
    let list = format!(r#"{{"url":"http://h/","headers":{{"a":[0{}]}}}}"#, ",0".repeat(100_000));
    assert_eq!(prepared(&list).unwrap_err().kind, ErrorKind::InvalidHeader);
}

#[test]
fn hostile_nesting_fails_where_it_must_be_read_and_passes_where_not() {
    let deep = format!("{}{}", r#"{"a":["#.repeat(100_000), "]}".repeat(100_000));
    for field in ["headers", "params", "auth"] {
        let text = format!(r#"{{"url":"http://h/","{field}":{deep}}}"#);
        assert_eq!(prepared(&text).unwrap_err().kind, ErrorKind::InvalidArgument, "{field}");
    }
    let form = format!(
        r#"{{"url":"http://h/","headers":{{"content-type":"application/x-www-form-urlencoded"}},"data":{deep}}}"#
    );
    assert_eq!(prepared(&form).unwrap_err().kind, ErrorKind::InvalidArgument);
    let raw = format!(r#"{{"url":"http://h/","data":{deep},"timeout":{deep}}}"#);
    assert_eq!(prepared(&raw).unwrap().body.unwrap(), deep);
}

#[test]
fn of_a_field_given_twice_the_last_counts() {
    let text = r#"{"url":"http://a/","url":"http://b/","data":1,"data":{"x":2},"method":"PUT",
        "headers":{"A":"1","B":"1","a":"2"},"body":"ignored","json":true}"#;
    let sent = prepared(text).unwrap();
    assert_eq!((sent.url.as_str(), sent.headers["a"].to_str().unwrap()), ("http://b/", "2"));
    assert_eq!(sent.body.unwrap(), r#"{"x":2}"#);
}

/// Parses every prefix and every one-byte change of a call without a panic.
#[test]
fn damaged_text_never_panics() {
    let text = br#"{"url":"http://u:p@h/\ud83d?a","method":"put","data":"\"\\x","headers":{"A":["\u00e9",1]},
        "params":{"a":[{"b":null}]},"auth":{"username":"x"},"timeout":5}"#;
    for at in 0..text.len() {
        let _ = prepare(&Payload::from_text(text[..at].to_vec()), &defaults());
        for byte in [b'"', b'\\', b'{', b']', b',', b'0', b' ', 0, 0xff] {
            let mut damaged = text.to_vec();
            damaged[at] = byte;
            let payload = Payload::from_text(damaged);
            let _ = (prepare(&payload, &defaults()), super::target::origin(&payload));
        }
    }
}
