//! Finds failures of this module and of the machine inside the error of a client library.

use std::error::Error as StdError;
use std::io;

use rustls::OtherError;

use crate::delivery::Failure;

/// The maximum number of causes that are searched: clients nest theirs less than ten deep.
const MAX_DEPTH: usize = 32;

/// Returns the [`Failure`] that this module put into the cause chain of a client's error, or none
/// when the error is the client's own: then it has to be classified by its kind and the phase it
/// was in.
#[must_use]
pub fn policy_failure_in(error: &(dyn StdError + 'static)) -> Option<Failure> {
    error_chain(error).find_map(|error| error.downcast_ref::<Failure>()).cloned()
}

/// Returns whether an error is caused by a resource that this machine lacks, not by the other side.
#[must_use]
pub fn is_local_shortage(error: &(dyn StdError + 'static)) -> bool {
    local_shortage_in(error).is_some()
}

/// Returns the resource that this machine lacks, as a sentence.
pub(super) fn local_shortage_in(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let mut errors = error_chain(error).filter_map(|error| error.downcast_ref::<io::Error>());
    errors.find_map(super::scarcity::passing)
}

/// Returns an error and its causes, outermost first.
pub(super) fn error_chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error)).take(MAX_DEPTH)
}

/// Returns the next cause. Two error types hold one that their `source` does not lead to.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return Some(inner);
    }
    match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::Other(OtherError(inner))) => Some(inner.as_ref()),
        _ => error.source(),
    }
}
