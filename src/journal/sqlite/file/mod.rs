//! The file in the data directory: its lock, its layout, and its size.

mod checkpoint;
mod directory;
mod schema;
mod upkeep;

pub use directory::{announce, create_directory};
pub use schema::Durability;

pub(super) use checkpoint::Checkpoints;
pub(super) use directory::DataDir;
pub(super) use schema::{open, open_to_read};
pub(super) use upkeep::Upkeep;

#[cfg(test)]
pub(super) use schema::VERSION;
