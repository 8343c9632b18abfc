//! Search in the log: terms that a delivery or an execution has to match, all of them.
//!
//! It only matches; the search language is read by the server. Everything is compared in lower case,
//! and a part is enough.

use std::borrow::Cow;

use serde::Deserialize;

use super::{DeliveryRequest, Entry, ExecutionInfo, ExecutionView, Status};
use crate::time::Timestamp;

/// The part of a row that a term is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchField {
    /// The status of a delivery, or of an execution.
    Status,
    /// The host of a request.
    Host,
    /// The id of a workflow.
    Workflow,
    /// The code of an error.
    Code,
    /// The name of a destination.
    Destination,
    /// The id of an execution.
    Execution,
    /// The trigger of an execution.
    Trigger,
    /// Any of them, and the target, the step and the message of an error.
    Any,
}

/// A text that a row has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTerm {
    /// Where.
    pub field: SearchField,
    /// The text, in lower case.
    pub text: String,
}

/// The terms of a search, all of which a row has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The texts.
    pub terms: Vec<SearchTerm>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Only before then.
    pub until: Option<Timestamp>,
}

/// The searchable texts of a delivery.
#[derive(Debug, Clone, Default)]
pub struct Subject<'a> {
    /// The spelling of its status.
    pub status: &'a str,
    /// The host of its request, in lower case.
    pub host: Cow<'a, str>,
    /// The address that it goes to.
    pub target: Cow<'a, str>,
    /// The name of its destination.
    pub destination: &'a str,
    /// The step that made the call.
    pub step: &'a str,
    /// The code of its last error.
    pub code: &'a str,
    /// The message of its last error.
    pub error: &'a str,
}

impl Search {
    /// Returns `true` if a time is within the limits.
    #[must_use]
    pub fn admits_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    /// Returns `true` if a delivery matches.
    #[must_use]
    pub fn admits_entry(&self, info: &ExecutionInfo, entry: &Entry) -> bool {
        if !self.admits_time(entry.recorded_at) {
            return false;
        }
        let target = match &entry.request {
            DeliveryRequest::Sent(logged) => Target::of(&logged.head()),
            DeliveryRequest::Recorded(payload) => {
                std::str::from_utf8(&payload.text).map(Target::of).unwrap_or_default()
            }
        };
        let waiting = entry.waiting.as_deref().and_then(|waiting| waiting.last_error.as_deref());
        let failure = entry.failure.as_deref().or(waiting);
        self.admits_subject(
            info,
            &Subject {
                status: entry.status.as_str(),
                host: target.host().into(),
                target: target.text.into(),
                destination: entry.kind.name(),
                step: &entry.step,
                code: failure.map_or("", |failure| failure.kind.code()),
                error: failure.map_or("", |failure| failure.message.as_str()),
            },
        )
    }

    /// Returns `true` if a delivery with these texts matches, whatever its time.
    #[must_use]
    pub fn admits_subject(&self, info: &ExecutionInfo, subject: &Subject<'_>) -> bool {
        self.terms.iter().all(|term| term.is_in_info(info) || term.is_in(subject))
    }

    /// Returns the terms that the execution itself does not match.
    #[must_use]
    pub fn rest_of(&self, info: &ExecutionInfo, view: &ExecutionView<'_>) -> Self {
        let matches = |term: &&SearchTerm| !(term.is_in_info(info) || term.is_in_view(view));
        let terms = self.terms.iter().filter(matches).cloned().collect();
        Self { terms, since: None, until: None }
    }

    /// Returns `true` if an execution may match with its own row. Otherwise, if it matches at all, one of
    /// its deliveries has each term but statuses, together with the ids.
    #[must_use]
    pub fn admits_row(&self, info: &ExecutionInfo, view: &ExecutionView<'_>) -> bool {
        let is_status = |term: &SearchTerm| term.field == SearchField::Status;
        let has_statuses_alone = self.terms.iter().all(is_status);
        let is_own = |term: &SearchTerm| has_statuses_alone || !is_status(term);
        self.rest_of(info, view).terms.is_empty()
            || self.terms.iter().any(|term| is_own(term) && term.is_in_view(view))
    }

    /// Returns the statuses that a delivery may have, if they are restricted.
    #[must_use]
    pub fn statuses(&self) -> Option<Vec<Status>> {
        let terms: Vec<_> =
            self.terms.iter().filter(|term| term.field == SearchField::Status).collect();
        let admitted = |status: &Status| terms.iter().all(|t| status.as_str().contains(&t.text));
        (!terms.is_empty()).then(|| Status::ALL.into_iter().filter(admitted).collect())
    }
}

