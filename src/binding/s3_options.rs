//! `s3`: the mirror of its spelling.

use std::path::Path;
use std::time::Duration;

use napi_derive::napi;
use serde::Deserialize;
use url::{Host, Url};

use super::options::{MAX_BYTES, MAX_TIMEOUT_MS, bytes, count, invalid, whole};
use crate::config::object_folder;
use crate::destinations::BatchLimits;
use crate::destinations::s3::{Address, AssumeRole, Compression, Config, Keys, Service};
use crate::error::Result;

/// The S3 destination. With `region`, `endpoint`, keys or a role, objects go to a service; without
/// any of them they become files.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct S3Options {
    /// A service other than Amazon S3: `https://host:port`. Default: Amazon S3.
    pub endpoint: Option<String>,
    /// The region, such as `eu-west-1`; `auto` looks up the region of each bucket. Default: `auto`,
    /// with `endpoint` `us-east-1`.
    pub region: Option<String>,
    /// The id of an access key. Default: what the environment of the process says
    /// (`AWS_ACCESS_KEY_ID` and the others of the AWS SDKs: web identity, ECS and EKS containers),
    /// and the metadata service of the machine after that. Files such as `~/.aws/credentials` are
    /// not read.
    pub access_key_id: Option<String>,
    /// The secret of the access key.
    pub secret_access_key: Option<String>,
    /// The token of a session, for keys that last for a time.
    pub session_token: Option<String>,
    /// A role that is taken with the keys.
    pub assume_role: Option<AssumeRoleOptions>,
    /// Whether buckets are in the path of URLs, and not in the host name. Default: `false`, with
    /// `endpoint` `true`.
    pub force_path_style: Option<bool>,
    /// Whether `endpoint`, and that of `assumeRole`, may be `http://`, which sends everything in the
    /// clear. Default: `false`.
    pub allow_http: Option<bool>,
    /// How objects are compressed, which their keys end with: `.gz`, `.zst` or `.ndjson`. Default:
    /// `'gzip'`.
    #[napi(ts_type = "'gzip' | 'zstd' | 'none'")]
    pub compression: Option<String>,
    /// When a batch is closed and stored.
    pub batch: Option<BatchOptions>,
    /// The directory for objects as files, `BUCKET/KEY` in it. Default: `s3` in `dataDir`, or
    /// `dollar-send-UID/s3` in the system's temporary directory, for this user alone.
    pub file: Option<String>,
    /// Milliseconds that one attempt to store a batch may take. Default: 300000.
    pub timeout_ms: Option<f64>,
    /// Bytes of each call that the log keeps. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
}

/// A role that is taken with the keys (AWS Security Token Service).
#[napi(object)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssumeRoleOptions {
    /// The role: `arn:aws:iam::123456789012:role/NAME`.
    pub role_arn: String,
    /// What the session is called in the service's logs. Default: `dollar-send`.
    pub session_name: Option<String>,
    /// What the owner of the role wants to hear. Default: none.
    pub external_id: Option<String>,
    /// The token service. Default: that of the region.
    pub endpoint: Option<String>,
}

/// When a batch is closed: at the first of these, and when the engine is flushed or closed.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BatchOptions {
    /// Milliseconds since its first record. Default: 60000.
    pub interval_ms: Option<f64>,
    /// Milliseconds since its last record. Default: any number.
    pub idle_ms: Option<f64>,
    /// Bytes as they are encoded, within a few percents. Default: 64 MiB.
    pub max_bytes: Option<f64>,
    /// Records. Default: 100000.
    pub max_count: Option<f64>,
}

/// No batch is open for longer than a day.
const MAX_INTERVAL_MS: u64 = 24 * 3600 * 1000;

/// The variables of the AWS SDKs that say who asks.
const VARIABLES: [&str; 10] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];

impl S3Options {
    /// The configuration; objects that become files go into `data_dir` unless something else is
    /// said.
    pub(super) fn read(self, data_dir: Option<&str>) -> Result<Config> {
        let in_data_dir = data_dir.map(|directory| Path::new(directory).join("s3"));
        let chosen = self.file.as_ref().map(Into::into).or(in_data_dir);
        let temporary = chosen.is_none();
        let files = Config::files(chosen.unwrap_or_else(object_folder), temporary);
        let compression = match self.compression.as_deref() {
            None => Compression::default(),
            Some(name) => Compression::from_name(name).ok_or_else(|| {
                invalid(format!("s3.compression: {name:?} is not 'gzip', 'zstd' or 'none'"))
            })?,
        };
        let timeout = whole("s3.timeoutMs", self.timeout_ms, 1..=MAX_TIMEOUT_MS, 300_000)?;
        Ok(Config {
            compression,
            timeout: Duration::from_millis(timeout),
            log_body_bytes: bytes("s3.logBodyBytes", self.log_body_bytes, files.log_body_bytes)?,
            batch: match &self.batch {
                Some(batch) => batch.read("s3.batch")?,
                None => BatchLimits::default(),
            },
            service: self.service()?,
            ..files
        })
    }

