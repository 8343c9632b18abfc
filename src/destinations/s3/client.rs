//! The one part of the S3 destination that talks to the network or the disk.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum as Algorithm};
use object_store::client::{HttpClient, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore as _, PutMultipartOptions, PutOptions,
    PutPayload, RetryConfig,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

use super::classify::{Remedy, remedy, verdict};
use super::config::{Address, Checksum, Config, Format, Service};
use super::credentials::Credentials;
use super::item::ObjectTarget;
use super::key::{format_of, split};
use super::object::OpenObject;
use super::wire::{RequestOrigin, S3Transport, region_in};
use crate::delivery::{Failure, Payload, Verdict};
use crate::destinations::sql::duckdb::ParquetWriter;
use crate::destinations::{
    Attempt, Backend, BackendChoice, BatchCheckpoint, BatchLimits, Batching, BuiltIn, DeadLetter,
    Destination, Encoded, OpenBatch, Outcome, Resources, StoreOutcome, file,
};
use crate::egress::{Client, Egress, HttpOptions};
use crate::error::{ErrorKind, Result};
use crate::execution::RequestLog;
use crate::jobs::Jobs;
use crate::time::{millis, within};

/// Objects above this are stored in parts of it.
const PART_BYTES: usize = 8 << 20;
/// The time-out of removing an abandoned upload.
const CLEARING: Duration = Duration::from_secs(10);
/// Attempts that are made at once, while each error response allows a correction.
const MENDED: usize = 4;
/// Buckets whose region is remembered.
const MAX_REGIONS: usize = 1000;

/// The S3 destination.
#[derive(Debug)]
pub struct S3 {
    config: Config,
    remote: Option<Remote>,
    parquet: ParquetWriter,
    /// True once the warning about a temporary folder for objects was logged.
    warned_once: AtomicBool,
}

/// A service, and how it is reached.
#[derive(Debug)]
struct Remote {
    service: Service,
    client: Client,
    egress: Egress,
    credentials: Arc<Credentials>,
    regions: Mutex<HashMap<String, String>>,
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

/// Returns an error of the client's kind.
pub(super) fn client_error(message: String) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: message.into() }
}

impl Remote {
    fn new(service: Service, egress: Egress) -> Result<Self> {
        let client = egress.client(&HttpOptions::http2())?;
        let wire = S3Transport::new(client.clone(), egress.clone(), RequestOrigin::Operator);
        let credentials = Arc::new(Credentials::new(service.clone(), wire));
        Ok(Self { service, client, egress, credentials, regions: Mutex::default() })
    }

    /// Stores an object, and returns its `ETag`. Corrections that an error response calls for are
    /// made at once.
    async fn store(
        &self,
        bucket: &str,
        key: &str,
        bytes: &Bytes,
        left: Option<&str>,
        checkpoint: &dyn BatchCheckpoint,
    ) -> std::result::Result<Option<String>, Verdict> {
        let wire = S3Transport::new(self.client.clone(), self.egress.clone(), RequestOrigin::Step);
        for _ in 0..MENDED {
            let region = self.region(bucket, &wire).await?;
            let object = Object { bucket, key, region: &region };
            let error = match self.store_in(object, bytes, left, checkpoint, &wire).await {
                Ok(etag) => return Ok(etag),
                Err(error) => error,
            };
            let last = wire.take_last_response();
            let remedy = last.refusal.as_ref().and_then(remedy);
            if !remedy.is_some_and(|remedy| self.apply(remedy, bucket, &region)) {
                return Err(verdict(last, &error));
            }
        }
        let message = "S3 names another region for the bucket each time";
        let failure = Failure::new(ErrorKind::InvalidResponse, message);
        Err(Verdict::Retry { failure, after: None })
    }

