//! How the email destination behaves.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;

use super::recipients::Allowed;
use super::server::Server;
use crate::destinations::RetryPolicy;

/// The options of the email destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The relay; `None`: mails become files.
    pub smtp: Option<Server>,
    /// Where files go.
    pub folder: PathBuf,
    /// Whether the folder is one that nobody chose.
    pub folder_is_temporary: bool,
    /// The sender.
    pub from: Mailbox,
    /// The owner, whom mails go to.
    pub to: Mailbox,
    /// Whom mails with `include_collaborators` go to too.
    pub collaborators: Vec<Mailbox>,
    /// Workflows with people of their own, by pattern.
    pub recipients: Vec<(String, Own)>,
    /// Whom a call may address beyond these.
    pub allow_recipients: Vec<Allowed>,
    /// How much is sent.
    pub limits: Limits,
    /// Deadline of a whole delivery. Default: 60 s.
    pub timeout: Duration,
    /// Mails under way at once. Default: 4.
    pub concurrency: usize,
    /// When a failed delivery is attempted again. Default: never.
    pub retry: Option<RetryPolicy>,
    /// Bytes of each text that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
}

/// What a workflow has instead of the general people.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Own {
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

/// So many in a period, all at once or spread over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// In which time.
    pub period: Duration,
}

impl Rate {
    /// The time between two of them, were they evenly spaced.
    pub(super) fn spacing(self) -> Duration {
        self.period / self.count.max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_sender: None, per_recipient: None, recipients: 100, bytes: 25 << 20 }
    }
}

impl Config {
    /// Mails become files in `folder`, from and to nobody in particular.
    #[must_use]
    pub fn files(folder: PathBuf, folder_is_temporary: bool) -> Self {
        let nobody = |name: &str| {
            let address = lettre::Address::new(name, "localhost");
            Mailbox::new(None, address.unwrap_or_else(|_| unreachable!("it is an address")))
        };
        Self {
            smtp: None,
            folder,
            folder_is_temporary,
            from: nobody("notifications"),
            to: nobody("owner"),
            collaborators: Vec::new(),
            recipients: Vec::new(),
            allow_recipients: Vec::new(),
            limits: Limits::default(),
            timeout: Duration::from_secs(60),
            concurrency: 4,
            retry: None,
            log_body_bytes: 64 << 10,
        }
    }
}
