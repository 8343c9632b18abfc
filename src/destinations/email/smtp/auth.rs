//! Logging in: AUTH PLAIN, LOGIN and XOAUTH2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reply::Reply;
use super::session::Session;
use super::verdict::Stop;
use crate::delivery::Phase;
use crate::error::ErrorKind;

/// The reply of a server that does not know a mechanism.
const UNKNOWN_MECHANISM: u16 = 504;

/// Characters that an initial response may have beside the command in one line.
const MAX_INITIAL: usize = 480;

/// The maximum number of AUTH LOGIN challenges: for the user, for the password, and one more.
const MAX_CHALLENGES: usize = 3;

/// A user, and the proof.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::destinations::email) enum Login {
    Password {
        user: String,
        password: String,
    },
    /// An access token of OAuth 2.0.
    Token {
        user: String,
        token: String,
    },
}

impl std::fmt::Debug for Login {
    /// Formats the login without its secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { .. } => f.write_str("Password"),
            Self::Token { .. } => f.write_str("Token"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Mechanism {
    Plain,
    Login,
    XOauth2,
}

impl Mechanism {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOauth2 => "XOAUTH2",
        }
    }
}

impl Session {
    /// Logs in by the first mechanism that both sides support.
    pub(super) async fn log_in(&mut self, login: &Login) -> Result<(), Stop> {
        let (mechanisms, wanted) = match login {
            Login::Password { .. } => (
                &[Mechanism::Plain, Mechanism::Login][..],
                "neither AUTH PLAIN nor AUTH LOGIN, and email.smtp has a user",
            ),
            Login::Token { .. } => {
                (&[Mechanism::XOauth2][..], "no AUTH XOAUTH2, which email.auth asks for")
            }
        };
        let offered = mechanisms.iter().filter(|one| self.extensions().offers(one.name()));
        let offered: Vec<_> = offered.copied().collect();
        let mut refused = None;
        for mechanism in offered {
            let reply = self.authenticate(mechanism, login).await?;
            if reply.is_positive() {
                return Ok(());
            }
            let is_unknown = reply.code == UNKNOWN_MECHANISM;
            refused = Some(Stop::refused(&reply, "AUTH", Phase::Request));
            if !is_unknown {
                break;
            }
        }
        Err(refused.unwrap_or_else(|| {
            let message = format!("the server offers {wanted}");
            Stop::rejected(ErrorKind::InvalidResponse, message, Phase::Request)
        }))
    }

    async fn authenticate(&mut self, mechanism: Mechanism, login: &Login) -> Result<Reply, Stop> {
        match (mechanism, login) {
            (Mechanism::Login, Login::Password { user, password }) => {
                self.auth_login(user, password).await
            }
            (_, Login::Password { user, password }) => {
                self.auth_plain(&format!("\0{user}\0{password}")).await
            }
            (_, Login::Token { user, token }) => {
                self.auth_token(&format!("user={user}\x01auth=Bearer {token}\x01\x01")).await
            }
        }
    }

    async fn auth_plain(&mut self, response: &str) -> Result<Reply, Stop> {
        let response = STANDARD.encode(response);
        let reply = if response.len() <= MAX_INITIAL {
            self.ask(&format!("AUTH PLAIN {response}"), "AUTH").await?
        } else {
            self.ask("AUTH PLAIN", "AUTH").await?
        };
        if reply.is_intermediate() { self.ask(&response, "AUTH").await } else { Ok(reply) }
    }

    /// Logs in with AUTH LOGIN. Its challenges are human-readable texts: a challenge without the
    /// word for a password gets the user first.
    async fn auth_login(&mut self, user: &str, password: &str) -> Result<Reply, Stop> {
        let mut reply = self.ask("AUTH LOGIN", "AUTH").await?;
        for number in 0..MAX_CHALLENGES {
            if !reply.is_intermediate() {
                return Ok(reply);
            }
            let asks_password = number > 0 || challenge(&reply).contains("pass");
            let response = if asks_password { password } else { user };
            reply = self.ask(&STANDARD.encode(response), "AUTH").await?;
        }
        Ok(reply)
    }

    /// Logs in with a token. An error is a challenge with the reason, and a reply after an empty
    /// response.
    async fn auth_token(&mut self, response: &str) -> Result<Reply, Stop> {
        let command = format!("AUTH XOAUTH2 {}", STANDARD.encode(response));
        let reply = self.ask(&command, "AUTH").await?;
        if reply.is_intermediate() { self.ask("", "AUTH").await } else { Ok(reply) }
    }
}

/// Returns the text of a challenge in lower case, also where a server did not encode it.
fn challenge(reply: &Reply) -> String {
    let text = reply.lines.join(" ");
    let decoded = STANDARD.decode(text.trim()).map(|bytes| String::from_utf8_lossy(&bytes).into());
    decoded.unwrap_or(text).to_lowercase()
}
