//! Whether there is room for more: the database's own limit and the disk's reserve.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use storage::retention::Retention;
use storage::{Result, StoreError};

use super::statements::Statements;

/// How long a measurement holds.
const FRESH: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Space {
    last: Option<(Instant, Measured)>,
}

/// In bytes.
#[derive(Clone, Copy)]
struct Measured {
    /// What the database uses; pages that are free to be used again do not count.
    used: u64,
    /// What the disk has left for us.
    free: u64,
}

impl Space {
    pub(super) fn admit(&mut self, database: &Connection, dir: &Path, retention: &Retention) -> Result<()> {
        let Measured { used, free } = self.measured(database, dir)?;
        if used >= retention.max_bytes {
            let limit = retention.max_bytes;
            return Err(StoreError::Full(format!("the database has {used} bytes, its limit is {limit}")));
        }
        if free < retention.min_free_bytes {
            let reserve = retention.min_free_bytes;
            return Err(StoreError::Full(format!("the disk has {free} bytes left, {reserve} are kept free")));
        }
        Ok(())
    }

    fn measured(&mut self, database: &Connection, dir: &Path) -> Result<Measured> {
        if let Some((at, measured)) = self.last
            && at.elapsed() < FRESH
        {
            return Ok(measured);
        }
        let measured = measure(database, dir)?;
        self.last = Some((Instant::now(), measured));
        Ok(measured)
    }
}

fn measure(database: &Connection, dir: &Path) -> Result<Measured> {
    let sql = "SELECT (page_count - freelist_count) * page_size
               FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
    let used = database.find("measure the database", sql, [], |row| row.get(0))?.unwrap_or(0);
    let disk = rustix::fs::statvfs(dir).map_err(|error| StoreError::io("measure the disk", error))?;
    Ok(Measured { used, free: disk.f_bavail.saturating_mul(disk.f_frsize) })
}
