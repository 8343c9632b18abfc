//! Lists of addresses as people write them. Pure.
//!
//! What names an address reaches it; what names none is returned as text, for a warning.

use super::address::{EmailAddress, Mailbox};

/// The mailboxes of a text, and the parts of it that are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub mailboxes: Vec<Mailbox>,
    pub unusable: Vec<String>,
}

impl Addresses {
    /// Reads a list: separated by commas, semicolons or line breaks that are folded, with names,
    /// quotes, comments and groups in any of the usual forms.
    pub(super) fn parse(text: &str) -> Self {
        let mut addresses = Self::default();
        let Some(text) = unfolded(text) else {
            let plain = text.replace(char::is_control, " ");
            addresses.unusable.push(plain.split_whitespace().collect::<Vec<_>>().join(" "));
            return addresses;
        };
        // Of `Doe, John <a@b>` the first part is no address, and belongs to the next one's name.
        let mut pending: Vec<String> = Vec::new();
        for part in parts(&text) {
            let (found, rest) = mailboxes(&part.text);
            match found {
                None if !rest.is_empty() => pending.push(rest),
                None => {}
                Some(mut found) => {
                    if let (Some(first), false) = (found.first_mut(), pending.is_empty())
                        && part.has_angle
                        && let Some(name) = &first.name
                    {
                        pending.push(name.clone());
                        *first = Mailbox::new(Some(pending.join(", ")), first.address.clone());
                        pending.clear();
                    }
                    addresses.unusable.append(&mut pending);
                    addresses.mailboxes.append(&mut found);
                }
            }
            if part.ends_list {
                addresses.unusable.append(&mut pending);
            }
        }
        addresses.unusable.append(&mut pending);
        addresses
    }
}

/// Returns the text in one line, without invisible characters; none if it has a line break that is
/// not followed by a space, or another control character: then it is no list but an injected header.
fn unfolded(text: &str) -> Option<String> {
    let text = text.trim();
    let mut line = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' | '\n' => {
                if c == '\r' {
                    rest.next_if_eq(&'\n');
                }
                if !matches!(rest.peek(), Some(' ' | '\t')) {
                    return None;
                }
            }
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}' => {}
            '\t' => line.push(' '),
            '，' => line.push(','),
            '；' => line.push(';'),
            c if c.is_control() => return None,
            c if c.is_whitespace() => line.push(' '),
            c => line.push(c),
        }
    }
    Some(line)
}

/// One element of a list.
#[derive(Debug, Default)]
struct AddressPart {
    text: String,
    has_angle: bool,
    /// True if a semicolon or the end follows it: no name goes on behind these.
    ends_list: bool,
}

/// The quotes and parentheses of a text; unbalanced ones have no meaning.
struct Marks {
    quotes: bool,
    comments: bool,
}

impl Marks {
    fn of(text: &str) -> Self {
        let count = |wanted: char| text.chars().filter(|c| *c == wanted).count();
        Self { quotes: count('"').is_multiple_of(2), comments: count('(') == count(')') }
    }
}

/// Splits a list at commas and semicolons that are in no quotes, comment or angle brackets, and leaves
/// out the names of groups.
fn parts(text: &str) -> Vec<AddressPart> {
    let marks = Marks::of(text);
    let mut parts = Vec::new();
    let mut part = AddressPart::default();
    let (mut is_quoted, mut depth, mut in_angle, mut in_literal) = (false, 0_u32, false, false);
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let is_top = !is_quoted && depth == 0;
        match c {
            '\\' if is_quoted => {
                part.text.push(c);
                if let Some((_, escaped)) = characters.next() {
                    part.text.push(escaped);
                }
                continue;
            }
            '"' if marks.quotes && depth == 0 => is_quoted = !is_quoted,
            '(' if marks.comments && !is_quoted => depth += 1,
            ')' if marks.comments && !is_quoted => depth = depth.saturating_sub(1),
            '<' if is_top && text[at..].contains('>') => {
                in_angle = true;
                part.has_angle = true;
            }
            '>' if is_top => in_angle = false,
            '[' if is_top => in_literal = true,
            ']' if is_top => in_literal = false,
            ',' | ';' if is_top && (!in_angle || !text[at..].contains('>')) => {
                part.ends_list = c == ';';
                parts.push(std::mem::take(&mut part));
                (in_angle, in_literal) = (false, false);
                continue;
            }
            ':' if is_top
                && !in_angle
                && !in_literal
                && begins_group(&part.text, &text[at + 1..]) =>
            {
                part.text.clear();
                continue;
            }
            _ => {}
        }
        part.text.push(c);
    }
    part.ends_list = true;
    parts.push(part);
    parts
}

