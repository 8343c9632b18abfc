//! Addresses and mailboxes. Pure.

use std::fmt;

use url::Host;

/// The address of a mailbox. Its domain is in ASCII and lower case: international names are A-labels,
/// which every server takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress {
    local: String,
    domain: String,
}

/// Bytes of a local part; RFC 5321 has 64, and forwarding services exceed it.
const MAX_LOCAL: usize = 256;

impl EmailAddress {
    /// Reads `local@domain`, or none if it is no address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || local.len() > MAX_LOCAL || !is_local(local) {
            return None;
        }
        Some(Self { local: local.to_owned(), domain: domain_of(domain)? })
    }

    /// Returns the domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns whether servers take the address without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// Returns the form by which addresses are compared.
    #[must_use]
    pub fn normal(&self) -> String {
        self.to_string().to_lowercase()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Returns whether a text is a local part: of characters without a meaning of their own, with any
/// number of dots anywhere, because there are such mailboxes; or anything in quotes.
fn is_local(local: &str) -> bool {
    if let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let mut is_escaped = false;
        let is_plain = quoted.chars().all(|c| {
            let is_plain = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            is_plain && !c.is_control()
        });
        return is_plain && !is_escaped;
    }
    !local.chars().any(|c| c.is_control() || c.is_whitespace() || r#"()<>[]:;@\,""#.contains(c))
}

/// Returns a domain as its A-labels, or an address literal as it is.
fn domain_of(text: &str) -> Option<String> {
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip = literal.strip_prefix("IPv6:").unwrap_or(literal);
        return ip.parse::<std::net::IpAddr>().ok().map(|_| text.to_owned());
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.contains(['%', '[', ']']) {
        return None;
    }
    let domain = match Host::parse(text).ok()? {
        Host::Domain(domain) => domain,
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(_) => return None,
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (domain.len() <= 253 && domain.split('.').all(is_label)).then_some(domain)
}

/// An address, perhaps with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The name for people.
    pub name: Option<String>,
    /// The address.
    pub address: EmailAddress,
}

impl Mailbox {
    /// Returns a mailbox. A name that is blank is none; line breaks and other control characters in
    /// it become spaces.
    #[must_use]
    pub fn new(name: Option<String>, address: EmailAddress) -> Self {
        let name = name.map(|name| {
            let plain: String =
                name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        });
        Self { name: name.filter(|name| !name.is_empty()), address }
    }
}

impl fmt::Display for Mailbox {
    /// Writes the address in its readable form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            None => self.address.fmt(f),
            Some(name) if name.contains(|c: char| r#"()<>[]:;@\,""#.contains(c)) => {
                write!(f, "{} <{}>", quoted(name), self.address)
            }
            Some(name) => write!(f, "{name} <{}>", self.address),
        }
    }
}

/// Returns a text in quotes, with what ends or escapes in them escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_in_ascii_and_lower_case() {
        for (text, expected) in [
            ("Ada@Example.COM", "Ada@example.com"),
            ("user@münchen.de", "user@xn--mnchen-3ya.de"),
            ("user@MÜNCHEN.de.", "user@xn--mnchen-3ya.de"),
            ("user@xn--mnchen-3ya.de", "user@xn--mnchen-3ya.de"),
            ("üser@例え.jp", "üser@xn--r8jz45g.jp"),
            ("a@localhost", "a@localhost"),
            ("a@[127.0.0.1]", "a@[127.0.0.1]"),
            ("a@[IPv6:::1]", "a@[IPv6:::1]"),
            ("a..b.@docomo.ne.jp", "a..b.@docomo.ne.jp"),
            ("a+b=c/d@my_host.example", "a+b=c/d@my_host.example"),
            (r#""a \"b\" @c"@example.com"#, r#""a \"b\" @c"@example.com"#),
        ] {
            assert_eq!(EmailAddress::parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b c",
            "a@b..c",
            "a@.b",
            "a,b@c",
            "a@b,c",
            "<a@b>",
            "a@[1]",
            "a@[]",
            "a@%65",
            "a\r\n@b",
            "a@b\r\nc",
            "\"a@b",
            "\"a\"b\"@c",
            "\"a\\\"@c",
            "a@b@c",
            "a@b:c",
            "a@b/c",
            "a@b?c",
        ] {
            assert_eq!(EmailAddress::parse(text), None, "{text:?}");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@b", "a".repeat(257))), None);
        assert_eq!(EmailAddress::parse(&format!("a@{}", "b".repeat(64))), None);
    }

    #[test]
    fn names_are_one_line() {
        let address = EmailAddress::parse("a@b").unwrap();
        let shown = |name: &str| Mailbox::new(Some(name.to_owned()), address.clone()).to_string();
        assert_eq!(shown("Ada"), "Ada <a@b>");
        assert_eq!(shown("Doe, \"John\""), "\"Doe, \\\"John\\\"\" <a@b>");
        assert_eq!(shown(" a\r\nBcc: x\0 "), "\"a Bcc: x\" <a@b>");
        assert_eq!(shown(" \t"), "a@b");
    }
}
