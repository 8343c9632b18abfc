//! How the S3 destination behaves.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::destinations::BatchLimits;

/// The options of the S3 destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The service; `None`: objects become files.
    pub service: Option<Service>,
    /// Where files go.
    pub folder: PathBuf,
    /// Whether the folder is one that nobody chose.
    pub folder_is_temporary: bool,
    /// How objects are compressed. Default: gzip.
    pub compression: Compression,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Deadline of one attempt to store a batch. Default: 300 s.
    pub timeout: Duration,
    /// Bytes of each call that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
}

impl Config {
    /// Objects become files in `folder`.
    #[must_use]
    pub fn files(folder: PathBuf, folder_is_temporary: bool) -> Self {
        Self {
            service: None,
            folder,
            folder_is_temporary,
            compression: Compression::default(),
            batch: BatchLimits::default(),
            timeout: Duration::from_secs(300),
            log_body_bytes: 64 << 10,
        }
    }
}

/// A service that speaks the protocol of Amazon S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where it is.
    pub address: Address,
    /// Whether buckets are in the path of URLs, and not in the host name.
    pub path_style: bool,
    /// Who asks.
    pub keys: Keys,
    /// The role that is taken with the keys.
    pub assume_role: Option<AssumeRole>,
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Amazon S3 in this region; `None`: it is looked up for each bucket.
    Amazon(Option<String>),
    /// Another one.
    Endpoint {
        /// `https://host:port`, without a path.
        url: String,
        /// What requests are signed for.
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
    /// What the environment of the process says, name by name (`aws_access_key_id`); with nothing
    /// in it, the metadata service of the machine.
    Environment(Vec<(String, String)>),
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
    /// What the session is called in the logs of the service.
    pub session_name: String,
    /// What the owner of the role wants to hear.
    pub external_id: Option<String>,
    /// The token service; `None`: the one of the region.
    pub endpoint: Option<String>,
}

/// How objects are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip: `.gz`.
    #[default]
    Gzip,
    /// Zstandard: `.zst`.
    Zstd,
    /// Not at all: `.ndjson`.
    None,
}

impl Compression {
    /// Every compression.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::None];

    /// What keys end with.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::None => ".ndjson",
        }
    }

    /// The media type of objects.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/gzip",
            Self::Zstd => "application/zstd",
            Self::None => "application/x-ndjson",
        }
    }

    /// The compression of this spelling.
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
