//! Encryption at rest.

mod cipher;
mod key;

pub(in crate::journal) use cipher::Cipher;
pub(in crate::journal) use key::JournalKey;
