//! Reads texts of JavaScript.

use std::cell::RefCell;

use napi::bindgen_prelude::check_status;
use napi::{Env, JsString, JsValue, sys};

/// The longest text that is read through the buffer of the thread, in UTF-16 units, with room for
/// the terminator that Node-API writes.
const SCRATCH_UNITS: usize = (64 << 10) + 2;

thread_local! {
    /// Where the texts of this thread arrive, so that none of them costs an allocation that is
    /// given back at once: that was a third of what recording a call of 1 KiB cost.
    static SCRATCH: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

/// Returns the text as UTF-8.
///
/// V8 of Node 20 goes three times over a string to encode it as UTF-8 and writes byte by byte; copying
/// its UTF-16 and narrowing that is several times faster for text that is nearly always ASCII.
pub(super) fn utf8(env: Env, text: JsString<'_>) -> napi::Result<Vec<u8>> {
    let read = SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(SCRATCH_UNITS, 0);
        let length = read_units(env, &text, scratch)?;
        // One that fills the buffer may have been cut.
        let whole = scratch.get(..length).filter(|_| length < SCRATCH_UNITS - 1);
        napi::Result::Ok(whole.map(narrowed))
    })?;
    if let Some(read) = read {
        return Ok(read);
    }
    let units = text.into_utf16()?;
    // The last unit is the terminator.
    Ok(narrowed(units.split_last().map_or(&[][..], |(_, text)| text)))
}

/// Copies as much of the text as `units` holds, with a terminator. Returns the length without it.
#[expect(unsafe_code, reason = "napi's own readers allocate a buffer for each text")]
fn read_units(env: Env, text: &JsString<'_>, units: &mut [u16]) -> napi::Result<usize> {
    let mut length = 0;
    // SAFETY: the environment and the value belong to the call that is under way on this thread,
    // and Node-API writes at most `units.len()` units, the terminator included, into the slice.
    let status = unsafe {
        sys::napi_get_value_string_utf16(
            env.raw(),
            text.raw(),
            units.as_mut_ptr(),
            units.len(),
            &raw mut length,
        )
    };
    check_status!(status, "the call's text cannot be read")?;
    Ok(length)
}

/// Encodes UTF-16 as UTF-8. Two loops, because each of them becomes vector instructions and one that
/// does both does not.
fn narrowed(units: &[u16]) -> Vec<u8> {
    if units.iter().fold(0, |all, unit| all | unit) < 0x80 {
        units.iter().map(|unit| unit.to_le_bytes()[0]).collect()
    } else {
        String::from_utf16_lossy(units).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::narrowed;

    #[test]
    fn text_beyond_ascii_is_encoded() {
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        for text in ["", "plain", "K\u{e9}ssel", "\u{141}ód\u{17a}", "🚀 at the end 🚀"] {
            assert_eq!(narrowed(&units(text)), text.as_bytes());
        }
        assert_eq!(narrowed(&[0x41, 0xd800]), "A\u{fffd}".as_bytes());
    }
}
