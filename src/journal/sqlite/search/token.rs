//! The tokens of a row: three successive bytes of a text in lower case, and whole values.
//!
//! A row whose text has a part has the tokens of that part; the reverse is for the row itself to say.

use std::ops::RangeInclusive;

use crate::execution::{
    DeliveryQuery, ExecutionInfo, ExecutionView, SearchField, SearchTerm, Subject,
};

/// A space and 40 bits: three bytes of a text, or the hash of a value.
pub(super) type SearchToken = u64;

/// The texts that a token is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Space {
    /// The target, step, error and ids.
    Any,
    Status,
    Host,
    Code,
    Destination,
    Workflow,
    /// The error and the message of a run.
    RunEnd,
    /// A whole value of a delivery: its status, destination, step or workflow.
    Value,
    /// Marks of rows.
    Mark,
}

/// Marks the rows of runs; the others are deliveries.
pub(super) const RUN: SearchToken = token(Space::Mark, 1);
/// Marks rows whose texts are too long for the index.
pub(super) const LONG: SearchToken = token(Space::Mark, 2);

/// Bytes of a text that are in the index.
const MAX_TEXT: usize = 4096;
/// Follows each text, so that also its last bytes begin a token.
const END: [u8; 2] = *b"\n\n";
/// Tokens of a term that are looked up.
const MAX_LOOKUPS: usize = 64;
const SPACE_SHIFT: u32 = 40;

const fn token(space: Space, bits: u64) -> SearchToken {
    ((space as u64) << SPACE_SHIFT) | bits
}

/// Collects the tokens of one row.
pub(super) struct TokenCollector<'a> {
    push: &'a mut dyn FnMut(SearchToken),
    scratch: &'a mut Vec<u8>,
}

impl<'a> TokenCollector<'a> {
    pub(super) fn new(push: &'a mut dyn FnMut(SearchToken), scratch: &'a mut Vec<u8>) -> Self {
        Self { push, scratch }
    }

    /// Adds the tokens of a delivery.
    pub(super) fn delivery(&mut self, info: &ExecutionInfo, subject: &Subject<'_>) {
        let Subject { status, host, target, destination, step, code, error } = subject;
        for text in [target, *step, *code, *error] {
            self.text(Space::Any, text);
        }
        self.ids(info);
        self.text(Space::Status, status);
        self.text(Space::Host, host);
        self.text(Space::Code, code);
        self.text(Space::Destination, destination);
        self.text(Space::Workflow, &info.workflow_id);
        for (name, value) in values(status, destination, step, &info.workflow_id) {
            (self.push)(value_of(name, value));
        }
    }

    /// Adds the tokens of a run.
    pub(super) fn run(&mut self, info: &ExecutionInfo, view: &ExecutionView<'_>) {
        (self.push)(RUN);
        self.ids(info);
        self.text(Space::Workflow, &info.workflow_id);
        self.text(Space::Status, view.status());
        for text in [view.error(), view.message()].into_iter().flatten() {
            self.text(Space::Any, text);
            self.text(Space::RunEnd, text);
        }
    }

    fn ids(&mut self, info: &ExecutionInfo) {
        for text in [&*info.workflow_id, &*info.execution_id] {
            self.text(Space::Any, text);
        }
        self.text(Space::Any, info.trigger.as_deref().unwrap_or_default());
    }

    fn text(&mut self, space: Space, text: &str) {
        if text.is_empty() {
            return;
        }
        self.scratch.clear();
        if text.is_ascii() {
            self.scratch.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
        } else {
            self.scratch.extend(text.to_lowercase().bytes());
        }
        if self.scratch.len() > MAX_TEXT {
            self.scratch.truncate(MAX_TEXT);
            (self.push)(LONG);
        }
        self.scratch.extend(END);
        for bytes in self.scratch.windows(3) {
            (self.push)(of_bytes(space, bytes));
        }
    }
}

fn values<'a>(
    status: &'a str,
    destination: &'a str,
    step: &'a str,
    workflow: &'a str,
) -> [(&'static str, &'a str); 4] {
    [("status", status), ("destination", destination), ("step", step), ("workflow", workflow)]
}

fn of_bytes(space: Space, bytes: &[u8]) -> SearchToken {
    let bits = bytes.iter().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
    token(space, bits)
}

/// Returns the token of a whole value. The hash (FNV-1a) is part of the format.
fn value_of(name: &str, value: &str) -> SearchToken {
    let bytes = name.bytes().chain([0]).chain(value.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    token(Space::Value, hash >> (64 - SPACE_SHIFT))
}

/// A condition that the tokens of a row must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clause {
    /// It has all of them.
    All(Vec<SearchToken>),
    /// It has one between these.
    Between(RangeInclusive<SearchToken>),
}

