//! JavaScript options of the S3 destination, `s3`, and of batches.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use napi_derive::napi;
use serde::Deserialize;
use url::{Host, Url};

use super::place::{MAX_BYTES, Place};
use super::s3_headers;
use crate::destinations::BatchLimits;
use crate::destinations::s3::{
    Address, AssumeRole, Checksum, Compression, Config, Environment, Format, Keys, Service,
};
use crate::error::Result;

/// The S3 destination. With `region`, `endpoint`, keys or a role, objects are stored by a service;
/// without any of them, as files.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct S3Options {
    /// A service other than Amazon S3: `https://host:port`, with a path if it has one. Default: Amazon
    /// S3.
    pub endpoint: Option<String>,
    /// The region, such as `eu-west-1`; `auto` looks up the region of each bucket. Default: `auto`;
    /// `us-east-1` with `endpoint`.
    pub region: Option<String>,
    /// The id of an access key. Default: the credentials in the environment of the process
    /// (`AWS_ACCESS_KEY_ID` and the others of the AWS SDKs), then the profile in `~/.aws/credentials`
    /// and `~/.aws/config`, then a web identity, then the metadata service of the container or the
    /// machine.
    pub access_key_id: Option<String>,
    /// The secret access key. Required with `accessKeyId`.
    pub secret_access_key: Option<String>,
    /// The session token of temporary credentials. Default: none.
    pub session_token: Option<String>,
    /// The profile in `~/.aws/credentials` or `~/.aws/config` whose keys, role or session of
    /// `aws sso login` are used. Default: `AWS_PROFILE`, or `default`.
    pub profile: Option<String>,
    /// A role to assume with the credentials. Default: none.
    pub assume_role: Option<AssumeRoleOptions>,
    /// The checksum that is sent with each object; buckets with Object Lock require one. Default:
    /// `'crc64nvme'`; `'none'` with `endpoint`, because not every service supports it.
    #[napi(ts_type = "'crc64nvme' | 'sha256' | 'none'")]
    pub checksum: Option<String>,
    /// Encryption of objects by the service. Default: that of the bucket.
    pub encryption: Option<EncryptionOptions>,
    /// The storage class of objects, such as `STANDARD_IA`. Default: `STANDARD`.
    pub storage_class: Option<String>,
    /// Up to 10 tags of objects, by key. Default: none.
    pub tags: Option<BTreeMap<String, String>>,
    /// The canned access control list of objects, such as `bucket-owner-full-control`. Default: none.
    pub acl: Option<String>,
    /// The 12 digits of the account that must own the bucket. Default: any account.
    pub expected_bucket_owner: Option<String>,
    /// Makes the sender pay for requests instead of the bucket's owner. Default: `false`.
    pub requester_pays: Option<bool>,
    /// Puts buckets into the path of URLs instead of the host name. Default: `true` with
    /// `endpoint`, otherwise `false`.
    pub force_path_style: Option<bool>,
    /// Accepts `http://`, which is not encrypted, in `endpoint`, also that of `assumeRole`. Default:
    /// `false`.
    pub allow_http: Option<bool>,
    /// The format of objects: a line of JSON for each record, or Parquet (`.parquet`) with a row for each
    /// record, whose keys are the columns. Parquet needs the package `@duckdb/node-api`. Default: `'ndjson'`.
    #[napi(ts_type = "'ndjson' | 'parquet'")]
    pub format: Option<String>,
    /// Compression of objects, whose keys end with `.gz`, `.zst` or `.ndjson`. Default: `'gzip'`; `'zstd'`
    /// with `format: 'parquet'`.
    #[napi(ts_type = "'gzip' | 'zstd' | 'none'")]
    pub compression: Option<String>,
    /// Limits at which a batch is closed and stored.
    pub batch: Option<BatchOptions>,
    /// The directory for objects as files, `BUCKET/KEY`. Default: `s3` in `dataDir`, or
    /// `dollar-send-UID/s3` in the system's temporary directory, readable by this user alone.
    #[napi(ts_type = "string | { readonly href: string }")]
    pub file: Option<String>,
    /// Deadline of one attempt to store a batch, in milliseconds, from 1 to 3,600,000. Default: 300000.
    pub timeout_ms: Option<f64>,
    /// Bytes of each call to keep in the log. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
}

/// Encryption of objects by the service.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EncryptionOptions {
    /// Encryption with keys of S3 (`AES256`) or of KMS. Default: `'AES256'`; `'aws:kms'` with
    /// `kmsKeyId`.
    #[napi(ts_type = "'AES256' | 'aws:kms' | 'aws:kms:dsse'")]
    pub r#type: Option<String>,
    /// The id, ARN or alias of the KMS key. Default: the account's own key for S3.
    pub kms_key_id: Option<String>,
    /// Saves requests to KMS by a key of the bucket. Default: that of the bucket.
    pub bucket_key: Option<bool>,
}

