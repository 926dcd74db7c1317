//! Opening a store: locks the directory, opens the database and brings its schema up to date, repairs what an unclean end left, and starts the
//! parts.

use std::error::Error;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use storage::StoreError;
use storage::backend::{Opened, Reader};
use storage::clock::Record;
use storage::entities::Incarnation;

use super::checkpoint::{self, Checkpoints, FRAME_BYTES, LogLength, Mode};
use super::journal::NEXT_SEQ;
use super::lock::{self, DataDir, IncarnationLock};
use super::reader::{self, Readers};
use super::rows::{self, micros};
use super::space::Space;
use super::statements::{BUSY_TIMEOUT, is_full, unread};
use super::transaction::Transaction;
use super::{
    Files, Health, PAGE_BYTES, SqliteBackend, WRITE_CACHE, check, configure, schema, wal, wall_clock,
};

/// Where the store is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory; created if it is missing.
    pub dir: PathBuf,
}

/// Why the store cannot be used. Nothing that was there has been overwritten.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made, read or written.
    #[error("cannot create or write the data directory {}: {}", dir.display(), remedy(dir, source))]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "the data directory {} is in use by another process: stop that one, or choose another with --data-dir",
        dir.display()
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file is not a database, or a damaged one.
    #[error(
        "{} is damaged, or is not a SQLite database; it was left as it is{}", file.display(), whence_more(dir.as_deref())
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// The directory for which the message names `retrohook check`; `None` if this is that check.
        dir: Option<PathBuf>,
        /// What was found.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file is the database of another program.
    #[error("{} is the database of another program; it was left as it is: choose another directory with --data-dir", file.display())]
    Foreign {
        /// The database.
        file: PathBuf,
    },
    /// There was a store in the directory, and its database is empty or missing.
    #[error(
        "{} is empty or missing, but its directory has what a store left behind ({rest}); nothing was overwritten: restore the \
         database, or choose another directory with --data-dir",
        file.display()
    )]
    Gone {
        /// The database.
        file: PathBuf,
        /// What shows that there was one, as words for the message.
        rest: &'static str,
    },
    /// Another program reads the database, so that the write-ahead log cannot be moved into it.
    #[error(
        "another program reads {}, so that the write-ahead log of a run that did not end in order cannot be moved into it: end that program \
         (a sqlite3 shell, a backup) and start again; nothing is lost",
        file.display()
    )]
    Read {
        /// The database.
        file: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{} has schema {found} of a newer version, this one knows {known}; it was left as it is: start the newer version",
        file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its schema's version.
        found: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// The file was written by an older version, and only a start may change it.
    #[error(
        "{} has schema {found} of an older version, this one knows {}; SQLite finds no damage in it, and it was left as it is: a \
         start with this version brings it up to date",
        file.display(), schema::VERSION
    )]
    Older {
        /// The database.
        file: PathBuf,
        /// Its schema's version.
        found: i32,
    },
    /// The disk has no room for what a start must write.
    #[error("the disk of the data directory {} is full: make room there and start again, nothing is lost", dir.display())]
    Full {
        /// The directory.
        dir: PathBuf,
        /// SQLite's or the system's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An operation on the database failed.
    #[error("cannot {operation} {}", file.display())]
    Database {
        /// The operation, as a verb for the message.
        operation: &'static str,
        /// The database.
        file: PathBuf,
        /// SQLite's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The system cannot start a thread.
    #[error("cannot start the thread that checkpoints")]
    Thread(#[source] io::Error),
}

fn whence_more(dir: Option<&Path>) -> String {
    dir.map_or_else(String::new, |dir| format!(": `retrohook check --data {}` says more", dir.display()))
}

/// Opens the store of a directory as a new incarnation. The directory is locked until the returned write side is dropped.
///
/// # Errors
/// See [`OpenError`].
pub fn open(options: Options) -> Result<Opened<SqliteBackend>, OpenError> {
    let files = Files::of(options.dir);
    let data_dir = Arc::new(claim(&files.dir)?);
    refuse_emptied(&files)?;
    let wal_left = files.wal_bytes() > 0;
    if wal_left {
        say_what_is_cut(&files);
    }
    let mut database = open_database(&files)?;
    let unclean = wal_left || has_unended_run(&database).map_err(failing(&files, "read"))?;
    if unclean {
        look_over(&database, &files)?;
    }
    let kept_clock = kept_clock(&database).map_err(failing(&files, "read"))?;
    let (incarnation, alive) = enter(&database, &data_dir, &files)?;
    let log = LogLength::default();
    log.follow(&mut database).map_err(failing(&files, "set up"))?;
    let health = Health::default();
    let checkpoints = Checkpoints::spawn(&files, health.clone()).map_err(OpenError::Thread)?;
    let transaction = Transaction::new(database, data_dir.clone(), incarnation, alive)
        .map_err(|error| stored(&files, "read", error))?;
    let reader = Readers::new(files.clone());
    let backend = SqliteBackend {
        transaction,
        kept_clock,
        checkpoints,
        log,
        space: Space::default(),
        health,
        files,
        _data_dir: data_dir,
    };
    Ok(Opened { backend, reader, incarnation, unclean })
}

/// Opens the store of a directory for reading only, whether or not a process uses it: nothing is created, repaired or locked.
///
/// # Errors
/// If the directory has no database of Retrohook with the schema of this version, or SQLite finds damage in one of an older version.
pub fn inspect(dir: &Path) -> Result<Arc<dyn Reader>, OpenError> {
    look_into(Files::of(dir.to_owned())).map_err(|error| match error {
        OpenError::Damaged { file, source, .. } => OpenError::Damaged { file, source, dir: None },
        other => other,
    })
}

fn look_into(files: Files) -> Result<Arc<dyn Reader>, OpenError> {
    refuse_emptied(&files)?;
    let database = reader::connect(&files).map_err(failing(&files, "open"))?;
    match identify(&database, &files)? {
        schema::VERSION => Ok(Readers::new(files)),
        0 => Err(OpenError::Foreign { file: files.database }),
        // If a start meets damage while it brings the schema up to date, its message names this check, so the check must look for damage.
        found => {
            let findings = check::damage(&database).map_err(|error| stored(&files, "check", error))?;
            refuse_damaged(findings, &files)?;
            Err(OpenError::Older { file: files.database, found })
        }
    }
}

fn claim(dir: &Path) -> Result<DataDir, OpenError> {
    let unusable = |source| unusable(dir, source);
    make_directory(dir, sync_directory).map_err(unusable)?;
    DataDir::claim(dir).map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { dir: dir.to_owned() },
        TryLockError::Error(source) => unusable(source),
    })
}

