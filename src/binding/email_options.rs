//! `email`: the mirror of its spelling.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use napi_derive::napi;
use serde::Deserialize;

use super::options::{MAX_TIMEOUT_MS, bytes, count, invalid, whole};
use super::retry_options::RetryOptions;
use crate::config::mail_folder;
use crate::destinations::RetryPolicy;
use crate::destinations::email::{self, Allowed, Config, Limits, Own, Rate, Server};
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
    /// Whom mails are from: `notifications@example.com`, or with a name, `Notifications
    /// <notifications@example.com>`. Needed with `smtp`.
    pub from: Option<String>,
    /// The owner, whom mails go to. Needed with `smtp`.
    pub to: Option<String>,
    /// Whom mails with `include_collaborators` go to too. Default: nobody.
    pub collaborators: Option<Vec<String>>,
    /// Workflows with people of their own, by id; `*` in it stands for any characters. The pattern
    /// that says most counts. Default: none.
    pub recipients: Option<HashMap<String, EmailPeople>>,
    /// Whom a call may address beyond the owner and the collaborators: addresses, and domains such
    /// as `@example.com`. Default: nobody.
    pub allow_recipients: Option<Vec<String>>,
    /// How much is sent.
    pub limits: Option<EmailLimits>,
    /// The directory for mails as files. Default: `mail` in `dataDir`, or `dollar-send-UID/mail` in
    /// the system's temporary directory, for this user alone.
    pub file: Option<String>,
    /// Milliseconds that the delivery of one mail may take. Default: 60000.
    pub timeout_ms: Option<f64>,
    /// Mails under way at once, and connections to the server. Default: 4.
    pub concurrency: Option<f64>,
    /// When a mail that the server could not take is sent again: after 4xx answers and failed
    /// connections. `statuses` and `hosts` have no meaning here. Default: never; `{}` means five
    /// attempts.
    #[napi(ts_type = "Omit<RetryOptions, 'hosts' | 'statuses'>")]
    pub retry: Option<RetryOptions>,
    /// Bytes of each text and html that the log keeps. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
}

/// The people of one workflow; what is not here is as for all.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmailPeople {
    /// Whom mails are from.
    pub from: Option<String>,
    /// The owner.
    pub to: Option<String>,
    /// The collaborators.
    pub collaborators: Option<Vec<String>>,
}

/// Bounds of what is sent. A mail over a rate waits until it is in order; it does not fail.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmailLimits {
    /// Mails from one sender in a time. Default: any number.
    pub per_sender: Option<EmailRate>,
    /// Mails to one recipient in a time. Default: any number.
    pub per_recipient: Option<EmailRate>,
    /// Recipients of one mail. Default: 100.
    pub max_recipients: Option<f64>,
    /// Bytes of one mail as it is sent, attachments encoded. Default: 25 MiB.
    pub max_bytes: Option<f64>,
}

/// So many in a time: all at once, then one after another as they come to be in order.
#[napi(object)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailRate {
    /// How many.
    pub count: f64,
    /// In how many milliseconds.
    pub per_ms: f64,
}

/// No rate looks at more time than a year.
const MAX_RATE_MS: u64 = 365 * 24 * 3600 * 1000;

impl EmailOptions {
    /// The configuration; mails that become files go into `data_dir` unless something else is said.
    pub(super) fn read(self, data_dir: Option<&str>) -> Result<Config> {
        let in_data_dir = data_dir.map(|directory| Path::new(directory).join("mail"));
        let chosen = self.file.as_ref().map(Into::into).or(in_data_dir);
        let temporary = chosen.is_none();
        let files = Config::files(chosen.unwrap_or_else(mail_folder), temporary);
        let smtp = self.smtp.as_deref().map(Server::parse).transpose();
        let smtp = smtp.map_err(|reason| invalid(format!("email.smtp: {reason}")))?;
        for (name, given) in [("from", &self.from), ("to", &self.to)] {
            if smtp.is_some() && given.is_none() {
                return Err(invalid(format!("email.{name}: is needed with email.smtp")));
            }
        }
        let allow = self.allow_recipients.unwrap_or_default();
        let allow = allow.iter().enumerate().map(|(at, entry)| {
            let path = |reason| invalid(format!("email.allowRecipients[{at}]: {reason}"));
            Allowed::parse(entry).map_err(path)
        });
        let own = self.recipients.unwrap_or_default().into_iter().map(|(pattern, people)| {
            let path = format!("email.recipients.{pattern}");
            let own = Own {
                from: one(&format!("{path}.from"), people.from)?,
                to: one(&format!("{path}.to"), people.to)?,
                collaborators: people
                    .collaborators
                    .map(|all| many(&format!("{path}.collaborators"), &all))
                    .transpose()?,
            };
            Ok((pattern, own))
        });
        Ok(Config {
            smtp,
            from: one("email.from", self.from)?.unwrap_or(files.from),
            to: one("email.to", self.to)?.unwrap_or(files.to),
            collaborators: many("email.collaborators", &self.collaborators.unwrap_or_default())?,
            recipients: own.collect::<Result<_>>()?,
            allow_recipients: allow.collect::<Result<_>>()?,
            limits: self.limits.unwrap_or_default().read()?,
            timeout: Duration::from_millis(whole(
                "email.timeoutMs",
                self.timeout_ms,
                1..=MAX_TIMEOUT_MS,
                60_000,
            )?),
            concurrency: count("email.concurrency", self.concurrency, 1, files.concurrency)?,
            retry: self.retry.map(retry).transpose()?,
            log_body_bytes: bytes("email.logBodyBytes", self.log_body_bytes, files.log_body_bytes)?,
            ..Config::files(files.folder, temporary)
        })
    }
}

