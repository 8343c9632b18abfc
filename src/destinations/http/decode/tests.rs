use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;

use super::*;

const TEXT: &str = "the same words, the same words, the same words";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

/// `hello` as brotli in an uncompressed block.
const BROTLI_HELLO: [u8; 9] = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];

/// Returns a gzip member with every optional field of its header.
fn gzip_with_all_fields(text: &str) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, CHECKSUM_EXTRA_NAME_COMMENT, 0, 0, 0, 0, 0, 3];
    member.extend([3, 0, 1, 2, 3]);
    member.extend(b"name\0comment\0\x12\x34");
    member.extend(deflate(text.as_bytes()));
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    member.extend(crc.sum().to_le_bytes());
    member.extend(crc.amount().to_le_bytes());
    member
}

const CHECKSUM_EXTRA_NAME_COMMENT: u8 = 2 | 4 | 8 | 16;

fn decoder(coding: &str) -> Decoder {
    let value = HeaderValue::from_str(coding).unwrap();
    Decoder::of(&HeaderMap::from_iter([(CONTENT_ENCODING, value)]))
}

/// Returns the text that comes out, in pieces of `size` bytes, and the fault if there is one.
fn decoded(coding: &str, body: &[u8], size: usize) -> (String, Option<Fault>) {
    let mut decoder = decoder(coding);
    let mut text = Vec::new();
    let mut sink = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        ControlFlow::Continue(())
    };
    let fault = body
        .chunks(size)
        .find_map(|piece| decoder.push(piece, &mut sink).err())
        .or_else(|| decoder.finish().err());
    (String::from_utf8(text).unwrap(), fault)
}

#[test]
fn every_spelling_of_a_coding_is_undone_however_it_arrives() {
    let members = [gzip("one "), gzip(""), gzip_with_all_fields("two")].concat();
    let with = |mut body: Vec<u8>, garbage: &[u8]| {
        body.extend_from_slice(garbage);
        body
    };
    let frames = [zstd("one "), b"\x50\x2a\x4d\x18\x02\0\0\0xx".to_vec(), zstd("two")].concat();
    let twice = |outer: fn(&[u8]) -> Vec<u8>, inner: Vec<u8>| outer(&inner);
    for (coding, body, text) in [
        ("gzip", gzip(TEXT), TEXT),
        ("x-gzip", gzip(TEXT), TEXT),
        ("GZip", gzip(TEXT), TEXT),
        (" gzip , identity,", gzip(TEXT), TEXT),
        ("gzip", members, "one two"),
        ("gzip", gzip_with_all_fields(TEXT), TEXT),
        ("gzip", with(gzip(TEXT), b"garbage"), TEXT),
        ("gzip", with(gzip(TEXT), &[0; 512]), TEXT),
        ("gzip", with(gzip(TEXT), &[0x1f]), TEXT),
        ("gzip", zlib(TEXT), TEXT),
        ("deflate", zlib(TEXT), TEXT),
        ("deflate", deflate(TEXT.as_bytes()), TEXT),
        ("DEFLATE", deflate(b""), ""),
        ("deflate", gzip(TEXT), TEXT),
        ("deflate", with(zlib(TEXT), b"garbage"), TEXT),
        ("deflate", with(deflate(TEXT.as_bytes()), b"garbage"), TEXT),
        ("br", BROTLI_HELLO.to_vec(), "hello"),
        ("BR", with(BROTLI_HELLO.to_vec(), b"garbage"), "hello"),
        ("zstd", zstd(TEXT), TEXT),
        ("zstd", frames, "one two"),
        ("zstd", with(zstd(TEXT), b"garbage after it"), TEXT),
        ("zstd", with(zstd(TEXT), b"x"), TEXT),
        ("deflate, gzip", twice(gzip_bytes, zlib(TEXT)), TEXT),
        ("br, deflate", twice(deflate, BROTLI_HELLO.to_vec()), "hello"),
        ("identity", TEXT.into(), TEXT),
        ("", TEXT.into(), TEXT),
        ("gzip", Vec::new(), ""),
        ("br", Vec::new(), ""),
    ] {
        for size in [1, 2, 7, 1 << 20] {
            let result = decoded(coding, &body, size);
            assert_eq!(result, (text.to_owned(), None), "{coding} in pieces of {size}");
        }
    }
}

