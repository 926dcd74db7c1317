//! Prepared statements with the store's errors.

use std::io;
use std::time::Duration;

use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
use rusqlite::{Connection, ErrorCode, Params, Row};
use rustix::io::Errno;
use storage::{Result, StoreError};

/// How long a statement waits for another process, say a person's `sqlite3` shell.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Each takes what is being done, for the error, and a statement that is prepared once.
pub(super) trait Statements {
    /// Runs it; how many rows it changed.
    fn run(&self, operation: &'static str, sql: &str, params: impl Params) -> Result<usize>;

    /// Its first row, if there is one.
    fn find<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>>;

    /// All its rows.
    fn list<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>>;
}

impl Statements for Connection {
    fn run(&self, operation: &'static str, sql: &str, params: impl Params) -> Result<usize> {
        let changed = self.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        changed.map_err(failed(operation))
    }

    fn find<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let found = self.prepare_cached(sql).and_then(|mut statement| {
            let mut rows = statement.query(params)?;
            rows.next()?.map(read).transpose()
        });
        found.map_err(failed(operation))
    }

    fn list<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let all = self
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect::<rusqlite::Result<_>>());
        all.map_err(failed(operation))
    }
}

/// Turns SQLite's error into the store's.
pub(super) fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| match error.sqlite_error_code() {
        _ if is_full(&error) => StoreError::Full(format!("{operation}: {error}")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => match unread() {
            Some(unread) => StoreError::io(operation, unread),
            None => StoreError::Damaged(format!("{operation}: {error}")),
        },
        _ if is_unreadable(&error) => StoreError::Damaged(format!("{operation}: {error}")),
        _ => StoreError::io(operation, error),
    }
}

/// Whether there was no space, and the transaction is rolled back: for pages, or for the index of the log, which grows only when its
/// pages are written and synced. Those pages are written over by the next commit. Should the process die before that, the next start finds
/// a commit that nobody was told of: an intent that was refused, or an outcome that would have been tried again.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(SQLITE_IOERR_SHMSIZE) => true,
        Some(SQLITE_IOERR_WRITE) => is_over_quota(),
        _ => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
    }
}

/// Whether the write that has just failed was one beyond a quota. SQLite undoes it as it does one to a full disk, but tells the two
/// apart. It has no function for this that is safe to call and asks the thread's last error itself; whatever else that says is no
/// full disk, and latches.
fn is_over_quota() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::QuotaExceeded
}

/// Why a page could not be read, if that is what has just failed: SQLite calls a disk that answers with an I/O error damage, as it does a page
/// that was read and is wrong. As [`is_over_quota`] this asks the thread's last error, which may be an old one: where that matters,
/// [`forget_last_error`] first.
pub(super) fn unread() -> Option<io::Error> {
    let error = io::Error::last_os_error();
    let errno = Errno::from_io_error(&error)?;
    // Those for which SQLite does it.
    [Errno::IO, Errno::RANGE, Errno::NXIO].contains(&errno).then_some(error)
}

/// Makes the thread's last error one of its own, by a call that fails.
pub(super) fn forget_last_error() {
    let _ = std::fs::symlink_metadata("");
}

/// Whether a value is not what the schema says it is.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}
