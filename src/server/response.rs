//! Response forms that all routes share: lists and errors.

use std::collections::HashMap;

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoResponses, ToSchema};

use crate::error::{Error, ErrorKind};

/// The reason for refusing a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// A sentence for people.
    error: String,
    /// A code of this package.
    #[schema(example = "ERR_SEND_INVALID_ARGUMENT")]
    code: &'static str,
}

/// The error responses that every route may send, for the document at `/openapi.json`.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the document alone reads it")]
pub(super) enum CommonErrors {
    /// A token is needed
    #[response(status = 401)]
    NoToken(Problem),
    /// The request is of a page that may not make it, or the token only reads
    #[response(status = 403)]
    OtherOrigin(Problem),
    /// The engine is closed
    #[response(status = 503)]
    Closed(Problem),
}

/// A refusal with its status.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    problem: Problem,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status, problem: Problem { error: message.into(), code: kind.code() } }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidArgument, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::InvalidArgument, message)
    }

    pub(super) fn unauthorized() -> Self {
        let message = "this needs a token: send Authorization: Bearer TOKEN";
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::InvalidArgument, message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::InvalidArgument, message)
    }

    pub(super) fn reads_only() -> Self {
        Self::forbidden(
            "this token only reads (server.tokens: role 'read'): use one with the role 'act'",
        )
    }

    pub(super) fn closed() -> Self {
        Self::from(crate::engine::closed())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
            ErrorKind::NotSupported => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Closed | ErrorKind::JournalFull | ErrorKind::Journal => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.kind(), error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// One thing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// The position of a page in its list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageInfo {
    /// Entries of the whole list; `null` with a search, and if `total_above` is set.
    total_count: Option<usize>,
    /// Set if the list has more entries than that: they are not counted.
    #[schema(example = json!(null))]
    total_above: Option<usize>,
    /// Entries of this page.
    count: usize,
    /// The first entry of this page; `null` if there is none.
    start_cursor: Option<String>,
    /// The last entry of this page: `after` it the next page begins.
    end_cursor: Option<String>,
}

/// The number of entries of a list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Total {
    Known(usize),
    /// There are more; how many is not counted.
    Above(usize),
    /// The list is that of a search.
    Unknown,
}

impl Total {
    /// The most entries that are counted, so that a page costs the same however long its list is.
    const MAX_COUNTED: usize = 10_000;
    /// The limit of a count that becomes a total.
    pub(super) const LIMIT: usize = Self::MAX_COUNTED + 1;

    /// Returns the total of a count up to [`Self::LIMIT`].
    pub(super) const fn of(count: usize) -> Self {
        if count < Self::LIMIT { Self::Known(count) } else { Self::Above(Self::MAX_COUNTED) }
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    page_info: PageInfo,
    data: Vec<T>,
}

impl<T> Page<T> {
    /// Returns a page of entries, each with its cursor.
    pub(super) fn new(total: Total, entries: Vec<(String, T)>) -> Self {
        let (total_count, total_above) = match total {
            Total::Known(count) => (Some(count), None),
            Total::Above(count) => (None, Some(count)),
            Total::Unknown => (None, None),
        };
        let page_info = PageInfo {
            total_count,
            total_above,
            count: entries.len(),
            start_cursor: entries.first().map(|(cursor, _)| cursor.clone()),
            end_cursor: entries.last().map(|(cursor, _)| cursor.clone()),
        };
        Self { page_info, data: entries.into_iter().map(|(_, entry)| entry).collect() }
    }
}

impl Page<Box<RawValue>> {
    /// Returns a page of rows of the log, a JSON array; the cursor of each is its member `cursor`.
    pub(super) fn of_rows(total: Total, rows: &str, cursor: &str) -> Self {
        let cursor_of = |row: &RawValue| {
            let members: HashMap<&str, &RawValue> =
                serde_json::from_str(row.get()).unwrap_or_default();
            let cursor = members.get(cursor).map_or("\"\"", |value| value.get());
            serde_json::from_str(cursor).unwrap_or_default()
        };
        let rows = rows_of(rows).into_iter().map(|row| (cursor_of(&row), row));
        Self::new(total, rows.collect())
    }
}

/// Returns the rows of the log in a JSON array, each with its own text: what steps recorded may be
/// nested beyond what a reader of values takes, and have lone surrogates.
pub(super) fn rows_of(text: &str) -> Vec<Box<RawValue>> {
    serde_json::from_str(text).unwrap_or_default()
}
