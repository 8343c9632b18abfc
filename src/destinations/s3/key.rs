//! Keys of objects.

use aws_lc_rs::digest;
use uuid::Uuid;

use super::config::Compression;
use crate::time::Timestamp;

/// Bytes that a key may have, for Amazon S3.
const MAX_KEY_BYTES: usize = 1024;
/// The longest that follows a prefix: `YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-`, 64 digits, `.ndjson`.
const REST_BYTES: usize = 14 + 20 + 64 + 7;
/// Bytes that a prefix may have.
pub(super) const MAX_PREFIX_BYTES: usize = MAX_KEY_BYTES - REST_BYTES;

/// Returns `PREFIX` + `YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-IDENTIFIER.gz`, UTC, plain concatenation.
/// The identifier is the SHA-256 of the stored lines, so that the same batch always has the same
/// key and another batch never has. Lines that are not compressed have no place for the id of the
/// batch's `first` record: there it is hashed after them.
pub(super) fn key(
    prefix: &str,
    at: Timestamp,
    stored: &[u8],
    (compression, first): (Compression, Uuid),
) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(stored);
    if compression == Compression::None {
        context.update(first.as_bytes());
    }
    let identifier = hex(context.finish().as_ref());
    // `2026-11-20T08:15:30.123Z`
    let at = at.to_string();
    let (day, time) = (&at[..10], at[11..19].replace(':', "-"));
    let folder = format!("{}/{}", day.replace('-', "/"), &time[..2]);
    format!("{prefix}{folder}/{day}-{time}-{identifier}{}", compression.extension())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
        hex
    })
}

/// Splits a key at its last empty part: `head/` stands before it, and may be missing.
pub(super) fn split(key: &str) -> (Option<&str>, &str) {
    match key.rfind("//") {
        Some(place) => (Some(&key[..=place]), &key[place + 2..]),
        None => key.strip_prefix('/').map_or((None, key), |rest| (Some(""), rest)),
    }
}

/// Returns the compression of the object with this key.
pub(super) fn compression_of(key: &str) -> Compression {
    Compression::ALL
        .into_iter()
        .find(|compression| key.ends_with(compression.extension()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_it_always_was() {
        let at = Timestamp::from_millis(1_558_800_898_999); // 2019-05-25T16:14:58.999Z
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = format!("test/2019/05/25/16/2019-05-25-16-14-58-{digest}.gz");
        let first = Uuid::from_u128(1);
        assert_eq!(key("test/", at, b"abc", (Compression::Gzip, first)), expected);
        let plain = key("", at, b"abc", (Compression::None, first));
        assert!(plain.starts_with("2019/05/25/16/2019-05-25-16-14-58-"));
        assert_eq!(plain.len(), REST_BYTES);
        let other = key("", at, b"abc", (Compression::None, Uuid::from_u128(2)));
        assert_ne!(other, plain, "the same lines are not the same batch");
    }

    #[test]
    fn a_key_is_split_at_its_last_empty_part() {
        for (key, head, tail) in [
            ("a/b", None, "a/b"),
            ("/a/b", Some(""), "a/b"),
            ("a//b/c", Some("a/"), "b/c"),
            ("//a", Some("/"), "a"),
            ("/x//y///z", Some("/x//y//"), "z"),
        ] {
            assert_eq!(split(key), (head, tail));
            let whole = head.map_or_else(|| tail.to_owned(), |head| format!("{head}/{tail}"));
            assert_eq!(whole, key);
        }
    }

    #[test]
    fn a_key_says_how_it_is_compressed() {
        for compression in Compression::ALL {
            let key = key("p/", Timestamp::from_millis(0), b"", (compression, Uuid::nil()));
            assert_eq!(compression_of(&key), compression);
        }
    }
}
