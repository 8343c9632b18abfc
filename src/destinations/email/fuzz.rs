//! The fuzz targets of mail: what servers reply, and what calls name.

use super::address::{EmailAddress, Mailbox};
use super::addresses::Addresses;
use super::item::Item;
use super::server::SmtpServer;
use super::smtp;
use crate::delivery::Payload;

pub(crate) use smtp::fuzz::{dots, replies};

/// Reads a text as a list of addresses. Nothing that is found can break out of its header, and each
/// address is read again as itself.
pub(crate) fn addresses(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Addresses { mailboxes, unusable } = Addresses::parse(&text);
    for Mailbox { name, address } in &mailboxes {
        check_address(address);
        assert!(!name.as_ref().is_some_and(|name| name.contains(char::is_control)), "{name:?}");
    }
    assert!(unusable.iter().all(|text| !text.contains(['\r', '\n'])), "{unusable:?}");
    if let Some(address) = EmailAddress::parse(&text) {
        check_address(&address);
    }
    let _ = SmtpServer::parse(&text);
}

/// Reads a call.
pub(crate) fn call(payload: &Payload) {
    let Ok(item) = Item::parse(payload, &[]) else { return };
    assert!(!item.subject.contains(['\r', '\n']));
    let all = [&item.to, &item.cc, &item.bcc, &item.reply_to];
    for mailbox in all.into_iter().flat_map(|field| &field.mailboxes) {
        check_address(&mailbox.address);
    }
    for (name, value) in &item.headers {
        assert!(!name.contains(char::is_control) && !value.contains(['\r', '\n']));
    }
}

fn check_address(address: &EmailAddress) {
    let text = address.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(EmailAddress::parse(&text).as_ref(), Some(address), "{text:?}");
}
