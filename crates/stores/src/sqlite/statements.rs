//! Prepared statements whose errors are those of `storage`.

use std::io;
use std::time::Duration;

use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
use rusqlite::{Connection, ErrorCode, Params, Row};
use rustix::io::Errno;
use storage::{Result, StoreError};

/// How long a statement waits while another process, for example a person's `sqlite3` shell, holds a lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs statements. `operation` says what is being done, for the error: a verb with its object. Each statement is prepared only once.
pub(super) trait Statements {
    /// Runs a statement. Returns how many rows it changed.
    fn run(&self, operation: &'static str, sql: &str, params: impl Params) -> Result<usize>;

    /// Runs a query. Returns its first row, if there is one.
    fn find<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>>;

    /// Runs a query. Returns all its rows.
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

/// Whether an error means that there was no space, so that the transaction was rolled back. The space may have been missing for pages, or for the
/// index of the write-ahead log, which grows only after the pages of the commit were written and synced. The next commit overwrites these pages. If
/// the process dies before that, the next start finds a commit that nobody was told about: an intent that was refused, or an outcome that would have
/// been tried again.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(SQLITE_IOERR_SHMSIZE) => true,
        Some(SQLITE_IOERR_WRITE) => is_over_quota(),
        _ => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
    }
}

/// Whether the write that has just failed exceeded a quota. SQLite rolls it back as it does after a full disk, but reports another error. rusqlite
/// has no safe function for the cause, so this asks for the thread's last error, which SQLite itself uses. Any other cause is not a full disk, and
/// latches the writer.
fn is_over_quota() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::QuotaExceeded
}

/// The I/O error because of which a page could not be read, if that has just happened. SQLite reports it as damage, as it does for a page that was
/// read and is wrong. Like [`is_over_quota`] this asks for the thread's last error, which may be an old one. Where that matters, call
/// [`forget_last_error`] before.
pub(super) fn unread() -> Option<io::Error> {
    let error = io::Error::last_os_error();
    let errno = Errno::from_io_error(&error)?;
    // The errors that SQLite reports as damage.
    [Errno::IO, Errno::RANGE, Errno::NXIO].contains(&errno).then_some(error)
}

/// Replaces the thread's last error by a harmless one, through a call that fails.
pub(super) fn forget_last_error() {
    let _ = std::fs::symlink_metadata("");
}

/// Whether a value in the database does not have the type or the form that the schema demands.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}
