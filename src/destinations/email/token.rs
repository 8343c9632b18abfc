//! Access tokens of OAuth 2.0 for AUTH XOAUTH2, and how new ones are had (RFC 6749, section 6).

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::delivery::{Failure, Phase, Verdict};
use crate::egress::{Egress, NetworkPlace, explain};
use crate::error::ErrorKind;

/// A token is renewed this long before it expires.
const MARGIN: Duration = Duration::from_secs(60);

/// The lifetime of a token if the server does not specify one.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);

/// Bytes that are read of the response.
const MAX_RESPONSE: usize = 64 << 10;

/// The options of a login by an access token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenLogin {
    /// The user whose mailbox it is.
    pub user: String,
    /// A token that does not change.
    pub token: Option<String>,
    /// The source of new tokens.
    pub refresh: Option<Refresh>,
}

/// The grant that requests new tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Refresh {
    /// The token endpoint.
    pub url: Url,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Option<String>,
    /// The refresh token.
    pub refresh_token: String,
    /// The scope of the request.
    pub scope: Option<String>,
}

impl fmt::Debug for TokenLogin {
    /// Formats the login without its tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").finish_non_exhaustive()
    }
}

/// The token in use.
#[derive(Default)]
pub(super) struct Tokens {
    current: Mutex<Current>,
    /// Held while a token is requested: a refresh token may be good for one request only.
    requesting: tokio::sync::Mutex<()>,
    client: OnceLock<reqwest::Client>,
}

#[derive(Default)]
struct Current {
    token: Option<(String, Instant)>,
    /// The refresh token that came with the last access token.
    refresh: Option<String>,
    /// True if the configured token was refused.
    is_first_refused: bool,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<f64>,
    refresh_token: Option<String>,
}

impl Tokens {
    /// Returns a token that should be valid.
    pub(super) async fn token(
        &self,
        options: &TokenLogin,
        egress: &Egress,
    ) -> Result<String, Verdict> {
        if let Some(token) = self.known(options) {
            return Ok(token);
        }
        let _alone = self.requesting.lock().await;
        if let Some(token) = self.known(options) {
            return Ok(token);
        }
        let Some(refresh) = &options.refresh else {
            let message = "email.auth has no token";
            return Err(Verdict::Rejected(Failure::new(ErrorKind::NotConfigured, message)));
        };
        let refresh_token = self.current().refresh.clone();
        let refresh_token = refresh_token.as_deref().unwrap_or(&refresh.refresh_token);
        let granted = self.request(refresh, refresh_token, egress).await?;
        let life = granted.expires_in.and_then(|s| Duration::try_from_secs_f64(s).ok());
        let life = life.unwrap_or(DEFAULT_LIFE).saturating_sub(MARGIN);
        let mut current = self.current();
        current.token =
            Instant::now().checked_add(life).map(|until| (granted.access_token.clone(), until));
        if granted.refresh_token.is_some() {
            current.refresh = granted.refresh_token;
        }
        Ok(granted.access_token)
    }

    /// Forgets a token that a server refused, unless another one has taken its place. Returns `true` if
    /// another one can be had.
    pub(super) fn forget(&self, options: &TokenLogin, refused: &str) -> bool {
        let mut current = self.current();
        current.is_first_refused |= options.token.as_deref() == Some(refused);
        current.token.take_if(|(token, _)| token == refused);
        options.refresh.is_some()
    }

    fn known(&self, options: &TokenLogin) -> Option<String> {
        let current = self.current();
        let valid = current.token.as_ref().filter(|(_, until)| Instant::now() < *until);
        if let Some((token, _)) = valid {
            return Some(token.clone());
        }
        let is_usable =
            options.refresh.is_none() || (!current.is_first_refused && current.token.is_none());
        options.token.clone().filter(|_| is_usable)
    }

    async fn request(
        &self,
        refresh: &Refresh,
        refresh_token: &str,
        egress: &Egress,
    ) -> Result<Granted, Verdict> {
        egress.check_url(&refresh.url).await.map_err(|failure| match failure.kind {
            ErrorKind::Dns => retry(failure),
            _ => Verdict::Rejected(failure),
        })?;
        let form = form(refresh, refresh_token);
        let request = self
            .client(egress)?
            .post(refresh.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let broken = |error: reqwest::Error| {
            let error = error.without_url();
            let place = NetworkPlace::of(&refresh.url, egress);
            let message = explain(&error, Phase::Connect, &place);
            let message = format!("no access token could be had for email.auth: {message}");
            retry(Failure::new(ErrorKind::Connect, message).during(Phase::Connect))
        };
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_RESPONSE {
                break;
            }
        }
        match serde_json::from_slice(&body) {
            Ok(granted) if status.is_success() => Ok(granted),
            _ => Err(refused(status.as_u16(), &body)),
        }
    }

    fn client(&self, egress: &Egress) -> Result<&reqwest::Client, Verdict> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let unusable =
            |message: String| Verdict::Rejected(Failure::new(ErrorKind::Internal, message));
        let builder = egress.client_builder().map_err(|error| unusable(error.to_string()))?;
        let client = builder.build().map_err(|_| unusable("no HTTP client can be made".into()))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn form(refresh: &Refresh, refresh_token: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token)
        .append_pair("client_id", &refresh.client_id);
    for (name, value) in [("client_secret", &refresh.client_secret), ("scope", &refresh.scope)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    form.finish()
}

fn retry(failure: Failure) -> Verdict {
    Verdict::Retry { failure, after: None }
}

/// Returns a response without a token. Of its body only the error's code is shown.
fn refused(status: u16, body: &[u8]) -> Verdict {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let code = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.error);
    let code = code.unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_graphic).take(60).collect();
    let message = format!("no access token could be had for email.auth: {status} {code}");
    let failure = Failure::new(ErrorKind::Status, message.trim_end())
        .with_status(status)
        .during(Phase::Request);
    if status == 429 || status >= 500 { retry(failure) } else { Verdict::Rejected(failure) }
}
