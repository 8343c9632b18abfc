//! The file in the data directory: its lock, its layout, and its size.

mod checkpoint;
mod directory;
#[cfg(test)]
mod dying;
#[cfg(test)]
mod faulty;
mod schema;
mod upkeep;

pub use directory::{announce, create_directory};
pub use schema::Durability;

pub(super) use checkpoint::Checkpoints;
pub(super) use directory::DataDir;
pub(super) use schema::{check_numbered, open, open_to_read};
pub(super) use upkeep::Upkeep;

#[cfg(test)]
pub(super) use checkpoint::checkpoint;
#[cfg(test)]
pub(super) use dying::during_upkeep;
#[cfg(test)]
pub(crate) use dying::{die_in_upkeep, live_on};
#[cfg(test)]
pub(crate) use faulty::{DiskFault, DiskFaults, has_disk_faults, set_disk_faults};
#[cfg(test)]
pub(super) use schema::VERSION;
