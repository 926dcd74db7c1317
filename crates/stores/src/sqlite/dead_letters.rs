//! Reads of dead letters, in the order of their deaths. Both orders are those of an index, so that a page costs as much as it has rows.

use event::Stamp;
use rusqlite::{Connection, params};
use storage::Result;
use storage::delivery::{Death, Delivery};
use storage::entities::SubscriptionId;

use super::rows::{self, DELIVERY, ticks};
use super::statements::Statements;

/// The last that died first.
pub(super) fn newest(
    database: &Connection,
    of: Option<SubscriptionId>,
    before: Option<Death>,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let (at, subscription, position) = bound(before, i64::MAX);
    match of {
        Some(of) => {
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_dead_of
                 WHERE subscription = ?1 AND state = 'dead' AND (at, position) < (?2, ?3)
                 ORDER BY at DESC, position DESC LIMIT ?4"
            );
            let range = params![of.0, at, position, limit as i64];
            database.list("read a subscription's dead letters", &sql, range, rows::delivery)
        }
        None => {
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_dead
                 WHERE state = 'dead' AND (at, subscription, position) < (?1, ?2, ?3)
                   AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = deliveries.subscription)
                 ORDER BY at DESC, subscription DESC, position DESC LIMIT ?4"
            );
            let range = params![at, subscription, position, limit as i64];
            database.list("read dead letters", &sql, range, rows::delivery)
        }
    }
}

/// The first that died first, of one subscription.
pub(super) fn oldest(
    database: &Connection,
    of: SubscriptionId,
    after: Option<Death>,
    until: Stamp,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let (at, _, position) = bound(after, i64::MIN);
    let sql = format!(
        "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_dead_of
         WHERE subscription = ?1 AND state = 'dead' AND (at, position) > (?2, ?3) AND at <= ?4
         ORDER BY at, position LIMIT ?5"
    );
    let range = params![of.0, at, position, ticks(until), limit as i64];
    database.list("read the oldest dead letters", &sql, range, rows::delivery)
}

/// The columns `at`, `subscription` and `position` of a dead letter, to compare rows with; each is `without` if there is none.
fn bound(death: Option<Death>, without: i64) -> (i64, i64, i64) {
    death.map_or((without, without, without), |death| {
        (ticks(death.at), death.id.subscription.0, death.id.position.0)
    })
}
