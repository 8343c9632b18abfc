//! The hold on the file of a warehouse, as the thread has it that runs the warehouse. It ends with that
//! thread.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::External;
use napi_derive::napi;

use super::error::thrown;
use crate::destinations::sql::duckdb::{Hold, HoldError, Purpose};
use crate::error::{Error, ErrorKind};

/// A hold that can be given back.
type Held = Mutex<Option<Hold>>;

/// Takes a file that no other engine is to open; one that is only read, beside others that read it.
///
/// Throws `ERR_SEND_UNAVAILABLE` while another has it.
#[napi(js_name = "_holdWarehouse", catch_unwind, skip_typescript)]
pub fn hold_warehouse(
    file: String,
    read_only: bool,
) -> Result<External<Held>, napi::Error<ErrorKind>> {
    let purpose = if read_only { Purpose::Read } else { Purpose::Write };
    let hold = Hold::take(Path::new(&file), purpose).map_err(|error| {
        let holder = match error {
            HoldError::Engine => "another engine of this process",
            HoldError::Process => "another process",
        };
        let message = format!("{holder} has the warehouse open: {file}");
        thrown(&Error::new(ErrorKind::Unavailable, message))
    })?;
    Ok(External::new(Mutex::new(Some(hold))))
}

/// Gives it back.
#[napi(js_name = "_releaseWarehouse", catch_unwind, skip_typescript)]
pub fn release_warehouse(held: &External<Held>) {
    held.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Adds a process that is to end with the hold, even if this thread is terminated.
#[napi(js_name = "_beginWarehouseProcess", catch_unwind, skip_typescript)]
pub fn begin_warehouse_process(held: &External<Held>, pid: u32) {
    if let Some(hold) = &*held.lock().unwrap_or_else(PoisonError::into_inner) {
        hold.begin_child(pid);
    }
}

/// Forgets a process that has ended.
#[napi(js_name = "_endWarehouseProcess", catch_unwind, skip_typescript)]
pub fn end_warehouse_process(held: &External<Held>, pid: u32) {
    if let Some(hold) = &*held.lock().unwrap_or_else(PoisonError::into_inner) {
        hold.end_child(pid);
    }
}
