//! How much the database holds and how much is left for it, measured at most every [`FRESH`].

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use storage::retention::Room;
use storage::{Result, StoreError};

use super::statements::Statements;

/// How long a measurement is used.
const FRESH: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Space {
    last: Option<(Instant, Room)>,
}

impl Space {
    pub(super) fn room(&mut self, database: &Connection, dir: &Path) -> Result<Room> {
        if let Some((at, room)) = self.last
            && at.elapsed() < FRESH
        {
            return Ok(room);
        }
        let room = measure(database, dir)?;
        self.last = Some((Instant::now(), room));
        Ok(room)
    }

    /// A commit made room, so the next call measures anew.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

fn measure(database: &Connection, dir: &Path) -> Result<Room> {
    let sql = "SELECT (page_count - freelist_count) * page_size, freelist_count * page_size
               FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
    let bytes = database.find("measure the database", sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (used, unused) = bytes.unwrap_or_default();
    let disk = rustix::fs::statvfs(dir).map_err(|error| StoreError::io("measure the disk", error))?;
    Ok(Room { used, unused, disk_free: disk.f_bavail.saturating_mul(disk.f_frsize) })
}
