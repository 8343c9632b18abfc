//! Parts of a URL as they are meant.

/// The text of a part that is percent-encoded, such as a password.
///
/// # Errors
/// Why it cannot be read, without the text.
pub(super) fn decoded(text: &str) -> Result<String, String> {
    let bytes = percent_encoding::percent_decode_str(text);
    let decoded = bytes.decode_utf8().map_err(|_| "has a part that is not UTF-8")?;
    Ok(decoded.into_owned())
}