impl SearchTerm {
    fn is_in_info(&self, info: &ExecutionInfo) -> bool {
        let workflow = || self.is_part_of(&info.workflow_id);
        let execution = || self.is_part_of(&info.execution_id);
        let trigger = || info.trigger.as_deref().is_some_and(|trigger| self.is_part_of(trigger));
        match self.field {
            SearchField::Workflow => workflow(),
            SearchField::Execution => execution(),
            SearchField::Trigger => trigger(),
            SearchField::Any => workflow() || execution() || trigger(),
            SearchField::Status
            | SearchField::Host
            | SearchField::Code
            | SearchField::Destination => false,
        }
    }

    fn is_in_view(&self, view: &ExecutionView<'_>) -> bool {
        match self.field {
            SearchField::Status => self.is_part_of(view.status()),
            SearchField::Any => [view.error(), view.message()]
                .into_iter()
                .flatten()
                .any(|text| self.is_part_of(text)),
            SearchField::Workflow
            | SearchField::Execution
            | SearchField::Trigger
            | SearchField::Host
            | SearchField::Code
            | SearchField::Destination => false,
        }
    }

    fn is_in(&self, subject: &Subject<'_>) -> bool {
        match self.field {
            SearchField::Status => subject.status.contains(&self.text),
            SearchField::Host => subject.host.contains(&self.text),
            SearchField::Code => self.is_part_of(subject.code),
            SearchField::Destination => self.is_part_of(subject.destination),
            SearchField::Any => {
                let texts = [&subject.target, subject.step, subject.code, subject.error];
                texts.into_iter().any(|text| self.is_part_of(text))
            }
            SearchField::Workflow | SearchField::Execution | SearchField::Trigger => false,
        }
    }

    fn is_part_of(&self, text: &str) -> bool {
        if text.is_ascii() && self.text.is_ascii() {
            let (text, wanted) = (text.as_bytes(), self.text.as_bytes());
            return wanted.is_empty()
                || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted));
        }
        text.to_lowercase().contains(&self.text)
    }
}

/// The address that a request goes to: a URL without its query and user-info, the recipients of a
/// mail, an object or a table.
#[derive(Debug, Default)]
pub struct Target {
    text: String,
}

/// The members of a request that name its target.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<SearchNames<'a>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    bucket: Option<Cow<'a, str>>,
    #[serde(borrow)]
    prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    table: Option<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SearchNames<'a> {
    One(#[serde(borrow)] Cow<'a, str>),
    Many(#[serde(borrow)] Vec<Cow<'a, str>>),
}

impl Target {
    /// Reads the target of a request, a JSON object. What cannot be read has none.
    #[must_use]
    pub fn of(request: &str) -> Self {
        let members: Members<'_> = serde_json::from_str(request).unwrap_or_default();
        if let Some(url) = members.url {
            return Self { text: bare_url(&url) };
        }
        let names = match members.to {
            None => Vec::new(),
            Some(SearchNames::One(name)) => vec![name],
            Some(SearchNames::Many(names)) => names,
        };
        let others =
            [members.subject, members.bucket, members.prefix, members.table, members.channel];
        let texts: Vec<_> = names.into_iter().chain(others.into_iter().flatten()).collect();
        Self { text: texts.join(" ") }
    }

    /// Returns the host of a URL in lower case, with its port.
    #[must_use]
    pub fn host(&self) -> String {
        let Some((_, rest)) = self.text.split_once("://") else { return String::new() };
        rest.split('/').next().unwrap_or_default().to_lowercase()
    }

    /// Returns its text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Returns a URL without its query, fragment and user-info, which may be secret.
fn bare_url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_request_shows_no_secret() {
        for (request, target, host) in [
            (
                r#"{"url":"https://u:p@A.example:81/b?c=d#e"}"#,
                "https://A.example:81/b",
                "a.example:81",
            ),
            (r#"{"url":"http://a"}"#, "http://a", "a"),
            (r#"{"to":["a@b.c"],"subject":"Hi"}"#, "a@b.c Hi", ""),
            (r#"{"to":"a@b.c"}"#, "a@b.c", ""),
            (r#"{"bucket":"b","prefix":"p/"}"#, "b p/", ""),
            (r#"{"url":5}"#, "", ""),
            ("nonsense", "", ""),
        ] {
            let found = Target::of(request);
            assert_eq!((found.text.as_str(), found.host().as_str()), (target, host), "{request}");
        }
    }

    #[test]
    fn a_term_is_a_part_in_any_case() {
        let term = |text: &str| SearchTerm { field: SearchField::Any, text: text.to_owned() };
        for (text, part, expected) in [
            ("Api.Example", "i.e", true),
            ("Api", "api.", false),
            ("ÉCOLE", "école", true),
            ("a", "", true),
            ("", "a", false),
        ] {
            assert_eq!(term(part).is_part_of(text), expected, "{text} {part}");
        }
    }
}
