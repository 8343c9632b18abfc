//! Questions to the warehouse, and their answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A question.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// One reading statement.
    pub query: String,
    /// What the rows are written as.
    pub format: Format,
    /// How long it may take.
    pub timeout_ms: u64,
    /// Bytes that the result may have.
    pub max_bytes: u64,
    /// Rows of which the answer itself has the texts.
    pub preview: u32,
}

/// What rows are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON array of objects.
    Json,
    /// RFC 4180, the names of the columns first.
    Csv,
}

impl Query {
    /// How long a query may take when nothing is said: 60 s.
    pub const TIMEOUT_MS: u64 = 60_000;
    /// Bytes that a result may have when nothing is said: 1 GB.
    pub const MAX_BYTES: u64 = 1_000_000_000;
}

/// The answer: a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// How many rows there are.
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
    /// What it is called.
    pub name: String,
    /// Its type, in SQL.
    #[serde(rename = "type")]
    pub of: String,
}
