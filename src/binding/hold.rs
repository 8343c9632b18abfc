//! The hold on the file of a warehouse. It belongs to the thread that runs the warehouse, and ends with
//! it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::External;
use napi_derive::napi;

use super::error::to_napi_error;
use crate::destinations::sql::duckdb::{Hold, HoldError, Purpose};
use crate::error::{Error, ErrorKind};

/// A hold that can be released.
type ReleasableHold = Mutex<Option<Hold>>;

/// Locks a file against other engines; a file that is only read is shared with other readers.
///
/// Throws `ERR_SEND_UNAVAILABLE` while another engine has it.
#[napi(js_name = "_holdWarehouse", catch_unwind, skip_typescript)]
pub fn hold_warehouse(
    file: String,
    read_only: bool,
) -> Result<External<ReleasableHold>, napi::Error<ErrorKind>> {
    let purpose = if read_only { Purpose::Read } else { Purpose::Write };
    let hold = Hold::take(Path::new(&file), purpose).map_err(|error| {
        let holder = match error {
            HoldError::Engine => "another engine of this process",
            HoldError::Process => "another process",
        };
        let message = format!("{holder} has the warehouse open: {file}");
        to_napi_error(&Error::new(ErrorKind::Unavailable, message))
    })?;
    Ok(External::new(Mutex::new(Some(hold))))
}

/// Releases the hold.
#[napi(js_name = "_releaseWarehouse", catch_unwind, skip_typescript)]
pub fn release_warehouse(held: &External<ReleasableHold>) {
    held.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Adds a process that ends with the hold, even if this thread is terminated.
#[napi(js_name = "_beginWarehouseProcess", catch_unwind, skip_typescript)]
pub fn begin_warehouse_process(held: &External<ReleasableHold>, pid: u32) {
    if let Some(hold) = &*held.lock().unwrap_or_else(PoisonError::into_inner) {
        hold.begin_child(pid);
    }
}

/// Removes a process that has ended.
#[napi(js_name = "_endWarehouseProcess", catch_unwind, skip_typescript)]
pub fn end_warehouse_process(held: &External<ReleasableHold>, pid: u32) {
    if let Some(hold) = &*held.lock().unwrap_or_else(PoisonError::into_inner) {
        hold.end_child(pid);
    }
}
