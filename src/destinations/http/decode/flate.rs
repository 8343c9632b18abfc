//! gzip (RFC 1952), zlib (RFC 1950) and raw deflate (RFC 1951), distinguished by their first bytes:
//! servers send each of them under the names of the others.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Coding, Fault, Step};

const GZIP: &str = "gzip";
const DEFLATE: &str = "deflate";

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The required wrapping of the data: gzip or zlib.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// `gzip`: without it the data is something else.
    Required,
    /// `deflate`: without it the data is raw.
    Optional,
}

/// A decoder of deflate in any of its wrappings.
pub(super) struct Flate {
    wrapping: Wrapping,
    part: FlateState,
    inflate: Decompress,
    crc: Crc,
}

/// The part of the data that comes next.
enum FlateState {
    /// The two bytes that distinguish the wrappings.
    Magic(Gathered<2>),
    Header(Header),
    GzipBody,
    /// Checksum and length.
    Trailer(Gathered<8>),
    /// The end, or one more member.
    Next(Gathered<2>),
    /// zlib or raw deflate, preceded by the bytes that were read for detection.
    Bare(Option<[u8; 2]>),
}

/// Bytes of a fixed length that arrive in pieces.
#[derive(Clone, Copy)]
struct Gathered<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Gathered<N> {
    const NONE: Self = Self { bytes: [0; N], length: 0 };

    /// Takes what is missing; returns how much it took.
    fn take(&mut self, input: &[u8]) -> usize {
        let taken = input.len().min(N - self.length);
        self.bytes[self.length..self.length + taken].copy_from_slice(&input[..taken]);
        self.length += taken;
        taken
    }

    const fn is_full(&self) -> bool {
        self.length == N
    }
}

impl Flate {
    /// Returns a decoder at the beginning of a body.
    pub(super) fn new(wrapping: Wrapping) -> Self {
        let part = FlateState::Magic(Gathered::NONE);
        Self { wrapping, part, inflate: Decompress::new(false), crc: Crc::new() }
    }

    const fn name(&self) -> &'static str {
        match self.wrapping {
            Wrapping::Required => GZIP,
            Wrapping::Optional => DEFLATE,
        }
    }

    fn begin(&mut self, magic: [u8; 2]) -> Result<FlateState, Fault> {
        if magic == GZIP_MAGIC {
            return Ok(FlateState::Header(Header::default()));
        }
        let zlib = is_zlib(magic);
        if !zlib && self.wrapping == Wrapping::Required {
            return Err(Fault::Foreign(GZIP));
        }
        self.inflate = Decompress::new(zlib);
        Ok(FlateState::Bare(Some(magic)))
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|_| Fault::Damaged(self.name()))?;
        Ok(Step {
            read: length(self.inflate.total_in() - read),
            written: length(self.inflate.total_out() - written),
            done: status == Status::StreamEnd,
        })
    }

    /// Decodes a body without wrapping, from its first two bytes while it has them.
    fn inflate_bare(
        &mut self,
        first: Option<[u8; 2]>,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Step, Fault> {
        if let Some(first) = first {
            // Two bytes are at most the beginning of a block: the decoder takes both.
            let step = self.inflate(&first, output)?;
            if step.done || step.written > 0 {
                return Ok(Step { read: 0, ..step });
            }
        }
        self.inflate(input, output)
    }

    fn check(&self, trailer: [u8; 8]) -> Result<(), Fault> {
        let [a, b, c, d, ..] = trailer;
        if u32::from_le_bytes([a, b, c, d]) == self.crc.sum() {
            return Ok(());
        }
        Err(Fault::Damaged(GZIP))
    }
}