fn gzip_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_damaged_or_cut_gives_what_was_before_it_and_the_fault() {
    let cut = |body: Vec<u8>, by: usize| body[..body.len() - by].to_vec();
    let mut wrong_sum = gzip(TEXT);
    let trailer = wrong_sum.len() - 8;
    wrong_sum[trailer] ^= 1;
    for (coding, body, text, fault) in [
        ("gzip", cut(gzip(TEXT), 8), TEXT, Fault::Short("gzip")),
        ("gzip", cut(gzip(TEXT), 1), TEXT, Fault::Short("gzip")),
        ("gzip", wrong_sum, TEXT, Fault::Damaged("gzip")),
        ("gzip", b"plain text".to_vec(), "", Fault::Foreign("gzip")),
        ("gzip", b"\x1f\x8b\x07".to_vec(), "", Fault::Damaged("gzip")),
        ("gzip", b"\x1f\x8b\x08\xff".to_vec(), "", Fault::Damaged("gzip")),
        ("gzip", b"\x1f".to_vec(), "", Fault::Short("gzip")),
        ("deflate", cut(zlib(TEXT), 4), TEXT, Fault::Short("deflate")),
        ("deflate", b"\xff\xff\xff".to_vec(), "", Fault::Damaged("deflate")),
        ("br", cut(BROTLI_HELLO.to_vec(), 1), "hello", Fault::Short("br")),
        ("zstd", b"plain text".to_vec(), "", Fault::Damaged("zstd")),
        ("zstd", cut(zstd(TEXT), 1), "", Fault::Short("zstd")),
    ] {
        for size in [1, 1 << 20] {
            let (found, found_fault) = decoded(coding, &body, size);
            assert_eq!(found_fault, Some(fault), "{coding} {body:?}");
            assert!(text.starts_with(&found), "{coding} {found}");
        }
    }
}

#[test]
fn a_coding_that_is_not_known_stays_with_what_is_under_it() {
    for (coding, unknown) in [
        ("rot13", Some("rot13")),
        ("x-compress", Some("x-compress")),
        ("compress, gzip", Some("compress")),
        ("gzip, gzip, gzip, gzip, gzip, gzip", Some("gzip")),
        ("gzip", None),
    ] {
        assert_eq!(decoder(coding).unknown(), unknown);
    }
    assert_eq!(decoded("rot13, gzip", &gzip("grkg"), 64), ("grkg".to_owned(), None));
    assert!(decoder("compress").is_identity());
}

#[test]
fn decoding_ends_where_the_sink_says() {
    let bomb = gzip_bytes(&vec![0; 64 << 20]);
    let mut total = 0;
    let flow = decoder("gzip").push(&bomb, &mut |bytes| {
        total += bytes.len();
        if total > 1 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(flow, Ok(ControlFlow::Break(())));
    assert!(total <= (1 << 20) + BUFFER_BYTES);
}

#[test]
fn a_window_larger_than_the_web_allows_is_refused() {
    // A frame header that requires a window of 128 MiB.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x88, 0, 0, 0];
    assert_eq!(decoded("zstd", &frame, 64).1, Some(Fault::Damaged("zstd")));
}

#[test]
fn a_second_frame_is_damaged_however_it_arrives() {
    let frame = zstd("one ");
    // A block of the fourth type, which there is not.
    let mut damaged = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x2f, 0, 0].to_vec();
    damaged.extend(b"hello");
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x88, 0, 0, 0];
    for second in [&damaged[..], &wide] {
        let body = [&frame, second].concat();
        for size in [1, 3, 5, 1 << 20] {
            let (text, fault) = decoded("zstd", &body, size);
            assert_eq!(fault, Some(Fault::Damaged("zstd")), "{second:?} in pieces of {size}");
            assert!("one ".starts_with(&text), "{text}");
        }
    }
    // The beginning of no magic number.
    let body = [&frame[..], &[0x28, 0x2a, 0x4d, 0x18, 1, 2, 3]].concat();
    for size in [1, 3, 1 << 20] {
        assert_eq!(decoded("zstd", &body, size), ("one ".to_owned(), None), "{size}");
    }
}

#[test]
fn a_frame_of_zstd_that_has_fewer_bytes_than_it_says_is_damaged() {
    // It says five bytes, and its only block is empty.
    let frame = b"\x28\xb5\x2f\xfd\x20\x05\x01\0\0";
    for size in 1..=frame.len() {
        let (text, fault) = decoded("zstd", frame, size);
        assert_eq!((&*text, fault), ("", Some(Fault::Damaged("zstd"))), "in pieces of {size}");
    }
}
