//! Configuration of the email destination.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{EmailAddress, Mailbox};
use super::extra::HeaderPattern;
use super::recipients::Allowed;
use super::server::SmtpServer;
use super::token::TokenLogin;
use crate::delivery::{Rate, RetryPolicy};
use crate::egress::TlsOptions;
use crate::private::temporary_folder;

/// The options of the email destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The relay; `None`: mails become files.
    pub smtp: Option<SmtpServer>,
    /// The login by an access token, instead of a password in the URL.
    pub token: Option<TokenLogin>,
    /// The certificate authorities and the client certificate of the connection.
    pub tls: TlsOptions,
    /// The name that this machine gives in EHLO. Default: the host name, or the address.
    pub ehlo_name: Option<String>,
    /// The folder of the files.
    pub folder: PathBuf,
    /// True if the folder is a default one below the temporary directory.
    pub folder_is_temporary: bool,
    /// `true` if the options name the folder, and so ask for files.
    pub folder_is_chosen: bool,
    /// The sender.
    pub from: Mailbox,
    /// The owner, whom mails go to.
    pub to: Mailbox,
    /// The additional recipients of mails with `include_collaborators`.
    pub collaborators: Vec<Mailbox>,
    /// Workflows with people of their own, by pattern.
    pub recipients: Vec<(String, WorkflowPeople)>,
    /// Recipients that a call may name beyond these.
    pub allow_recipients: Vec<Allowed>,
    /// The folder whose files calls may attach by their path.
    pub attachment_folder: Option<PathBuf>,
    /// The headers that a call may give beyond `List-…`.
    pub allow_headers: Vec<HeaderPattern>,
    /// Rate limits.
    pub limits: Limits,
    /// Deadline of a whole delivery. Default: 60 s.
    pub timeout: Duration,
    /// Mails under way at once. Default: 4.
    pub concurrency: usize,
    /// The policy of retries. Default: no retries.
    pub retry: Option<RetryPolicy>,
    /// Bytes of each text that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
}

/// The addresses of a workflow, in place of the general ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkflowPeople {
    /// The sender.
    pub from: Option<Mailbox>,
    /// The owner.
    pub to: Option<Mailbox>,
    /// The collaborators.
    pub collaborators: Option<Vec<Mailbox>>,
}

/// Bounds of what is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Mails of one sender.
    pub per_sender: Option<Rate>,
    /// Mails to one recipient.
    pub per_recipient: Option<Rate>,
    /// Recipients of one mail. Default: 100.
    pub recipients: usize,
    /// Bytes of one mail as it is sent. Default: 25 MiB.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_sender: None, per_recipient: None, recipients: 100, bytes: 25 << 20 }
    }
}

impl Default for Config {
    /// Returns a configuration that writes mails to the temporary folder of this user.
    fn default() -> Self {
        Self::files(temporary_folder().join("mail"), true)
    }
}

impl Config {
    /// Returns a configuration that writes mails to `folder`, with placeholder addresses.
    #[must_use]
    pub fn files(folder: PathBuf, folder_is_temporary: bool) -> Self {
        let nobody = |name: &str| {
            let address = EmailAddress::parse(&format!("{name}@localhost"));
            Mailbox::new(None, address.unwrap_or_else(|| unreachable!("it is an address")))
        };
        Self {
            smtp: None,
            token: None,
            tls: TlsOptions::default(),
            ehlo_name: None,
            folder,
            folder_is_temporary,
            folder_is_chosen: false,
            from: nobody("notifications"),
            to: nobody("owner"),
            collaborators: Vec::new(),
            recipients: Vec::new(),
            allow_recipients: Vec::new(),
            attachment_folder: None,
            allow_headers: Vec::new(),
            limits: Limits::default(),
            timeout: Duration::from_secs(60),
            concurrency: 4,
            retry: None,
            log_body_bytes: 64 << 10,
        }
    }
}
