//! Rows of the registry, by kind and id. The store does not interpret their texts.

use rusqlite::{Connection, params};
use storage::Result;
use storage::registry::Row;
use uuid::Uuid;

use super::rows;
use super::statements::Statements;

/// Inserts or replaces a row. Writes nothing if it is there already as it is.
pub(super) fn put(database: &Connection, row: &Row) -> Result<()> {
    row.admit()?;
    let sql = "INSERT INTO registry (kind, id, origin, body) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (kind, id) DO UPDATE SET origin = ?3, body = ?4 WHERE origin <> ?3 OR body <> ?4";
    let values = params![row.kind, row.id.as_bytes(), row.origin.as_str(), row.body];
    database.run("write a row of the registry", sql, values).map(drop)
}

/// Deletes a row. Returns `false` if there was none.
pub(super) fn delete(database: &Connection, kind: &str, id: Uuid) -> Result<bool> {
    let sql = "DELETE FROM registry WHERE kind = ?1 AND id = ?2";
    Ok(database.run("delete a row of the registry", sql, (kind, id.as_bytes()))? > 0)
}

pub(super) fn all(database: &Connection) -> Result<Vec<Row>> {
    let sql = "SELECT kind, id, origin, body FROM registry ORDER BY kind, id";
    database.list("read the registry", sql, [], rows::registry)
}
