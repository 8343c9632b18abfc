//! Queries to the warehouse, in Pipedream's form: that of Amazon Athena.

use std::path::PathBuf;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tower_http::services::ServeFile;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::parameters::{BodyOrQuery, Nothing, PathParam, QueryParams};
use super::response::{ApiError, CommonErrors, Problem};
use super::state::Shared;
use crate::engine::{Answered, Column, Format, Query};
use crate::error::{Error, ErrorKind};

/// The maximum number of rows in a response; the file has all of them.
const PREVIEW: u32 = 1000;

/// A query to the warehouse.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// One statement that only reads.
    #[schema(example = "SELECT * FROM my_test_table LIMIT 10")]
    query: String,
}

/// The result of a query.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryResult {
    /// The query's id.
    query_execution_id: Uuid,
    /// The first 1,000 rows; absent when the query failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_set: Option<ResultSet>,
    /// The file with all rows, to be had at `/sql/csv/` for a day; absent when the query failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    results_filename: Option<String>,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<QueryError>,
}

/// The reason why a query failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryError {
    /// A sentence for people.
    to_display: String,
    /// A code of this package.
    #[schema(example = "ERR_SEND_QUERY_NOT_ALLOWED")]
    code: &'static str,
}

/// Rows and their columns.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResultSet {
    result_set_metadata: ResultSetMetadata,
    /// The first row has the names of the columns.
    rows: Vec<Row>,
}

/// The columns.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResultSetMetadata {
    column_info: Vec<ColumnInfo>,
}

/// One column.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ColumnInfo {
    /// Its name.
    name: String,
    /// The same.
    label: String,
    /// Its type in SQL, in lower case.
    #[schema(example = "varchar")]
    r#type: String,
    /// `NULLABLE`.
    nullable: &'static str,
    /// True if values are case-sensitive.
    case_sensitive: bool,
}

/// One row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    data: Vec<Datum>,
}

/// One value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Datum {
    /// The value as text; absent for `NULL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    var_char_value: Option<String>,
}

impl Row {
    fn of(values: impl IntoIterator<Item = Option<String>>) -> Self {
        Self { data: values.into_iter().map(|var_char_value| Datum { var_char_value }).collect() }
    }
}

/// Query the warehouse
///
/// One SELECT, WITH, SHOW TABLES, DESCRIBE or EXPLAIN, for 60 seconds and 1 GB at most.
#[utoipa::path(
    post,
    path = "/sql",
    tag = "sql",
    request_body = Question,
    responses(
        (status = 200, description = "The result; or why there is none: the query is not allowed, wrong, or too much", body = QueryResult),
        (status = 400, description = "The body is no question", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is not JSON", body = Problem),
        (status = 500, description = "A defect", body = QueryResult),
        (status = 501, description = "The engine has no warehouse", body = QueryResult),
        CommonErrors,
    ),
)]
pub(super) async fn query(
    State(shared): State<Shared>,
    BodyOrQuery(question): BodyOrQuery<Question>,
) -> Result<Response, ApiError> {
    let engine = shared.engine()?;
    let query = Query {
        query: question.query,
        format: Format::Csv,
        timeout_ms: Query::TIMEOUT_MS,
        max_bytes: Query::MAX_BYTES,
        preview: PREVIEW,
    };
    let query_execution_id = Uuid::now_v7();
    let (status, result) = match engine.query(&query).await {
        Ok(answered) => (StatusCode::OK, found(query_execution_id, answered)),
        Err(error) if error.kind() == ErrorKind::Closed => return Err(error.into()),
        Err(error) => (status_of(&error), failed(query_execution_id, &error)),
    };
    Ok((status, Json(result)).into_response())
}

fn status_of(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::NotConfigured => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // The request itself succeeded: the response reports that the query failed.
        _ => StatusCode::OK,
    }
}

fn found(query_execution_id: Uuid, answered: Answered) -> QueryResult {
    let Answered { columns, file, preview, .. } = answered;
    let names = Row::of(columns.iter().map(|column| Some(column.name.clone())));
    let rows = std::iter::once(names).chain(preview.into_iter().map(Row::of)).collect();
    let info = |Column { name, of }| ColumnInfo {
        label: String::clone(&name),
        name,
        r#type: str::to_lowercase(&of),
        nullable: "NULLABLE",
        case_sensitive: true,
    };
    let column_info = columns.into_iter().map(info).collect();
    let result_set_metadata = ResultSetMetadata { column_info };
    QueryResult {
        query_execution_id,
        result_set: Some(ResultSet { result_set_metadata, rows }),
        results_filename: file.file_name().map(|name| name.to_string_lossy().into_owned()),
        error: None,
    }
}

fn failed(query_execution_id: Uuid, error: &Error) -> QueryResult {
    let error = QueryError { to_display: error.to_string(), code: error.kind().code() };
    QueryResult { query_execution_id, result_set: None, results_filename: None, error: Some(error) }
}

/// Download all rows of a result
#[utoipa::path(
    get,
    path = "/sql/csv/{results_filename}",
    tag = "sql",
    params(("results_filename" = String, Path, description = "The name that `POST /sql` returned")),
    responses(
        (status = 200, description = "CSV, the names of the columns first", body = String,
         content_type = "text/csv"),
        (status = 206, description = "The part that Range asked for", body = String,
         content_type = "text/csv"),
        (status = 400, description = "The path cannot be read, or there is a parameter", body = Problem),
        (status = 304, description = "It is what If-Modified-Since says"),
        (status = 404, description = "There is no such file, or it was deleted after a day", body = Problem),
        (status = 412, description = "It is not what If-Unmodified-Since says"),
        (status = 416, description = "There is no such part"),
        CommonErrors,
    ),
)]
pub(super) async fn csv(
    State(shared): State<Shared>,
    PathParam(name): PathParam,
    QueryParams(Nothing {}): QueryParams<Nothing>,
    request: Request,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("there is no such file: results are kept for a day");
    let engine = shared.engine()?;
    let file = file_of(&name)
        .zip(engine.duckdb())
        .map(|(name, duckdb)| duckdb.config().results.join(name));
    let file = file.filter(|file| file.is_file()).ok_or_else(missing)?;
    let Ok(mut response) = ServeFile::new(file).try_call(request).await else {
        return Err(missing());
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response.map(axum::body::Body::new))
}

/// Returns the name of a result, if this can be one: nothing else is ever looked for.
fn file_of(name: &str) -> Option<PathBuf> {
    let id = name.strip_suffix(".csv")?;
    let id = Uuid::try_parse(id).ok().filter(|parsed| parsed.hyphenated().to_string() == id)?;
    Some(format!("{id}.csv").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_result_is_looked_for() {
        let fine = "01234567-89ab-4cde-8f01-23456789abcd.csv";
        assert_eq!(file_of(fine), Some(PathBuf::from(fine)));
        for name in [
            "",
            ".csv",
            "../01234567-89ab-4cde-8f01-23456789abcd.csv",
            "0123456789ab4cde8f0123456789abcd.csv",
            "01234567-89ab-4cde-8f01-23456789abcd",
            "01234567-89ab-4cde-8f01-23456789abcd.json",
            "01234567-89AB-4cde-8f01-23456789abcd.csv",
        ] {
            assert_eq!(file_of(name), None, "{name}");
        }
    }
}
