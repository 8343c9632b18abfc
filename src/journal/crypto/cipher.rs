//! Encryption at rest: the file shows no headers or credentials of waiting calls.
//!
//! AES-256-GCM with nonces drawn at random is good for 2^32 messages under one key, so each opening
//! of a journal seals with a key of its own: HKDF-SHA-256 of the journal's key and a random salt,
//! which stands in front of every message. What a message belongs to is authenticated with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use super::key::{JournalKey, KEY_BYTES};
use crate::error::{Error, ErrorKind, Result};

/// The first byte of a message: how it is made.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const HEAD_BYTES: usize = 1 + SALT_BYTES + NONCE_LEN;

/// Seals and opens under one key.
pub(crate) struct Cipher {
    key: JournalKey,
    salt: [u8; SALT_BYTES],
    encrypting: RandomizedNonceKey,
    /// The key of the message opened last: messages of one opening follow each other.
    decrypting: Mutex<Option<([u8; SALT_BYTES], RandomizedNonceKey)>>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    /// A cipher with a salt of its own.
    ///
    /// # Errors
    /// `Journal` when the system has no random numbers.
    pub(in crate::journal) fn new(key: &JournalKey) -> Result<Self> {
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| broken("the system has no random numbers"))?;
        let encrypting = derived(key, &salt)?;
        Ok(Self { key: key.clone(), salt, encrypting, decrypting: Mutex::default() })
    }

    /// Seals `plain`, bound to `context`.
    ///
    /// # Errors
    /// `Journal` when the cipher fails.
    pub(in crate::journal) fn encrypt(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut body = plain.to_vec();
        body.reserve_exact(AES_256_GCM.tag_len());
        let nonce = self
            .encrypting
            .seal_in_place_append_tag(Aad::from(context), &mut body)
            .map_err(|_| broken("sealing failed"))?;
        let mut message = Vec::with_capacity(HEAD_BYTES + body.len());
        message.push(VERSION);
        message.extend_from_slice(&self.salt);
        message.extend_from_slice(nonce.as_ref());
        message.append(&mut body);
        Ok(message)
    }

    /// Opens what was sealed for `context`.
    ///
    /// # Errors
    /// `Journal` when it was sealed with another key or for something else, or is damaged.
    pub(in crate::journal) fn decrypt(&self, context: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>> {
        let (head, body) = ciphertext.split_at_checked(HEAD_BYTES).ok_or_else(damaged)?;
        let (version, rest) = head.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(broken("a newer version of dollar-send sealed what waits: use that one"));
        }
        let (salt, nonce) = rest.split_at(SALT_BYTES);
        let salt: [u8; SALT_BYTES] = salt.try_into().map_err(|_| damaged())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = body.to_vec();
        let mut last = self.decrypting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match last.take() {
            Some((known, key)) if known == salt => key,
            _ => derived(&self.key, &salt)?,
        };
        let plain = key.open_in_place(nonce, Aad::from(context), &mut body);
        let length = plain.map(|plain| plain.len()).map_err(|_| damaged())?;
        *last = Some((salt, key));
        body.truncate(length);
        Ok(body)
    }
}

fn derived(key: &JournalKey, salt: &[u8]) -> Result<RandomizedNonceKey> {
    let failed = |_| broken("deriving a key failed");
    let secret = Salt::new(HKDF_SHA256, salt).extract(key.bytes());
    let mut bytes = [0; KEY_BYTES];
    secret
        .expand(&[b"dollar-send journal"], HKDF_SHA256)
        .and_then(|key| key.fill(&mut bytes))
        .map_err(failed)?;
    RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(failed)
}

fn damaged() -> Error {
    broken(
        "what waits was sealed with another key, or is damaged: give the key that it was sealed with (journal.key)",
    )
}

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::Journal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(byte: u8) -> Cipher {
        Cipher::new(&JournalKey::given(&[byte; 32]).unwrap()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_context_alone() {
        let (one, same, other) = (cipher(1), cipher(1), cipher(2));
        for plain in [&b""[..], b"secret", &vec![7; 100_000]] {
            let message = one.encrypt(b"5", plain).unwrap();
            assert!(plain.is_empty() || !message.windows(plain.len()).any(|part| part == plain));
            for reader in [&one, &same] {
                assert_eq!(reader.decrypt(b"5", &message).unwrap(), plain);
            }
            assert_eq!(other.decrypt(b"5", &message).unwrap_err().kind(), ErrorKind::Journal);
            assert_eq!(one.decrypt(b"6", &message).unwrap_err().kind(), ErrorKind::Journal);
            assert_eq!(one.decrypt(b"5", &message).unwrap(), plain);
        }
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let cipher = cipher(1);
        let message = cipher.encrypt(b"5", b"secret").unwrap();
        for place in 0..message.len() {
            let mut flipped = message.clone();
            flipped[place] ^= 1;
            assert!(cipher.decrypt(b"5", &flipped).is_err(), "{place}");
            assert!(cipher.decrypt(b"5", &message[..place]).is_err(), "{place}");
        }
    }
}
