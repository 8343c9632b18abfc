//! Temporary credentials: of a role, of a container, of IAM Identity Center. They are renewed some
//! minutes before they expire.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request, StatusCode, header};
use object_store::CredentialProvider;
use object_store::aws::{AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequest};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::{Host, Url};

use super::classify::element;
use super::config::AssumeRole;
use super::credentials::CredentialError;
use super::wire::S3Transport;

/// Sessions are renewed this long before they expire.
const AHEAD: Duration = Duration::from_secs(300);
/// The time after which credentials without an expiry are requested again.
const ENDLESS: Duration = Duration::from_secs(900);

type CredentialResult<T> = Result<T, CredentialError>;
type Limited = (Arc<AwsCredential>, SystemTime);

/// A source of credentials, and those that it last gave.
#[derive(Debug)]
pub(super) struct SessionProvider {
    source: Source,
    wire: Option<S3Transport>,
    last: Mutex<Option<Limited>>,
}

#[derive(Debug)]
enum Source {
    Role(Role),
    Container(Container),
    Sso(Sso),
}

impl SessionProvider {
    pub(super) fn role(role: Role) -> Self {
        Self::of(Source::Role(role))
    }

    pub(super) fn container(container: Container) -> Self {
        Self::of(Source::Container(container))
    }

    pub(super) fn sso(sso: Sso) -> Self {
        Self::of(Source::Sso(sso))
    }

    fn of(source: Source) -> Self {
        Self { source, wire: None, last: Mutex::new(None) }
    }

    /// Returns the provider with this transport.
    pub(super) fn over(self, wire: S3Transport) -> Self {
        Self { wire: Some(wire), ..self }
    }

    async fn ask(&self) -> CredentialResult<Limited> {
        let Some(wire) = self.wire.clone() else {
            return Err(CredentialError::Denied("a session without a wire".to_owned()));
        };
        match &self.source {
            Source::Role(role) => role.ask(wire).await,
            Source::Container(container) => container.ask(wire).await,
            Source::Sso(sso) => sso.ask(wire).await,
        }
    }
}

#[async_trait]
impl CredentialProvider for SessionProvider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((credential, until)) = &*last
            && SystemTime::now() + AHEAD < *until
        {
            return Ok(Arc::clone(credential));
        }
        let (credential, until) = self.ask().await.map_err(CredentialError::into_client)?;
        *last = Some((Arc::clone(&credential), until));
        Ok(credential)
    }
}

/// Sends a request, and returns its status and text.
async fn exchange(
    wire: S3Transport,
    request: HttpRequest,
    from: &str,
) -> CredentialResult<(StatusCode, String)> {
    let answer = HttpClient::new(wire.clone()).execute(request).await;
    let answer = answer.map_err(|error| {
        let reason = wire.take_last_response().reason().unwrap_or_else(|| error.to_string());
        CredentialError::Missing(format!("{from} gives no credentials for S3: {reason}"))
    })?;
    let status = answer.status();
    let body = answer.into_body().bytes().await;
    let body = body.map_err(|error| CredentialError::Missing(format!("{from}: {error}")))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Returns whether the failure is transient.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 429)
}

fn refused(status: StatusCode, reason: String) -> CredentialError {
    if is_passing(status) {
        CredentialError::Missing(reason)
    } else {
        CredentialError::Denied(reason)
    }
}

fn unreadable(from: &str) -> impl Fn(&str) -> CredentialError {
    move |part| CredentialError::Missing(format!("the response of {from} has no {part}"))
}

/// A role (AWS Security Token Service, `AssumeRole`).
#[derive(Debug)]
pub(super) struct Role {
    asked: AssumeRole,
    endpoint: String,
    region: String,
    own: AwsCredentialProvider,
}

impl Role {
    pub(super) fn new(asked: &AssumeRole, region: &str, own: AwsCredentialProvider) -> Self {
        let endpoint = asked.endpoint.clone();
        Self {
            endpoint: endpoint.unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com")),
            asked: asked.clone(),
            region: region.to_owned(),
            own,
        }
    }

