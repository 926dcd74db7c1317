//! Who uses the data directory: one live process, and which of the earlier ones are dead.
//!
//! Two locks keep a second live process out: that of the directory itself, which holds whatever becomes of the files in it, and that of
//! the file `lock`, which processes of earlier versions look at. Each incarnation holds a lock of its own besides, so that a hand-over at a
//! restart, which passes the first two on while the old process drains, can still tell the living from the dead. Where somebody has
//! deleted the file of one, the folder of these files says whether anybody else lives: each process holds a share of its lock. The kernel
//! frees all of them when a process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use storage::entities::Incarnation;

/// The data directory in use by this process, until it is dropped.
pub(super) struct DataDir {
    dir: PathBuf,
    /// A share of the lock of `incarnations`: every process that uses the directory has one.
    alive: OnceLock<File>,
    _directory: File,
    _lock: File,
}

/// The lock of one incarnation, until it is dropped.
pub(super) struct IncarnationLock {
    _lock: File,
}

impl DataDir {
    /// `WouldBlock` if another process uses it.
    pub(super) fn claim(dir: &Path) -> Result<Self, TryLockError> {
        let directory = File::open(dir).map_err(TryLockError::Error)?;
        try_flock(&directory)?;
        let lock = take(&dir.join("lock"))?;
        Ok(Self { dir: dir.to_owned(), alive: OnceLock::new(), _directory: directory, _lock: lock })
    }

    /// Locks a new incarnation.
    pub(super) fn enter(&self, incarnation: Incarnation) -> Result<IncarnationLock, TryLockError> {
        let alive = share(&incarnations(&self.dir)).map_err(TryLockError::Error)?;
        let _ = self.alive.set(alive);
        Ok(IncarnationLock { _lock: take(&self.lock_of(incarnation))? })
    }

    /// Whether its process is gone. In doubt it lives.
    pub(super) fn is_dead(&self, incarnation: Incarnation) -> bool {
        match File::open(self.lock_of(incarnation)) {
            Ok(file) => try_flock(&file).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound && self.is_alone(),
        }
    }

    /// Whether no other process uses the directory, whatever became of the lock files.
    fn is_alone(&self) -> bool {
        let Some(alive) = self.alive.get() else { return false };
        let alone = try_flock(alive).is_ok();
        // A try that failed has given up our share.
        let shared = flock(alive, FlockOperation::NonBlockingLockShared).is_ok();
        alone && shared
    }

    /// Removes the lock of an incarnation that nothing remembers any more. Best effort: one that stays is an empty file.
    pub(super) fn forget(&self, incarnation: Incarnation) {
        let _ = std::fs::remove_file(self.lock_of(incarnation));
    }

    fn lock_of(&self, incarnation: Incarnation) -> PathBuf {
        incarnations(&self.dir).join(format!("{}.lock", incarnation.0))
    }
}

fn incarnations(dir: &Path) -> PathBuf {
    dir.join("incarnations")
}

/// Whether a run has ever begun in this directory: its locks come and go, their folder stays.
pub(super) fn has_had_incarnations(dir: &Path) -> bool {
    incarnations(dir).exists()
}

fn share(folder: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    let folder = File::open(folder)?;
    flock(&folder, FlockOperation::NonBlockingLockShared)?;
    Ok(folder)
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
