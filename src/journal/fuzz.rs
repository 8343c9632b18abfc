//! The fuzz target of what a journal keeps.

use super::codec;

/// Reads any bytes as calls. Calls that can be read are the same after they are written again.
pub(crate) fn codec(bytes: &[u8]) {
    let Ok(calls) = codec::decode(bytes) else { return };
    let written = codec::encode(&calls);
    let again = codec::decode(&written).map(|again| format!("{again:?}"));
    assert_eq!(again.as_ref().ok(), Some(&format!("{calls:?}")), "calls change when written");
    if let Ok(again) = codec::decode(&written) {
        assert_eq!(codec::encode(&again), written, "calls are written in two ways");
    }
}