    async fn ask(&self, wire: S3Transport) -> CredentialResult<Limited> {
        let unusable = |error: object_store::Error| {
            super::credentials::own_error(&error)
                .cloned()
                .unwrap_or_else(|| CredentialError::Missing(error.to_string()))
        };
        let own = self.own.get_credential().await.map_err(unusable)?;
        let mut request = self.request()?;
        let authorizer = AwsAuthorizer::new(&own, "sts", &self.region);
        authorizer.try_authorize(&mut request, None).map_err(unusable)?;
        let arn = &self.asked.role_arn;
        let (status, text) = exchange(wire, request, "the token service").await?;
        if !status.is_success() {
            let code = element(&text, "Code").unwrap_or_default();
            let said = element(&text, "Message").unwrap_or_default();
            let reason =
                format!("the role {arn} was not given: {} {code}: {said}", status.as_u16());
            // Keys whose own session is over are read again.
            let is_over = matches!(code.as_str(), "ExpiredToken" | "ExpiredTokenException");
            return Err(if is_over {
                CredentialError::Missing(reason)
            } else {
                refused(status, reason)
            });
        }
        let missing = unreadable("the token service");
        let part = |name| element(&text, name).ok_or_else(|| missing(name));
        let until: DateTime<Utc> =
            part("Expiration")?.parse().map_err(|_| missing("end that is a time"))?;
        let credential = AwsCredential {
            key_id: part("AccessKeyId")?,
            secret_key: part("SecretAccessKey")?,
            token: Some(part("SessionToken")?),
        };
        Ok((Arc::new(credential), until.into()))
    }

    fn request(&self) -> CredentialResult<HttpRequest> {
        let AssumeRole { role_arn, session_name, external_id, .. } = &self.asked;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "AssumeRole")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", role_arn)
            .append_pair("RoleSessionName", session_name);
        if let Some(id) = external_id {
            form.append_pair("ExternalId", id);
        }
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form.finish()).into())
            .map_err(|error| CredentialError::Denied(format!("s3.assumeRole.endpoint: {error}")))
    }
}

/// The credentials of a container (ECS, EKS Pod Identity, and what speaks like them).
#[derive(Debug)]
pub(super) struct Container {
    url: String,
    token: SsoToken,
}

/// The authorization of requests to the container's service.
#[derive(Debug)]
enum SsoToken {
    None,
    File(PathBuf),
    Text(String),
}

/// The response of a container's service.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerKeys {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

impl Container {
    /// Reads the variables of the environment; `None`: there are none.
    ///
    /// # Errors
    /// The reason for which the address is not one to send a token to.
    pub(super) fn of<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>, String> {
        let url = match (
            get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => format!("http://169.254.170.2{path}"),
            (None, Some(url)) => url.to_owned(),
            (None, None) => return Ok(None),
        };
        if !is_own(&url) {
            return Err(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI must begin with https://, or be at this \
                        machine or the container's service"
                    .to_owned(),
            );
        }
        let token = match (
            get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
            get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        ) {
            (Some(file), _) => SsoToken::File(file.into()),
            (None, Some(text)) => SsoToken::Text(text.to_owned()),
            (None, None) => SsoToken::None,
        };
        Ok(Some(Self { url, token }))
    }