/// Returns whether a colon ends the name of a group: one that ends with a semicolon.
fn begins_group(name: &str, rest: &str) -> bool {
    let is_name = !name.trim().is_empty()
        && !name.contains(['@', '<', ':'])
        && !name.trim().eq_ignore_ascii_case("mailto");
    is_name && !rest.starts_with([':', '/']) && rest.contains(';')
}

/// Returns the mailboxes of one element, or what is left of it as text.
fn mailboxes(text: &str) -> (Option<Vec<Mailbox>>, String) {
    let mut found = Vec::new();
    let mut name = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let (inside, after) = after.split_once('>').unwrap_or((after, ""));
        let Some(address) = address(inside) else { break };
        name.push_str(before);
        found.push(Mailbox::new(Some(unquoted(name.trim().trim_end_matches('<'))), address));
        name.clear();
        rest = after.trim_start_matches('>');
    }
    if !found.is_empty() {
        let trailing = rest.trim_matches(['>', ' ', '(', ')']);
        if let (Some(last), false) = (found.last_mut(), trailing.is_empty())
            && last.name.is_none()
        {
            *last = Mailbox::new(Some(unquoted(trailing)), last.address.clone());
        }
        return (Some(found), String::new());
    }
    bare(&text.replace(['<', '>'], " "))
}

/// Returns the mailboxes of an element without angle brackets.
fn bare(text: &str) -> (Option<Vec<Mailbox>>, String) {
    let (text, comment) = without_comments(text);
    let text = text.trim();
    if let Some(address) = address(text) {
        return (Some(vec![Mailbox::new(comment, address)]), String::new());
    }
    let (mut addresses, mut words) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        match address(word) {
            Some(address) => addresses.push(address),
            None => words.push(word),
        }
    }
    match addresses.len() {
        0 => (None, unquoted(text)),
        1 => {
            let name = (!words.is_empty()).then(|| unquoted(&words.join(" "))).or(comment);
            (
                Some(addresses.into_iter().map(|a| Mailbox::new(name.clone(), a)).collect()),
                String::new(),
            )
        }
        _ => (Some(addresses.into_iter().map(|a| Mailbox::new(None, a)).collect()), String::new()),
    }
}

/// Reads one address: with spaces around its parts, in quotes or brackets, as a `mailto:` link.
fn address(text: &str) -> Option<EmailAddress> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || "<>'`".contains(c));
    if let Some(address) = EmailAddress::parse(text) {
        return Some(address);
    }
    let link = text.get(..7).filter(|start| start.eq_ignore_ascii_case("mailto:"));
    let text = match link {
        Some(_) => text[7..].split('?').next().unwrap_or_default(),
        // The route of old mail: `@relay,@other:user@host`.
        None if text.starts_with('@') => text.split_once(':')?.1,
        None => text,
    };
    let text = text.trim();
    let text = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) if inner.contains('@') => inner,
        _ => text,
    };
    let (local, domain) = text.rsplit_once('@')?;
    let (local, domain) = (local.trim_end(), domain.trim());
    let local = if local.starts_with('"') { local } else { local.trim_start() };
    EmailAddress::parse(&format!("{local}@{domain}"))
}

/// Splits the comments off a text: `a@b (Ada)`.
fn without_comments(text: &str) -> (String, Option<String>) {
    if !Marks::of(text).comments {
        return (text.to_owned(), None);
    }
    let (mut plain, mut comment, mut depth) = (String::new(), String::new(), 0_u32);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth > 0 => comment.push(c),
            c => plain.push(c),
        }
    }
    let comment = comment.trim();
    (plain, (!comment.is_empty()).then(|| comment.to_owned()))
}

