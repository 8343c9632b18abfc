//! The S3 destination: it stores batches in a service, or as files.

use std::collections::BTreeMap;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;
use uuid::Uuid;

use super::config::{Config, Format};
use super::item::ObjectTarget;
use super::key::format_of;
use super::object::OpenObject;
use super::remote::Remote;
use crate::delivery::{Failure, Payload, Verdict};
use crate::destinations::sql::duckdb::ParquetWriter;
use crate::destinations::{
    Attempt, Backend, BackendChoice, BatchCheckpoint, BatchLimits, Batching, BuiltIn, DeadLetter,
    Destination, Encoded, OpenBatch, Outcome, Resources, StoreOutcome, file,
};
use crate::egress::Egress;
use crate::error::{ErrorKind, Result};
use crate::execution::RequestLog;
use crate::jobs::Jobs;
use crate::time::{millis, within};

/// The S3 destination.
#[derive(Debug)]
pub struct S3 {
    config: Config,
    remote: Option<Remote>,
    parquet: ParquetWriter,
    /// True once the warning about a temporary folder for objects was logged.
    warned_once: AtomicBool,
}

/// The response in the log for each record of a batch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct S3Response<'a> {
    bucket: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    /// `file`, when it is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    object_bytes: usize,
    duration_ms: f64,
}

impl S3 {
    /// Returns a destination that reaches its service through `egress`.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn new(config: Config, egress: Egress, jobs: &Arc<Jobs>) -> Result<Self> {
        let remote =
            config.service.clone().map(|service| Remote::new(service, egress)).transpose()?;
        let (folder, timeout) = (config.parquet_folder.clone(), config.timeout);
        let parquet = ParquetWriter::new(folder, timeout, Arc::clone(jobs));
        Ok(Self { config, remote, parquet, warned_once: AtomicBool::new(false) })
    }

    /// Returns the writer of Parquet.
    #[must_use]
    pub const fn parquet(&self) -> &ParquetWriter {
        &self.parquet
    }

    /// Returns `true` if objects are in Parquet.
    #[must_use]
    pub fn writes_parquet(&self) -> bool {
        self.config.format == Format::Parquet
    }

    async fn put(
        &self,
        batch: &Encoded,
        left: Option<&str>,
        checkpoint: &dyn BatchCheckpoint,
    ) -> StoreOutcome {
        let Some((bucket, key)) = batch.name.split_once('/') else {
            let failure = Failure::new(ErrorKind::Internal, "the batch has no bucket");
            return StoreOutcome::without_response(Verdict::Rejected(failure));
        };
        let (bytes, refused) = match &batch.rows {
            None => (batch.bytes.clone(), BTreeMap::new()),
            Some(_) if !self.writes_parquet() => {
                let message = "the batch was begun with s3.format 'parquet', which writes it: open the \
                               engine with that format";
                let failure = Failure::new(ErrorKind::NotConfigured, message);
                let verdict = Verdict::Retry { failure, after: None };
                return StoreOutcome::without_response(verdict);
            }
            Some(rows) => match within(self.config.timeout, pin!(self.parquet.write(rows))).await {
                Some(Ok(written)) => written,
                Some(Err(verdict)) => return StoreOutcome::without_response(verdict),
                None => return StoreOutcome::without_response(self.too_slow()),
            },
        };
        let mut stored = self.put_object(bucket, key, bytes, left, checkpoint).await;
        stored.exceptions.extend(refused.into_iter().map(|(place, why)| (place, Some(why))));
        stored
    }

    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        left: Option<&str>,
        checkpoint: &dyn BatchCheckpoint,
    ) -> StoreOutcome {
        let Some(remote) = &self.remote else { return self.write(bucket, key, bytes).await };
        let begun = Instant::now();
        let storing = remote.store(bucket, key, &bytes, left, checkpoint);
        let stored = within(self.config.timeout, pin!(storing)).await;
        let stored = stored.unwrap_or_else(|| Err(self.too_slow()));
        match stored {
            Err(verdict) => StoreOutcome::without_response(verdict),
            Ok(etag) => landed(&S3Response {
                bucket,
                key,
                etag: etag.as_deref(),
                transport: None,
                file: None,
                object_bytes: bytes.len(),
                duration_ms: millis(begun.elapsed()),
            }),
        }
    }

    fn too_slow(&self) -> Verdict {
        let limit = self.config.timeout.as_millis();
        let message = format!("the batch was not stored within {limit} ms (s3.timeoutMs)");
        Verdict::Retry { failure: Failure::new(ErrorKind::Timeout, message), after: None }
    }

    async fn write(&self, bucket: &str, key: &str, bytes: Bytes) -> StoreOutcome {
        let begun = Instant::now();
        // A file has no empty part before it, and none that leads out of the folder.
        let parts = key.split('/').filter(|part| !part.is_empty());
        let path: PathBuf = self.config.folder.join(bucket).join(parts.collect::<PathBuf>());
        if let Err(error) = file::write(path.clone(), bytes.clone()).await {
            let message = format!("{} cannot be written: {error}", path.display());
            let failure = Failure::new(ErrorKind::Connection, message);
            return StoreOutcome::without_response(match error.kind() {
                std::io::ErrorKind::InvalidFilename
                | std::io::ErrorKind::InvalidInput
                | std::io::ErrorKind::NotADirectory
                | std::io::ErrorKind::IsADirectory => Verdict::Rejected(failure),
                _ => Verdict::Retry { failure, after: None },
            });
        }
        let mut stored = landed(&S3Response {
            bucket,
            key,
            etag: None,
            transport: Some("file"),
            file: Some(&path),
            object_bytes: bytes.len(),
            duration_ms: millis(begun.elapsed()),
        });
        if self.config.folder_is_temporary && !self.warned_once.swap(true, Ordering::Relaxed) {
            stored.warnings.push(format!(
                "no service is configured (s3.region or s3.endpoint), so objects become files in {}",
                self.config.folder.display()
            ));
        }
        stored
    }
}

