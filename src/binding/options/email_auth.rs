//! JavaScript options of a login with an access token: `email.auth`.

use napi_derive::napi;
use serde::Deserialize;
use url::Url;

use super::place::Place;
use crate::destinations::email::{Refresh, TokenLogin};
use crate::error::Result;

/// A login with an access token.
#[napi(object)]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailAuth {
    /// The mechanism.
    #[napi(js_name = "type", ts_type = "'xoauth2'")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The user of the mailbox, such as `me@example.com`.
    pub user: String,
    /// The access token. With `refresh` it is used until it is refused. Default: none.
    pub token: Option<String>,
    /// The request for a new access token when there is none or it has expired. Default: none.
    pub refresh: Option<EmailTokenRefresh>,
}

/// The refresh-token grant of OAuth 2.0.
#[napi(object)]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailTokenRefresh {
    /// The URL of the token endpoint, such as `https://oauth2.googleapis.com/token`. The policy of
    /// `egress` applies to it.
    pub url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret. Default: none.
    pub client_secret: Option<String>,
    /// The refresh token.
    pub refresh_token: String,
    /// The scope. Default: the one that was granted.
    pub scope: Option<String>,
}

impl std::fmt::Debug for EmailAuth {
    /// Writes no token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailAuth").field("user", &self.user).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EmailTokenRefresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailTokenRefresh").field("url", &self.url).finish_non_exhaustive()
    }
}

impl EmailAuth {
    /// Reads the login, which stands at `place`.
    pub(super) fn read(self, place: &Place) -> Result<TokenLogin> {
        if !self.kind.eq_ignore_ascii_case("xoauth2") {
            return Err(place.refuse("type", format!("{:?} is not 'xoauth2'", self.kind)));
        }
        if self.token.is_none() && self.refresh.is_none() {
            return Err(place.refuse("", "has neither `token` nor `refresh`"));
        }
        let plain = |text: &String| !text.contains(|c: char| c.is_control());
        if !plain(&self.user) || !self.token.as_ref().is_none_or(plain) {
            return Err(place.refuse("", "the user or the token has a control character in it"));
        }
        let refresh = self.refresh.map(|refresh| refresh.read(&place.at("refresh"))).transpose()?;
        Ok(TokenLogin { user: self.user, token: self.token, refresh })
    }
}

impl EmailTokenRefresh {
    fn read(self, place: &Place) -> Result<Refresh> {
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let url = url.ok_or_else(|| place.refuse("url", "is not an https URL"))?;
        Ok(Refresh {
            url,
            client_id: self.client_id,
            client_secret: self.client_secret,
            refresh_token: self.refresh_token,
            scope: self.scope,
        })
    }
}
