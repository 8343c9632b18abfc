//! JavaScript options of the email destination: `email`.

use std::collections::HashMap;
use std::path::Path;

use napi_derive::napi;
use serde::Deserialize;

use super::email_auth::EmailAuth;
use super::place::{Function, Place};
use super::rate;
use super::retry::RetryOptions;
use super::tls::TlsOptions;
use crate::delivery::RetryPolicy;
use crate::destinations::email::{
    self, Allowed, Config, HeaderPattern, Limits, Mailbox, SmtpServer, WorkflowPeople,
};
use crate::error::Result;

/// The email destination.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmailOptions {
    /// The SMTP server: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte
    /// (port 465). `smtp://` encrypts with STARTTLS when the server offers it, and does not send
    /// without it when there is a password; `?tls=required` and `?tls=none` say otherwise. Default:
    /// none, mails become `.eml` files.
    pub smtp: Option<String>,
    /// The login with an access token of OAuth 2.0 (AUTH XOAUTH2), instead of a password in the URL.
    /// `smtp://` then requires STARTTLS. Default: none.
    pub auth: Option<EmailAuth>,
    /// Certificate authorities, a client certificate and pins for the connection to the server, as in
    /// `http.tls`. Default: the machine's authorities.
    #[napi(ts_type = "Omit<TlsOptions, 'hosts'>")]
    pub tls: Option<TlsOptions>,
    /// The name of this machine in EHLO. Default: the host name if it has a dot, otherwise the address
    /// of the connection, such as `[192.0.2.1]`.
    pub ehlo_name: Option<String>,
    /// The sender: `notifications@example.com`, or with a name, `Notifications
    /// <notifications@example.com>`. Required with `smtp`.
    pub from: Option<String>,
    /// The recipient of all mails: the workflow's owner. Required with `smtp`.
    pub to: Option<String>,
    /// Additional recipients of mails with `include_collaborators`. Default: none.
    pub collaborators: Option<Vec<String>>,
    /// Senders and recipients of single workflows, by workflow id; `*` matches any characters. The most
    /// specific pattern applies. Default: none.
    pub recipients: Option<HashMap<String, EmailPeople>>,
    /// Recipients that a call may address beyond the owner and the collaborators: addresses, and
    /// domains such as `@example.com`. Default: none.
    pub allow_recipients: Option<Vec<String>>,
    /// The folder whose files calls may attach by `path`: no file outside it, and no links. Default:
    /// none, `path` is ignored.
    #[napi(ts_type = "string | { readonly href: string }")]
    pub attachment_folder: Option<String>,
    /// The headers that a call may give beyond those that begin with `List-`: names in any case; `*`
    /// matches any characters. Headers that the mail is made of are refused. Default: none.
    pub allow_headers: Option<Vec<String>>,
    /// Rate and size limits.
    pub limits: Option<EmailLimits>,
    /// The directory for `.eml` files. Default: `mail` in `dataDir`, or `dollar-send-UID/mail` in the
    /// system's temporary directory, readable by this user alone.
    #[napi(ts_type = "string | { readonly href: string }")]
    pub file: Option<String>,
    /// Deadline of one delivery in milliseconds, from 1 to 3,600,000. Default: 60000.
    pub timeout_ms: Option<f64>,
    /// Concurrent deliveries, and connections to the server. Default: 4.
    pub concurrency: Option<f64>,
    /// Retries after 4xx replies and failed connections. `statuses` and `hosts` are refused. Default:
    /// none; `{}` means five attempts.
    #[napi(ts_type = "Omit<RetryOptions, 'hosts' | 'statuses'>")]
    pub retry: Option<RetryOptions>,
    /// Bytes of each text and html to keep in the log. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
}

/// The sender and recipients of one workflow. Absent members are as in `email`.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmailPeople {
    /// The sender.
    pub from: Option<String>,
    /// The recipient: the workflow's owner.
    pub to: Option<String>,
    /// Additional recipients of mails with `include_collaborators`.
    pub collaborators: Option<Vec<String>>,
}

/// Rate and size limits. A mail over a rate limit is queued, not failed.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmailLimits {
    /// Rate limit per sender. Default: unlimited.
    pub per_sender: Option<EmailRate>,
    /// Rate limit per recipient. Default: unlimited.
    pub per_recipient: Option<EmailRate>,
    /// The largest number of recipients of one mail. Default: 100.
    pub max_recipients: Option<f64>,
    /// The largest mail in bytes, with encoded attachments. Default: 25 MiB.
    pub max_bytes: Option<f64>,
}

