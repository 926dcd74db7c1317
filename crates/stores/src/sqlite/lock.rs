//! Who uses the data directory: one live process, and which of the earlier ones are dead.
//!
//! `lock` keeps a second live process out. Each incarnation holds a lock of its own besides, so that a hand-over at a restart, which
//! passes `lock` on while the old process drains, can still tell the living from the dead. The kernel frees both when a process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use storage::entities::Incarnation;

/// The data directory in use by this process, until it is dropped.
pub(super) struct DataDir {
    dir: PathBuf,
    _lock: File,
}

/// The lock of one incarnation, until it is dropped.
pub(super) struct IncarnationLock {
    _lock: File,
}

impl DataDir {
    /// `WouldBlock` if another process uses it.
    pub(super) fn claim(dir: &Path) -> Result<Self, TryLockError> {
        Ok(Self { dir: dir.to_owned(), _lock: take(&dir.join("lock"))? })
    }

    /// Locks a new incarnation.
    pub(super) fn enter(&self, incarnation: Incarnation) -> Result<IncarnationLock, TryLockError> {
        std::fs::create_dir_all(self.incarnations()).map_err(TryLockError::Error)?;
        Ok(IncarnationLock { _lock: take(&self.lock_of(incarnation))? })
    }

    /// Whether its process is gone. In doubt it lives.
    pub(super) fn is_dead(&self, incarnation: Incarnation) -> bool {
        match File::open(self.lock_of(incarnation)) {
            Ok(file) => try_flock(&file).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Removes the lock of an incarnation that nothing remembers any more. Best effort: one that stays is an empty file.
    pub(super) fn forget(&self, incarnation: Incarnation) {
        let _ = std::fs::remove_file(self.lock_of(incarnation));
    }

    fn incarnations(&self) -> PathBuf {
        self.dir.join("incarnations")
    }

    fn lock_of(&self, incarnation: Incarnation) -> PathBuf {
        self.incarnations().join(format!("{}.lock", incarnation.0))
    }
}

/// Whether a run has ever begun in this directory: its locks come and go, their folder stays.
pub(super) fn has_had_incarnations(dir: &Path) -> bool {
    dir.join("incarnations").exists()
}

fn take(path: &Path) -> Result<File, TryLockError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = file.map_err(TryLockError::Error)?;
    try_flock(&file)?;
    Ok(file)
}

fn try_flock(file: &File) -> Result<(), TryLockError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => TryLockError::WouldBlock,
        other => TryLockError::Error(other.into()),
    })
}
