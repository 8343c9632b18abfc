//! The batch of one bucket and prefix, which becomes an object.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::config::Format;
use super::item::{ObjectTarget, line, row};
use super::key::key;
use super::lines::Lines;
use crate::delivery::{Failure, Payload};
use crate::destinations::sql::RowSet;
use crate::destinations::{Encoded, OpenBatch, Origin};
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// An object whose records are still growing in number.
#[derive(Debug)]
pub(super) struct OpenObject {
    /// The bucket and the prefix.
    lane: String,
    first: Uuid,
    format: Format,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Lines(Box<Lines>),
    /// They become Parquet when the object is stored.
    Rows(RowSet),
}

impl OpenObject {
    /// Returns a batch of this bucket and prefix, whose first record has this id.
    pub(super) fn new(lane: &str, first: Uuid, format: Format) -> Self {
        let content = match format {
            Format::Lines(compression) => Content::Lines(Box::new(Lines::new(compression, first))),
            Format::Parquet => Content::Rows(RowSet::default()),
        };
        Self { lane: lane.to_owned(), first, format, content }
    }
}

impl OpenBatch for OpenObject {
    fn encoded(&self) -> usize {
        match &self.content {
            Content::Lines(lines) => lines.encoded(),
            Content::Rows(rows) => rows.len(),
        }
    }

    fn add(&mut self, payload: &Payload, _: Origin<'_>) -> Result<(), Failure> {
        if self.lane.is_empty() {
            ObjectTarget::of(payload)?;
        }
        match &mut self.content {
            Content::Lines(lines) => lines.push(&line(payload)?).map_err(|error| {
                Failure::new(ErrorKind::Internal, format!("the record cannot be encoded: {error}"))
            }),
            Content::Rows(rows) => rows.add(row(payload)?),
        }
    }

    fn close(self: Box<Self>, at: Timestamp) -> Result<Encoded, Failure> {
        let (bucket, prefix) = self.lane.split_once('/').unwrap_or((&self.lane, ""));
        let form = (self.format, self.first);
        let (key, bytes, rows) = match self.content {
            Content::Lines(lines) => {
                let bytes = lines.finish().map_err(|error| {
                    let message = format!("the batch cannot be encoded: {error}");
                    Failure::new(ErrorKind::Internal, message)
                })?;
                (key(prefix, at, [&*bytes].into_iter(), form), bytes, None)
            }
            Content::Rows(rows) => {
                let lines = rows.texts().flat_map(|row| [row.as_bytes(), b"\n"]);
                (key(prefix, at, lines, form), Bytes::new(), Some(Arc::new(rows)))
            }
        };
        Ok(Encoded { name: format!("{bucket}/{key}"), bytes, rows })
    }
}
