use http::HeaderValue;
use http::header::CONTENT_ENCODING;

use super::*;

fn capture(coding: &'static str, keep: usize, limit: usize) -> Capture {
    let value = HeaderValue::from_static(coding);
    Capture::new(&HeaderMap::from_iter([(CONTENT_ENCODING, value)]), keep, limit)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Returns the body in the log, whether it is complete, and its warnings.
fn shown(capture: Capture) -> (Vec<u8>, bool, Vec<String>) {
    let warnings = capture.warnings().collect();
    let body = capture.into_log(&HeaderMap::new());
    (body.bytes().to_vec(), body.is_complete(), warnings)
}

#[test]
fn reading_stops_past_the_limit_and_keeping_before_it() {
    let mut capture = capture("identity", 4, 10);
    assert_eq!(capture.push(&bytes("abcdef")), ReadMore::Continue);
    assert_eq!(capture.push(&bytes("ghij")), ReadMore::Continue);
    assert_eq!(capture.push(&bytes("k")), ReadMore::Stop);
    let body = capture.into_log(&HeaderMap::new());
    assert_eq!(
        (body.bytes().as_ref(), body.total(), body.is_complete()),
        (&b"abcd"[..], 11, false)
    );
}

#[test]
fn text_that_claims_to_be_gzip_is_kept_as_it_was_received() {
    let mut capture = capture("gzip", 100, 1000);
    assert_eq!(capture.push(&bytes("p")), ReadMore::Continue);
    assert_eq!(capture.push(&bytes("lain")), ReadMore::Stop);
    let (body, complete, warnings) = shown(capture);
    assert_eq!((body.as_slice(), complete), (&b"plain"[..], false));
    assert_eq!(
        warnings,
        [
            "the response's body could not be decoded: it is not gzip, although Content-Encoding says \
          so; the log has the body as it was received"
        ]
    );
}

#[test]
fn a_body_that_breaks_off_is_not_whole() {
    let mut capture = capture("identity", 100, 1000);
    capture.push(&bytes("half"));
    capture.broke(&std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
    let (body, complete, warnings) = shown(capture);
    assert_eq!((body.as_slice(), complete), (&b"half"[..], false));
    let expected = "the connection broke before the response's body was over: the log has what was \
                    read before";
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_coding_that_is_not_known_is_named() {
    let mut capture = capture("rot13", 100, 1000);
    capture.push(&bytes("grkg"));
    capture.end();
    let (body, complete, warnings) = shown(capture);
    assert_eq!((body.as_slice(), complete), (&b"grkg"[..], true));
    assert_eq!(
        warnings,
        [r#"the content coding "rot13" is not known: the log has the body as received"#]
    );
    let mut empty = self::capture("rot13", 100, 1000);
    empty.end();
    assert_eq!(shown(empty).2.len(), 0);
}

/// Codings that consume input without end and produce nothing.
#[test]
fn input_that_decodes_to_nothing_is_counted() {
    let empty_blocks = b"\0\0\0\xff\xff".repeat(2000);
    let skippable = [&b"\x50\x2a\x4d\x18\0\x40\0\0"[..], &[b'x'; 0x4000]].concat();
    for (coding, beginning, more) in [
        ("deflate", &b"\0\0\0\xff\xff"[..], empty_blocks.as_slice()),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &empty_blocks),
        ("gzip", b"\x1f\x8b\x08\x08\0\0\0\0\0\x03", &[b'n'; 10_000]),
        ("zstd", b"\x50\x2a\x4d\x18\0\0\0\0", &skippable),
    ] {
        let mut capture = capture(coding, 100, 100_000);
        let pieces = std::iter::repeat_n(more, 1000);
        let pieces = std::iter::once(beginning).chain(pieces).map(Bytes::copy_from_slice);
        let read = pieces.take_while(|piece| capture.push(piece) == ReadMore::Continue).count();
        assert!(read < 20, "{coding}: {read}");
        let (body, complete, _) = shown(capture);
        assert_eq!((body.len(), complete), (0, false));
    }
}

#[test]
fn chunks_are_counted_too() {
    let mut capture = capture("identity", 100, 100_000);
    let read = (0..200_000).take_while(|_| capture.push(&bytes("x")) == ReadMore::Continue).count();
    assert!((5_000..10_000).contains(&read), "{read}");
}
