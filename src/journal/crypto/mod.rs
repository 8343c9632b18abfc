//! Encryption at rest.

mod cipher;
mod key;

pub(in crate::journal) use cipher::Cipher;
pub(in crate::journal) use key::JournalKey;

/// The text that the check of a key encrypts, so that another key is noticed before anything is taken.
pub(in crate::journal) const KEY_CHECK: &[u8] = b"dollar-send journal";
