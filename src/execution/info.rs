//! The description of an execution, its end, and the count of its calls.

use std::sync::Arc;

use crate::time::Timestamp;

/// The immutable description of an execution.
#[derive(Debug)]
pub struct ExecutionInfo {
    /// The run's id.
    pub execution_id: Arc<str>,
    /// The workflow's id.
    pub workflow_id: Arc<str>,
    /// The number of this attempt of the run, from 1.
    pub attempt: u32,
    /// The time of the call to `engine.execution()`.
    pub started_at: Timestamp,
    /// The number of emitted events that led to it, each by starting the execution that emitted the
    /// next.
    pub emit_depth: u32,
    /// The trace that it belongs to.
    pub trace: Option<Box<Trace>>,
    /// The cause of the run, as the runner names it: `POST /hooks/order`, or a name.
    pub trigger: Option<Box<str>>,
}

/// A trace of W3C Trace Context, as the runner gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The header `traceparent`.
    pub parent: Box<str>,
    /// The header `tracestate`.
    pub state: Option<Box<str>>,
}

impl Trace {
    /// As one text.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.state
            .as_ref()
            .map_or_else(|| self.parent.to_string(), |state| format!("{}\n{state}", self.parent))
    }

    /// Parses the text of [`Trace::to_text`].
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let (parent, state) = text.split_once('\n').map_or((text, None), |(p, s)| (p, Some(s)));
        Self { parent: parent.into(), state: state.map(Into::into) }
    }
}

/// The end of an execution.
#[derive(Debug, Clone)]
pub struct ExecutionEnd {
    /// The time.
    pub at: Timestamp,
    /// The message of the error that the runner completed it with.
    pub error: Option<String>,
    /// The text that the runner completed it with, such as that of `$end()`.
    pub message: Option<String>,
    /// `true` if it was discarded.
    pub discarded: bool,
}

/// The calls whose deliveries are terminal, by their state. A call counts once, however often it was
/// replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Reached their destination.
    pub delivered: usize,
    /// Failed, and are not resolved.
    pub failed: usize,
    /// Were discarded.
    pub discarded: usize,
    /// Failed, and were dismissed.
    pub dismissed: usize,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> usize {
        self.delivered + self.failed + self.discarded + self.dismissed
    }
}