/// A rate: `count` mails may leave at once, later ones as soon as the period allows them.
#[napi(object)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailRate {
    /// The number of mails.
    pub count: f64,
    /// The period in milliseconds, up to a year.
    pub per_ms: f64,
}

/// The default of `timeoutMs`.
const DEFAULT_TIMEOUT_MS: u64 = 60_000;

impl EmailOptions {
    /// Reads the configuration; mails that become files go into `data_dir` by default.
    pub(super) fn read(self, data_dir: Option<&str>) -> Result<Config> {
        let place = Place::open("email");
        let in_data_dir = data_dir.map(|directory| Path::new(directory).join("mail"));
        let chosen = self.file.as_ref().map(Into::into).or(in_data_dir);
        let files = chosen.map_or_else(Config::default, |folder| Config::files(folder, false));
        let smtp = self.smtp.as_deref().map(SmtpServer::parse).transpose();
        let smtp = smtp.map_err(|reason| place.refuse("smtp", reason))?;
        for (name, given) in [("from", &self.from), ("to", &self.to)] {
            if smtp.is_some() && given.is_none() {
                return Err(place.refuse(name, "is needed with email.smtp"));
            }
        }
        let allow = self.allow_recipients.unwrap_or_default();
        let allow = allow.iter().enumerate().map(|(at, entry)| {
            Allowed::parse(entry)
                .map_err(|reason| place.refuse(&format!("allowRecipients[{at}]"), reason))
        });
        let own = self.recipients.unwrap_or_default().into_iter().map(|(pattern, people)| {
            let place = place.at(&format!("recipients.{pattern}"));
            let own = WorkflowPeople {
                from: one(&place, "from", people.from)?,
                to: one(&place, "to", people.to)?,
                collaborators: people.collaborators.map(|all| many(&place, &all)).transpose()?,
            };
            Ok((pattern, own))
        });
        let login = smtp.as_ref().is_some_and(SmtpServer::has_login);
        if login && self.auth.is_some() {
            return Err(place.refuse("auth", "email.smtp has a user already"));
        }
        Ok(Config {
            folder_is_chosen: self.file.is_some(),
            token: self.auth.map(|auth| auth.read(&place.at("auth"))).transpose()?,
            tls: self.tls.map(|own| tls(&place.at("tls"), own)).transpose()?.unwrap_or_default(),
            attachment_folder: self.attachment_folder.map(Into::into),
            ehlo_name: self.ehlo_name.map(|name| ehlo_name(&place, name)).transpose()?,
            allow_headers: header_patterns(&place, &self.allow_headers.unwrap_or_default())?,
            smtp,
            from: one(&place, "from", self.from)?.unwrap_or(files.from),
            to: one(&place, "to", self.to)?.unwrap_or(files.to),
            collaborators: many(&place, &self.collaborators.unwrap_or_default())?,
            recipients: own.collect::<Result<_>>()?,
            allow_recipients: allow.collect::<Result<_>>()?,
            limits: self.limits.unwrap_or_default().read(&place.at("limits"))?,
            timeout: place.timeout(self.timeout_ms, DEFAULT_TIMEOUT_MS)?,
            concurrency: place.count("concurrency", self.concurrency, 1, files.concurrency)?,
            retry: self.retry.map(|options| retry(&place.at("retry"), options)).transpose()?,
            log_body_bytes: place.bytes(
                "logBodyBytes",
                self.log_body_bytes,
                files.log_body_bytes,
            )?,
            ..files
        })
    }
}

impl EmailLimits {
    fn read(self, place: &Place) -> Result<Limits> {
        let default = Limits::default();
        let rate = |name: &str, rate: Option<EmailRate>| {
            let read = |EmailRate { count, per_ms }| rate::read(&place.at(name), count, per_ms);
            rate.map(read).transpose()
        };
        Ok(Limits {
            per_sender: rate("perSender", self.per_sender)?,
            per_recipient: rate("perRecipient", self.per_recipient)?,
            recipients: place.count("maxRecipients", self.max_recipients, 1, default.recipients)?,
            bytes: place.bytes("maxBytes", self.max_bytes, default.bytes)?,
        })
    }
}

