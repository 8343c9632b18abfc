//! The one part of the S3 destination that talks to the network or the disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ObjectStore as _, PutMultipartOptions, PutOptions, PutPayload,
    RetryConfig,
};
use serde::Serialize;
use uuid::Uuid;

use super::classify::verdict;
use super::config::{Address, Config, Service};
use super::credentials;
use super::item::{Target, line};
use super::key::{compression_of, key};
use super::lines::Lines;
use super::wire::{Asker, Wire};
use crate::destinations::{
    BatchLimits, Encoded, Failure, Notebook, Payload, Stored, Verdict, file,
};
use crate::egress::Door;
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::RequestLog;
use crate::observability::time::Timestamp;

/// Objects above this are stored in parts of it.
const PART_BYTES: usize = 8 << 20;
/// How long clearing away an upload that was given up may take.
const CLEARING: Duration = Duration::from_secs(10);
/// Buckets whose region is remembered.
const MAX_REGIONS: usize = 1000;

/// The S3 destination.
#[derive(Debug)]
pub struct S3 {
    config: Config,
    remote: Option<Remote>,
    /// Whether it was said that objects become files in a folder that nobody chose.
    told: AtomicBool,
}

/// A service, and how it is reached.
#[derive(Debug)]
struct Remote {
    service: Service,
    client: reqwest::Client,
    door: Door,
    credentials: AwsCredentialProvider,
    regions: Mutex<HashMap<String, String>>,
}

/// What the log shows of a batch as the response to each of its records.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Landed<'a> {
    bucket: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    object_bytes: usize,
    duration_ms: u64,
}

impl S3 {
    /// A destination that reaches its service through `door`.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn new(config: Config, door: Door) -> Result<Self> {
        let remote =
            config.service.clone().map(|service| Remote::new(service, door)).transpose()?;
        Ok(Self { config, remote, told: AtomicBool::new(false) })
    }

    /// When batches are closed.
    #[must_use]
    pub const fn limits(&self) -> &BatchLimits {
        &self.config.batch
    }

    /// The batch that a call belongs to; empty if it belongs to none.
    #[must_use]
    pub fn lane(&self, payload: &Payload) -> String {
        Target::of(payload).map(|target| target.lane()).unwrap_or_default()
    }

    /// What the log shows of a call that was not stored yet.
    #[must_use]
    pub fn describe(&self, payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, self.config.log_body_bytes)
    }

    /// An empty batch whose first record will have this id; with a name, one that was called so
    /// before.
    #[must_use]
    pub fn begin(&self, first: Uuid, name: Option<&str>) -> Lines {
        Lines::new(name.map_or(self.config.compression, compression_of), first)
    }

    /// Adds a record of a lane to its batch.
    ///
    /// # Errors
    /// Why it cannot be in any.
    pub fn add(
        &self,
        lane: &str,
        lines: &mut Lines,
        payload: &Payload,
    ) -> std::result::Result<(), Failure> {
        if lane.is_empty() {
            Target::of(payload)?;
        }
        lines.push(&line(payload)?).map_err(|error| {
            Failure::new(ErrorKind::Internal, format!("the record cannot be encoded: {error}"))
        })
    }

    /// Closes the batch of a lane.
    ///
    /// # Errors
    /// The compressor's own, which is out of memory.
    pub fn finish(
        &self,
        lane: &str,
        lines: Lines,
        at: Timestamp,
    ) -> std::result::Result<Encoded, Failure> {
        let form = (lines.compression(), lines.first());
        let bytes = lines.finish().map_err(|error| {
            Failure::new(ErrorKind::Internal, format!("the batch cannot be encoded: {error}"))
        })?;
        let (bucket, prefix) = lane.split_once('/').unwrap_or((lane, ""));
        let key = key(prefix, at, &bytes, form);
        Ok(Encoded { name: format!("{bucket}/{key}"), bytes, rows: None })
    }

    /// Makes one attempt to store a batch. `left` is the note of an earlier attempt.
    pub async fn store(
        &self,
        batch: &Encoded,
        left: Option<&str>,
        notebook: &impl Notebook,
    ) -> Stored {
        let Some((bucket, key)) = batch.name.split_once('/') else {
            let failure = Failure::new(ErrorKind::Internal, "the batch has no bucket");
            return Stored::nowhere(Verdict::Rejected(failure));
        };
        let Some(remote) = &self.remote else { return self.write(bucket, key, batch).await };
        let begun = Instant::now();
        let storing = remote.store(bucket, key, &batch.bytes, left, notebook);
        let stored = tokio::time::timeout(self.config.timeout, storing).await;
        let stored = stored.unwrap_or_else(|_| {
            let limit = self.config.timeout.as_millis();
            let message = format!("S3 did not take the batch within {limit} ms");
            let failure = Failure::new(ErrorKind::Timeout, message);
            Err(Verdict::Retry { failure, after: None })
        });
        match stored {
            Err(verdict) => Stored::nowhere(verdict),
            Ok(etag) => landed(&Landed {
                bucket,
                key,
                etag: etag.as_deref(),
                file: None,
                object_bytes: batch.bytes.len(),
                duration_ms: millis(begun.elapsed()),
            }),
        }
    }

    async fn write(&self, bucket: &str, key: &str, batch: &Encoded) -> Stored {
        let (begun, path) = (Instant::now(), self.config.folder.join(bucket).join(key));
        if let Err(error) = file::write(path.clone(), batch.bytes.clone()).await {
            let message = format!("{} cannot be written: {error}", path.display());
            let failure = Failure::new(ErrorKind::Connection, message);
            return Stored::nowhere(match error.kind() {
                std::io::ErrorKind::InvalidFilename
                | std::io::ErrorKind::InvalidInput
                | std::io::ErrorKind::NotADirectory
                | std::io::ErrorKind::IsADirectory => Verdict::Rejected(failure),
                _ => Verdict::Retry { failure, after: None },
            });
        }
        let mut stored = landed(&Landed {
            bucket,
            key,
            etag: None,
            file: Some(&path),
            object_bytes: batch.bytes.len(),
            duration_ms: millis(begun.elapsed()),
        });
        if self.config.folder_is_temporary && !self.told.swap(true, Ordering::Relaxed) {
            stored.warnings.push(format!(
                "no service is configured (s3.region or s3.endpoint), so objects become files in {}",
                self.config.folder.display()
            ));
        }
        stored
    }
}