impl EmailLimits {
    fn read(self) -> Result<Limits> {
        let default = Limits::default();
        let rate = |name: &str, rate: Option<EmailRate>| -> Result<Option<Rate>> {
            let Some(EmailRate { count: number, per_ms }) = rate else { return Ok(None) };
            let path = |member: &str| format!("email.limits.{name}.{member}");
            let number = count(&path("count"), Some(number), 1, 1)?;
            let millis = whole(&path("perMs"), Some(per_ms), 1..=MAX_RATE_MS, 1)?;
            let count = u32::try_from(number).unwrap_or(u32::MAX);
            Ok(Some(Rate { count, period: Duration::from_millis(millis) }))
        };
        Ok(Limits {
            per_sender: rate("perSender", self.per_sender)?,
            per_recipient: rate("perRecipient", self.per_recipient)?,
            recipients: count(
                "email.limits.maxRecipients",
                self.max_recipients,
                1,
                default.recipients,
            )?,
            bytes: bytes("email.limits.maxBytes", self.max_bytes, default.bytes)?,
        })
    }
}

fn retry(options: RetryOptions) -> Result<RetryPolicy> {
    let path = |reason: String| invalid(format!("email.retry.{reason}"));
    if options.hosts.is_some() || options.statuses.is_some() {
        return Err(path("hosts and statuses have no meaning for mail".to_owned()));
    }
    // 4xx is transient in SMTP, 5xx is not.
    let base = RetryPolicy { statuses: (400..500).collect(), ..RetryPolicy::default() };
    options.spelled().policy(&base).map_err(path)
}

fn one(path: &str, text: Option<String>) -> Result<Option<Mailbox>> {
    let read = text.map(|text| email::mailbox(&text));
    read.transpose().map_err(|reason| invalid(format!("{path}: {reason}")))
}

fn many(path: &str, all: &[String]) -> Result<Vec<Mailbox>> {
    let each = all.iter().enumerate().map(|(at, text)| {
        email::mailbox(text).map_err(|reason| invalid(format!("{path}[{at}]: {reason}")))
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
    fn what_is_wrong_is_named_by_its_path() {
        for (text, expected) in [
            (r#"{"smtp":"mail"}"#, "email.smtp: is not a URL"),
            (r#"{"smtp":"smtp://h","to":"a@b"}"#, "email.from: is needed with email.smtp"),
            (r#"{"smtp":"smtp://h","from":"a@b"}"#, "email.to: is needed with email.smtp"),
            (r#"{"to":"nobody"}"#, "email.to: \"nobody\" is not an address"),
            (r#"{"to":"a@b\r\nBcc: c@d"}"#, "email.to: has a line break"),
            (r#"{"collaborators":["a@b","c"]}"#, "email.collaborators[1]: \"c\" is not"),
            (r#"{"recipients":{"p_*":{"to":"x"}}}"#, "email.recipients.p_*.to: \"x\" is not"),
            (r#"{"allowRecipients":["@"]}"#, "email.allowRecipients[0]: \"@\" is neither"),
            (
                r#"{"limits":{"perSender":{"count":0,"perMs":1}}}"#,
                "email.limits.perSender.count: 0",
            ),
            (r#"{"retry":{"attempts":0}}"#, "email.retry.attempts: 0 is not"),
            (r#"{"retry":{"hosts":{}}}"#, "email.retry.hosts and statuses have no meaning"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn files_go_into_the_data_directory_or_where_it_is_said() {
        assert_eq!(read("{}").unwrap().folder, Path::new("/data/mail"));
        assert_eq!(read(r#"{"file":"/mails"}"#).unwrap().folder, Path::new("/mails"));
        assert!(EmailOptions::default().read(None).unwrap().folder_is_temporary);
    }
}
