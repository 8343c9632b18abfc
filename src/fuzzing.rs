//! The functions that a fuzzer calls with bytes of its own: they read what comes from outside, and stop
//! where a property does not hold.
//!
//! They lie beside the code that they call, and are built for tests and with the feature `fuzzing`
//! alone. The crate in `fuzz/` hands them the bytes of libFuzzer, and the test here those of
//! `fuzz/corpus`.

use std::convert::Infallible;

use crate::binding;
use crate::destinations;
use crate::egress;
use crate::frames::FrameScanner;
use crate::journal;
use crate::pattern::{matches, weight};
use crate::postgres;
use crate::server;
use crate::streams::EventId;
use crate::time::Timestamp;

/// A function that panics where a property does not hold.
pub type FuzzTarget = fn(&[u8]);

/// Every target by its name, which its folder in `fuzz/corpus` has too.
pub const TARGETS: [(&str, FuzzTarget); 19] = [
    ("addresses", destinations::fuzz::addresses),
    ("body", destinations::fuzz::body),
    ("call", destinations::fuzz::call),
    ("charset", destinations::fuzz::charset),
    ("codec", journal::fuzz::codec),
    ("dots", destinations::fuzz::dots),
    ("entries", egress::fuzz::entries),
    ("event_id", event_id),
    ("frames", frames),
    ("json", destinations::fuzz::json),
    ("messages", postgres::fuzz::messages),
    ("options", binding::options::fuzz::options),
    ("pattern", pattern),
    ("replies", destinations::fuzz::replies),
    ("resume", server::fuzz::resume),
    ("rows", destinations::fuzz::rows),
    ("sieve", egress::fuzz::sieve),
    ("uri", postgres::fuzz::uri),
    ("url", destinations::fuzz::url),
];

/// Matches the second line against the pattern in the first, and compares with the slow way.
fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, text) = text.split_once('\n').unwrap_or((&text, ""));
    assert_eq!(matches(pattern, text), matches_slowly(pattern, text), "{pattern:?} {text:?}");
    assert!(weight(pattern) <= pattern.chars().count());
}

/// Follows all places of the pattern that the text may have reached.
fn matches_slowly(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let over_stars = |mut places: Vec<bool>| {
        for at in 0..pattern.len() {
            places[at + 1] |= places[at] && pattern[at] == '*';
        }
        places
    };
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    places = over_stars(places);
    for c in text.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|at| places[*at]) {
            next[at] |= pattern[at] == '*';
            next[at + 1] |= pattern[at] == c && c != '*';
        }
        places = over_stars(next);
    }
    places.last() == Some(&true)
}

/// Finds the heads of frames in pieces of any size.
fn frames(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let heads = |size: usize| {
        let (mut scanner, mut found) = (FrameScanner::default(), Vec::new());
        for piece in bytes.chunks(size) {
            let each = |head| {
                found.push(head);
                Ok::<_, Infallible>(())
            };
            scanner.scan(piece, each).unwrap_or_else(|never| match never {});
        }
        found
    };
    let whole = heads(bytes.len().max(1));
    assert_eq!(heads(1 + usize::from(*size)), whole);
    assert_eq!(heads(1), whole);
    assert!(whole.iter().all(|head| !head.is_empty_data() || head.cost() == 1));
}

/// Reads a `Last-Event-ID`. Its number is the same as text and as an integer, and another one is next.
fn event_id(bytes: &[u8]) {
    let Ok(id) = String::from_utf8_lossy(bytes).parse::<EventId>() else { return };
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(EventId::unpacked(id.packed()), id);
    let next = EventId::after(id, Timestamp::from_millis(0));
    assert!(next > id && next.packed() > id.packed(), "{id} {next}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The bounded form of the fuzzer: every input that it kept, and those that found a fault.
    #[test]
    fn every_property_holds_for_the_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            target(b"");
            let inputs = fs::read_dir(corpus.join(name)).unwrap();
            let inputs: Vec<_> = inputs.map(|input| input.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "{name} has no corpus");
            for input in inputs {
                println!("{}", input.display());
                target(&fs::read(input).unwrap());
            }
        }
    }
}
