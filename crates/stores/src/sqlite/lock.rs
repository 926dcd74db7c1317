//! The locks of the data directory: one process uses it, and it can find out which earlier incarnations are dead.
//!
//! Two locks keep a second process out: one on the directory itself, which holds whatever happens to the files in it, and one on the file `lock`,
//! which processes of earlier versions check. Besides, each incarnation holds a lock on a file of its own. So a new process that has taken over the
//! first two locks from one that still drains can tell which incarnations live. If somebody has deleted such a file, the folder of these files
//! shows whether any other process lives, because each holds a shared lock on it. The kernel releases all locks when a process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use storage::entities::Incarnation;

/// The data directory, locked for this process until this is dropped.
pub(super) struct DataDir {
    dir: PathBuf,
    /// A shared lock on the folder `incarnations`. Every process that uses the directory has one.
    alive: OnceLock<File>,
    _directory: File,
    _lock: File,
}

/// The lock of one incarnation, held until this is dropped.
pub(super) struct IncarnationLock {
    _lock: File,
}

impl DataDir {
    /// Locks the directory.
    ///
    /// # Errors
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

    /// Whether the process of an incarnation has ended. `false` if that cannot be found out.
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
        // A failed try has released our shared lock.
        let shared = flock(alive, FlockOperation::NonBlockingLockShared).is_ok();
        alone && shared
    }

    /// Removes the lock file of an incarnation that the store has forgotten. If that fails, an empty file stays, which does no harm.
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

/// Whether an incarnation has ever begun in this directory. Lock files are deleted, but their folder stays.
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
