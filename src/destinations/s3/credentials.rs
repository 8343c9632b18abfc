//! The credentials of the service: the keys of the options, or the first that the environment, the
//! files in `~/.aws`, the container or the machine has; and the role that is taken with them.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::{CredentialProvider, StaticCredentialProvider};

use super::config::{Address, AssumeRole, Environment, Keys, Service};
use super::profile::{ProfileKeys, Profiles};
use super::session::{Container, Role, SessionProvider, Sso};
use super::wire::S3Transport;

/// Profiles that take roles with one another.
const MAX_ROLES: usize = 5;

/// The reason for which there are no credentials.
#[derive(Debug, Clone)]
pub(super) enum CredentialError {
    /// None are there, or they cannot be had now.
    Missing(String),
    /// They were refused for good.
    Denied(String),
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(reason) | Self::Denied(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for CredentialError {}

impl CredentialError {
    /// Returns the same as an error of the client.
    pub(super) fn into_client(self) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: self.into() }
    }
}

/// The credentials of a service, which are read when they are needed, and read again when the
/// service refuses them.
#[derive(Debug)]
pub(super) struct Credentials {
    service: Service,
    wire: S3Transport,
    current: Mutex<Option<AwsCredentialProvider>>,
}

impl Credentials {
    pub(super) const fn new(service: Service, wire: S3Transport) -> Self {
        Self { service, wire, current: Mutex::new(None) }
    }

    /// Forgets what was read, and returns whether there may be something else to read.
    pub(super) fn renew(&self) -> bool {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.service.assume_role.is_some() || matches!(self.service.keys, Keys::Environment(_))
    }

    async fn provider(&self) -> Result<AwsCredentialProvider, CredentialError> {
        let known = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(provider) = known {
            return Ok(provider);
        }
        let own = match &self.service.keys {
            Keys::Given { access_key_id, secret_access_key, session_token } => {
                fixed(access_key_id, secret_access_key, session_token.as_deref())
            }
            Keys::Environment(environment) => self.found(environment).await?,
        };
        let provider = match &self.service.assume_role {
            None => own,
            Some(role) => self.session(SessionProvider::role(Role::new(role, self.region(), own))),
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&provider));
        Ok(provider)
    }

    async fn found(&self, env: &Environment) -> Result<AwsCredentialProvider, CredentialError> {
        let get = |name: &str| env.variables.get(name).map(String::as_str);
        if env.profile.is_none()
            && let (Some(id), Some(secret)) =
                (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"))
        {
            return Ok(fixed(id, secret, get("AWS_SESSION_TOKEN")));
        }
        if let Some(provider) = self.in_files(env).await? {
            return Ok(provider);
        }
        if let (Some(file), Some(arn)) = (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN")) {
            let name = get("AWS_ROLE_SESSION_NAME").unwrap_or("dollar-send");
            let settings = [
                ("aws_web_identity_token_file", file),
                ("aws_role_arn", arn),
                ("aws_role_session_name", name),
            ];
            return self.library(&settings);
        }
        if let Some(container) = Container::of(&get).map_err(CredentialError::Denied)? {
            return Ok(self.session(SessionProvider::container(container)));
        }
        if get("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Err(CredentialError::Missing(NONE.to_owned()));
        }
        let endpoint = get("AWS_METADATA_ENDPOINT").map(|url| ("aws_metadata_endpoint", url));
        self.library(endpoint.as_slice())
    }

    /// Returns a provider of the client library.
    fn library(&self, settings: &[(&str, &str)]) -> Result<AwsCredentialProvider, CredentialError> {
        let unusable = |error: object_store::Error| CredentialError::Denied(error.to_string());
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name("none")
            .with_region(self.region())
            .with_retry(super::remote::no_retries())
            .with_http_connector(self.wire.clone());
        for (name, value) in settings {
            builder = builder.with_config(name.parse().map_err(unusable)?, *value);
        }
        Ok(Arc::clone(builder.build().map_err(unusable)?.credentials()))
    }

    /// Returns the credentials of a profile in the files; `None`: there is no such profile.
    async fn in_files(
        &self,
        env: &Environment,
    ) -> Result<Option<AwsCredentialProvider>, CredentialError> {
        let get = |name: &str| env.variables.get(name).map(String::as_str);
        let chosen = env.profile.as_deref().or_else(|| get("AWS_PROFILE"));
        let Some(files) = Files::of(&get) else { return Ok(None) };
        let profiles = files.read().await?;
        let mut name = chosen.unwrap_or("default").to_owned();
        let mut roles = Vec::new();
        let own = loop {
            break match profiles.find(&name) {
                Some(ProfileKeys::Keys { id, secret, token }) => fixed(id, secret, token),
                Some(ProfileKeys::Role { arn, source, session, external_id }) => {
                    if roles.len() == MAX_ROLES {
                        return Err(denied(&name, "takes more roles than are followed"));
                    }
                    roles.push(AssumeRole {
                        role_arn: arn.to_owned(),
                        session_name: session.unwrap_or("dollar-send").to_owned(),
                        external_id: external_id.map(str::to_owned),
                        endpoint: None,
                    });
                    name = source.to_owned();
                    continue;
                }
                Some(ProfileKeys::Sso { cached_as, region, account, role }) => {
                    let cache = files.sso_cache(cached_as);
                    self.session(SessionProvider::sso(Sso::new(
                        &name,
                        cache,
                        (region, account, role),
                    )))
                }
                Some(ProfileKeys::Unsupported(setting)) => {
                    return Err(denied(&name, &format!("has {setting}, which is not supported")));
                }
                None if chosen.is_some() || !roles.is_empty() => {
                    return Err(denied(&name, "is not there, or has no keys"));
                }
                None => return Ok(None),
            };
        };
        let take = |own, role: AssumeRole| {
            self.session(SessionProvider::role(Role::new(&role, self.region(), own)))
        };
        Ok(Some(roles.into_iter().rev().fold(own, take)))
    }

    fn session(&self, session: SessionProvider) -> AwsCredentialProvider {
        Arc::new(session.over(self.wire.clone()))
    }

    fn region(&self) -> &str {
        match &self.service.address {
            Address::Amazon(region) => region.as_deref().unwrap_or("us-east-1"),
            Address::Endpoint { region, .. } => region,
        }
    }
}

