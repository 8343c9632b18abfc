//! Content codings of responses: undone as browsers and axios undo them, piece by piece.
//!
//! It owns which codings are known and how tolerantly each is read. It never decides how much of a
//! body is read: see [`super::response`].
//!
//! **Invariant:** no step works on more than one buffer of output, so a caller that stops ends the
//! work.

mod flate;
mod stream;

use std::fmt;
use std::ops::ControlFlow;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use flate::{Flate, Wrapping};
use stream::{Brotli, Zstd};

/// Bytes that a step writes at most.
const BUFFER_BYTES: usize = 16 << 10;

/// Codings that a response may stack; browsers and curl have similar limits.
const MAX_CODINGS: usize = 5;

/// Reason why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The body does not begin as the coding does.
    Foreign(&'static str),
    /// The body is damaged.
    Damaged(&'static str),
    /// The body ends before the coding does.
    Short(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(name) => write!(f, "it is not {name}, although Content-Encoding says so"),
            Self::Damaged(name) => write!(f, "its {name} data is damaged"),
            Self::Short(name) => write!(f, "its {name} data ends too early"),
        }
    }
}

/// The result of one step of a coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    read: usize,
    written: usize,
    /// The coded data is over; what follows is ignored.
    done: bool,
}

/// One coding of a body.
trait Coding {
    /// Decodes a part of `input` into `output`.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault>;

    /// Checks that the data ended where it may.
    fn finish(&self) -> Result<(), Fault>;
}

/// One coding with what it has done so far.
struct DecodeStage {
    coding: Box<dyn Coding + Send>,
    output: Box<[u8]>,
    started: bool,
    done: bool,
}

/// The codings of one response, the one that was applied last first.
pub(super) struct Decoder {
    stages: Vec<DecodeStage>,
    /// A coding that is not known: what is under it stays as it is.
    unknown: Option<String>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("stages", &self.stages.len()).finish_non_exhaustive()
    }
}

/// Receives decoded bytes; `Break` ends the decoding.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

impl Decoder {
    /// Returns the decoder for the `Content-Encoding` lines of a response. Codings are listed in the
    /// order in which they were applied, in any case (RFC 9110, 8.4).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(CONTENT_ENCODING);
        let names: Vec<_> = lines
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        let mut decoder = Self { stages: Vec::new(), unknown: None };
        for name in names.into_iter().rev() {
            match coding(&name) {
                Some(coding) if decoder.stages.len() < MAX_CODINGS => {
                    let output = vec![0; BUFFER_BYTES].into_boxed_slice();
                    decoder.stages.push(DecodeStage {
                        coding,
                        output,
                        started: false,
                        done: false,
                    });
                }
                _ => {
                    decoder.unknown = Some(name.chars().take(40).collect());
                    break;
                }
            }
        }
        decoder
    }

    /// Returns whether bytes pass through unchanged.
    pub(super) fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    /// Returns the coding that is not undone, if there is one.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Decodes the next bytes of the body into `sink`.
    ///
    /// # Errors
    /// The fault of a body that does not follow its coding. What was decoded before is in the sink.
    pub(super) fn push(&mut self, input: &[u8], sink: Sink<'_>) -> Result<ControlFlow<()>, Fault> {
        feed(&mut self.stages, input, sink)
    }

    /// Checks that the body ended where its codings end. An empty body has no coding.
    ///
    /// # Errors
    /// [`Fault::Short`].
    pub(super) fn finish(&self) -> Result<(), Fault> {
        let mut begun = self.stages.iter().filter(|stage| stage.started && !stage.done);
        begun.try_for_each(|stage| stage.coding.finish())
    }
}

fn coding(name: &str) -> Option<Box<dyn Coding + Send>> {
    match name {
        "gzip" | "x-gzip" => Some(Box::new(Flate::new(Wrapping::Required))),
        "deflate" => Some(Box::new(Flate::new(Wrapping::Optional))),
        "br" => Some(Box::new(Brotli::new())),
        "zstd" => Zstd::new().map(|zstd| Box::new(zstd) as _),
        _ => None,
    }
}

fn feed(
    stages: &mut [DecodeStage],
    mut input: &[u8],
    sink: Sink<'_>,
) -> Result<ControlFlow<()>, Fault> {
    let Some((stage, inner)) = stages.split_first_mut() else { return Ok(sink(input)) };
    let mut full = false;
    while !stage.done && (full || !input.is_empty()) {
        stage.started = true;
        let step = stage.coding.step(input, &mut stage.output)?;
        input = &input[step.read..];
        full = step.written == stage.output.len();
        stage.done = step.done;
        let written = &stage.output[..step.written];
        if !written.is_empty() && feed(inner, written, sink)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if step.read == 0 && step.written == 0 {
            break;
        }
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests;