    fn service(self) -> Result<Option<Service>> {
        let keys = self.keys()?;
        let wanted = self.endpoint.is_some()
            || self.region.is_some()
            || self.assume_role.is_some()
            || matches!(keys, Keys::Given { .. });
        if !wanted {
            return Ok(None);
        }
        if self.file.is_some() {
            return Err(invalid("s3.file: has no meaning beside a service"));
        }
        let region = self.region.filter(|region| region != "auto");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if let Some(region) = region.as_deref().filter(|r| r.is_empty() || !r.chars().all(is_name))
        {
            return Err(invalid(format!("s3.region: {region:?} is not the name of a region")));
        }
        let allow_http = self.allow_http.unwrap_or_default();
        let path_style = self.force_path_style.unwrap_or(self.endpoint.is_some());
        let address = match self.endpoint {
            None => Address::Amazon(region),
            Some(endpoint) => {
                let url = endpoint_of("s3.endpoint", &endpoint, allow_http)?;
                if !path_style && !matches!(url.host(), Some(Host::Domain(_))) {
                    let reason = "an address cannot have buckets in front of it";
                    return Err(invalid(format!("s3.forcePathStyle: {reason}")));
                }
                let region = region.unwrap_or_else(|| "us-east-1".to_owned());
                Address::Endpoint { url: url.as_str().trim_end_matches('/').to_owned(), region }
            }
        };
        let assume_role = self.assume_role.map(|role| role.read(allow_http)).transpose()?;
        Ok(Some(Service { address, path_style, keys, assume_role }))
    }

    fn keys(&self) -> Result<Keys> {
        match (&self.access_key_id, &self.secret_access_key, &self.session_token) {
            (Some(id), Some(secret), token) if !id.is_empty() && !secret.is_empty() => {
                Ok(Keys::Given {
                    access_key_id: id.clone(),
                    secret_access_key: secret.clone(),
                    session_token: token.clone(),
                })
            }
            (None, None, None) => Ok(Keys::Environment(environment())),
            _ => Err(invalid(
                "s3.accessKeyId: needs s3.secretAccessKey beside it, and neither empty",
            )),
        }
    }
}

impl AssumeRoleOptions {
    fn read(self, allow_http: bool) -> Result<AssumeRole> {
        if !self.role_arn.starts_with("arn:") {
            let arn = self.role_arn;
            return Err(invalid(format!(
                "s3.assumeRole.roleArn: {arn:?} does not begin with arn:"
            )));
        }
        let endpoint = self.endpoint.as_deref();
        if let Some(endpoint) = endpoint {
            endpoint_of("s3.assumeRole.endpoint", endpoint, allow_http)?;
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
    /// The limits; `path` is where they stand in the options.
    pub(super) fn read(&self, path: &str) -> Result<BatchLimits> {
        let default = BatchLimits::default();
        let millis = |name: &str, value: Option<f64>| {
            let read = value
                .map(|value| whole(&format!("{path}.{name}"), Some(value), 1..=MAX_INTERVAL_MS, 0));
            Ok(read.transpose()?.map(Duration::from_millis))
        };
        let bytes_path = format!("{path}.maxBytes");
        let max_bytes =
            whole(&bytes_path, self.max_bytes, 1..=MAX_BYTES, default.max_bytes as u64)?;
        Ok(BatchLimits {
            interval: millis("intervalMs", self.interval_ms)?.unwrap_or(default.interval),
            idle: millis("idleMs", self.idle_ms)?,
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            max_count: count(&format!("{path}.maxCount"), self.max_count, 1, default.max_count)?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the provider chain of AWS is the environment")]
fn environment() -> Vec<(String, String)> {
    let said = |name: &&str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name.to_ascii_lowercase(), value))
    };
    VARIABLES.iter().filter_map(said).collect()
}

fn endpoint_of(path: &str, text: &str, allow_http: bool) -> Result<Url> {
    let url =
        Url::parse(text).map_err(|error| invalid(format!("{path}: is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid(format!("{path}: must begin with https:// or http://")));
    }
    if url.scheme() == "http" && !allow_http {
        let reason = "sends everything in the clear: set s3.allowHttp to allow that";
        return Err(invalid(format!("{path}: {reason}")));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(format!("{path}: must be a scheme, a host and a port alone")));
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
    fn what_is_wrong_is_named_by_its_path() {
        for (text, expected) in [
            (r#"{"endpoint":"minio"}"#, "s3.endpoint: is not a URL"),
            (r#"{"endpoint":"ftp://h"}"#, "s3.endpoint: must begin with"),
            (r#"{"endpoint":"https://h/path"}"#, "s3.endpoint: must be a scheme"),
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
            (r#"{"region":"auto","file":"/x"}"#, "s3.file: has no meaning"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_service_is_used_when_something_is_said_of_it() {
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
    fn a_secret_is_not_in_what_is_printed() {
        let text = r#"{"region":"auto","accessKeyId":"AKIA","secretAccessKey":"hush"}"#;
        let printed = format!("{:?}", read(text).unwrap());
        assert!(!printed.contains("hush"), "{printed}");
    }
}
