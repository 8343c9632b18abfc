//! Who a mail is from and who gets it: the operator's people, and of those that the call names the
//! ones that the policy allows. Pure.

use lettre::Address;
use lettre::message::{Mailbox, Mailboxes};

use super::config::{Config, Own};
use super::item::{Item, invalid};
use crate::destinations::Failure;
use crate::streams::glob;

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
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = text.strip_prefix('@').map_or_else(|| text.to_owned(), |d| format!("x@{d}"));
        let address: Address = whole.parse().map_err(|_| {
            format!("{text:?} is neither an address nor a domain such as '@example.com'")
        })?;
        Ok(match text.strip_prefix('@') {
            Some(_) => Self::Domain(address.domain().to_lowercase()),
            None => Self::Address(normal(&address)),
        })
    }

    fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Address(allowed) => *allowed == normal(address),
            Self::Domain(domain) => *domain == address.domain().to_lowercase(),
        }
    }
}

/// An address, perhaps with a name: `Ada Lovelace <ada@example.com>`.
///
/// # Errors
/// Why it is none.
pub fn mailbox(text: &str) -> Result<Mailbox, String> {
    clean(text)?.parse().map_err(|_| format!("{text:?} is not an address"))
}

/// Addresses, separated by commas.
///
/// # Errors
/// Why they are none.
pub fn mailboxes(text: &str) -> Result<Vec<Mailbox>, String> {
    let all: Mailboxes = clean(text)?.parse().map_err(|_| {
        let shown: String = text.chars().take(100).collect();
        format!("{shown:?} is not an address")
    })?;
    Ok(all.into_iter().collect())
}

fn clean(text: &str) -> Result<&str, String> {
    if text.chars().any(char::is_control) {
        return Err("has a line break or another control character in it".to_owned());
    }
    Ok(text.trim())
}

/// Everybody that a mail concerns.
#[derive(Debug)]
pub(super) struct People {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub bcc: Vec<Mailbox>,
    pub reply_to: Vec<Mailbox>,
    /// Whom the call names in vain.
    pub warnings: Vec<String>,
}

impl People {
    /// The addresses of the envelope, each once.
    pub(super) fn envelope(&self) -> Vec<Address> {
        let mut seen = std::collections::HashSet::new();
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.filter(|one| seen.insert(normal(&one.email))).map(|one| one.email.clone()).collect()
    }
}

fn normal(address: &Address) -> String {
    address.to_string().to_lowercase()
}

/// Decides over a call of a workflow.
///
/// # Errors
/// `InvalidArgument`: an address is none, or there are too many.
pub(super) fn decide(item: &Item, config: &Config, workflow: &str) -> Result<People, Failure> {
    let own = own(config, workflow);
    let owner = own.to.as_ref().unwrap_or(&config.to);
    let collaborators = own.collaborators.as_ref().unwrap_or(&config.collaborators);
    let mut warnings = Vec::new();
    let from = from(item, own.from.as_ref().unwrap_or(&config.from), &mut warnings)?;
    let mut allowed = |name: &str, given: &[String]| -> Result<Vec<Mailbox>, Failure> {
        let mut kept = Vec::new();
        for mailbox in read(name, given)? {
            let address = &mailbox.email;
            let known = std::iter::once(owner)
                .chain(collaborators)
                .any(|one| normal(&one.email) == normal(address));
            if known || config.allow_recipients.iter().any(|entry| entry.covers(address)) {
                kept.push(mailbox);
            } else {
                warnings.push(format!(
                    "`{name}`: {address} is left out, because email.allowRecipients does not allow it"
                ));
            }
        }
        Ok(kept)
    };
    let (mut to, cc, bcc) =
        (allowed("to", &item.to)?, allowed("cc", &item.cc)?, allowed("bcc", &item.bcc)?);
    if to.is_empty() && (item.to.is_empty() || (cc.is_empty() && bcc.is_empty())) {
        if !item.to.is_empty() {
            warnings.push(format!("the mail goes to the owner, {}, instead", owner.email));
        }
        to.push(owner.clone());
    }
    if item.include_collaborators {
        to.extend(collaborators.iter().cloned());
    }
    let mut seen = std::collections::HashSet::new();
    to.retain(|one| seen.insert(normal(&one.email)));
    let people = People { from, to, cc, bcc, reply_to: read("replyTo", &item.reply_to)?, warnings };
    let (count, limit) = (people.envelope().len(), config.limits.recipients);
    if count > limit {
        let reason = format!("{count} recipients, and email.limits.maxRecipients is {limit}");
        return Err(invalid("the mail has", reason));
    }
    Ok(people)
}

fn read(name: &str, given: &[String]) -> Result<Vec<Mailbox>, Failure> {
    let lists = given.iter().map(|text| mailboxes(text).map_err(|reason| invalid(name, reason)));
    Ok(lists.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Calls choose the sender's name; the address is the operator's.
fn from(item: &Item, configured: &Mailbox, warnings: &mut Vec<String>) -> Result<Mailbox, Failure> {
    let Some(given) = item.from.as_deref().map(str::trim).filter(|given| !given.is_empty()) else {
        return Ok(configured.clone());
    };
    if !given.contains('@') {
        return Ok(Mailbox::new(Some(given.to_owned()), configured.email.clone()));
    }
    let wanted = mailbox(given).map_err(|reason| invalid("from", reason))?;
    if normal(&wanted.email) != normal(&configured.email) {
        warnings.push(format!(
            "`from`: the address is ignored, mail goes out from {}",
            configured.email
        ));
    }
    let name = wanted.name.or_else(|| configured.name.clone());
    Ok(Mailbox::new(name, configured.email.clone()))
}

/// The people of a workflow: of the pattern that says most.
fn own(config: &Config, workflow: &str) -> Own {
    let matching = config.recipients.iter().filter(|(pattern, _)| glob::matches(pattern, workflow));
    matching
        .max_by_key(|(pattern, _)| glob::weight(pattern))
        .map(|(_, own)| own.clone())
        .unwrap_or_default()
}
