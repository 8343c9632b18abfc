//! Classification of a response of ClickHouse for a batch.

use crate::delivery::{Failure, Verdict};
use crate::error::ErrorKind;

/// Transient codes of exceptions: the connection, the resources, the replicas, and concurrent
/// changes of the table.
///
/// <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
const TRANSIENT: [u32; 24] = [
    16, 60, 74, 75, 76, 159, 202, 203, 209, 210, 236, 241, 242, 243, 252, 285, 286, 319, 341, 394,
    425, 473, 499, 999,
];

/// Codes of exceptions about values, which another client's change of the table may have caused.
const VALUES: [u32; 9] = [6, 26, 27, 38, 41, 53, 70, 72, 117];

/// Further codes about a row: constraints, what a view throws, and values of columns that people made.
///
/// Nothing else is tried row by row.
const ROWS: [u32; 16] =
    [43, 69, 130, 131, 321, 349, 376, 395, 407, 436, 441, 442, 467, 469, 675, 691];

/// A response that is not 2xx.
#[derive(Debug)]
pub(super) struct ErrorResponse {
    pub status: u16,
    /// The code of the exception.
    pub code: Option<u32>,
    pub text: String,
}

impl ErrorResponse {
    /// Returns whether the table may have changed while the batch was on its way.
    pub(super) fn is_about_values(&self) -> bool {
        self.code.is_some_and(|code| VALUES.contains(&code))
    }

    /// Returns why a row was refused, if the refusal is about a row.
    pub(super) fn of_row(&self) -> Option<Failure> {
        let is_about_row =
            self.is_about_values() || self.code.is_some_and(|code| ROWS.contains(&code));
        is_about_row.then(|| {
            let message = format!("ClickHouse refused the row: {}", self.said());
            Failure::new(ErrorKind::Refused, message).with_status(self.status)
        })
    }

    /// Returns the position of the refused row, from 0, if the server reports it.
    pub(super) fn place(&self) -> Option<usize> {
        let (_, rest) = self.text.split_once("(at row ")?;
        rest.split_once(')')?.0.parse::<usize>().ok()?.checked_sub(1)
    }

    fn said(&self) -> String {
        let said: String = self.text.chars().filter(|c| !c.is_control()).take(1000).collect();
        said.trim().to_owned()
    }

    /// Returns the verdict.
    pub(super) fn verdict(&self) -> Verdict {
        let Self { status, code, .. } = self;
        let hint = match code {
            Some(81) => ". Create the database first",
            Some(497) => ". The user needs SELECT, INSERT, CREATE TABLE and ALTER on the database",
            Some(516) => ". User and password are in sql.clickhouse.url",
            _ => "",
        };
        let message = format!("ClickHouse answered {status}: {}{hint}", self.said());
        let transient = match code {
            Some(code) => TRANSIENT.contains(code),
            None => *status >= 500 || matches!(status, 408 | 425 | 429),
        };
        if transient {
            let failure = Failure::new(ErrorKind::Unavailable, message).with_status(*status);
            return Verdict::Retry { failure, after: None };
        }
        Verdict::Rejected(Failure::new(ErrorKind::Refused, message).with_status(*status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_trouble_is_tried_again() {
        let transient = |status, code| {
            let refusal = ErrorResponse { status, code, text: "Code".to_owned() };
            matches!(refusal.verdict(), Verdict::Retry { .. })
        };
        assert!(transient(503, None) && transient(429, None) && transient(500, Some(241)));
        assert!(!transient(404, None) && !transient(403, Some(516)) && !transient(500, Some(497)));
    }

    #[test]
    fn a_refusal_of_a_row_may_say_which() {
        let refusal = |code, text: &str| ErrorResponse { status: 400, code, text: text.to_owned() };
        let parse = refusal(Some(27), "Code: 27. Cannot parse input: ... (at row 3)\n");
        assert_eq!((parse.of_row().is_some(), parse.place()), (true, Some(2)));
        let constraint = refusal(Some(469), "Code: 469. Constraint `c` for table d.t is violated");
        assert_eq!((constraint.of_row().is_some(), constraint.place()), (true, None));
        assert!(refusal(Some(497), "no").of_row().is_none());
        assert!(refusal(None, "no").of_row().is_none());
    }
}
