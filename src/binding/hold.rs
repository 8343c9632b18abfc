//! The hold on the file of a warehouse, as its worker thread has it. It ends with that thread.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::External;
use napi_derive::napi;

use super::error::thrown;
use crate::destinations::sql::duckdb::Hold;
use crate::error::{Error, ErrorKind};

/// A hold that can be given back.
type Held = Mutex<Option<Hold>>;

/// Takes a file that no other engine of this process is to open.
///
/// Throws `ERR_SEND_UNAVAILABLE` while one has it.
#[napi(js_name = "_holdWarehouse", catch_unwind, skip_typescript)]
pub fn hold_warehouse(file: String) -> Result<External<Held>, napi::Error<ErrorKind>> {
    let hold = Hold::take(Path::new(&file)).ok_or_else(|| {
        let message = format!("another engine of this process has the warehouse open: {file}");
        thrown(&Error::new(ErrorKind::Unavailable, message))
    })?;
    Ok(External::new(Mutex::new(Some(hold))))
}

/// Gives it back.
#[napi(js_name = "_releaseWarehouse", catch_unwind, skip_typescript)]
pub fn release_warehouse(held: &External<Held>) {
    held.lock().unwrap_or_else(PoisonError::into_inner).take();
}