/// A role to assume (AWS Security Token Service).
#[napi(object)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssumeRoleOptions {
    /// The ARN of the role: `arn:aws:iam::123456789012:role/NAME`.
    pub role_arn: String,
    /// The name of the session in the service's logs. Default: `dollar-send`.
    pub session_name: Option<String>,
    /// External ID required by the role's trust policy. Default: none.
    pub external_id: Option<String>,
    /// The URL of the token service. Default: that of the region.
    pub endpoint: Option<String>,
}

/// Limits of a batch. It is closed at the first of them, and when the engine is flushed or closed.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BatchOptions {
    /// Time since its first record, in milliseconds, up to a day. Default: 60000.
    pub interval_ms: Option<f64>,
    /// Time since its last record, in milliseconds, up to a day. Default: no idle limit.
    pub idle_ms: Option<f64>,
    /// Encoded size in bytes, accurate to a few percent. Default: 64 MiB.
    pub max_bytes: Option<f64>,
    /// Number of records. Default: 100000.
    pub max_count: Option<f64>,
}

/// The default of `timeoutMs`.
const DEFAULT_TIMEOUT_MS: u64 = 300_000;
/// No batch is open for longer than a day.
const MAX_INTERVAL_MS: u64 = 24 * 3600 * 1000;

/// The variables of the AWS SDKs that hold credentials, or lead to them.
const VARIABLES: [&str; 17] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "HOME",
    "USERPROFILE",
    "AWS_METADATA_ENDPOINT",
];

impl S3Options {
    /// Reads the configuration; objects that become files go into `data_dir` by default.
    pub(super) fn read(self, data_dir: Option<&str>) -> Result<Config> {
        let in_data_dir = data_dir.map(|directory| Path::new(directory).join("s3"));
        let chosen = self.file.as_ref().map(Into::into).or(in_data_dir);
        let files = chosen.map_or_else(Config::default, |folder| Config::files(folder, false));
        let place = Place::open("s3");
        let format = self.format(&place)?;
        Ok(Config {
            folder_is_chosen: self.file.is_some(),
            format,
            parquet_folder: data_dir.map(|directory| Path::new(directory).join("parquet")),
            timeout: place.timeout(self.timeout_ms, DEFAULT_TIMEOUT_MS)?,
            log_body_bytes: place.bytes(
                "logBodyBytes",
                self.log_body_bytes,
                files.log_body_bytes,
            )?,
            batch: match &self.batch {
                Some(batch) => batch.read(&place.at("batch"))?,
                None => BatchLimits::default(),
            },
            service: self.service()?,
            ..files
        })
    }

    fn format(&self, place: &Place) -> Result<Format> {
        let compression = self.compression.as_deref().map(|name| {
            Compression::from_name(name).ok_or_else(|| {
                place.refuse("compression", format!("{name:?} is not 'gzip', 'zstd' or 'none'"))
            })
        });
        let compression = compression.transpose()?;
        match (self.format.as_deref(), compression) {
            (None | Some("ndjson"), compression) => {
                Ok(Format::Lines(compression.unwrap_or_default()))
            }
            (Some("parquet"), None | Some(Compression::Zstd)) => Ok(Format::Parquet),
            (Some("parquet"), Some(_)) => {
                let reason = "objects with s3.format 'parquet' are compressed with 'zstd'";
                Err(place.refuse("compression", reason))
            }
            (Some(name), _) => {
                Err(place.refuse("format", format!("{name:?} is not 'ndjson' or 'parquet'")))
            }
        }
    }

    fn service(self) -> Result<Option<Service>> {
        let place = Place::open("s3");
        let keys = self.keys()?;
        let wanted = self.endpoint.is_some()
            || self.region.is_some()
            || self.assume_role.is_some()
            || self.profile.is_some()
            || matches!(keys, Keys::Given { .. });
        if !wanted {
            return Ok(None);
        }
        if self.file.is_some() {
            return Err(place.refuse("file", "has no meaning beside a service"));
        }
        let checksum = self.checksum()?;
        let headers = s3_headers::of_requests(&self)?;
        let object_headers = s3_headers::of_objects(&self)?;
        let region = self.region.filter(|region| region != "auto");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if let Some(region) = region.as_deref().filter(|r| r.is_empty() || !r.chars().all(is_name))
        {
            return Err(place.refuse("region", format!("{region:?} is not the name of a region")));
        }
        let allow_http = self.allow_http.unwrap_or_default();
        let path_style = self.force_path_style.unwrap_or(self.endpoint.is_some());
        let address = match self.endpoint {
            None => Address::Amazon(region),
            Some(endpoint) => {
                let url = endpoint_of(&place, &endpoint, allow_http, UrlPath::Allowed)?;
                if !path_style && !matches!(url.host(), Some(Host::Domain(_))) {
                    let reason = "an address cannot have buckets in front of it";
                    return Err(place.refuse("forcePathStyle", reason));
                }
                let region = region.unwrap_or_else(|| "us-east-1".to_owned());
                Address::Endpoint { url: url.as_str().trim_end_matches('/').to_owned(), region }
            }
        };
        let assume_role = self.assume_role.map(|role| role.read(allow_http)).transpose()?;
        Ok(Some(Service {
            address,
            path_style,
            keys,
            assume_role,
            checksum,
            headers,
            object_headers,
        }))
    }

