//! `sql.clickhouse.url`: the server's HTTP interface, spelled as a URL.

use std::fmt;

use url::Url;

use crate::percent::decoded;

/// A ClickHouse server, a database there, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct ClickHouseServer {
    /// The URL, without login and database.
    pub(super) url: Url,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
}

impl ClickHouseServer {
    /// Reads `https://user:password@host:8443/database`. User and database are `default` by default.
    ///
    /// # Errors
    /// The reason why it cannot be read; the text repeats nothing of the URL, in which there may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has more than a path (a ? or # is %3F or %23 in a password)".to_owned());
        }
        let database = decoded(url.path().trim_matches('/'))?;
        if database.contains('/') {
            return Err("has a path of more than the name of a database".to_owned());
        }
        let user = decoded(url.username())?;
        let password = decoded(url.password().unwrap_or_default())?;
        if [&user, &password].iter().any(|part| part.chars().any(char::is_control)) {
            return Err("has a user or password with control characters".to_owned());
        }
        let or_default = |text: String| if text.is_empty() { "default".to_owned() } else { text };
        let bare = url.set_username("").and_then(|()| url.set_password(None));
        bare.map_err(|()| "names no host".to_owned())?;
        url.set_path("/");
        Ok(Self { url, user: or_default(user), password, database: or_default(database) })
    }
}

impl fmt::Debug for ClickHouseServer {
    /// Formats the server without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.url.as_str())
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_and_database_are_taken_from_the_url() {
        let server =
            ClickHouseServer::parse("https://me:p%40w@ch.example.com:8443/events").unwrap();
        assert_eq!(server.url.as_str(), "https://ch.example.com:8443/");
        assert_eq!((&*server.user, &*server.password), ("me", "p@w"));
        assert_eq!(server.database, "events");
        assert!(!format!("{server:?}").contains("p@w"));
        let server = ClickHouseServer::parse("http://127.0.0.1:8123").unwrap();
        assert_eq!(
            (&*server.user, &*server.password, &*server.database),
            ("default", "", "default")
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        for text in
            ["", "ch", "tcp://u:secret@h:9000", "http://u:secret@h/a/b", "http://h/?x=secret"]
        {
            let reason = ClickHouseServer::parse(text).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
