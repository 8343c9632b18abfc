//! What an error of PostgreSQL, or of the way to it, means for a batch.

use std::error::Error as StdError;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::destinations::{Failure, Phase, Verdict};
use crate::egress::failure_in;
use crate::error::ErrorKind;

/// Classes of SQLSTATE, and single ones, that time mends: the connection, the resources, the
/// operator, the system, and whoever else uses the table.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const TRANSIENT: [&str; 10] =
    ["08", "53", "57", "58", "XX", "25006", "40001", "40003", "40P01", "55P03"];

/// The verdict on an attempt that failed with `error`.
pub(super) fn verdict(error: &Error) -> Verdict {
    if let Some(said) = error.as_db_error() {
        return refused(said);
    }
    if let Some(failure) = failure_in(error) {
        return Verdict::Retry { failure, after: None };
    }
    let causes = || std::iter::successors(StdError::source(error), |error| (*error).source());
    let why = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
    let tls = causes().any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>)
    });
    let io = causes().any(<dyn StdError>::is::<io::Error>);
    let later = |failure| Verdict::Retry { failure, after: None };
    if tls {
        let message = format!("the TLS handshake with PostgreSQL failed: {why}");
        return later(Failure::new(ErrorKind::Tls, message).during(Phase::Tls));
    }
    if io || error.is_closed() {
        let message = format!("the connection to PostgreSQL broke: {why}");
        return later(Failure::new(ErrorKind::Connection, message));
    }
    let message = format!("PostgreSQL cannot be talked to: {error}: {why}");
    Verdict::Rejected(Failure::new(ErrorKind::InvalidResponse, message))
}

fn refused(said: &DbError) -> Verdict {
    let code = said.code().code();
    let hint = match code {
        "42501" => {
            ". The user needs CREATE on the database, once, and USAGE and CREATE on the schema"
        }
        _ => "",
    };
    let message = format!("PostgreSQL answered {code}: {}{hint}", shown(said));
    if TRANSIENT.iter().any(|transient| code.starts_with(transient)) {
        let failure = Failure::new(ErrorKind::Unavailable, message);
        return Verdict::Retry { failure, after: None };
    }
    Verdict::Rejected(Failure::new(ErrorKind::Refused, message))
}

/// What it said, for people.
fn shown(said: &DbError) -> String {
    let mut text = said.message().to_owned();
    for more in [said.detail(), said.hint()].into_iter().flatten() {
        text.push_str(". ");
        text.push_str(more);
    }
    text.chars().filter(|c| !c.is_control()).take(1000).collect()
}

/// The line of `COPY` that an error is about, from 0, and why; `None`: it is about none, or about
/// more than a value.
pub(super) fn line(error: &Error, table: &str) -> Option<(usize, Failure)> {
    let said = error.as_db_error()?;
    let code = said.code().code();
    // Data that no column takes, and rows that no page holds.
    if !["22", "23", "54"].iter().any(|class| code.starts_with(class)) {
        return None;
    }
    let line = line_in(said.where_()?, table)?;
    let message = format!("PostgreSQL refused the row with {code}: {}", shown(said));
    Some((line, Failure::new(ErrorKind::Refused, message)))
}

/// `COPY my_table, line 3, column a: "x"`, in whatever language the server speaks.
fn line_in(place: &str, table: &str) -> Option<usize> {
    let (_, rest) = place.split_once(table)?;
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_copy_is_found_in_any_language() {
        assert_eq!(line_in("COPY t1, line 3, column a: \"x 7\"", "t1"), Some(2));
        assert_eq!(line_in("COPY t1, Zeile 12", "t1"), Some(11));
        assert_eq!(line_in("SQL statement", "t1"), None);
    }
}
