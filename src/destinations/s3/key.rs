//! Keys of objects.

use aws_lc_rs::digest;
use uuid::Uuid;

use super::config::{Compression, Format};
use crate::time::Timestamp;

/// Bytes that a key may have, for Amazon S3.
const MAX_KEY_BYTES: usize = 1024;
/// The longest that follows a prefix: `YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-`, 64 digits, `.parquet`.
const REST_BYTES: usize = 14 + 20 + 64 + 8;
/// Bytes that a prefix may have.
pub(super) const MAX_PREFIX_BYTES: usize = MAX_KEY_BYTES - REST_BYTES;

/// Returns `PREFIX` + `YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-IDENTIFIER.gz`, UTC, plain concatenation.
/// The identifier is the SHA-256 of the stored lines, so that the same batch always has the same
/// key and another batch never has. Lines that are not compressed, and those of Parquet, have no place for
/// the id of the batch's `first` record: there it is hashed after them.
pub(super) fn key<'a>(
    prefix: &str,
    at: Timestamp,
    stored: impl Iterator<Item = &'a [u8]>,
    (format, first): (Format, Uuid),
) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    stored.for_each(|piece| context.update(piece));
    if matches!(format, Format::Lines(Compression::None) | Format::Parquet) {
        context.update(first.as_bytes());
    }
    let identifier = hex(context.finish().as_ref());
    // `2026-11-20T08:15:30.123Z`
    let at = at.to_string();
    let (day, time) = (&at[..10], at[11..19].replace(':', "-"));
    let folder = format!("{}/{}", day.replace('-', "/"), &time[..2]);
    format!("{prefix}{folder}/{day}-{time}-{identifier}{}", format.extension())
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

/// Returns the format of the object with this key.
pub(super) fn format_of(key: &str) -> Format {
    Format::ALL.into_iter().find(|format| key.ends_with(format.extension())).unwrap_or_default()
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
        let key =
            |prefix, format, first| key(prefix, at, [&b"abc"[..]].into_iter(), (format, first));
        assert_eq!(key("test/", Format::default(), first), expected);
        let lines = Format::Lines(Compression::None);
        let plain = key("", lines, first);
        assert!(plain.starts_with("2019/05/25/16/2019-05-25-16-14-58-"));
        assert_eq!(key("", Format::Parquet, first).len(), REST_BYTES);
        let other = key("", lines, Uuid::from_u128(2));
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
    fn a_key_says_its_format() {
        for format in Format::ALL {
            let at = Timestamp::from_millis(0);
            let key = key("p/", at, std::iter::empty(), (format, Uuid::nil()));
            assert_eq!(format_of(&key), format);
        }
    }
}