/// Returns a name without the quotes around it and the escapes in them.
fn unquoted(name: &str) -> String {
    let name = name.trim();
    for quote in ['"', '\''] {
        let inner = name.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let Some(inner) = inner.filter(|inner| !inner.replace("\\\"", "").contains(quote)) else {
            continue;
        };
        let mut plain = String::new();
        let mut characters = inner.chars();
        while let Some(c) = characters.next() {
            plain.extend(if c == '\\' { characters.next() } else { Some(c) });
        }
        return plain;
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the mailboxes of a text as `name|address`, and what is unusable.
    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let Addresses { mailboxes, unusable } = Addresses::parse(text);
        let shown = mailboxes
            .iter()
            .map(|one| format!("{}|{}", one.name.as_deref().unwrap_or_default(), one.address));
        (shown.collect(), unusable)
    }

    #[test]
    fn every_usual_form_names_its_address() {
        for (text, expected) in [
            ("a@b.c", &["|a@b.c"][..]),
            ("a@b.c; d@b.c", &["|a@b.c", "|d@b.c"]),
            ("a@b.c,", &["|a@b.c"]),
            (";a@b.c;;", &["|a@b.c"]),
            ("a@b.c,,d@b.c", &["|a@b.c", "|d@b.c"]),
            ("a@b.c\r\n\t, d@b.c\n", &["|a@b.c", "|d@b.c"]),
            ("a@b.c d@b.c", &["|a@b.c", "|d@b.c"]),
            ("<a@b.c>", &["|a@b.c"]),
            ("<<a@b.c>>", &["|a@b.c"]),
            ("Ada <<a@b.c>>", &["Ada|a@b.c"]),
            ("<a@b.c", &["|a@b.c"]),
            ("Ada < a@b.c >", &["Ada|a@b.c"]),
            ("Ada a@b.c", &["Ada|a@b.c"]),
            ("a@b.c (Ada)", &["Ada|a@b.c"]),
            ("<a@b.c> Ada", &["Ada|a@b.c"]),
            ("a @ b.c", &["|a@b.c"]),
            ("'a@b.c'", &["|a@b.c"]),
            ("\"a@b.c\"", &["|a@b.c"]),
            ("a@b.c.", &["|a@b.c"]),
            ("mailto:a@b.c?subject=x", &["|a@b.c"]),
            ("Ada <MAILTO:a@b.c>", &["Ada|a@b.c"]),
            ("a@b.c <a@b.c>", &["a@b.c|a@b.c"]),
            ("Acme (prod) <a@b.c>", &["Acme (prod)|a@b.c"]),
            ("Acme :) <a@b.c>", &["Acme :)|a@b.c"]),
            ("[Matt] <a@b.c>", &["[Matt]|a@b.c"]),
            ("Wiki :: blog <a@b.c>", &["Wiki :: blog|a@b.c"]),
            ("Chris's <a@b.c>", &["Chris's|a@b.c"]),
            ("5\" disk <a@b.c>", &["5\" disk|a@b.c"]),
            ("Doe, John <a@b.c>", &["Doe, John|a@b.c"]),
            ("Doe, John, Jr. <a@b.c>, d@b.c", &["Doe, John, Jr.|a@b.c", "|d@b.c"]),
            ("\"Doe, John\" <a@b.c>, d@b.c", &["Doe, John|a@b.c", "|d@b.c"]),
            ("\"A \\\"B; \\\\C\\\"\" <a@b.c>", &["A \"B; \\C\"|a@b.c"]),
            ("J. R. Doe <a@b.c>", &["J. R. Doe|a@b.c"]),
            ("Zoë Müller <a@b.c>", &["Zoë Müller|a@b.c"]),
            ("Team: a@b.c, Doe <d@b.c>;", &["|a@b.c", "Doe|d@b.c"]),
            ("Team: a@b.c; d@b.c", &["|a@b.c", "|d@b.c"]),
            ("undisclosed-recipients:;", &[]),
            ("Ada <a@b.c> Bob <d@b.c>", &["Ada|a@b.c", "Bob|d@b.c"]),
            ("<@x.y,@z:a@b.c>", &["|a@b.c"]),
            ("\u{feff}a@b.c\u{200b}\u{a0}", &["|a@b.c"]),
            ("a@b.c，d@b.c；", &["|a@b.c", "|d@b.c"]),
            ("a@[IPv6:::1]", &["|a@[IPv6:::1]"]),
            ("\"a, b\"@b.c", &["|\"a, b\"@b.c"]),
            ("", &[]),
            (" , ;", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|&one| one.to_owned()).collect();
            assert_eq!(read(text), (expected, Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn what_names_no_address_is_returned() {
        for (text, addresses, unusable) in [
            ("n/a", &[][..], &["n/a"][..]),
            ("not an address", &[], &["not an address"]),
            ("a@, b@c", &["|b@c"], &["a@"]),
            ("b@c, none", &["|b@c"], &["none"]),
            ("none; Ada <b@c>", &["Ada|b@c"], &["none"]),
            ("Ada <none>", &[], &["Ada  none"]),
            ("a@b\r\nBcc: c@d", &[], &["a@b Bcc: c@d"]),
            ("a@b\0", &[], &["a@b"]),
        ] {
            let owned = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
            assert_eq!(read(text), (owned(addresses), owned(unusable)), "{text:?}");
        }
    }
}