impl BuiltIn for S3 {
    type Config = Config;

    const DEAD_LETTER: DeadLetter = Err("needs a bucket: write a destination of your own");

    #[cfg(test)]
    const EXAMPLE: &'static str = r#"{"bucket":"b","prefix":"p/","payload":{"a":1}}"#;

    fn open(config: &Config, resources: &Resources) -> Result<Self> {
        Self::new(config.clone(), resources.egress.clone(), &resources.jobs)
    }
}

impl Destination for S3 {
    fn deliver<'a>(&'a self, _: &'a Payload, _: &'a Attempt<'a>) -> BoxFuture<'a, Outcome> {
        let message = "a defect of dollar-send: a record without a batch. Please report it";
        let failure = Failure::new(ErrorKind::Internal, message);
        Box::pin(ready(Outcome::rejected(failure)))
    }

    fn describe(&self, payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, self.config.log_body_bytes)
    }

    /// Returns the bucket and the prefix; empty if the call names none.
    fn lane(&self, payload: &Payload) -> Option<String> {
        Some(ObjectTarget::of(payload).map(|target| target.lane()).unwrap_or_default())
    }

    fn batching(&self) -> Option<&dyn Batching> {
        Some(self)
    }

    fn backend(&self) -> Option<Backend> {
        let folder = self.config.folder.display();
        Some(Backend {
            transport: BackendChoice::of(
                self.config.service.is_some(),
                self.config.folder_is_chosen,
            ),
            noun: "a bucket",
            options: "s3.region or s3.endpoint, or s3.file to write files instead",
            file_warning: Some(format!(
                "no service is configured (s3.region or s3.endpoint): objects become files in \
                 {folder}"
            )),
        })
    }
}

impl Batching for S3 {
    fn limits(&self) -> Option<BatchLimits> {
        Some(self.config.batch)
    }

    fn begin(&self, lane: &str, first: Uuid, name: Option<&str>) -> Box<dyn OpenBatch> {
        Box::new(OpenObject::new(lane, first, name.map_or(self.config.format, format_of)))
    }

    fn store<'a>(
        &'a self,
        batch: &'a Encoded,
        left: Option<&'a str>,
        checkpoint: &'a dyn BatchCheckpoint,
    ) -> BoxFuture<'a, StoreOutcome> {
        Box::pin(self.put(batch, left, checkpoint))
    }

    /// Returns the bucket in the name of a batch.
    fn place<'a>(&self, name: &'a str) -> Option<&'a str> {
        Some(name.split_once('/').map_or(name, |(bucket, _)| bucket))
    }
}

fn landed(landed: &S3Response<'_>) -> StoreOutcome {
    let response = serde_json::value::to_raw_value(landed).ok();
    StoreOutcome { response, ..StoreOutcome::without_response(Verdict::Delivered) }
}