/// The error for a directory that cannot be used.
fn unusable(dir: &Path, source: io::Error) -> OpenError {
    let dir = dir.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            OpenError::Full { dir, source: source.into() }
        }
        _ => OpenError::Directory { dir, source },
    }
}

/// What to do about a directory that cannot be used.
fn remedy(dir: &Path, error: &io::Error) -> String {
    const ANOTHER: &str = "choose another with --data-dir";
    let in_the_way = dir.ancestors().find(|above| above.exists()).filter(|above| !above.is_dir());
    match (error.kind(), in_the_way) {
        (_, Some(file)) if file == dir => {
            format!("it is a file, and data needs a directory: {ANOTHER}, or move the file away")
        }
        (_, Some(file)) => {
            format!(
                "{} is a file, and cannot have a directory in it: {ANOTHER}, or move the file away",
                file.display()
            )
        }
        (io::ErrorKind::PermissionDenied, _) => {
            let user = rustix::process::geteuid().as_raw();
            format!("let the user that this process runs as (uid {user}) write there, or {ANOTHER}")
        }
        (io::ErrorKind::ReadOnlyFilesystem, _) => {
            format!("its file system is mounted for reading only: {ANOTHER}, or mount that one for writing")
        }
        _ => format!("see why the system refuses it, or {ANOTHER}"),
    }
}

/// Makes a directory and all that are missing above it. Each is durable before anything is made in it: an entry that is not synced may be gone after
/// a power cut, and the store with it.
pub(super) fn make_directory(dir: &Path, sync: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let named = dir.ancestors().take_while(|above| !above.as_os_str().is_empty());
    let missing: Vec<&Path> = named.take_while(|above| !above.is_dir()).collect();
    for above in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(above) {
            // The path has `..` after a directory that was missing, or somebody else has just made it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && above.is_dir() => continue,
            made => made?,
        }
        sync(parent(above))?;
    }
    Ok(())
}

