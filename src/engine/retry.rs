//! What happens after an attempt: the only place that knows when there is another one.

use crate::destinations::{Failure, Verdict};

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is delivered.
    Done,
    /// It failed for good.
    Dead(Failure),
}

/// Decides on a verdict. There is one attempt, as in the original: a failure that another attempt
/// may mend is final all the same.
#[must_use]
pub(super) fn decide(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Delivered => Decision::Done,
        Verdict::Retry { failure, .. } | Verdict::Rejected(failure) => Decision::Dead(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn one_attempt_is_all_there_is() {
        let failure = Failure::new(ErrorKind::Status, "503");
        assert_eq!(decide(Verdict::Delivered), Decision::Done);
        assert_eq!(decide(Verdict::Rejected(failure.clone())), Decision::Dead(failure.clone()));
        let retry = Verdict::Retry { failure: failure.clone(), after: None };
        assert_eq!(decide(retry), Decision::Dead(failure));
    }
}
