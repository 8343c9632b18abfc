//! Stand-ins for other files of the product, with the parts that the checked ones use.

use std::sync::atomic::AtomicUsize;

use crate::error::{Error, ErrorKind};
use crate::stage::Stage;

pub(crate) mod delivery {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Kind {
        Http,
        Email,
    }

    impl Kind {
        pub fn name(self) -> &'static str {
            match self {
                Self::Http => "http",
                Self::Email => "email",
            }
        }
    }
}

pub(crate) mod journal {
    use std::sync::Arc;

    use super::delivery::Kind;

    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct Lane {
        pub kind: Kind,
        pub key: Arc<str>,
    }
}

pub(crate) mod time {
    #[derive(Debug, Clone, Copy, serde::Serialize)]
    pub struct Timestamp(u64);
}

pub(crate) mod engine {
    pub(crate) use super::{Engine, Receipt, closed};

    pub(crate) mod shared {
        pub(crate) use super::super::SharedParts;
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "closed")
}

pub(crate) struct Receipt {
    pub(crate) recorded: usize,
    pub(crate) durable: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained;

pub(crate) struct Options {
    pub(crate) deliver: bool,
}

pub(crate) struct SharedParts {
    pub(crate) config: Options,
    pub(crate) budget: crate::budget::Budget,
    pub(crate) pending: crate::pending::Pending,
    pub(crate) stage: Stage,
}

impl SharedParts {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            config: Options { deliver: true },
            budget: crate::budget::Budget::new(limit),
            pending: crate::pending::Pending::default(),
            stage: Stage::default(),
        }
    }

    pub(crate) fn resting(&self) -> usize {
        0
    }

    pub(crate) fn end(&self, work: usize) {
        self.pending.end(work, || self.budget.producers());
    }
}

/// An engine that counts how often it was closed.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) shared: EngineParts,
    pub(crate) ends: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) handles: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct EngineParts {
    pub(crate) stage: Stage,
}

impl Engine {
    /// An engine with one handle.
    pub(crate) fn new() -> Self {
        Self {
            lifecycle: Lifecycle { handles: AtomicUsize::new(1) },
            shared: EngineParts { stage: Stage::default() },
            ends: AtomicUsize::new(0),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.stage.is_closed()
    }
}
