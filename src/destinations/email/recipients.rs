//! The sender and the recipients of a mail: the operator's addresses, and those of the call that
//! the policy allows. Pure.

use super::address::{EmailAddress, Mailbox};
use super::addresses::Addresses;
use super::config::{Config, WorkflowPeople};
use super::item::{Item, RawItem, invalid};
use crate::delivery::Failure;
use crate::pattern;

/// One entry of `email.allowRecipients`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// One address.
    Address(String),
    /// Every address of a domain: `@example.com`.
    Domain(String),
}

impl Allowed {
    /// Reads an entry.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is neither an address nor a domain such as '@example.com'");
        match text.strip_prefix('@') {
            Some(domain) => {
                let address = EmailAddress::parse(&format!("x@{domain}")).ok_or_else(wrong)?;
                Ok(Self::Domain(address.domain().to_owned()))
            }
            None => Ok(Self::Address(EmailAddress::parse(text).ok_or_else(wrong)?.normal())),
        }
    }

    fn covers(&self, address: &EmailAddress) -> bool {
        match self {
            Self::Address(allowed) => *allowed == address.normal(),
            Self::Domain(domain) => domain == address.domain(),
        }
    }
}

/// Reads one address of the operator's, perhaps with a name: `Ada Lovelace <ada@example.com>`.
///
/// # Errors
/// The reason why it is none.
pub fn mailbox(text: &str) -> Result<Mailbox, String> {
    if text.trim().chars().any(char::is_control) {
        return Err("has a line break or another control character in it".to_owned());
    }
    let Addresses { mut mailboxes, unusable } = Addresses::parse(text);
    match mailboxes.pop() {
        Some(mailbox) if mailboxes.is_empty() && unusable.is_empty() => Ok(mailbox),
        _ => Err(format!("{text:?} is not an address")),
    }
}

/// The sender and all recipients of a mail.
#[derive(Debug)]
pub(super) struct People {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub bcc: Vec<Mailbox>,
    pub reply_to: Vec<Mailbox>,
    /// Warnings about recipients that are not allowed.
    pub warnings: Vec<String>,
}

impl People {
    /// Returns the addresses of the envelope, each once.
    pub(super) fn envelope(&self) -> Vec<String> {
        Self::envelope_of([&self.to, &self.cc, &self.bcc])
    }

    /// Returns the addresses of some mailboxes, each once.
    pub(super) fn envelope_of<'a>(all: impl IntoIterator<Item = &'a Vec<Mailbox>>) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let each = all.into_iter().flatten().map(|one| &one.address);
        each.filter(|one| seen.insert(one.normal())).map(ToString::to_string).collect()
    }
}

/// Decides over a call of a workflow.
///
/// # Errors
/// `InvalidArgument`: there are too many recipients.
pub(super) fn decide(item: &Item, config: &Config, workflow: &str) -> Result<People, Failure> {
    let own = own(config, workflow);
    let owner = own.to.as_ref().unwrap_or(&config.to);
    let collaborators = own.collaborators.as_ref().unwrap_or(&config.collaborators);
    let mut warnings = Vec::new();
    let from = from(item, own.from.as_ref().unwrap_or(&config.from), &mut warnings);
    let mut allowed = |name: &str, given: &RawItem| -> Vec<Mailbox> {
        let mut kept = Vec::new();
        for mailbox in &given.mailboxes {
            let address = &mailbox.address;
            let known = std::iter::once(owner)
                .chain(collaborators)
                .any(|one| one.address.normal() == address.normal());
            if known || config.allow_recipients.iter().any(|entry| entry.covers(address)) {
                kept.push(mailbox.clone());
            } else {
                warnings.push(format!(
                    "`{name}`: {address} is left out, because email.allowRecipients does not allow it"
                ));
            }
        }
        kept
    };
    let (mut to, cc, bcc) =
        (allowed("to", &item.to), allowed("cc", &item.cc), allowed("bcc", &item.bcc));
    if to.is_empty() && (!item.to.is_given || (cc.is_empty() && bcc.is_empty())) {
        if item.to.is_given {
            warnings.push(format!("the mail goes to the owner, {}, instead", owner.address));
        }
        to.push(owner.clone());
    }
    if item.include_collaborators {
        to.extend(collaborators.iter().cloned());
    }
    let mut seen = std::collections::HashSet::new();
    to.retain(|one| seen.insert(one.address.normal()));
    let people = People { from, to, cc, bcc, reply_to: item.reply_to.mailboxes.clone(), warnings };
    let (count, limit) = (people.envelope().len(), config.limits.recipients);
    if count > limit {
        let reason = format!("{count} recipients, and email.limits.maxRecipients is {limit}");
        return Err(invalid("the mail has", reason));
    }
    Ok(people)
}

/// Calls choose the sender's name; the address is the operator's.
fn from(item: &Item, configured: &Mailbox, warnings: &mut Vec<String>) -> Mailbox {
    let Some(wanted) = &item.from else { return configured.clone() };
    let is_other = |address: &EmailAddress| address.normal() != configured.address.normal();
    if wanted.address.as_ref().is_some_and(is_other) {
        warnings.push(format!(
            "`from`: the address is ignored, mail goes out from {}",
            configured.address
        ));
    }
    let name = wanted.name.clone().or_else(|| configured.name.clone());
    Mailbox::new(name, configured.address.clone())
}

/// Returns the addresses of a workflow: those of the most specific pattern.
fn own(config: &Config, workflow: &str) -> WorkflowPeople {
    let matching =
        config.recipients.iter().filter(|(pattern, _)| pattern::matches(pattern, workflow));
    matching
        .max_by_key(|(pattern, _)| pattern::weight(pattern))
        .map(|(_, own)| own.clone())
        .unwrap_or_default()
}
