//! The durable store that needs nothing else installed: one SQLite database in the data directory.
//!
//! ```text
//! DIR                      locked (flock) by the process that uses the directory, until it ends
//! DIR/lock                 locked in the same way, for processes of earlier versions
//! DIR/incarnations         locked with a shared lock by every process that uses the directory
//! DIR/incarnations/N.lock  locked by incarnation N until it ends: recovery touches only incarnations whose lock is free
//! DIR/retrohook.db         the database, mode 0600, because it has customers' data; SQLite's -wal and -shm are beside it
//! DIR/retrohook.db-wal.damaged-MICROS  a copy of a write-ahead log in whose middle a start found damage
//! ```
//!
//! What is stored: the tables of [`schema`], readable with the `sqlite3` shell. Facts are JSON text, times are microseconds since 1970, stamps are
//! microseconds of the store's own clock, ids are blobs of 16 bytes.
//!
//! What makes an update atomic: one SQLite transaction in WAL mode with `synchronous=FULL`; a commit returns after its fsync. After an fsync that
//! failed, the next one may report success, because the kernel forgets the failure. So a commit that fails for another reason than want of space is
//! the last one of this process: the writer latches, and this module runs no further checkpoint and leaves the write-ahead log as it is.
//!
//! What a start repairs: after an unclean end, the whole write-ahead log is moved into the database before [`open`] returns, because pages whose
//! fsync failed may be in the kernel's cache and nowhere else. Then it looks for damage, as far as that takes a fraction of a second. Intents of
//! dead incarnations wait for `JournalTx::recover`.
//!
//! Deliberately not supported: two processes at work in one directory, network file systems (flock and shared memory must work), and a database of
//! a newer version.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event::timestamp::{Stamp, Timestamp};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use storage::backend::{Backend, Committed, Tx};
use storage::clock::Record;
use storage::entities::{SubscriptionId, Whose};
use storage::retention::Room;
use storage::{Result, StoreError};

mod check;
mod checkpoint;
mod dead_letters;
mod deliveries;
mod dropped;
mod entities;
mod gaps;
mod housekeeping;
mod journal;
mod lock;
mod look_back;
mod open;
mod owners;
mod queues;
mod reader;
mod registry;
mod rows;
mod schema;
mod space;
mod statements;
mod transaction;
mod wal;

pub use open::{OpenError, Options, inspect, open};

use checkpoint::{Checkpoints, LogLength, Mode};
use lock::DataDir;
use space::Space;
use statements::failed;
use transaction::Transaction;

/// The write side. Its fields are dropped in this order: the lock of the directory last.
pub struct SqliteBackend {
    transaction: Transaction,
    /// The clock's record as it was when the store was opened.
    kept_clock: Option<Record>,
    checkpoints: Checkpoints,
    log: LogLength,
    space: Space,
    health: Health,
    files: Files,
    _data_dir: Arc<DataDir>,
}

/// The path of the database in a data directory.
pub fn database(dir: &Path) -> PathBuf {
    dir.join("retrohook.db")
}

/// Whether a commit has failed for good. Shared with the thread that checkpoints.
#[derive(Clone, Default)]
struct Health(Arc<AtomicBool>);

impl Health {
    fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn lose(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The paths of the store's files.
#[derive(Clone, Debug)]
struct Files {
    dir: PathBuf,
    database: PathBuf,
    wal: PathBuf,
}

impl Files {
    fn of(dir: PathBuf) -> Self {
        Self { database: database(&dir), wal: dir.join("retrohook.db-wal"), dir }
    }

    /// The size of the write-ahead log's file in bytes; 0 if there is none.
    fn wal_bytes(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |wal| wal.len())
    }
}

impl Backend for SqliteBackend {
    fn kept_clock(&self) -> Option<Record> {
        self.kept_clock.clone()
    }

    fn begin(&mut self, now: Stamp) -> Result<()> {
        self.transaction.begin(now)
    }

    fn tx(&mut self) -> &mut dyn Tx {
        &mut self.transaction
    }

    fn commit(&mut self) -> Result<Committed> {
        let committed = self.transaction.commit();
        match &committed {
            Ok(_) if std::mem::take(&mut self.transaction.makes_room) => self.space.forget(),
            Ok(_) => {}
            Err(StoreError::Full(_)) => self.checkpoints.make_room(),
            Err(_) => self.give_up(),
        }
        committed
    }

    fn rollback(&mut self) {
        self.transaction.rollback();
    }

    fn room(&mut self) -> Result<Room> {
        self.space.room(self.transaction.database(), &self.files.dir)
    }

    fn whose(&mut self, id: SubscriptionId) -> Option<Whose> {
        entities::whose(self.transaction.database(), id).ok().flatten()
    }

    fn between_commits(&mut self) {
        if !self.health.is_lost() {
            self.checkpoints.after_commit(self.transaction.database(), self.log.bytes());
        }
    }

    fn close(&mut self) {
        self.checkpoints.stop();
        if self.health.is_lost() {
            return;
        }
        if let Err(error) = self.end_in_order() {
            tracing::warn!(%error, "the store was not closed in order: the next start will check it for damage");
        }
    }
}

impl SqliteBackend {
    /// A commit has failed for good, and nobody knows what is on disk. Leaves the files as they are, for the next start to read.
    fn give_up(&self) {
        self.health.lose();
        let database = self.transaction.database();
        if let Err(error) = database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            tracing::warn!(%error, "the write-ahead log may be moved into the database when the store is dropped, although a commit has failed");
        }
    }

    fn end_in_order(&mut self) -> Result<()> {
        self.transaction.end_incarnation(wall_clock())?;
        let database = self.transaction.database();
        checkpoint::checkpoint(database, Mode::Truncate).map_err(failed("checkpoint at the end"))?;
        Ok(())
    }
}

/// The time for the columns that tell people when an incarnation began and ended, and for the names of copies. Nothing is decided by it.
fn wall_clock() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_micros(since_epoch.map_or(0, |duration| duration.as_micros() as u64))
}

/// The size of a page of the database, in bytes.
const PAGE_BYTES: u32 = 4_096;
/// The page cache of the write connection, in KiB.
const WRITE_CACHE: i64 = 16_384;
/// The page cache of every other connection, in KiB. Together they must stay small, because an idle store has them, too.
const OTHER_CACHE: i64 = 2_048;

/// The settings of every connection.
fn configure(database: &Connection, cache: i64) -> rusqlite::Result<()> {
    database.busy_timeout(statements::BUSY_TIMEOUT)?;
    database.set_prepared_statement_cache_capacity(128);
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "wal_autocheckpoint", 0)?;
    database.pragma_update(None, "temp_store", "MEMORY")?;
    // SQLite takes a negative number as KiB.
    database.pragma_update(None, "cache_size", -cache)
}

#[cfg(test)]
mod tests;