fn parent(dir: &Path) -> &Path {
    match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        None => dir,
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    match File::open(dir) {
        Ok(dir) => dir.sync_all(),
        // A directory that may be written and not read cannot be synced.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(
                dir = %dir.display(),
                "a directory may not be read and is not synced: a power cut soon after this first start may lose the data directory"
            );
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Reports the part of a damaged write-ahead log that SQLite will ignore, and keeps a copy of the log, because the start will truncate it.
fn say_what_is_cut(files: &Files) {
    let cut = match wal::cut(&files.wal) {
        Ok(None) => return,
        Ok(Some(cut)) => cut,
        Err(error) => {
            tracing::warn!(%error, file = %files.wal.display(), "the write-ahead log could not be checked for damage");
            return;
        }
    };
    let kept = files.dir.join(format!("retrohook.db-wal.damaged-{}", wall_clock().as_micros()));
    let copied = std::fs::copy(&files.wal, &kept).and_then(|_| File::open(&kept)?.sync_all());
    let copy = copied.map_or_else(|error| format!("none, {error}"), |()| kept.display().to_string());
    tracing::error!(
        damaged_frame = cut.damaged,
        frames = cut.frames,
        bytes = cut.frames * FRAME_BYTES,
        commits = cut.commits,
        copy,
        "the write-ahead log is damaged in its middle: whole frames after the damaged one cannot be read, and what their commits held may be lost (after a power cut the last of them may be one that nobody was told of); look at the disk"
    );
}

/// Refuses an empty or missing database if something shows that there was one: SQLite would delete the write-ahead log of a lost database.
fn refuse_emptied(files: &Files) -> Result<(), OpenError> {
    let is_empty = std::fs::metadata(&files.database).map_or(true, |database| database.len() == 0);
    let rest = if files.wal_bytes() > 0 {
        "a write-ahead log"
    } else if lock::has_had_incarnations(&files.dir) {
        "the locks of its runs"
    } else {
        return Ok(());
    };
    if is_empty { Err(OpenError::Gone { file: files.database.clone(), rest }) } else { Ok(()) }
}

/// Opens the write connection, and brings the database to this version.
fn open_database(files: &Files) -> Result<Connection, OpenError> {
    create_file(files).map_err(|source| unusable(&files.dir, source))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(&files.database, flags).map_err(failing(files, "open"))?;
    // A database that is refused here must stay as it is, but closing would move its write-ahead log into it.
    keep_log_at_close(&database, true).map_err(failing(files, "open"))?;
    let version = identify(&database, files)?;
    keep_log_at_close(&database, false).map_err(failing(files, "open"))?;
    let mut set_up = || {
        if version == 0 {
            database.pragma_update(None, "page_size", PAGE_BYTES)?;
            database.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        configure(&database, WRITE_CACHE)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        schema::migrate(&mut database, version)
    };
    set_up().map_err(failing(files, "set up"))?;
    Ok(database)
}

/// Makes the database's file, unless there is one, so that it has the right mode from the beginning. SQLite gives the write-ahead log and its index
/// the same mode.
fn create_file(files: &Files) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&files.database) {
        Ok(file) => file.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    sync_directory(&files.dir)?;
    // A first start that was interrupted may have made the directory without syncing its entry.
    sync_directory(parent(&files.dir))
}

fn keep_log_at_close(database: &Connection, keep: bool) -> rusqlite::Result<()> {
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// The schema's version; 0 for an empty database.
fn identify(database: &Connection, files: &Files) -> Result<i32, OpenError> {
    let sql = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
               FROM pragma_application_id(), pragma_user_version()";
    let (application, version, entries) = database
        .query_row(sql, [], |row| Ok((row.get::<_, i32>(0)?, row.get::<_, i32>(1)?, row.get::<_, i64>(2)?)))
        .map_err(failing(files, "read"))?;
    let file = files.database.clone();
    match (application, version) {
        (0, 0) if entries == 0 => Ok(0),
        (schema::APPLICATION_ID, 1..=schema::VERSION) => Ok(version),
        (schema::APPLICATION_ID, found) if found > schema::VERSION => {
            Err(OpenError::Newer { file, found, known: schema::VERSION })
        }
        _ => Err(OpenError::Foreign { file }),
    }
}

fn has_unended_run(database: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM incarnations WHERE ended_at IS NULL)";
    database.query_row(sql, [], |row| row.get(0))
}

/// See `Backend::kept_clock`.
fn kept_clock(database: &Connection) -> rusqlite::Result<Option<Record>> {
    let sql = "SELECT max(ifnull((SELECT stamp FROM events ORDER BY position DESC LIMIT 1), 0),
                      ifnull((SELECT stamp FROM messages ORDER BY seq DESC LIMIT 1), 0)), stamp, wall, advanced, assumed
               FROM clock";
    let read = |row: &rusqlite::Row<'_>| {
        let advanced = Duration::from_micros(row.get(3)?);
        let assumed = rows::assumed(row, 4)?;
        let record = Record { stamp: rows::stamp(row, 1)?, wall: rows::time(row, 2)?, advanced, assumed };
        Ok(record.not_behind(rows::stamp(row, 0)?))
    };
    database.query_row(sql, [], read).optional()
}

