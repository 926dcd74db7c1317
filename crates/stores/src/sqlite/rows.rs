//! Reading rows into the types of `storage`, and the columns of these types.

use std::sync::Arc;

use ::entities::Origin;
use event::{
    Content, Event, EventId, Exchange, Message, NewEvent, Outcome, Position, Stamp, Timestamp, TopicId,
};
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type, ValueRef};
use storage::clock::Assumed;
use storage::delivery::{Attempt, Delivery, DeliveryId, DeliveryState};
use storage::entities::{Cursor, Protocol, Subscription, SubscriptionId, SubscriptionState};
use storage::ports::{EventHead, Happened};
use uuid::Uuid;

/// The columns that [`event`] reads, of a table named `e`.
pub(super) const EVENT: &str =
    "e.position, e.id, e.topic, e.recorded_at, e.outcome, e.reason, e.overlapped, e.key,
    ifnull(e.request, (SELECT i.request FROM intents i WHERE i.seq = e.intent)), e.answer,
    ifnull(e.stamp, min(e.recorded_at, (SELECT began FROM clock)))";

/// The columns that [`head`] reads, of a table named `e`. They are stored before the request, which may have megabytes.
pub(super) const HEAD: &str = "e.position, e.topic, e.recorded_at, e.outcome, e.key";

/// The outcome of an event that is a message: see version 8 of the schema.
pub(super) const PUBLISHED: &str = "published";

/// The stamp of an event `e`: see version 4 of the schema.
pub(super) const EVENT_STAMP: &str = "ifnull(e.stamp, min(e.recorded_at, (SELECT began FROM clock)))";

/// The stamp of a message `m`: see version 4 of the schema.
pub(super) const MESSAGE_STAMP: &str = "ifnull(m.stamp, min(m.sent_at, (SELECT began FROM clock)))";

/// The columns that [`subscription`] reads.
pub(super) const SUBSCRIPTION: &str = "id, uuid, topic, protocol, endpoint, state, token, created_at, removed_at, dispatched_to, done_to, created, name, reconfirms, disabled_because";

/// The columns that [`delivery`] reads.
pub(super) const DELIVERY: &str = "deliveries.subscription, deliveries.position, deliveries.key, deliveries.state, deliveries.at,
    deliveries.reason, deliveries.attempts, deliveries.since, deliveries.died_at, ifnull(deliveries.anew_after, 0)";

/// The columns that [`attempt`] reads.
pub(super) const ATTEMPT: &str =
    "subscription, position, event, number, at, took_micros, status, error, answer, next_at";

/// A time as a column holds it. A time that is too large becomes the largest one.
pub(super) fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<u64>>(column)?.map(Timestamp::from_micros))
}

/// A stamp, as a column holds it.
pub(super) fn ticks(at: Stamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn stamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Stamp> {
    Ok(Stamp::from_micros(row.get(column)?))
}

pub(super) fn optional_stamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Stamp>> {
    Ok(row.get::<_, Option<u64>>(column)?.map(Stamp::from_micros))
}

/// The time that starts added to the store's clock.
pub(super) fn assumed(row: &Row<'_>, column: usize) -> rusqlite::Result<Assumed> {
    let text = row.get_ref(column)?.as_str().map_err(|error| unreadable(column, error))?;
    text.parse().map_err(|error| unreadable(column, error))
}

pub(super) fn position(row: &Row<'_>, column: usize) -> rusqlite::Result<Position> {
    Ok(Position(row.get(column)?))
}

pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
    Ok(row.get_ref(column)?.as_str().map_err(|error| unreadable(column, error))?.into())
}

fn optional_text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<str>>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => text(row, column).map(Some),
    }
}

/// The column for the subscription through which a message came; 0 if it was sent straight to its queue.
pub(super) fn bringer(subscription: Option<SubscriptionId>) -> i64 {
    subscription.map_or(0, |subscription| subscription.0)
}

/// The subscription through which a message came; `None` if it was sent straight to its queue.
pub(super) fn brought_by(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<SubscriptionId>> {
    let number = row.get::<_, i64>(column)?;
    Ok((number != 0).then_some(SubscriptionId(number)))
}

/// Reads [`EVENT`] from column 0 on.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let body = NewEvent {
        id: EventId::from_bytes(row.get(1)?),
        topic: TopicId(row.get(2)?),
        key: text(row, 7)?,
        recorded_at: time(row, 3)?,
        content: content(row)?,
    };
    Ok(Event { position: position(row, 0)?, stamp: stamp(row, 10)?, body })
}

