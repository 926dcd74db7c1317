//! Events and rows that cannot be read from the store: they are retried first, and set aside if the rest can be read and they still cannot.
//!
//! SQLite also reports a read that fails on the disk as damage. So damage is accepted only after [`TRIES`] tries over some seconds, and only for
//! the one event or row that fails when all are read one by one. Its delivery becomes a dead letter, which can be sent again when the disk
//! works.

use std::sync::Arc;

use event::{Event, Position, TopicId};
use storage::delivery::{Attempt, Delivery, DeliveryId, DeliveryState};
use storage::entities::SubscriptionId;
use storage::ports::Waiting;
use storage::{Reader, StoreError};

use super::{Order, Stop, Worker};
use crate::budget::facts;
use crate::events::Events;

/// How many reads must fail with damage before it is accepted: about three seconds.
pub(super) const TRIES: u32 = 6;

/// What a read does about an event or a row that it cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It fails: the disk may work again in a moment.
    Fails,
    /// It skips it.
    IsSetAside,
}

/// An event that was read, or why it cannot be.
pub(super) type Readable = Result<Arc<Event>, Unreadable>;

/// A delivery's row that was read, or why it cannot be.
pub(super) type ReadableRow = Result<Delivery, Unreadable>;

/// What cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) what: Part,
    pub(super) position: Position,
    pub(super) why: String,
}

/// The parts of a delivery that the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Event,
    Row,
}

impl Unreadable {
    /// Why the delivery is dead.
    pub(super) fn reason(&self) -> String {
        let what = match self.what {
            Part::Event => "event",
            Part::Row => "row",
        };
        format!("the store cannot read its {what}: {}", self.why)
    }
}

/// The event at a position, or the store's reason if it is to be set aside.
pub(super) fn event_at(
    events: &Events,
    reader: &dyn Reader,
    position: Position,
    damage: Damage,
) -> storage::Result<Option<Readable>> {
    match events.at(reader, position) {
        Err(StoreError::Damaged(why)) if damage == Damage::IsSetAside => {
            Ok(Some(Err(Unreadable { what: Part::Event, position, why })))
        }
        read => Ok(read?.map(Ok)),
    }
}

/// As [`LogReader::events_after`](storage::ports::LogReader::events_after); events that are to be set aside are among them.
pub(super) fn events_after(
    events: &Events,
    reader: &dyn Reader,
    topic: TopicId,
    after: Position,
    (limit, max_bytes): (usize, usize),
    damage: Damage,
) -> storage::Result<Vec<Readable>> {
    match reader.events_after(topic, after, limit, max_bytes) {
        Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => {}
        read => return Ok(read?.into_iter().map(|event| Ok(events.share(event))).collect()),
    }
    let (mut found, mut bytes, mut after) = (Vec::new(), 0, after);
    while found.len() < limit && bytes < max_bytes {
        let Some(position) = reader.next_position(topic, after)? else { break };
        after = position;
        let Some(read) = event_at(events, reader, position, damage)? else { continue };
        bytes += read.as_ref().map_or(0, |event| facts(event));
        found.push(read);
    }
    Ok(found)
}

/// Rows of a subscription that wait; those that are to be set aside are among them.
pub(super) fn rows(
    reader: &dyn Reader,
    subscription: SubscriptionId,
    which: Waiting<'_>,
    limit: usize,
    damage: Damage,
) -> storage::Result<Vec<ReadableRow>> {
    let read = match which {
        Waiting::Due(now) => reader.due_deliveries(subscription, now, limit),
        Waiting::After(after) => reader.waiting_deliveries(subscription, after, limit),
        Waiting::OfKey(key) => reader.deliveries_of_key(subscription, key, limit),
    };
    match read {
        Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => {}
        read => return Ok(read?.into_iter().map(Ok).collect()),
    }
    let positions = reader.waiting_positions(subscription, which, limit)?;
    let one_by_one = positions.into_iter().map(|position| row_at(reader, subscription, position, damage));
    one_by_one.filter_map(Result::transpose).collect()
}

/// The row of a delivery, or the store's reason if it is to be set aside.
pub(super) fn row_at(
    reader: &dyn Reader,
    subscription: SubscriptionId,
    position: Position,
    damage: Damage,
) -> storage::Result<Option<ReadableRow>> {
    match reader.delivery(DeliveryId { subscription, position }) {
        Err(StoreError::Damaged(why)) if damage == Damage::IsSetAside => {
            Ok(Some(Err(Unreadable { what: Part::Row, position, why })))
        }
        read => Ok(read?.map(Ok)),
    }
}

/// The attempts at an event. If they cannot be read, there are none, and the delivery is repeated.
pub(super) fn attempts_at(
    reader: &dyn Reader,
    position: Position,
    damage: Damage,
) -> storage::Result<Vec<Attempt>> {
    match reader.attempts_at(position) {
        Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => Ok(Vec::new()),
        attempts => attempts,
    }
}

impl Worker {
    /// Sets rows aside that cannot be read. Their keys are unknown, so what follows them in their keys goes on.
    pub(super) async fn set_rows_aside(&mut self, rows: Vec<Unreadable>) -> Result<(), Stop> {
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            self.set_aside(row).await?;
        }
        if self.settings.order == Order::Fifo {
            self.release_idle_keys();
        }
        Ok(())
    }

    /// Makes a dead letter of a delivery whose event or row cannot be read. If the store cannot even keep that, only a log line remains, and the
    /// worker does not touch it again.
    pub(super) async fn set_aside(&mut self, unreadable: &Unreadable) -> Result<(), Stop> {
        let Unreadable { what, position, why } = unreadable;
        if let Some(times) = self.lines.set_aside.happened() {
            tracing::error!(
                %position,
                why,
                times,
                "{}: its delivery is set aside; `retrohook check --data` says more",
                match what {
                    Part::Event => "the store cannot read an event",
                    Part::Row => "the store cannot read the row of a delivery",
                }
            );
        }
        self.shared.count_set_aside();
        self.shared.count_dead();
        let key = match what {
            Part::Event => String::new(),
            Part::Row => self.key_of(*position).await?,
        };
        let now = self.now();
        let row = Delivery {
            id: DeliveryId { subscription: self.id, position: *position },
            key,
            state: DeliveryState::Dead { reason: unreadable.reason(), at: now, died_at: self.wall() },
            attempts: 0,
            since: now,
            anew_after: 0,
        };
        let (mut backoff, mut damaged) = (super::store::backoff(), 0);
        while damaged < TRIES {
            let row = row.clone();
            match self.deps.writer.transact(move |tx| tx.put_delivery(&row)).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    damaged += u32::from(matches!(error, StoreError::Damaged(_)));
                    self.outwait(error, &mut backoff).await?;
                }
            }
        }
        if let Some(times) = self.lines.skipped.happened() {
            tracing::error!(%position, times, "the store cannot keep a dead letter for the event either: it is skipped");
        }
        self.due.leave_alone(*position);
        Ok(())
    }

    /// The key of an event; empty if it cannot be read.
    async fn key_of(&mut self, position: Position) -> Result<String, Stop> {
        let events = self.deps.events.clone();
        let event =
            self.read_around(move |reader, damage| event_at(&events, reader, position, damage)).await?;
        Ok(event.and_then(Result::ok).map(|event| event.body.key.to_string()).unwrap_or_default())
    }
}
