//! Records as they are encoded, one line after another.

use std::fmt;
use std::io::{Result, Write};

use bytes::Bytes;
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use uuid::Uuid;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::config::Compression;

/// Lines of one batch that is still growing.
///
/// The same batch, with the same version of the compressor, is the same bytes: nothing of the time
/// or the machine is in them. Another batch is other bytes, even if its lines are the same: the id of
/// its first record is in the compressed form (gzip: as the name of the file; Zstandard: in a frame
/// behind the lines, which readers skip).
pub(super) struct Lines {
    compression: Compression,
    first: Uuid,
    /// Bytes that are not passed to the encoder yet.
    plain: Vec<u8>,
    /// An encoder needs some hundred KiB of memory: it comes when there are as many to encode.
    encoder: Option<Encoder>,
    /// Bytes of all lines.
    total: usize,
    /// Bytes of lines, and their encoded size, when it was last measured.
    seen: (usize, usize),
    /// True if that is what the encoder put out, and no trial.
    out: bool,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

/// Plain bytes that an encoder is begun for, and that it gets at once.
const CHUNK: usize = 256 << 10;
/// The number of bytes after which the compressed size is estimated for the first time; then after
/// four times as many, until there is an encoder that reports it.
const TRIAL: usize = 4 << 10;

/// The levels of the compressors. On JSON events the first is within some percents of the size that
/// the usual level 6 of gzip comes to.
const GZIP_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("total", &self.total).finish_non_exhaustive()
    }
}

impl Lines {
    /// Returns an empty batch whose first record has this id.
    #[must_use]
    pub(super) const fn new(compression: Compression, first: Uuid) -> Self {
        Self {
            compression,
            first,
            plain: Vec::new(),
            encoder: None,
            total: 0,
            seen: (1, 1),
            out: false,
        }
    }

    /// Adds a line.
    pub(super) fn push(&mut self, line: &str) -> Result<()> {
        self.plain.reserve(line.len() + 1);
        self.plain.extend_from_slice(line.as_bytes());
        self.plain.push(b'\n');
        self.total += line.len() + 1;
        if self.compression == Compression::None {
            return Ok(());
        }
        if self.plain.len() >= CHUNK {
            return self.encode();
        }
        if !self.out && self.total >= TRIAL.max(self.seen.0 * 4) {
            self.seen = (self.total, trial(self.compression, &self.plain)?);
        }
        Ok(())
    }

    /// Returns the estimated size of the encoded batch.
    #[must_use]
    pub(super) fn encoded(&self) -> usize {
        let (seen, came_to) = self.seen;
        self.total.saturating_mul(came_to) / seen
    }

    /// Returns the encoded batch.
    ///
    /// # Errors
    /// The compressor's own, which is out of memory.
    pub(super) fn finish(mut self) -> Result<Bytes> {
        if self.compression == Compression::None {
            return Ok(self.plain.into());
        }
        self.encode()?;
        Ok(match self.encoder {
            Some(Encoder::Gzip(encoder)) => encoder.finish()?.into(),
            Some(Encoder::Zstd(encoder)) => {
                let mut bytes = encoder.finish()?;
                // Behind the lines: Node's own reader stops at the first frame.
                bytes.extend_from_slice(&SKIPPED);
                bytes.extend_from_slice(self.first.as_bytes());
                bytes.into()
            }
            None => Bytes::new(),
        })
    }

    fn encode(&mut self) -> Result<()> {
        if self.encoder.is_none() {
            self.encoder = Encoder::new(self.compression, self.first)?;
        }
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let out = match encoder {
            Encoder::Gzip(encoder) => {
                encoder.write_all(&self.plain)?;
                encoder.get_ref().len()
            }
            Encoder::Zstd(encoder) => {
                encoder.write_all(&self.plain)?;
                encoder.get_ref().len()
            }
        };
        // The first bytes of output are not representative: the encoder buffers.
        if out > MEANINGFUL {
            (self.seen, self.out) = ((self.total, out), true);
        }
        self.plain.clear();
        Ok(())
    }
}

/// The beginning of a frame of 16 bytes that every reader skips (RFC 8878, 3.1.2).
const SKIPPED: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 16, 0, 0, 0];

/// The output size from which an encoder's ratio is meaningful.
const MEANINGFUL: usize = 1 << 10;

/// Returns the compressed size of these bytes.
fn trial(compression: Compression, bytes: &[u8]) -> Result<usize> {
    Ok(match compression {
        Compression::Gzip => {
            let level = flate2::Compression::new(GZIP_LEVEL);
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes)?;
            encoder.finish()?.len()
        }
        Compression::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL)?.len(),
        Compression::None => bytes.len(),
    })
}

impl Encoder {
    fn new(compression: Compression, first: Uuid) -> Result<Option<Self>> {
        Ok(match compression {
            Compression::Gzip => {
                let builder = GzBuilder::new().filename(format!("{first}.ndjson"));
                let level = flate2::Compression::new(GZIP_LEVEL);
                Some(Self::Gzip(builder.write(Vec::new(), level)))
            }
            Compression::Zstd => Some(Self::Zstd(ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?)),
            Compression::None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn encoded(compression: Compression, count: usize) -> (Bytes, usize) {
        let mut lines = Lines::new(compression, Uuid::from_u128(7));
        for number in 0..count {
            lines.push(&format!(r#"{{"number":{number},"name":"Luke Skywalker"}}"#)).unwrap();
        }
        let guess = lines.encoded();
        (lines.finish().unwrap(), guess)
    }

    fn decoded(compression: Compression, bytes: &[u8]) -> String {
        let mut text = String::new();
        match compression {
            Compression::Gzip => {
                flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
            }
            Compression::Zstd => {
                zstd::Decoder::new(bytes).unwrap().read_to_string(&mut text).unwrap();
            }
            Compression::None => text = String::from_utf8(bytes.to_vec()).unwrap(),
        }
        text
    }

    #[test]
    fn lines_come_out_as_they_went_in_whatever_their_number() {
        for compression in Compression::ALL {
            for count in [1, 100, 30_000] {
                let (bytes, _) = encoded(compression, count);
                let text = decoded(compression, &bytes);
                assert_eq!(text.lines().count(), count, "{compression:?}");
                assert!(text.ends_with("}\n"));
                assert_eq!(
                    encoded(compression, count).0,
                    bytes,
                    "{compression:?} is deterministic"
                );
            }
        }
    }

    #[test]
    fn the_encoded_size_is_known_well_enough_while_it_grows() {
        for compression in Compression::ALL {
            for count in [1000, 100_000] {
                let (bytes, guess) = encoded(compression, count);
                let share = guess * 100 / bytes.len();
                assert!((50..300).contains(&share), "{compression:?} {count}: {share} %");
            }
        }
    }
}
