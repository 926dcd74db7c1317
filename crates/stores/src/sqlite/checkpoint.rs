//! Moving the write-ahead log (WAL) into the database without delaying commits.
//!
//! A thread with a connection of its own runs a passive checkpoint whenever the WAL has grown by [`WAKE_BYTES`]; commits go on meanwhile. It never
//! reaches the end of a WAL that grows, so after every [`TAIL_COMMITS`] commits the writer itself moves the short rest, and the WAL is written from
//! its beginning again. A lock keeps the two from checkpointing at the same time, and the writer never waits for it.
//!
//! The file of the WAL stays when the WAL begins anew. An fsync of blocks that the file has already is several times faster than one that must also
//! make a new length durable, so the file is truncated only when its space is needed. SQLite reports after each commit how long the WAL is inside
//! its file ([`LogLength`]).

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};
use storage::failpoint;

use storage::throttle::Throttle;

use super::statements::BUSY_TIMEOUT;
use super::{Files, Health, OTHER_CACHE, PAGE_BYTES, configure};

/// How many bytes the WAL grows between two passive checkpoints.
const WAKE_BYTES: u64 = 4 << 20;
/// After this many commits the writer moves the rest of the WAL itself, if the WAL has at least [`TAIL_BYTES`].
const TAIL_COMMITS: u32 = 400;
/// See [`TAIL_COMMITS`].
const TAIL_BYTES: u64 = 8 << 20;
/// A WAL of this many bytes is moved by the writer before [`TAIL_COMMITS`] commits are over.
const LONG_BYTES: u64 = 64 << 20;
/// If the file has grown beyond this many bytes, because readers were in the way, SQLite truncates it when the WAL begins anew.
const KEPT_BYTES: u64 = 32 << 20;
/// The size of a page in the WAL, with its header, in bytes.
pub(super) const FRAME_BYTES: u64 = 24 + PAGE_BYTES as u64;
/// After how many commits the writer tries again, if a reader or the thread was in its way.
const AGAIN_AFTER: u32 = 16;
/// How long the writer waits for readers that still use the WAL.
const TAIL_PATIENCE: Duration = Duration::from_millis(20);

/// How long the WAL is inside its file, in bytes, as of the last commit.
#[derive(Clone, Default)]
pub(super) struct LogLength(Arc<AtomicU64>);

