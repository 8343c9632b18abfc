//! Queries to the warehouse and their results.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A question.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// One reading statement.
    pub query: String,
    /// The format of the rows.
    pub format: Format,
    /// The time-out in milliseconds.
    pub timeout_ms: u64,
    /// Bytes that the result may have.
    pub max_bytes: u64,
    /// The number of rows whose texts are part of the result itself.
    pub preview: u32,
}

/// The format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON array of objects.
    Json,
    /// RFC 4180, the names of the columns first.
    Csv,
}

impl Query {
    /// The default time-out of a query: 60 s.
    pub const TIMEOUT_MS: u64 = 60_000;
    /// The default maximum size of a result: 1 GB.
    pub const MAX_BYTES: u64 = 1_000_000_000;
}

/// The result of a query: a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// The number of rows.
    pub row_count: u64,
    /// The file that holds them.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// The first rows, as texts.
    #[serde(default)]
    pub preview: Vec<Vec<Option<String>>>,
}

/// One column of a result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, in SQL.
    #[serde(rename = "type")]
    pub of: String,
}
