//! Parts of a URL as they are meant.

/// Returns the text of a part that is percent-encoded, such as a password.
///
/// # Errors
/// The reason why it cannot be read, without the text.
pub fn decoded(text: &str) -> Result<String, String> {
    let bytes = percent_encoding::percent_decode_str(text);
    let decoded = bytes.decode_utf8().map_err(|_| "has a part that is not UTF-8")?;
    Ok(decoded.into_owned())
}