impl LogLength {
    /// Has SQLite report the length after every commit of the write connection.
    pub(super) fn follow(&self, database: &mut Connection) -> rusqlite::Result<()> {
        database.pragma_update(None, "journal_size_limit", KEPT_BYTES as i64)?;
        let length = self.0.clone();
        database.wal_hook(Some(move |_: &mut Wal, frames: c_int| {
            length.store(u64::try_from(frames).unwrap_or(0) * FRAME_BYTES, Ordering::Relaxed);
            Ok(())
        }))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) struct Checkpoints {
    /// Wakes the thread. The thread ends when this is dropped.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    turn: Arc<Mutex<()>>,
    /// The length of the WAL in bytes when the thread was last woken.
    woken_at: u64,
    commits: u32,
    room_wanted: bool,
    /// Whether to truncate the file when the WAL begins anew the next time.
    cut: bool,
}

impl Checkpoints {
    pub(super) fn spawn(files: &Files, health: Health) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let turn = Arc::new(Mutex::new(()));
        let passive = Passive { files: files.clone(), turn: turn.clone(), health };
        let thread =
            std::thread::Builder::new().name("store-checkpoint".into()).spawn(move || passive.run(&woken))?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            turn,
            woken_at: 0,
            commits: 0,
            room_wanted: false,
            cut: false,
        })
    }

    /// Called between two commits: wakes the thread, or moves the rest of the WAL, if one of these is due.
    pub(super) fn after_commit(&mut self, database: &Connection, wal_bytes: u64) {
        self.commits += 1;
        self.woken_at = self.woken_at.min(wal_bytes);
        if self.tail_is_due(wal_bytes) {
            self.finish_tail(database);
        } else if wal_bytes - self.woken_at >= WAKE_BYTES {
            self.woken_at = wal_bytes;
            if let Some(wake) = &self.wake {
                // Full: it is awake. Disconnected: it could not open the database, and said so.
                let _ = wake.try_send(());
            }
        }
    }

    fn tail_is_due(&self, wal_bytes: u64) -> bool {
        let long_enough = self.commits >= TAIL_COMMITS && wal_bytes >= TAIL_BYTES;
        let too_long = self.commits >= AGAIN_AFTER && wal_bytes >= LONG_BYTES;
        self.room_wanted || long_enough || too_long
    }

    /// The disk is full: the next call of [`Checkpoints::after_commit`] tries to move the whole WAL and to truncate its file.
    pub(super) fn make_room(&mut self) {
        (self.room_wanted, self.cut) = (true, true);
    }

    fn finish_tail(&mut self, database: &Connection) {
        self.room_wanted = false;
        let mode = if self.cut { Mode::Truncate } else { Mode::Restart };
        let finished = match self.turn.try_lock() {
            Ok(_turn) => checkpoint_soon(database, mode),
            // The lock guards no data, so a panic of its holder leaves nothing half done.
            Err(TryLockError::Poisoned(turn)) => {
                let _turn = turn.into_inner();
                checkpoint_soon(database, mode)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
        };
        match finished {
            Ok(true) => (self.commits, self.woken_at, self.cut) = (0, 0, false),
            Ok(false) => self.commits = TAIL_COMMITS - AGAIN_AFTER,
            Err(error) => {
                static FAILED: Throttle = Throttle::new();
                if let Some(times) = FAILED.happened() {
                    tracing::warn!(%error, times, "the write-ahead log could not be moved into the database; it grows until that works");
                }
                self.commits = 0;
            }
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that checkpoints had panicked");
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What happens to the WAL's file when all of the WAL is in the database.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// The file stays, and the next commit writes from its beginning.
    Restart,
    /// The file is truncated to nothing.
    Truncate,
}

/// Like [`checkpoint`], but waits only [`TAIL_PATIENCE`] for readers.
pub(super) fn checkpoint_soon(database: &Connection, mode: Mode) -> rusqlite::Result<bool> {
    database.busy_timeout(TAIL_PATIENCE)?;
    let done = checkpoint(database, mode);
    database.busy_timeout(BUSY_TIMEOUT)?;
    done
}

/// Moves the whole WAL into the database. Returns `false` if another connection still uses the WAL; then only a part was moved.
pub(super) fn checkpoint(database: &Connection, mode: Mode) -> rusqlite::Result<bool> {
    let sql = match mode {
        Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let busy = database.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))?;
    Ok(busy == 0)
}

/// The thread's side.
struct Passive {
    files: Files,
    turn: Arc<Mutex<()>>,
    health: Health,
}

impl Passive {
    /// Checkpoints until the store closes. A panic, which would be a bug, ends only the checkpoint under way: the next wake-up begins another one.
    fn run(self, woken: &Receiver<()>) {
        while catch_unwind(AssertUnwindSafe(|| self.checkpoint(woken))).is_err() {
            tracing::error!(
                "the thread that checkpoints the write-ahead log panicked, and goes on; this is a bug in Retrohook"
            );
        }
    }

    fn checkpoint(&self, woken: &Receiver<()>) {
        let database = match self.connect() {
            Ok(database) => database,
            Err(error) => {
                tracing::warn!(%error, "a thread cannot open the database, so the writer alone moves the write-ahead log into it: commits may take longer");
                return;
            }
        };
        while woken.recv().is_ok() {
            failpoint::hit(failpoint::CHECKPOINT_TURN);
            let _turn = self.turn();
            if self.health.is_lost() {
                return;
            }
            if let Err(error) = database.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                static FAILED: Throttle = Throttle::new();
                if let Some(times) = FAILED.happened() {
                    tracing::warn!(%error, times, "a part of the write-ahead log could not be moved into the database; it stays in the log, and nothing is lost");
                }
            }
        }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(&self.files.database, flags)?;
        configure(&database, OTHER_CACHE)?;
        Ok(database)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
