//! A disk that fails, for simulations: SQLite's own access to files, of which writes and syncs fail when
//! the thread that makes them says so.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE, SQLITE_OK, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::dying;

/// A fault of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// A write fails (`EIO`).
    Write,
    /// A half of what is to be written is, and then the disk is full (`ENOSPC`).
    Full,
    /// A sync fails (`EIO`). What was written before it may be on disk.
    Sync,
}

/// The faults of a disk that are to come. They are counted by syncs, one of which ends each transaction: how
/// many writes it has depends on ids that are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskFaults {
    pub(crate) fault: DiskFault,
    /// The number of syncs that succeed before the first fault.
    pub(crate) syncs: u64,
    /// The number of writes that succeed after them.
    pub(crate) writes: u64,
    /// The number of operations that fail.
    pub(crate) count: u64,
}

thread_local! {
    static FAULTS: Cell<Option<DiskFaults>> = const { Cell::new(None) };
}

/// Sets the faults to come on this thread; `None`: the disk is well.
pub(crate) fn set_disk_faults(faults: Option<DiskFaults>) {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(register);
    FAULTS.set(faults);
}

/// Returns `true` if an operation on the disk of this thread will still fail.
pub(crate) fn has_disk_faults() -> bool {
    FAULTS.get().is_some()
}

/// Returns the fault of this write; `None`: it succeeds.
fn write_fault() -> Option<DiskFault> {
    let mut faults = FAULTS.get().filter(|faults| faults.fault != DiskFault::Sync)?;
    if faults.syncs > 0 {
        return None;
    }
    let fails = faults.writes == 0;
    faults.writes = faults.writes.saturating_sub(1);
    faults.leave(fails)
}

/// Returns the fault of this sync; `None`: it succeeds.
fn sync_fault() -> Option<DiskFault> {
    let mut faults = FAULTS.get()?;
    let fails = faults.syncs == 0 && faults.fault == DiskFault::Sync;
    faults.syncs = faults.syncs.saturating_sub(1);
    faults.leave(fails)
}

impl DiskFaults {
    /// Sets what is left of the faults. Returns that of an operation, if it fails.
    fn leave(mut self, fails: bool) -> Option<DiskFault> {
        self.count -= u64::from(fails);
        FAULTS.set((self.count > 0).then_some(self));
        fails.then_some(self.fault)
    }
}

/// The methods of a file that are replaced.
struct Original {
    open: unsafe extern "C" fn(
        *mut sqlite3_vfs,
        *const c_char,
        *mut sqlite3_file,
        c_int,
        *mut c_int,
    ) -> c_int,
    file: OnceLock<Methods>,
}

#[derive(Clone, Copy)]
struct Methods {
    write: unsafe extern "C" fn(*mut sqlite3_file, *const c_void, c_int, sqlite3_int64) -> c_int,
    sync: unsafe extern "C" fn(*mut sqlite3_file, c_int) -> c_int,
}

static ORIGINAL: OnceLock<Original> = OnceLock::new();

/// Makes this the way in which SQLite reaches files from now on.
#[expect(unsafe_code, reason = "it is the interface of SQLite")]
fn register() {
    // SAFETY: the default of SQLite lives as long as the process, and so does its leaked copy.
    unsafe {
        let default = sqlite3_vfs_find(ptr::null());
        let mut copy = *default;
        let open = copy.xOpen.expect("files can be opened");
        let _ = ORIGINAL.set(Original { open, file: OnceLock::new() });
        copy.xOpen = Some(open_file);
        copy.zName = c"faulty".as_ptr();
        copy.pNext = ptr::null_mut();
        assert_eq!(sqlite3_vfs_register(Box::leak(Box::new(copy)), 1), SQLITE_OK);
    }
}

#[expect(unsafe_code, reason = "it is the interface of SQLite")]
unsafe extern "C" fn open_file(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let original = ORIGINAL.get().expect("it is registered");
    // SAFETY: SQLite gives what its own function takes, and that sets the methods of the file.
    unsafe {
        let opened = (original.open)(vfs, name, file, flags, out);
        if opened == SQLITE_OK && !(*file).pMethods.is_null() {
            let mut methods: sqlite3_io_methods = *(*file).pMethods;
            let (Some(write), Some(sync)) = (methods.xWrite, methods.xSync) else { return opened };
            // Those of every kind of file are the same.
            original.file.get_or_init(|| Methods { write, sync });
            methods.xWrite = Some(write_file);
            methods.xSync = Some(sync_file);
            (*file).pMethods = Box::leak(Box::new(methods));
        }
        opened
    }
}

fn methods() -> Methods {
    *ORIGINAL.get().and_then(|original| original.file.get()).expect("a file is open")
}

#[expect(unsafe_code, reason = "it is the interface of SQLite")]
unsafe extern "C" fn write_file(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    dying::before_write();
    let fault = write_fault();
    if fault == Some(DiskFault::Write) {
        return SQLITE_IOERR_WRITE;
    }
    let amount = if fault.is_some() { amount / 2 } else { amount };
    // SAFETY: SQLite gives what its own function takes; a half of the bytes is there if all of them are.
    let written = unsafe { (methods().write)(file, bytes, amount, offset) };
    if fault.is_some() { SQLITE_FULL } else { written }
}

#[expect(unsafe_code, reason = "it is the interface of SQLite")]
unsafe extern "C" fn sync_file(file: *mut sqlite3_file, flags: c_int) -> c_int {
    dying::before_sync();
    if sync_fault().is_some() {
        return SQLITE_IOERR_FSYNC;
    }
    // SAFETY: SQLite gives what its own function takes.
    unsafe { (methods().sync)(file, flags) }
}
