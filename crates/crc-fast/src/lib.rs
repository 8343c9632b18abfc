//! The part of the crate `crc-fast` that `object_store` calls, in its place.
//!
//! The original brings the tables of every checksum there is, 0.7 MB, for the one that
//! `object_store` computes (`s3.checksum`). This is that one, with a table of 2 KiB.

/// A checksum that can be computed.
#[derive(Debug, Clone, Copy)]
pub enum CrcAlgorithm {
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// A checksum that is being computed.
#[derive(Debug, Clone)]
pub struct Digest(u64);

/// The polynomial of CRC-64/NVME, its bits reversed.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;

/// The checksum of each byte.
const TABLE: [u64; 256] = table();

const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub const fn new(CrcAlgorithm::Crc64Nvme: CrcAlgorithm) -> Self {
        Self(u64::MAX)
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = (self.0 >> 8) ^ TABLE[usize::from(low ^ byte)];
        }
    }

    /// The checksum of what was added.
    #[must_use]
    pub const fn finalize(&self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_checksum_of_the_catalogue() {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(b"1234");
        digest.update(b"56789");
        // https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme
        assert_eq!(digest.finalize(), 0xae8b_1486_0a79_9888);
    }
}
