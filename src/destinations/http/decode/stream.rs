//! Brotli (RFC 7932) and zstd (RFC 8878).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{Coding, Fault, Step};

const BROTLI: &str = "br";
const ZSTD: &str = "zstd";

/// The largest window of zstd over HTTP: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// A decoder of brotli.
pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
}

impl Brotli {
    /// Returns a decoder at the beginning of a body.
    pub(super) fn new() -> Self {
        let memory = StandardAlloc::default;
        // Without windows of more than 16 MiB, which are not for HTTP.
        Self { state: Box::new(BrotliState::new_strict(memory(), memory(), memory())) }
    }
}

impl Coding for Brotli {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let (mut read, mut written) = (0, 0);
        let result = BrotliDecompressStream(
            &mut input.len(),
            &mut read,
            input,
            &mut output.len(),
            &mut written,
            output,
            &mut 0,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => Err(Fault::Damaged(BROTLI)),
            BrotliResult::ResultSuccess => Ok(Step { read, written, done: true }),
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                Ok(Step { read, written, done: false })
            }
        }
    }

    fn finish(&self) -> Result<(), Fault> {
        Err(Fault::Short(BROTLI))
    }
}

/// A decoder of zstd, of one frame or more.
pub(super) struct Zstd {
    decoder: Decoder<'static>,
    /// True if any frame is over, and with it perhaps the data.
    any_frame: bool,
    /// The first bytes since the last frame.
    head: [u8; HEAD_BYTES],
    /// Bytes since the last frame.
    begun: usize,
    /// Bytes that were decoded since the last frame.
    written: u64,
}

/// Bytes of the number that a frame begins with.
const MAGIC_BYTES: usize = 4;
/// The most bytes of the head of a frame.
const HEAD_BYTES: usize = 18;

/// Returns whether a frame begins so, one with data or one that is skipped.
fn begins_frame(magic: &[u8]) -> bool {
    let skippable = |magic: &[u8]| {
        magic.split_first().is_none_or(|(first, rest)| {
            first & 0xf0 == 0x50 && [0x2a, 0x4d, 0x18].starts_with(rest)
        })
    };
    [0x28, 0xb5, 0x2f, 0xfd].starts_with(magic) || skippable(magic)
}

impl Zstd {
    /// Returns a decoder at the beginning of a body; `None` when there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let mut decoder = Decoder::new().ok()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
        Some(Self { decoder, any_frame: false, head: [0; HEAD_BYTES], begun: 0, written: 0 })
    }

    /// Returns the bytes that may be read next: between two frames, none beyond the magic number, and
    /// `None` if they are garbage.
    fn next<'i>(&mut self, input: &'i [u8]) -> Option<&'i [u8]> {
        if !self.any_frame || self.begun >= MAGIC_BYTES {
            return Some(input);
        }
        let input = &input[..input.len().min(MAGIC_BYTES - self.begun)];
        let end = self.begun + input.len();
        self.head[self.begun..end].copy_from_slice(input);
        begins_frame(&self.head[..end]).then_some(input)
    }

    /// Counts what was read of a frame and written, and keeps its head.
    fn count(&mut self, read: &[u8], written: usize) {
        let rest = &mut self.head[self.begun.min(HEAD_BYTES)..];
        rest.iter_mut().zip(read).for_each(|(place, byte)| *place = *byte);
        self.begun += read.len();
        self.written += written as u64;
    }

    /// Ends a frame. Its head may say how many bytes it has: the library compares them only if it gets the
    /// whole frame at once.
    fn end_frame(&mut self) -> Result<(), Fault> {
        let head = &self.head[..self.begun.min(HEAD_BYTES)];
        let said = zstd::zstd_safe::get_frame_content_size(head).ok().flatten();
        let is_whole = said.is_none_or(|bytes| bytes == self.written);
        (self.any_frame, self.begun, self.written) = (true, 0, 0);
        if is_whole { Ok(()) } else { Err(Fault::Damaged(ZSTD)) }
    }
}

impl Coding for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let Some(input) = self.next(input) else {
            return Ok(Step { read: 0, written: 0, done: true });
        };
        let status = self.decoder.run_on_buffers(input, output);
        let status = status.map_err(|_| Fault::Damaged(ZSTD))?;
        self.count(&input[..status.bytes_read], status.bytes_written);
        if status.remaining == 0 {
            self.end_frame()?;
        }
        Ok(Step { read: status.bytes_read, written: status.bytes_written, done: false })
    }

    fn finish(&self) -> Result<(), Fault> {
        // The beginning of a magic number is garbage.
        if self.any_frame && self.begun <= MAGIC_BYTES { Ok(()) } else { Err(Fault::Short(ZSTD)) }
    }
}
