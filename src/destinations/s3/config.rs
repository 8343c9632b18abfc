//! Configuration of the S3 destination.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;

use crate::destinations::BatchLimits;
use crate::private::temporary_folder;

/// The options of the S3 destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The service; `None`: objects become files.
    pub service: Option<Service>,
    /// The folder of the files.
    pub folder: PathBuf,
    /// True if the folder is a default one below the temporary directory.
    pub folder_is_temporary: bool,
    /// True if the options name the folder, and so ask for files.
    pub folder_is_chosen: bool,
    /// The format of objects. Default: lines, compressed with gzip.
    pub format: Format,
    /// The folder of objects while they become Parquet; `None`: one of the temporary directory.
    pub parquet_folder: Option<PathBuf>,
    /// The limits of a batch.
    pub batch: BatchLimits,
    /// Deadline of one attempt to store a batch. Default: 300 s.
    pub timeout: Duration,
    /// Bytes of each call that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
}

impl Default for Config {
    /// Returns a configuration that writes objects to the temporary folder of this user.
    fn default() -> Self {
        Self::files(temporary_folder().join("s3"), true)
    }
}

impl Config {
    /// Objects become files in `folder`.
    #[must_use]
    pub fn files(folder: PathBuf, folder_is_temporary: bool) -> Self {
        Self {
            service: None,
            folder,
            folder_is_temporary,
            folder_is_chosen: false,
            format: Format::default(),
            parquet_folder: None,
            batch: BatchLimits::default(),
            timeout: Duration::from_secs(300),
            log_body_bytes: 64 << 10,
        }
    }
}

/// A service that speaks the protocol of Amazon S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its address.
    pub address: Address,
    /// True if buckets are in the path of URLs, and not in the host name.
    pub path_style: bool,
    /// The source of credentials.
    pub keys: Keys,
    /// The role that is taken with the keys.
    pub assume_role: Option<AssumeRole>,
    /// The checksum that is sent along.
    pub checksum: Option<Checksum>,
    /// Headers of every request, such as the expected owner of the bucket.
    pub headers: HeaderMap,
    /// Headers of the requests that create an object: its encryption, class, tags and access.
    pub object_headers: HeaderMap,
}

/// A checksum of an object, which buckets with Object Lock require.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-256.
    Sha256,
}

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Amazon S3 in this region; `None`: it is looked up for each bucket.
    Amazon(Option<String>),
    /// Another one.
    Endpoint {
        /// `https://host:port`, without a path.
        url: String,
        /// The region for signatures.
        region: String,
    },
}

/// Credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum Keys {
    /// These.
    Given {
        /// The access key's id.
        access_key_id: String,
        /// Its secret.
        secret_access_key: String,
        /// The token of a session.
        session_token: Option<String>,
    },
    /// The environment of the process, then the files in `~/.aws`, then the metadata service of the
    /// container or the machine.
    Environment(Environment),
}

/// The variables of the AWS SDKs, by name (`AWS_ACCESS_KEY_ID`), and the profile that was chosen.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The variables that are set.
    pub variables: HashMap<String, String>,
    /// The profile of the options.
    pub profile: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given { .. } => "Given",
            Self::Environment(_) => "Environment",
        })
    }
}

/// A role to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// Its name: `arn:aws:iam::123456789012:role/NAME`.
    pub role_arn: String,
    /// The session name in the logs of the service.
    pub session_name: String,
    /// External ID required by the role's trust policy.
    pub external_id: Option<String>,
    /// The token service; `None`: the one of the region.
    pub endpoint: Option<String>,
}

/// The format of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of JSON for each record.
    Lines(Compression),
    /// A row for each record: `.parquet`.
    Parquet,
}

impl Default for Format {
    fn default() -> Self {
        Self::Lines(Compression::default())
    }
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [
        Self::Lines(Compression::Gzip),
        Self::Lines(Compression::Zstd),
        Self::Lines(Compression::None),
        Self::Parquet,
    ];

    /// Returns the extension of keys.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Lines(Compression::Gzip) => ".gz",
            Self::Lines(Compression::Zstd) => ".zst",
            Self::Lines(Compression::None) => ".ndjson",
            Self::Parquet => ".parquet",
        }
    }

    /// Returns the media type of objects.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Lines(Compression::Gzip) => "application/gzip",
            Self::Lines(Compression::Zstd) => "application/zstd",
            Self::Lines(Compression::None) => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// The compression of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
    /// Not at all.
    None,
}

impl Compression {
    /// Every compression.
    #[cfg(test)]
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::None];

    /// Returns the compression of this spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}
