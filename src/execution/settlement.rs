//! The end of a delivery and its effect on the execution.

use super::{RequestLog, ResponseLog};
use crate::delivery::Failure;

/// The end of a delivery.
#[derive(Debug)]
pub struct Settlement {
    /// `None`: delivered. `Some`: failed, and why.
    pub failure: Option<Failure>,
    /// The request as it was sent; `None` keeps the call as recorded.
    pub request: Option<RequestLog>,
    /// The response, if there was one.
    pub response: Option<Box<ResponseLog>>,
    /// Warnings to add to those of the call.
    pub warnings: Vec<String>,
    /// `true` if the failed delivery is to be forwarded; a durable journal keeps a note of it.
    pub is_forwarded: bool,
}

/// The part of an exchange that the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogBudget {
    /// Everything.
    Full,
    /// All but the bodies: the log is at its limit.
    HeadersOnly,
}

/// The effect of a settlement on its execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Bytes that the log holds more than before.
    pub kept: usize,
    /// `true` if the execution is finished by it.
    pub finished: bool,
}
