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
    /// Bytes since the last frame.
    begun: usize,
}

/// Bytes after a frame that are no frame yet: its magic number is of four.
const MAGIC_BYTES: usize = 4;

impl Zstd {
    /// Returns a decoder at the beginning of a body; `None` when there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let mut decoder = Decoder::new().ok()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
        Some(Self { decoder, any_frame: false, begun: 0 })
    }

    const fn may_end(&self) -> bool {
        self.any_frame && self.begun <= MAGIC_BYTES
    }
}

impl Coding for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        match self.decoder.run_on_buffers(input, output) {
            Ok(status) => {
                let over = status.remaining == 0;
                self.any_frame |= over;
                self.begun = if over { 0 } else { self.begun + status.bytes_read };
                Ok(Step { read: status.bytes_read, written: status.bytes_written, done: false })
            }
            // What follows a frame and is none is garbage.
            Err(_) if self.may_end() => Ok(Step { read: 0, written: 0, done: true }),
            Err(_) => Err(Fault::Damaged(ZSTD)),
        }
    }

    fn finish(&self) -> Result<(), Fault> {
        if self.may_end() { Ok(()) } else { Err(Fault::Short(ZSTD)) }
    }
}
