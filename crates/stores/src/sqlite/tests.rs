//! The suite, and what only this store has: files, locks, damage, checkpoints.

use std::path::Path;

use event::{Event, NewEvent, Position};
use storage::backend::{Opened, Reader};
use storage::conformance::{self, Open, Subject};
use storage::memory::{sample_event, sample_exchange, sample_id, sample_intent, sample_message};
use storage::retention::Retention;
use tempfile::TempDir;

use super::*;

mod commits;
mod opening;
mod plans;
mod random;
mod recovery;

/// A store in a directory of its own.
struct InTemp(TempDir);

impl InTemp {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn files(&self) -> Files {
        Files::of(self.dir())
    }

    fn try_open(&self) -> Result<Opened<SqliteBackend>, OpenError> {
        open(Options { dir: self.dir() })
    }

    fn open(&self) -> Opened<SqliteBackend> {
        self.try_open().unwrap()
    }

    /// What opening says, without the path of the test's directory.
    fn refusal(&self) -> String {
        let error = self.try_open().err().expect("it must be refused");
        error.to_string().replace(self.0.path().to_str().unwrap(), "TMP")
    }

    /// The database and its log as a power cut would leave them.
    fn as_after_a_crash(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(copy.dir()).unwrap();
        let (from, to) = (self.files(), copy.files());
        std::fs::copy(from.database, to.database).unwrap();
        if from.wal.exists() {
            std::fs::copy(from.wal, to.wal).unwrap();
        }
        copy
    }
}

impl Subject for InTemp {
    fn open(&mut self) -> Open {
        let Opened { backend, reader, unclean, .. } = InTemp::open(self);
        Open { backend: Box::new(backend), reader, unclean }
    }

    fn damage(&mut self, position: Position) {
        let sql = "UPDATE events SET request = CAST(x'ff' AS TEXT), intent = NULL WHERE position = ?1";
        assert_eq!(shell(&self.files().database).execute(sql, [position.0]).unwrap(), 1);
    }
}

/// Commits what `change` does.
fn write<T>(
    backend: &mut SqliteBackend,
    change: impl FnOnce(&mut dyn Tx) -> storage::Result<T>,
) -> storage::Result<T> {
    write_at(backend, Stamp::default(), change)
}

/// The same at a moment.
fn write_at<T>(
    backend: &mut SqliteBackend,
    now: Stamp,
    change: impl FnOnce(&mut dyn Tx) -> storage::Result<T>,
) -> storage::Result<T> {
    backend.begin(now)?;
    let value = change(backend.tx());
    if value.is_err() {
        backend.rollback();
        return value;
    }
    backend.commit()?;
    backend.between_commits();
    value
}

/// The samples from `1` to `last` that are in the log.
fn samples(reader: &dyn Reader, last: u8) -> Vec<u8> {
    (1..=last).filter(|n| reader.event(sample_id(*n)).unwrap().is_some()).collect()
}

/// A connection past the store's own, as a person at the `sqlite3` shell has it.
fn shell(database: &Path) -> Connection {
    Connection::open(database).unwrap()
}

#[test]
fn passes_the_suite() {
    conformance::run(InTemp::new);
}
