//! What cannot be read from the store: tried again first, set aside if it stays so while the rest can be read.
//!
//! SQLite reports a disk that fails a read as damage, too. So damage is believed only after [`TRIES`] tries over some seconds, and only of
//! the one event that fails when all are read one by one. Its delivery becomes a dead letter: it can be sent again when the disk is well.

use std::sync::Arc;

use event::{Event, Position, TopicId};
use storage::delivery::{Delivery, DeliveryId, DeliveryState};
use storage::{Reader, StoreError};

use super::{Stop, Worker};
use crate::budget::facts;
use crate::events::Events;

/// Reads that fail with damage before it is believed: over about three seconds.
pub(super) const TRIES: u32 = 6;

/// What a read does about an event that it cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It fails: the disk may be well in a moment.
    Fails,
    /// It goes around it.
    IsSetAside,
}

/// An event that was read, or why it cannot be.
pub(super) type Readable = Result<Arc<Event>, Unreadable>;

/// An event that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) position: Position,
    pub(super) why: String,
}

/// The event at a position, in the store's words why not if it is to be set aside.
pub(super) fn event_at(
    events: &Events,
    reader: &dyn Reader,
    position: Position,
    damage: Damage,
) -> storage::Result<Option<Readable>> {
    match events.at(reader, position) {
        Err(StoreError::Damaged(why)) if damage == Damage::IsSetAside => {
            Ok(Some(Err(Unreadable { position, why })))
        }
        read => Ok(read?.map(Ok)),
    }
}

/// As [`Reader::events_after`]; events that are to be set aside are among them.
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

impl Worker {
    /// Makes a dead letter of an event that cannot be read. Where the store cannot even keep that, the log line is all that is left of it.
    pub(super) async fn set_aside(&mut self, unreadable: &Unreadable) -> Result<(), Stop> {
        let Unreadable { position, why } = unreadable;
        if let Some(times) = self.lines.set_aside.happened() {
            tracing::error!(
                %position,
                why,
                times,
                "the store cannot read an event: its delivery is set aside; `retrohook check --data` says more"
            );
        }
        self.shared.count_set_aside();
        self.shared.count_dead();
        let now = self.now();
        let row = Delivery {
            id: DeliveryId { subscription: self.id, position: *position },
            key: String::new(),
            state: DeliveryState::Dead { reason: reason(why), at: now, died_at: self.wall() },
            attempts: 0,
            since: now,
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
        Ok(())
    }
}

/// Why its delivery is dead.
pub(super) fn reason(why: &str) -> String {
    format!("the store cannot read its event: {why}")
}