    fn checksum(&self) -> Result<Option<Checksum>> {
        match (self.checksum.as_deref(), &self.endpoint) {
            (None, None) | (Some("crc64nvme"), _) => Ok(Some(Checksum::Crc64Nvme)),
            (None, Some(_)) | (Some("none"), _) => Ok(None),
            (Some("sha256"), _) => Ok(Some(Checksum::Sha256)),
            (Some(name), _) => {
                let reason = "is not 'crc64nvme', 'sha256' or 'none'";
                Err(Place::open("s3").refuse("checksum", format!("{name:?} {reason}")))
            }
        }
    }

    fn keys(&self) -> Result<Keys> {
        let place = Place::open("s3");
        if self.profile.is_some() && self.access_key_id.is_some() {
            return Err(place.refuse("profile", "has no meaning beside s3.accessKeyId"));
        }
        match (&self.access_key_id, &self.secret_access_key, &self.session_token) {
            (Some(id), Some(secret), token) if !id.is_empty() && !secret.is_empty() => {
                Ok(Keys::Given {
                    access_key_id: id.clone(),
                    secret_access_key: secret.clone(),
                    session_token: token.clone(),
                })
            }
            (None, None, None) => Ok(Keys::Environment(Environment {
                variables: environment(),
                profile: self.profile.clone(),
            })),
            _ => {
                let reason = "needs s3.secretAccessKey beside it, and neither empty";
                Err(place.refuse("accessKeyId", reason))
            }
        }
    }
}

impl AssumeRoleOptions {
    fn read(self, allow_http: bool) -> Result<AssumeRole> {
        let place = Place::open("s3.assumeRole");
        if !self.role_arn.starts_with("arn:") {
            let arn = self.role_arn;
            return Err(place.refuse("roleArn", format!("{arn:?} does not begin with arn:")));
        }
        let endpoint = self.endpoint.as_deref();
        if let Some(endpoint) = endpoint {
            endpoint_of(&place, endpoint, allow_http, UrlPath::Refused)?;
        }
        Ok(AssumeRole {
            role_arn: self.role_arn,
            session_name: self.session_name.unwrap_or_else(|| "dollar-send".to_owned()),
            external_id: self.external_id,
            endpoint: self.endpoint,
        })
    }
}