/// After an unclean end: moves the write-ahead log into the database, then looks for damage.
fn look_over(database: &Connection, files: &Files) -> Result<(), OpenError> {
    move_log(database, files)?;
    refuse_damaged(check::findings(database, false).map_err(|error| stored(files, "check", error))?, files)
}

fn refuse_damaged(findings: Vec<String>, files: &Files) -> Result<(), OpenError> {
    if findings.is_empty() {
        return Ok(());
    }
    let source = findings.join("; ").into();
    Err(OpenError::Damaged { file: files.database.clone(), dir: Some(files.dir.clone()), source })
}

/// Moves the whole write-ahead log into the database. A part is not enough: pages whose fsync failed may be only in the kernel's cache, and if they
/// are lost, everything that was written to the log after them is lost, too.
fn move_log(database: &Connection, files: &Files) -> Result<(), OpenError> {
    if checkpoint::checkpoint_soon(database, Mode::Truncate).map_err(failing(files, "checkpoint"))? {
        return Ok(());
    }
    tracing::warn!(patience = ?BUSY_TIMEOUT, "another program reads the database: waiting for its end");
    match checkpoint::checkpoint(database, Mode::Truncate).map_err(failing(files, "checkpoint"))? {
        true => Ok(()),
        false => Err(OpenError::Read { file: files.database.clone() }),
    }
}

/// Adds this incarnation. Its lock is taken before its row is committed, so that nobody ever sees the row without the lock.
fn enter(
    database: &Connection,
    data_dir: &DataDir,
    files: &Files,
) -> Result<(Incarnation, IncarnationLock), OpenError> {
    let note = || {
        let transaction = database.unchecked_transaction()?;
        let sql = format!("INSERT INTO incarnations (started_at, open_from) VALUES (?1, ({NEXT_SEQ}))");
        transaction.execute(&sql, [micros(wall_clock())])?;
        Ok((Incarnation(transaction.last_insert_rowid()), transaction))
    };
    let (incarnation, transaction) = note().map_err(failing(files, "write to"))?;
    let alive = data_dir.enter(incarnation).map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { dir: files.dir.clone() },
        TryLockError::Error(source) => unusable(&files.dir, source),
    })?;
    transaction.commit().map_err(failing(files, "write to"))?;
    Ok((incarnation, alive))
}

pub(super) fn failing(files: &Files, operation: &'static str) -> impl Fn(rusqlite::Error) -> OpenError {
    let Files { dir, database: file, .. } = files.clone();
    move |error| match error.sqlite_error_code() {
        _ if is_full(&error) => OpenError::Full { dir: dir.clone(), source: error.into() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => match unread() {
            Some(unread) => OpenError::Database { operation, file: file.clone(), source: unread.into() },
            None => OpenError::Damaged { file: file.clone(), dir: Some(dir.clone()), source: error.into() },
        },
        _ => OpenError::Database { operation, file: file.clone(), source: error.into() },
    }
}

fn stored(files: &Files, operation: &'static str, error: StoreError) -> OpenError {
    let Files { dir, database: file, .. } = files.clone();
    match error {
        StoreError::Damaged(_) => OpenError::Damaged { file, dir: Some(dir), source: error.into() },
        _ => OpenError::Database { operation, file, source: error.into() },
    }
}