    async fn ask(&self, wire: S3Transport) -> CredentialResult<Limited> {
        let token = match &self.token {
            SsoToken::None => None,
            SsoToken::Text(text) => Some(text.clone()),
            SsoToken::File(file) => {
                Some(tokio::fs::read_to_string(file).await.map_err(|error| {
                    let file = file.display();
                    CredentialError::Missing(format!(
                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: {file} cannot be read: {error}"
                    ))
                })?)
            }
        };
        let mut request = Request::builder().method(Method::GET).uri(&self.url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token.trim());
        }
        let request = request.body(Bytes::new().into()).map_err(|error| {
            CredentialError::Denied(format!("the container's credentials: {error}"))
        })?;
        let (status, text) = exchange(wire, request, "the container").await?;
        if !status.is_success() {
            let reason = format!("the container gives no credentials for S3: {}", status.as_u16());
            return Err(refused(status, reason));
        }
        let keys: ContainerKeys = serde_json::from_str(&text)
            .map_err(|_| unreadable("the container")("AccessKeyId and SecretAccessKey"))?;
        let credential = AwsCredential {
            key_id: keys.access_key_id,
            secret_key: keys.secret_access_key,
            token: keys.token,
        };
        let until = keys.expiration.map_or_else(|| SystemTime::now() + ENDLESS, SystemTime::from);
        Ok((Arc::new(credential), until))
    }
}

/// Addresses of the services of ECS and EKS.
const SERVICES: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

fn is_own(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback() || SERVICES.contains(&&*ip.to_string()),
            Some(Host::Ipv6(ip)) => ip.is_loopback() || SERVICES.contains(&&*ip.to_string()),
            None => false,
        }
}

/// A session that `aws sso login` has begun.
#[derive(Debug)]
pub(super) struct Sso {
    profile: String,
    cache: PathBuf,
    region: String,
    account: String,
    role: String,
}

/// The file of such a session.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoCache {
    access_token: String,
    expires_at: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoResponse {
    role_credentials: SsoKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: u64,
}

impl Sso {
    pub(super) fn new(
        profile: &str,
        cache: PathBuf,
        (region, account, role): (&str, &str, &str),
    ) -> Self {
        Self {
            profile: profile.to_owned(),
            cache,
            region: region.to_owned(),
            account: account.to_owned(),
            role: role.to_owned(),
        }
    }

    fn url(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("role_name", &self.role).append_pair("account_id", &self.account);
        let (region, query) = (&self.region, query.finish());
        format!("https://portal.sso.{region}.amazonaws.com/federation/credentials?{query}")
    }

    async fn ask(&self, wire: S3Transport) -> CredentialResult<Limited> {
        let profile = &self.profile;
        let over = || {
            CredentialError::Missing(format!(
                "the session of the profile {profile:?} is over: run `aws sso login --profile {profile}`"
            ))
        };
        let text = tokio::fs::read_to_string(&self.cache).await.map_err(|_| over())?;
        let cached: SsoCache = serde_json::from_str(&text).map_err(|_| over())?;
        if cached.expires_at <= Utc::now() {
            return Err(over());
        }
        let url = self.url();
        let request = Request::builder()
            .method(Method::GET)
            .uri(url)
            .header("x-amz-sso_bearer_token", &cached.access_token)
            .body(Bytes::new().into())
            .map_err(|error| {
                CredentialError::Denied(format!("the profile {profile:?}: {error}"))
            })?;
        let (status, text) = exchange(wire, request, "IAM Identity Center").await?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(over());
        }
        if !status.is_success() {
            let (role, status_) = (&self.role, status.as_u16());
            let reason =
                format!("the role {role} of the profile {profile:?} was not given: {status_}");
            return Err(refused(status, reason));
        }
        let SsoResponse { role_credentials: keys } = serde_json::from_str(&text)
            .map_err(|_| unreadable("IAM Identity Center")("roleCredentials"))?;
        let until = SystemTime::UNIX_EPOCH + Duration::from_millis(keys.expiration);
        let credential = AwsCredential {
            key_id: keys.access_key_id,
            secret_key: keys.secret_access_key,
            token: Some(keys.session_token),
        };
        Ok((Arc::new(credential), until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_to_this_machine_or_encrypted_alone() {
        for (url, expected) in [
            ("https://any.example/x", true),
            ("http://127.0.0.1:80/x", true),
            ("http://localhost/x", true),
            ("http://[::1]/x", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.169.254/x", false),
            ("http://any.example/x", false),
            ("x", false),
        ] {
            assert_eq!(is_own(url), expected, "{url}");
        }
    }
}
