//! Where an option stands, for what is checked of it and for what a refusal says.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::words;
use crate::error::{Error, ErrorKind, Result};

/// The largest `timeoutMs`: an hour.
pub(super) const MAX_TIMEOUT_MS: u64 = 3_600_000;
/// The largest count.
const MAX_COUNT: u64 = 1_000_000;
/// The largest size: 64 GiB.
pub(super) const MAX_BYTES: u64 = 64 << 30;

/// A function that takes options.
#[derive(Debug, Clone, Copy)]
pub(super) enum Function {
    /// `Engine.open()`
    Open,
    /// `engine.destination()`
    Destination,
    /// `engine.sql()`
    Sql,
    /// The command `migrate`.
    Migrate,
}

/// An object of options: the function that takes it, and its path in the function's argument.
#[derive(Debug, Clone)]
pub(super) struct Place {
    function: Function,
    path: String,
}

impl Place {
    /// The options of a function.
    pub(super) const fn root(function: Function) -> Self {
        Self { function, path: String::new() }
    }

    /// An object in the options of `Engine.open()`, such as `http` or `email.limits`.
    pub(super) fn open(path: &str) -> Self {
        Self { function: Function::Open, path: path.to_owned() }
    }

    /// The object that is the member of this one.
    pub(super) fn at(&self, member: &str) -> Self {
        Self { function: self.function, path: self.path_of(member) }
    }

    /// Returns the refusal of a member, for this reason.
    pub(super) fn refuse(&self, member: &str, reason: impl Display) -> Error {
        self.error(&format!("{}: {reason}", self.path_of(member)))
    }

    /// Returns the refusal of a member, whose reason begins with the rest of its path.
    pub(super) fn refuse_within(&self, reason: impl Display) -> Error {
        self.error(&self.path_of(&reason.to_string()))
    }

    /// Reads a whole number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range check comes first, and the limits are far below 2^53"
    )]
    pub(super) fn integer(
        &self,
        member: &str,
        value: Option<f64>,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64> {
        let Some(value) = value else { return Ok(default) };
        let (least, most) = (*range.start(), *range.end());
        if value.fract() != 0.0 || !(least as f64..=most as f64).contains(&value) {
            let reason = format!("{value} is not a whole number from {least} to {most}");
            return Err(self.refuse(member, reason));
        }
        Ok(value as u64)
    }

    /// Reads a number of bytes.
    pub(super) fn bytes(&self, member: &str, value: Option<f64>, default: usize) -> Result<usize> {
        let value = self.integer(member, value, 0..=MAX_BYTES, default as u64)?;
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    }

    /// Reads a number of things, of which there are at least `least`.
    pub(super) fn count(
        &self,
        member: &str,
        value: Option<f64>,
        least: u64,
        default: usize,
    ) -> Result<usize> {
        let value = self.integer(member, value, least..=MAX_COUNT, default as u64)?;
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    }

    /// Reads the milliseconds that something may take: from 1 to an hour.
    pub(super) fn timeout(&self, value: Option<f64>, default_ms: u64) -> Result<Duration> {
        let millis = self.integer("timeoutMs", value, 1..=MAX_TIMEOUT_MS, default_ms)?;
        Ok(Duration::from_millis(millis))
    }

    fn path_of(&self, member: &str) -> String {
        match (self.path.as_str(), member) {
            ("", member) => member.to_owned(),
            (path, "") => path.to_owned(),
            (path, member) => format!("{path}.{member}"),
        }
    }

    fn error(&self, message: &str) -> Error {
        let (kind, function) = match self.function {
            Function::Open => (ErrorKind::InvalidOption, "Engine.open()"),
            Function::Destination => (ErrorKind::InvalidArgument, "engine.destination()"),
            Function::Sql => (ErrorKind::InvalidArgument, "engine.sql()"),
            Function::Migrate => (ErrorKind::InvalidOption, "migrate"),
        };
        Error::new(kind, format!("{function}: {message}"))
    }
}

/// Reads options from JSON text. A refusal names the path as JavaScript spells it.
pub(super) fn parse<'a, T: serde::Deserialize<'a>>(function: Function, text: &'a str) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        // A place in the JSON text means nothing to the caller, who passed an object.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Place::root(function).error(&words::refusal(&path, reason))
    })
}