const NONE: &str = "there are no credentials for S3: set s3.accessKeyId and s3.secretAccessKey, or \
                    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, or give the \
                    machine or container a role";

fn denied(profile: &str, reason: &str) -> CredentialError {
    CredentialError::Denied(format!("the profile {profile:?} in ~/.aws {reason}"))
}

fn fixed(id: &str, secret: &str, token: Option<&str>) -> AwsCredentialProvider {
    Arc::new(StaticCredentialProvider::new(AwsCredential {
        key_id: id.to_owned(),
        secret_key: secret.to_owned(),
        token: token.map(str::to_owned),
    }))
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let provider = self.provider().await.map_err(CredentialError::into_client)?;
        provider.get_credential().await.map_err(|error| {
            if own_error(&error).is_some() {
                return error;
            }
            // The client library tried all sources, the machine's metadata service last.
            let reason =
                self.wire.take_last_response().reason().unwrap_or_else(|| error.to_string());
            CredentialError::Missing(format!("{NONE} ({reason})")).into_client()
        })
    }
}

/// Finds the reason in an error of the client.
pub(super) fn own_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a CredentialError> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}

/// The files of the AWS command line.
struct Files {
    config: PathBuf,
    credentials: PathBuf,
    folder: PathBuf,
}

impl Files {
    fn of<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let folder = PathBuf::from(get("HOME").or_else(|| get("USERPROFILE"))?).join(".aws");
        let file = |name, default| get(name).map_or_else(|| folder.join(default), PathBuf::from);
        Some(Self {
            config: file("AWS_CONFIG_FILE", "config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            folder,
        })
    }

    /// Reads both files; one that is not there is empty.
    async fn read(&self) -> Result<Profiles, CredentialError> {
        let (config, credentials) = (text(&self.config).await?, text(&self.credentials).await?);
        Ok(Profiles::parse(&config, &credentials))
    }

    fn sso_cache(&self, cached_as: &str) -> PathBuf {
        let name = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
            cached_as.as_bytes(),
        );
        let name = super::key::hex(name.as_ref());
        self.folder.join("sso").join("cache").join(format!("{name}.json"))
    }
}

/// Reads a file of settings. Only comments may be in another encoding than UTF-8.
async fn text(file: &Path) -> Result<String, CredentialError> {
    match tokio::fs::read(file).await {
        Ok(bytes) => {
            let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(error) => {
            let message = format!("{} cannot be read: {error}", file.display());
            Err(CredentialError::Missing(message))
        }
    }
}
