//! The fuzz target of a call of `$send.s3`.

use super::item::{ObjectTarget, line};
use crate::delivery::Payload;

/// Reads a call. Its object stays in its bucket, and a record of one line is one line.
pub(crate) fn call(payload: &Payload) {
    if let Ok(target) = ObjectTarget::of(payload) {
        assert!(!target.bucket.contains('/') && !target.bucket.contains(".."), "{target:?}");
        let mut parts = target.prefix.split('/');
        assert!(!parts.any(|part| part == "." || part == ".."), "{target:?}");
    }
    if let Ok(line) = line(payload) {
        assert!(!line.contains(['\n', '\r']) || payload.text.iter().any(|b| b"\n\r".contains(b)));
    }
}