fn retry(place: &Place, options: RetryOptions) -> Result<RetryPolicy> {
    if options.hosts.is_some() || options.statuses.is_some() {
        return Err(place.refuse("", "hosts and statuses have no meaning for mail"));
    }
    // 4xx is transient in SMTP, 5xx is not.
    let base = RetryPolicy { statuses: (400..500).collect(), ..RetryPolicy::default() };
    options.into_raw().policy(&base).map_err(|reason| place.refuse_within(reason))
}

fn tls(place: &Place, options: TlsOptions) -> Result<crate::egress::TlsOptions> {
    if options.hosts.is_some() {
        return Err(place.refuse("hosts", "there is one server"));
    }
    let checked = options.checked();
    // The refusal names the options of HTTP, which has the same.
    checked.check().map_err(|error| {
        let message = error.to_string().replacen("http.tls", "email.tls", 2);
        Place::root(Function::Open).refuse_within(message)
    })?;
    Ok(checked)
}

fn header_patterns(place: &Place, names: &[String]) -> Result<Vec<HeaderPattern>> {
    let each = names.iter().enumerate().map(|(at, name)| {
        let refuse = |reason| place.refuse(&format!("allowHeaders[{at}]"), reason);
        HeaderPattern::parse(name).map_err(refuse)
    });
    each.collect()
}

fn ehlo_name(place: &Place, name: String) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if name.is_empty() || name.len() > 255 || !name.chars().all(is_plain) {
        let reason = "is neither a host name nor an address in brackets";
        return Err(place.refuse("ehloName", reason));
    }
    Ok(name)
}

fn one(place: &Place, member: &str, text: Option<String>) -> Result<Option<Mailbox>> {
    let read = text.map(|text| email::mailbox(&text));
    read.transpose().map_err(|reason| place.refuse(member, reason))
}

/// Reads the member `collaborators` of what stands at `place`.
fn many(place: &Place, all: &[String]) -> Result<Vec<Mailbox>> {
    let each = all.iter().enumerate().map(|(at, text)| {
        let refuse = |reason| place.refuse(&format!("collaborators[{at}]"), reason);
        email::mailbox(text).map_err(refuse)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        let options: EmailOptions = serde_json::from_str(text).unwrap();
        options.read(Some("/data"))
    }

    #[test]
    fn refusals_name_the_path() {
        for (text, expected) in [
            (r#"{"smtp":"mail"}"#, "email.smtp: is not a URL"),
            (r#"{"smtp":"smtp://h","to":"a@b"}"#, "email.from: is needed with email.smtp"),
            (r#"{"smtp":"smtp://h","from":"a@b"}"#, "email.to: is needed with email.smtp"),
            (r#"{"to":"nobody"}"#, "email.to: \"nobody\" is not an address"),
            (r#"{"to":"a@b\r\nBcc: c@d"}"#, "email.to: has a line break"),
            (r#"{"collaborators":["a@b","c"]}"#, "email.collaborators[1]: \"c\" is not"),
            (r#"{"ehloName":"a b"}"#, "email.ehloName: is neither"),
            (r#"{"allowHeaders":["X-*","To"]}"#, "email.allowHeaders[1]: \"To\" is a header"),
            (r#"{"tls":{"hosts":{}}}"#, "email.tls.hosts: there is one server"),
            (r#"{"tls":{"ca":"x"}}"#, "email.tls.ca: holds no certificate"),
            (r#"{"auth":{"type":"ntlm","user":"u"}}"#, "email.auth.type: \"ntlm\" is not"),
            (r#"{"auth":{"type":"xoauth2","user":"u"}}"#, "email.auth: has neither"),
            (r#"{"recipients":{"p_*":{"to":"x"}}}"#, "email.recipients.p_*.to: \"x\" is not"),
            (r#"{"allowRecipients":["@"]}"#, "email.allowRecipients[0]: \"@\" is neither"),
            (
                r#"{"limits":{"perSender":{"count":0,"perMs":1}}}"#,
                "email.limits.perSender.count: 0",
            ),
            (r#"{"retry":{"attempts":0}}"#, "email.retry.attempts: 0 is not"),
            (r#"{"retry":{"hosts":{}}}"#, "email.retry: hosts and statuses have no meaning"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn files_go_into_the_data_directory_or_the_given_one() {
        assert_eq!(read("{}").unwrap().folder, Path::new("/data/mail"));
        assert_eq!(read(r#"{"file":"/mails"}"#).unwrap().folder, Path::new("/mails"));
        assert!(EmailOptions::default().read(None).unwrap().folder_is_temporary);
    }
}
