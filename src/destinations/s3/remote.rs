//! The service that objects are stored in, over the network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
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

use super::classify::{Remedy, remedy, verdict};
use super::config::{Address, Checksum, Service};
use super::credentials::Credentials;
use super::key::{format_of, split};
use super::wire::{RequestOrigin, S3Transport, region_in};
use crate::delivery::{Failure, Verdict};
use crate::destinations::BatchCheckpoint;
use crate::egress::{Client, Egress, HttpOptions};
use crate::error::{ErrorKind, Result};

/// Objects above this are stored in parts of it.
const PART_BYTES: usize = 8 << 20;
/// The time-out of removing an abandoned upload.
const CLEARING: Duration = Duration::from_secs(10);
/// Attempts that are made at once, while each error response allows a correction.
const MENDED: usize = 4;
/// Buckets whose region is remembered.
const MAX_REGIONS: usize = 1000;

/// A service, and how it is reached.
#[derive(Debug)]
pub(super) struct Remote {
    service: Service,
    client: Client,
    egress: Egress,
    credentials: Arc<Credentials>,
    regions: Mutex<HashMap<String, String>>,
}

/// Returns an error of the client's kind.
fn client_error(message: String) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: message.into() }
}

impl Remote {
    pub(super) fn new(service: Service, egress: Egress) -> Result<Self> {
        let client = egress.client(&HttpOptions::http2())?;
        let wire = S3Transport::new(client.clone(), egress.clone(), RequestOrigin::Operator);
        let credentials = Arc::new(Credentials::new(service.clone(), wire));
        Ok(Self { service, client, egress, credentials, regions: Mutex::default() })
    }

    /// Stores an object, and returns its `ETag`. Corrections that an error response calls for are
    /// made at once.
    pub(super) async fn store(
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
