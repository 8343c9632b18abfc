//! Classification of an error of PostgreSQL, or of its connection, for a batch.

use std::error::Error as StdError;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::delivery::{Failure, Phase, Verdict};
use crate::egress::policy_failure_in;
use crate::error::ErrorKind;
use crate::postgres::TooLarge;

/// Transient classes and codes of SQLSTATE: the connection, the resources, the operator, the
/// system, and concurrent users of the table.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const TRANSIENT: [&str; 10] =
    ["08", "53", "57", "58", "XX", "25006", "40001", "40003", "40P01", "55P03"];

/// Returns the verdict on an attempt that failed with `error`.
pub(super) fn verdict(error: &Error) -> Verdict {
    if let Some(said) = error.as_db_error() {
        return refused(said);
    }
    if let Some(failure) = policy_failure_in(error) {
        return Verdict::Retry { failure, after: None };
    }
    let causes = || std::iter::successors(StdError::source(error), |error| (*error).source());
    let why = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
    let inner = || {
        causes().filter_map(|cause| cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref))
    };
    if let Some(error) = inner().find_map(|inner| inner.downcast_ref::<TooLarge>()) {
        return Verdict::Rejected(Failure::new(ErrorKind::InvalidResponse, error.to_string()));
    }
    let tls = inner().any(<dyn StdError + Send + Sync>::is::<rustls::Error>);
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
    if is_transient(code) {
        let failure = Failure::new(ErrorKind::Unavailable, message);
        return Verdict::Retry { failure, after: None };
    }
    Verdict::Rejected(Failure::new(ErrorKind::Refused, message))
}

/// Returns the readable text of an error.
fn shown(said: &DbError) -> String {
    let mut text = said.message().to_owned();
    for more in [said.detail(), said.hint()].into_iter().flatten() {
        text.push_str(". ");
        text.push_str(more);
    }
    text.chars().filter(|c| !c.is_control()).take(1000).collect()
}

/// Classes of SQLSTATE that are about a row: its values, its constraints, its size, the checks of a
/// view, and errors of a trigger.
const ROWS: [&str; 8] = ["22", "23", "54", "44", "P0", "2F", "38", "39"];

/// Returns why a row was refused, if the error is about a row and not about the table, the login or
/// the server.
pub(super) fn row_refusal(error: &Error, table: &str) -> Option<Failure> {
    let said = error.as_db_error()?;
    let code = said.code().code();
    if is_transient(code) {
        return None;
    }
    // An error that names a line was met while the line was added, by whatever a trigger does.
    let names_line = said.where_().is_some_and(|place| line_in(place, table).is_some());
    if !names_line && !ROWS.iter().any(|class| code.starts_with(class)) {
        return None;
    }
    let message = format!("PostgreSQL refused the row with {code}: {}", shown(said));
    Some(Failure::new(ErrorKind::Refused, message))
}

/// Returns the line of `COPY`, from 0, at which an error occurred, if the server reports it.
pub(super) fn line(error: &Error, table: &str) -> Option<usize> {
    line_in(error.as_db_error()?.where_()?, table)
}

/// Parses `COPY my_table, line 3, column a: "x"`, in any language of the server. The context of a
/// trigger may precede it.
fn line_in(place: &str, table: &str) -> Option<usize> {
    let (_, rest) = place.lines().next_back()?.split_once(table)?;
    let rest = rest.strip_prefix(',')?;
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse::<usize>().ok()?.checked_sub(1)
}

/// Returns whether the columns are not those that were seen a moment ago.
pub(super) fn is_change(error: &Error) -> bool {
    const CODES: [&str; 5] = ["42703", "42701", "42P01", "42P07", "428C9"];
    error.as_db_error().is_some_and(|said| CODES.contains(&said.code().code()))
}

/// Returns why a table keeps the types of its columns, if something of it depends on them.
pub(super) fn dependency(error: &Error) -> Option<String> {
    let said = error.as_db_error()?;
    let code = said.code().code();
    let is_ours = matches!(code, "42501") || is_transient(code) || is_change(error);
    (!is_ours).then(|| format!("{code}: {}", shown(said)))
}

fn is_transient(code: &str) -> bool {
    TRANSIENT.iter().any(|transient| code.starts_with(transient))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_copy_is_found_in_any_language() {
        assert_eq!(line_in("COPY t1, line 3, column a: \"x 7\"", "t1"), Some(2));
        assert_eq!(line_in("COPY t1, Zeile 12", "t1"), Some(11));
        assert_eq!(line_in("SQL statement", "t1"), None);
        let of_trigger = "PL/pgSQL function t1_check() line 7 at RAISE\nCOPY t1, line 2: \"x\"";
        assert_eq!(line_in(of_trigger, "t1"), Some(1));
        assert_eq!(line_in("PL/pgSQL function t1() line 7 at RAISE", "t1"), None);
    }
}
