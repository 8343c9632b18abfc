//! Locks the file of a warehouse for one engine. DuckDB's own lock is not enough: the processes
//! that load and query take turns, and none of them has the file open in between.
//!
//! **Invariant:** between two turns the tables are as the engine that holds the file left them.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static HELD: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// A file that no other engine opens until this is dropped.
#[derive(Debug)]
pub struct Hold {
    file: PathBuf,
    /// The system releases the lock with it, however the process ends.
    lock: Option<File>,
    children: children::Children,
}

/// The holder of a file that cannot be held.
#[derive(Debug, PartialEq, Eq)]
pub enum HoldError {
    /// An engine of this process.
    Engine,
    /// Another process.
    Process,
}

/// The purpose of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For loads and queries.
    Write,
    /// For queries alone, in parallel with other processes.
    Read,
}

impl Hold {
    /// Holds a file whose directory is there.
    ///
    /// # Errors
    /// Something else holds it.
    pub fn take(file: &Path, purpose: Purpose) -> Result<Self, HoldError> {
        let file = resolved(file);
        let is_free = held().get_or_insert_default().insert(file.clone());
        if !is_free {
            return Err(HoldError::Engine);
        }
        let mut hold = Self { file, lock: None, children: children::Children::default() };
        hold.lock = locked(&hold.file, purpose)?;
        Ok(hold)
    }

    /// Adds a process that ends with this hold.
    pub fn begin_child(&self, pid: u32) {
        self.children.begin(pid);
    }

    /// Forgets a process that has ended.
    pub fn end_child(&self, pid: u32) {
        self.children.end(pid);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(files) = &mut *held() {
            files.remove(&self.file);
        }
    }
}

/// Locks the file beside a warehouse that is there for this alone: DuckDB locks the warehouse itself.
/// `None`: the file system has no locks, or takes no file.
fn locked(file: &Path, purpose: Purpose) -> Result<Option<File>, HoldError> {
    let mut path = file.to_owned().into_os_string();
    path.push(".lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let Ok(lock) = options.open(&path).or_else(|_| File::open(&path)) else { return Ok(None) };
    let taken = match purpose {
        Purpose::Write => lock.try_lock(),
        Purpose::Read => lock.try_lock_shared(),
    };
    match taken {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(HoldError::Process),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Returns the same path for each way to spell it.
fn resolved(file: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    if let Ok(found) = file.canonicalize() {
        return found;
    }
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    folder.zip(file.file_name()).map_or(file.clone(), |(folder, name)| folder.join(name))
}

fn held() -> MutexGuard<'static, Option<HashSet<PathBuf>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processes of a hold. A thread of JavaScript that is terminated leaves its child processes
/// behind: they end by themselves, but the system keeps them until this process has waited for them.
#[cfg(unix)]
mod children {
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    #[derive(Debug, Default)]
    pub(super) struct Children(Mutex<Vec<u32>>);

    impl Children {
        pub(super) fn begin(&self, pid: u32) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
        }

        pub(super) fn end(&self, pid: u32) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != pid);
        }
    }

    impl Drop for Children {
        fn drop(&mut self) {
            let left = std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner));
            let pids: Vec<_> = left
                .into_iter()
                .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
                .filter(|pid| is_running(*pid))
                .collect();
            if pids.is_empty() {
                return;
            }
            // Without a thread the system reaps them with this process.
            let _ = thread::Builder::new().name("dollar-send-reap".to_owned()).spawn(move || {
                for pid in pids {
                    let _ = kill_process(pid, Signal::KILL);
                    let _ = waitpid(Some(pid), WaitOptions::empty());
                }
            });
        }
    }

    /// Returns whether the process runs; `false` after it was waited for, because its number may be
    /// reused.
    fn is_running(pid: Pid) -> bool {
        matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
    }
}

/// Here the system keeps nothing of a process that has ended.
#[cfg(not(unix))]
mod children {
    #[derive(Debug, Default)]
    pub(super) struct Children;

    impl Children {
        pub(super) fn begin(&self, _pid: u32) {}

        pub(super) fn end(&self, _pid: u32) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_once_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.duckdb");
        let other = folder.path().join(".").join("..").join(folder.path().file_name().unwrap());
        let take = |file: &Path| Hold::take(file, Purpose::Write).map(drop);
        let hold = Hold::take(&file, Purpose::Write).unwrap();
        assert_eq!(take(&other.join("a.duckdb")), Err(HoldError::Engine));
        std::fs::write(&file, "").unwrap();
        assert_eq!(take(&file), Err(HoldError::Engine));
        assert_eq!(take(&folder.path().join("b.duckdb")), Ok(()));
        drop(hold);
        assert_eq!(take(&file), Ok(()));
    }

    #[test]
    fn a_file_that_another_process_holds_is_free_again_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.duckdb");
        let other = File::create(folder.path().join("a.duckdb.lock")).unwrap();
        let take = |purpose| Hold::take(&file, purpose).map(drop);
        other.lock_shared().unwrap();
        assert_eq!(take(Purpose::Write), Err(HoldError::Process));
        assert_eq!(take(Purpose::Read), Ok(()));
        other.unlock().unwrap();
        other.lock().unwrap();
        assert_eq!(take(Purpose::Read), Err(HoldError::Process));
        drop(other);
        assert_eq!(take(Purpose::Write), Ok(()));
    }

    #[cfg(unix)]
    #[test]
    fn processes_end_with_their_hold() {
        use std::io::Read;
        use std::process::{Command, Stdio};

        let folder = tempfile::tempdir().unwrap();
        let hold = Hold::take(&folder.path().join("a"), Purpose::Write).unwrap();
        let mut sleep = Command::new("sleep").arg("600").stdout(Stdio::piped()).spawn().unwrap();
        hold.begin_child(sleep.id());
        drop(hold);
        // Its output ends when it does.
        let mut end = Vec::new();
        sleep.stdout.take().unwrap().read_to_end(&mut end).unwrap();
        assert!(end.is_empty());
        // The thread of the hold waits for it, too: only one of the two gets its exit status.
        match sleep.wait() {
            Ok(status) => assert!(!status.success()),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::CHILD.raw_os_error()));
            }
        }
    }
}
