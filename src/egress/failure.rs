//! Finding what this module refused inside the error of a client library.

use std::error::Error as StdError;
use std::io;

use rustls::OtherError;

use crate::destinations::Failure;

/// How many causes deep a failure is searched for: clients nest theirs less than ten deep.
const MAX_DEPTH: usize = 32;

/// The [`Failure`] that this module put into the cause chain of a client's error, or none when the
/// error is the client's own: then it has to be classified by its kind and the phase it was in.
#[must_use]
pub fn failure_in(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let causes = std::iter::successors(Some(error), |error| cause(*error));
    causes.take(MAX_DEPTH).find_map(|error| error.downcast_ref::<Failure>()).cloned()
}

/// Returns whether an error says that this machine lacks a resource, and nothing of the other side.
#[must_use]
pub fn is_lack(error: &(dyn StdError + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| cause(*error));
    causes
        .take(MAX_DEPTH)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| super::scarcity::passing(error).is_some())
}

/// The next cause. Two error types hold one that their `source` does not lead to.
pub(super) fn cause<'a>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return Some(inner);
    }
    match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::Other(OtherError(inner))) => Some(inner.as_ref()),
        _ => error.source(),
    }
}