/// Reads [`HEAD`].
pub(super) fn head(row: &Row<'_>) -> rusqlite::Result<EventHead> {
    let what = match row.get_ref(3)?.as_str().map_err(|error| unreadable(3, error))? {
        "succeeded" => Happened::Succeeded,
        PUBLISHED => Happened::Published,
        _ => Happened::Unknown,
    };
    Ok(EventHead {
        position: position(row, 0)?,
        topic: TopicId(row.get(1)?),
        recorded_at: time(row, 2)?,
        what,
        key: text(row, 4)?,
    })
}

fn content(row: &Row<'_>) -> rusqlite::Result<Content> {
    let outcome = match row.get_ref(4)?.as_str().map_err(|error| unreadable(4, error))? {
        "succeeded" => Outcome::Succeeded,
        PUBLISHED => {
            return Ok(Content::Message(Message { text: text(row, 8)?, details: optional_text(row, 9)? }));
        }
        _ => Outcome::Unknown(text(row, 5)?.parse().map_err(|error| unreadable(5, error))?),
    };
    let (request, answer) = (text(row, 8)?, optional_text(row, 9)?);
    Ok(Content::Exchange(Exchange { outcome, overlapped: row.get(6)?, request, answer }))
}

/// Reads [`SUBSCRIPTION`].
pub(super) fn subscription(row: &Row<'_>) -> rusqlite::Result<Subscription> {
    let token = row.get::<_, Option<String>>(6)?;
    let state = match row.get_ref(5)?.as_str().map_err(|error| unreadable(5, error))? {
        "pending" => SubscriptionState::Pending { token: token.unwrap_or_default() },
        "confirmed" => SubscriptionState::Confirmed,
        _ => SubscriptionState::Disabled { token },
    };
    let is_disabled = state.is_disabled();
    Ok(Subscription {
        id: SubscriptionId(row.get(0)?),
        uuid: Uuid::from_bytes(row.get(1)?),
        topic: TopicId(row.get(2)?),
        name: row.get(12)?,
        protocol: protocol(row, 3)?,
        endpoint: row.get(4)?,
        state,
        reconfirms: row.get(13)?,
        disabled_because: if is_disabled { row.get(14)? } else { None },
        created_at: time(row, 7)?,
        created: stamp(row, 11)?,
        removed_at: optional_time(row, 8)?,
        cursor: Cursor { dispatched_to: position(row, 9)?, done_to: position(row, 10)? },
    })
}

fn protocol(row: &Row<'_>, column: usize) -> rusqlite::Result<Protocol> {
    let name = row.get_ref(column)?.as_str().map_err(|error| unreadable(column, error))?;
    let found = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == name);
    found.ok_or_else(|| unreadable(column, FromSqlError::InvalidType))
}

/// Reads [`DELIVERY`].
pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state = match row.get_ref(3)?.as_str().map_err(|error| unreadable(3, error))? {
        "retry" => DeliveryState::Retry { at: stamp(row, 4)? },
        "behind" => DeliveryState::Behind,
        _ => DeliveryState::Dead {
            reason: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
            at: stamp(row, 4)?,
            died_at: time(row, 8)?,
        },
    };
    Ok(Delivery {
        id: DeliveryId { subscription: SubscriptionId(row.get(0)?), position: position(row, 1)? },
        key: row.get(2)?,
        state,
        attempts: row.get(6)?,
        since: stamp(row, 7)?,
        anew_after: row.get(9)?,
    })
}

/// Reads [`ATTEMPT`].
pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        delivery: DeliveryId { subscription: SubscriptionId(row.get(0)?), position: position(row, 1)? },
        event: EventId::from_bytes(row.get(2)?),
        number: row.get(3)?,
        at: time(row, 4)?,
        took_micros: row.get(5)?,
        status: row.get(6)?,
        error: row.get(7)?,
        answer: row.get(8)?,
        next_at: optional_time(row, 9)?,
    })
}

/// Reads `kind, id, origin, body`.
pub(super) fn registry(row: &Row<'_>) -> rusqlite::Result<storage::registry::Row> {
    let origin = match row.get_ref(2)?.as_str().map_err(|error| unreadable(2, error))? {
        "file" => Origin::File,
        _ => Origin::Api,
    };
    let id = Uuid::from_bytes(row.get(1)?);
    Ok(storage::registry::Row { kind: row.get(0)?, id, origin, body: row.get(3)? })
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