impl Coding for Flate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let taken = |read| Step { read, written: 0, done: false };
        let read = match &mut self.part {
            FlateState::Magic(magic) => {
                let read = magic.take(input);
                if magic.is_full() {
                    let magic = magic.bytes;
                    self.part = self.begin(magic)?;
                    // The two bytes may be all there is.
                    let step = self.step(&input[read..], output)?;
                    return Ok(Step { read: read + step.read, ..step });
                }
                read
            }
            FlateState::Header(header) => {
                let read = header.take(input)?;
                if header.is_over() {
                    self.inflate.reset(false);
                    self.crc.reset();
                    self.part = FlateState::GzipBody;
                }
                read
            }
            FlateState::GzipBody => {
                let step = self.inflate(input, output)?;
                self.crc.update(&output[..step.written]);
                if step.done {
                    self.part = FlateState::Trailer(Gathered::NONE);
                }
                return Ok(Step { done: false, ..step });
            }
            FlateState::Trailer(trailer) => {
                let read = trailer.take(input);
                if trailer.is_full() {
                    let trailer = trailer.bytes;
                    self.check(trailer)?;
                    self.part = FlateState::Next(Gathered::NONE);
                }
                read
            }
            FlateState::Next(magic) => {
                let read = magic.take(input);
                if magic.is_full() && magic.bytes == GZIP_MAGIC {
                    self.part = FlateState::Header(Header::default());
                } else if magic.is_full() {
                    return Ok(Step { done: true, ..taken(read) });
                }
                read
            }
            FlateState::Bare(first) => {
                let first = first.take();
                return self.inflate_bare(first, input, output);
            }
        };
        Ok(taken(read))
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.part {
            FlateState::Next(_) => Ok(()),
            FlateState::Magic(_)
            | FlateState::Header(_)
            | FlateState::GzipBody
            | FlateState::Trailer(_)
            | FlateState::Bare(_) => Err(Fault::Short(self.name())),
        }
    }
}

/// Returns whether the bytes are a header of zlib without a dictionary. Raw deflate never begins so:
/// it would be a stored block whose padding is not zero.
const fn is_zlib([cmf, flags]: [u8; 2]) -> bool {
    cmf & 0x0f == 8
        && cmf >> 4 <= 7
        && flags & 0x20 == 0
        && u16::from_be_bytes([cmf, flags]) % 31 == 0
}

/// Returns a step's share of a count of the decoder, which a buffer bounds.
fn length(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The header of a gzip member after its magic: what is left of it.
#[derive(Default)]
struct Header {
    field: HeaderField,
    flags: u8,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum HeaderField {
    #[default]
    Method,
    Flags,
    /// Time, extra flags and system: so many bytes left.
    Fixed(u8),
    ExtraLow,
    ExtraHigh(u8),
    Extra(u16),
    Name,
    Comment,
    /// The header's own checksum: so many bytes left.
    Checksum(u8),
    Over,
}

const CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

impl Header {
    const fn is_over(&self) -> bool {
        matches!(self.field, HeaderField::Over)
    }

    fn take(&mut self, input: &[u8]) -> Result<usize, Fault> {
        for (index, byte) in input.iter().enumerate() {
            self.field = self.after(*byte)?;
            if self.is_over() {
                return Ok(index + 1);
            }
        }
        Ok(input.len())
    }

    /// Returns the field that the byte after this one belongs to.
    fn after(&mut self, byte: u8) -> Result<HeaderField, Fault> {
        Ok(match self.field {
            HeaderField::Method if byte == 8 => HeaderField::Flags,
            HeaderField::Flags if byte & RESERVED == 0 => {
                self.flags = byte;
                HeaderField::Fixed(6)
            }
            HeaderField::Method | HeaderField::Flags => return Err(Fault::Damaged(GZIP)),
            HeaderField::Fixed(1) => self.extra_on(),
            HeaderField::Fixed(left) => HeaderField::Fixed(left - 1),
            HeaderField::ExtraLow => HeaderField::ExtraHigh(byte),
            HeaderField::ExtraHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.name_on(),
                length => HeaderField::Extra(length),
            },
            HeaderField::Extra(1) => self.name_on(),
            HeaderField::Extra(left) => HeaderField::Extra(left - 1),
            HeaderField::Name if byte == 0 => self.comment_on(),
            HeaderField::Comment if byte == 0 => self.checksum_on(),
            HeaderField::Checksum(2) => HeaderField::Checksum(1),
            HeaderField::Checksum(_) => HeaderField::Over,
            field @ (HeaderField::Name | HeaderField::Comment | HeaderField::Over) => field,
        })
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    const fn extra_on(&self) -> HeaderField {
        if self.has(EXTRA) { HeaderField::ExtraLow } else { self.name_on() }
    }

    const fn name_on(&self) -> HeaderField {
        if self.has(NAME) { HeaderField::Name } else { self.comment_on() }
    }

    const fn comment_on(&self) -> HeaderField {
        if self.has(COMMENT) { HeaderField::Comment } else { self.checksum_on() }
    }

    const fn checksum_on(&self) -> HeaderField {
        if self.has(CHECKSUM) { HeaderField::Checksum(2) } else { HeaderField::Over }
    }
}