/// The bucket in the name of a batch.
#[must_use]
pub fn bucket_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(bucket, _)| bucket)
}

fn landed(landed: &Landed<'_>) -> Stored {
    let response = serde_json::value::to_raw_value(landed).ok();
    Stored { response, ..Stored::nowhere(Verdict::Delivered) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An error of the client's kind.
pub(super) fn client_error(message: String) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: message.into() }
}

impl Remote {
    fn new(service: Service, door: Door) -> Result<Self> {
        let refused = |source: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("s3: cannot be used: {source}");
            Error::new(ErrorKind::InvalidOption, message).with_source(source)
        };
        let client = door.client_builder()?.build().map_err(|error| refused(error.into()))?;
        let wire = Wire::new(client.clone(), door.clone(), Asker::Operator);
        let credentials =
            credentials::provider(&service, &wire).map_err(|error| refused(error.into()))?;
        Ok(Self { service, client, door, credentials, regions: Mutex::default() })
    }

    /// Stores an object; the answer is its `ETag`.
    async fn store(
        &self,
        bucket: &str,
        key: &str,
        bytes: &Bytes,
        left: Option<&str>,
        notebook: &impl Notebook,
    ) -> std::result::Result<Option<String>, Verdict> {
        let wire = Wire::new(self.client.clone(), self.door.clone(), Asker::Step);
        let failed = |error: object_store::Error| verdict(wire.take_heard(), &error);
        let region = self.region(bucket, &wire).await?;
        let store = self.bucket(bucket, &region, &wire).map_err(failed)?;
        let path = Key::parse(key).map_err(|error| {
            Verdict::Rejected(Failure::new(ErrorKind::InvalidArgument, error.to_string()))
        })?;
        if let Some(upload) = left {
            clear(&store, &path, upload).await;
            notebook.write(None).await;
        }
        wire.take_heard();
        if bytes.len() <= PART_BYTES {
            let options = PutOptions { attributes: attributes(key), ..PutOptions::default() };
            let put = store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options).await;
            return Ok(put.map_err(failed)?.e_tag);
        }
        let options = PutMultipartOptions { attributes: attributes(key), ..Default::default() };
        let upload = store.create_multipart_opts(&path, options).await.map_err(failed)?;
        notebook.write(Some(&upload)).await;
        let stored = store_parts(&store, &path, &upload, bytes).await.map_err(failed);
        if stored.is_err() {
            clear(&store, &path, &upload).await;
            notebook.write(None).await;
        }
        stored
    }

    fn bucket(&self, bucket: &str, region: &str, wire: &Wire) -> object_store::Result<AmazonS3> {
        // A name with a dot has no certificate as a part of a host name.
        let in_host = !self.service.path_style && !bucket.contains('.');
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(self.credentials.clone())
            .with_virtual_hosted_style_request(in_host)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_http_connector(wire.clone());
        let builder = match &self.service.address {
            Address::Amazon(_) => builder,
            Address::Endpoint { url, .. } if in_host => {
                builder.with_endpoint(url.replacen("://", &format!("://{bucket}."), 1))
            }
            Address::Endpoint { url, .. } => builder.with_endpoint(url),
        };
        builder.build()
    }

    /// The region of a bucket: as it was said, or as the service says without being asked for
    /// more.
    async fn region(&self, bucket: &str, wire: &Wire) -> std::result::Result<String, Verdict> {
        match &self.service.address {
            Address::Endpoint { region, .. } | Address::Amazon(Some(region)) => {
                return Ok(region.clone());
            }
            Address::Amazon(None) => {}
        }
        let known =
            self.regions.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned();
        if let Some(region) = known {
            return Ok(region);
        }
        let request = Request::builder()
            .method(Method::HEAD)
            .uri(format!("https://s3.amazonaws.com/{bucket}"))
            .body(HttpRequestBody::empty());
        let request = request.map_err(|error| {
            Verdict::Rejected(Failure::new(ErrorKind::InvalidUrl, error.to_string()))
        })?;
        let answer = HttpClient::new(wire.clone()).execute(request).await;
        let answer = answer.map_err(|error| verdict(wire.take_heard(), &error))?;
        let Some(region) = region_in(answer.headers()) else {
            let missing = client_error(format!("the region of the bucket {bucket} is not known"));
            return Err(verdict(wire.take_heard(), &missing));
        };
        wire.take_heard();
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if regions.len() >= MAX_REGIONS {
            regions.clear();
        }
        regions.insert(bucket.to_owned(), region.clone());
        Ok(region)
    }
}

/// Every answer about a bucket names its region, a refusal and a redirect too.
fn region_in(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("x-amz-bucket-region")?.to_str().ok()?;
    // It becomes a part of a host name.
    let is_name = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_name && !region.is_empty()).then(|| region.to_owned())
}

async fn store_parts(
    store: &AmazonS3,
    path: &Key,
    upload: &String,
    bytes: &Bytes,
) -> object_store::Result<Option<String>> {
    let mut parts = Vec::new();
    for (place, start) in (0..bytes.len()).step_by(PART_BYTES).enumerate() {
        let part = bytes.slice(start..bytes.len().min(start + PART_BYTES));
        parts.push(store.put_part(path, upload, place, PutPayload::from_bytes(part)).await?);
    }
    Ok(store.complete_multipart(path, upload, parts).await?.e_tag)
}

/// Clears away an upload that came to nothing. It may be gone already; what stays is what the
/// bucket's own rule for incomplete uploads is for.
async fn clear(store: &AmazonS3, path: &Key, upload: &str) {
    let _ = tokio::time::timeout(CLEARING, store.abort_multipart(path, &upload.to_owned())).await;
}

fn attributes(key: &str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, compression_of(key).media_type())])
}