impl Clause {
    /// Returns the condition of rows that have a part, in lower case, in a text of the space.
    pub(super) fn part(space: Space, part: &str) -> Self {
        let bytes = part.as_bytes();
        if bytes.len() >= 3 {
            let tokens = bytes.windows(3).take(MAX_LOOKUPS);
            return Self::All(tokens.map(|bytes| of_bytes(space, bytes)).collect());
        }
        let filled = |byte: u8| {
            let mut three = [byte; 3];
            three[..bytes.len()].copy_from_slice(bytes);
            of_bytes(space, &three)
        };
        Self::Between(filled(0)..=filled(u8::MAX))
    }

    /// Returns the condition of a term.
    pub(super) fn term(term: &SearchTerm) -> Self {
        let space = match term.field {
            SearchField::Status => Space::Status,
            SearchField::Host => Space::Host,
            SearchField::Workflow => Space::Workflow,
            SearchField::Code => Space::Code,
            SearchField::Destination => Space::Destination,
            SearchField::Execution | SearchField::Trigger | SearchField::Any => Space::Any,
        };
        Self::part(space, &term.text)
    }

    /// Returns the conditions of the whole values in a query.
    pub(super) fn values(query: &DeliveryQuery) -> Vec<Self> {
        let of = |name, value: &Option<String>| {
            value.as_deref().map(|value| Self::All(vec![value_of(name, value)]))
        };
        let clauses = [
            of("status", &query.status),
            of("destination", &query.destination),
            of("step", &query.step),
            of("workflow", &query.workflow_id),
        ];
        clauses.into_iter().flatten().collect()
    }

    /// Returns all conditions of a query.
    pub(super) fn of(query: &DeliveryQuery) -> Vec<Self> {
        let terms = query.search.iter().flat_map(|search| &search.terms);
        Self::values(query).into_iter().chain(terms.map(Self::term)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::time::Timestamp;

    fn tokens() -> HashSet<SearchToken> {
        let info = ExecutionInfo {
            execution_id: "run-ÄÖ".into(),
            workflow_id: "p_1".into(),
            attempt: 1,
            started_at: Timestamp::from_millis(1),
            emit_depth: 0,
            trace: None,
            trigger: Some("POST /Hooks".into()),
        };
        let subject = Subject {
            status: "failed",
            host: "api.example".into(),
            target: "http://Api.example/Order/4711".into(),
            destination: "http",
            step: "notify",
            code: "ERR_SEND_TIMEOUT",
            error: "é",
        };
        let (mut found, mut scratch) = (HashSet::new(), Vec::new());
        let mut push = |token| {
            found.insert(token);
        };
        TokenCollector::new(&mut push, &mut scratch).delivery(&info, &subject);
        found
    }

    fn admits(tokens: &HashSet<SearchToken>, clause: &Clause) -> bool {
        match clause {
            Clause::All(all) => all.iter().all(|token| tokens.contains(token)),
            Clause::Between(range) => tokens.iter().any(|token| range.contains(token)),
        }
    }

    #[test]
    fn a_part_of_a_text_has_its_tokens() {
        let tokens = tokens();
        for (space, part, expected) in [
            (Space::Any, "api.example/order/47", true),
            (Space::Any, "order/4712", false),
            (Space::Any, "1", true),
            (Space::Any, "11", true),
            (Space::Any, "12", false),
            (Space::Any, "é", true),
            (Space::Any, "ö", true),
            (Space::Any, "äö", true),
            (Space::Any, "p_1", true),
            (Space::Any, "/hooks", true),
            (Space::Any, "~", false),
            (Space::Host, "order", false),
            (Space::Host, "le", true),
            (Space::Status, "fail", true),
            (Space::Status, "deliv", false),
            (Space::Workflow, "p_", true),
        ] {
            assert_eq!(admits(&tokens, &Clause::part(space, part)), expected, "{space:?} {part}");
        }
    }

    #[test]
    fn whole_values_are_whole() {
        let tokens = tokens();
        for (workflow, step, expected) in
            [("p_1", "notify", true), ("p_", "notify", false), ("p_1", "p_1", false)]
        {
            let query = DeliveryQuery {
                workflow_id: Some(workflow.to_owned()),
                step: Some(step.to_owned()),
                ..DeliveryQuery::default()
            };
            let admitted = Clause::values(&query).iter().all(|clause| admits(&tokens, clause));
            assert_eq!(admitted, expected, "{workflow} {step}");
        }
    }

    #[test]
    fn long_texts_are_marked() {
        let (mut found, mut scratch) = (HashSet::new(), Vec::new());
        let mut push = |token| {
            found.insert(token);
        };
        let mut tokens = TokenCollector::new(&mut push, &mut scratch);
        tokens.text(Space::Any, &"x".repeat(MAX_TEXT));
        tokens.text(Space::Any, &"y".repeat(MAX_TEXT + 1));
        assert!(found.contains(&LONG) && found.len() == 1 + 2 * 3);
    }
}