impl BatchOptions {
    /// Reads the limits, which stand at `place`.
    pub(super) fn read(&self, place: &Place) -> Result<BatchLimits> {
        let default = BatchLimits::default();
        let millis = |name: &str, value: Option<f64>| {
            let read = value.map(|value| place.integer(name, Some(value), 1..=MAX_INTERVAL_MS, 0));
            Ok(read.transpose()?.map(Duration::from_millis))
        };
        let range = 1..=MAX_BYTES;
        let max_bytes =
            place.integer("maxBytes", self.max_bytes, range, default.max_bytes as u64)?;
        Ok(BatchLimits {
            interval: millis("intervalMs", self.interval_ms)?.unwrap_or(default.interval),
            idle: millis("idleMs", self.idle_ms)?,
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            max_count: place.count("maxCount", self.max_count, 1, default.max_count)?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the provider chain of AWS is the environment")]
fn environment() -> HashMap<String, String> {
    let variable = |name: &&str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(((*name).to_owned(), value))
    };
    VARIABLES.iter().filter_map(variable).collect()
}

/// Policy for paths in an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UrlPath {
    Allowed,
    Refused,
}

/// Reads the member `endpoint` of what stands at `place`.
fn endpoint_of(place: &Place, text: &str, allow_http: bool, path: UrlPath) -> Result<Url> {
    let refuse = |reason: &str| place.refuse("endpoint", reason);
    let url = Url::parse(text).map_err(|error| refuse(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refuse("must begin with https:// or http://"));
    }
    if url.scheme() == "http" && !allow_http {
        return Err(refuse("sends everything in the clear: set s3.allowHttp to allow that"));
    }
    let bare = (path == UrlPath::Allowed || url.path() == "/")
        && url.query().is_none()
        && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must be a scheme, a host and a port, and no login or query"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        let options: S3Options = serde_json::from_str(text).unwrap();
        options.read(Some("/data"))
    }

    #[test]
    fn refusals_name_the_path() {
        for (text, expected) in [
            (r#"{"endpoint":"minio"}"#, "s3.endpoint: is not a URL"),
            (r#"{"endpoint":"ftp://h"}"#, "s3.endpoint: must begin with"),
            (r#"{"endpoint":"https://h/path?x"}"#, "s3.endpoint: must be a scheme"),
            (r#"{"endpoint":"https://u:p@h"}"#, "s3.endpoint: must be a scheme"),
            (r#"{"endpoint":"http://h"}"#, "s3.endpoint: sends everything in the clear"),
            (
                r#"{"endpoint":"https://127.0.0.1","forcePathStyle":false}"#,
                "s3.forcePathStyle: an address cannot",
            ),
            (r#"{"region":"no where"}"#, "s3.region: \"no where\" is not"),
            (r#"{"region":""}"#, "s3.region: \"\" is not"),
            (r#"{"accessKeyId":"a"}"#, "s3.accessKeyId: needs s3.secretAccessKey"),
            (r#"{"sessionToken":"t"}"#, "s3.accessKeyId: needs s3.secretAccessKey"),
            (r#"{"assumeRole":{"roleArn":"x"}}"#, "s3.assumeRole.roleArn: \"x\" does not"),
            (
                r#"{"assumeRole":{"roleArn":"arn:x","endpoint":"http://sts"}}"#,
                "s3.assumeRole.endpoint: sends everything in the clear",
            ),
            (r#"{"compression":"brotli"}"#, "s3.compression: \"brotli\" is not"),
            (r#"{"batch":{"maxCount":0}}"#, "s3.batch.maxCount: 0 is not"),
            (r#"{"batch":{"maxBytes":0}}"#, "s3.batch.maxBytes: 0 is not"),
            (r#"{"batch":{"intervalMs":-1}}"#, "s3.batch.intervalMs: -1 is not"),
            (r#"{"region":"auto","checksum":"md5"}"#, "s3.checksum: \"md5\" is not"),
            (r#"{"accessKeyId":"a","secretAccessKey":"b","profile":"p"}"#, "s3.profile: has no"),
            (r#"{"region":"auto","file":"/x"}"#, "s3.file: has no meaning"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_service_is_used_when_it_is_configured() {
        assert_eq!(read("{}").unwrap().service, None);
        assert_eq!(read("{}").unwrap().folder, Path::new("/data/s3"));
        assert_eq!(read(r#"{"compression":"zstd"}"#).unwrap().service, None);
        let address = |text| read(text).unwrap().service.unwrap().address;
        assert_eq!(address(r#"{"region":"auto"}"#), Address::Amazon(None));
        let region = Some("eu-west-1".to_owned());
        assert_eq!(address(r#"{"region":"eu-west-1"}"#), Address::Amazon(region));
        let endpoint = address(r#"{"endpoint":"http://127.0.0.1:9000/","allowHttp":true}"#);
        let (url, region) = ("http://127.0.0.1:9000".to_owned(), "us-east-1".to_owned());
        assert_eq!(endpoint, Address::Endpoint { url, region });
    }

    #[test]
    fn an_endpoint_may_have_a_path_and_a_checksum_is_for_amazon() {
        let service = |text| read(text).unwrap().service.unwrap();
        let found = service(r#"{"endpoint":"https://h:1/a/b/"}"#);
        let (url, region) = ("https://h:1/a/b".to_owned(), "us-east-1".to_owned());
        assert_eq!(found.address, Address::Endpoint { url, region });
        assert_eq!(found.checksum, None);
        assert_eq!(service(r#"{"region":"auto"}"#).checksum, Some(Checksum::Crc64Nvme));
        assert_eq!(service(r#"{"region":"auto","checksum":"none"}"#).checksum, None);
        let checksum = service(r#"{"endpoint":"https://h","checksum":"sha256"}"#).checksum;
        assert_eq!(checksum, Some(Checksum::Sha256));
        assert!(matches!(service(r#"{"profile":"p"}"#).keys, Keys::Environment(_)));
    }

    #[test]
    fn debug_output_has_no_secret() {
        let text = r#"{"region":"auto","accessKeyId":"AKIA","secretAccessKey":"hush"}"#;
        let printed = format!("{:?}", read(text).unwrap());
        assert!(!printed.contains("hush"), "{printed}");
    }
}