    async fn store_in(
        &self,
        object: Object<'_>,
        bytes: &Bytes,
        left: Option<&str>,
        checkpoint: &dyn BatchCheckpoint,
        wire: &S3Transport,
    ) -> object_store::Result<Option<String>> {
        let (key, path) = (object.key, Key::parse(split(object.key).1)?);
        let creating = self.bucket(object, wire, true)?;
        let store = self.bucket(object, wire, false)?;
        if let Some(upload) = left {
            clear(&store, &path, upload).await;
            checkpoint.write(None).await;
        }
        wire.take_last_response();
        if bytes.len() <= PART_BYTES {
            let options = PutOptions { attributes: attributes(key), ..PutOptions::default() };
            let put = creating.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options);
            return match put.await {
                Ok(put) => Ok(put.e_tag),
                // The object is stored, also without an `ETag`.
                Err(_) if wire.has_succeeded() => Ok(None),
                Err(error) => Err(error),
            };
        }
        let options = PutMultipartOptions { attributes: attributes(key), ..Default::default() };
        let upload = creating.create_multipart_opts(&path, options).await?;
        checkpoint.write(Some(&upload)).await;
        let stored = store_parts(&store, &path, &upload, bytes).await;
        if stored.is_err() {
            let last = wire.take_last_response();
            clear(&store, &path, &upload).await;
            checkpoint.write(None).await;
            wire.put_back(last);
        }
        stored
    }

    /// Applies a remedy, and returns whether another attempt is worth it.
    fn apply(&self, remedy: Remedy, bucket: &str, used: &str) -> bool {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        match remedy {
            Remedy::Credentials => {
                drop(regions);
                self.credentials.renew()
            }
            Remedy::Region(Some(region)) if region != used => {
                remember(&mut regions, bucket, region);
                true
            }
            // It is looked up again.
            Remedy::Region(_) => {
                regions.remove(bucket).is_some() && self.service.address == Address::Amazon(None)
            }
        }
    }

    /// Returns the client for one bucket. With `creates`, its requests have the options of new
    /// objects.
    fn bucket(
        &self,
        object: Object<'_>,
        wire: &S3Transport,
        creates: bool,
    ) -> object_store::Result<AmazonS3> {
        let mut headers = self.service.headers.clone();
        if creates {
            headers.extend(self.service.object_headers.clone());
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(object.bucket)
            .with_region(object.region)
            .with_credentials(Arc::clone(&self.credentials) as _)
            // The endpoint is used as it is.
            .with_virtual_hosted_style_request(true)
            .with_endpoint(self.base(object))
            .with_retry(no_retries())
            .with_client_options(ClientOptions::new().with_default_headers(headers))
            .with_http_connector(wire.clone());
        builder = match self.service.checksum {
            None => builder,
            Some(Checksum::Crc64Nvme) => builder.with_checksum_algorithm(Algorithm::CRC64NVME),
            Some(Checksum::Sha256) => builder.with_checksum_algorithm(Algorithm::SHA256),
        };
        builder.build()
    }

    /// Returns the URL before the last parts of a key. The client library cannot represent a key
    /// with an empty part: the parts before it count as a part of the URL.
    fn base(&self, Object { bucket, key, region }: Object<'_>) -> String {
        let in_host = !self.service.path_style && is_host_label(bucket);
        let mut url = match (&self.service.address, in_host) {
            (Address::Amazon(_), true) => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            (Address::Amazon(_), false) => format!("https://s3.{region}.amazonaws.com/{bucket}"),
            (Address::Endpoint { url, .. }, true) => {
                url.replacen("://", &format!("://{bucket}."), 1)
            }
            (Address::Endpoint { url, .. }, false) => format!("{url}/{bucket}"),
        };
        if let (Some(head), _) = split(key) {
            url.push('/');
            url.extend(utf8_percent_encode(head, ENCODED));
        }
        url
    }

    /// Returns the region of a bucket: from an error response, from the options, or from a request
    /// to the service.
    async fn region(
        &self,
        bucket: &str,
        wire: &S3Transport,
    ) -> std::result::Result<String, Verdict> {
        let known =
            self.regions.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned();
        if let Some(region) = known {
            return Ok(region);
        }
        match &self.service.address {
            Address::Endpoint { region, .. } | Address::Amazon(Some(region)) => {
                return Ok(region.clone());
            }
            Address::Amazon(None) => {}
        }
        let request = Request::builder()
            .method(Method::HEAD)
            .uri(format!("https://s3.amazonaws.com/{bucket}"))
            .body(HttpRequestBody::empty());
        let request = request.map_err(|error| {
            Verdict::Rejected(Failure::new(ErrorKind::InvalidUrl, error.to_string()))
        })?;
        let answer = HttpClient::new(wire.clone()).execute(request).await;
        let answer = answer.map_err(|error| verdict(wire.take_last_response(), &error))?;
        let Some(region) = region_in(answer.headers()) else {
            let missing = client_error(format!("the region of the bucket {bucket} is not known"));
            return Err(verdict(wire.take_last_response(), &missing));
        };
        wire.take_last_response();
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        remember(&mut regions, bucket, region.clone());
        Ok(region)
    }
}

/// An object, and the region of its bucket.
#[derive(Clone, Copy)]
struct Object<'a> {
    bucket: &'a str,
    key: &'a str,
    region: &'a str,
}

/// The characters of a key that a URL does not have as they are.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the client's own retries: none.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Returns whether a bucket can be a part of a host name, and is still itself there: a host has no
/// upper case, and a name with a dot has no certificate.
fn is_host_label(bucket: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [bucket.bytes().next(), bucket.bytes().next_back()];
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| fine(byte) || byte == b'-')
        && ends.into_iter().flatten().all(fine)
}

fn remember(regions: &mut HashMap<String, String>, bucket: &str, region: String) {
    if regions.len() >= MAX_REGIONS {
        regions.clear();
    }
    regions.insert(bucket.to_owned(), region);
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
    Attributes::from_iter([(Attribute::ContentType, format_of(key).media_type())])
}
