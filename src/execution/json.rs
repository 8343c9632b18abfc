//! JSON that is written part by part, so that what is JSON already is copied and not parsed.

use serde::Serialize;

/// Adds a value.
pub(super) fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    let begin = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(begin);
        out.extend_from_slice(b"null");
    }
}

/// Takes back the end of the object that was just written: members can follow.
pub(super) fn reopen(out: &mut Vec<u8>) {
    debug_assert_eq!(out.last(), Some(&b'}'));
    out.pop();
}

/// Adds the members of `value`, which has one at least, to an open object that has one, and ends it.
pub(super) fn write_more(out: &mut Vec<u8>, value: &impl Serialize) {
    let begin = out.len();
    write(out, value);
    debug_assert_eq!(out[begin], b'{');
    out[begin] = b',';
}

/// Returns what was written.
pub(super) fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap_or_else(|_| "null".to_owned())
}
