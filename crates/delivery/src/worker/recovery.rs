//! Recovery at a start: deliveries that were under way when the process died.
//!
//! Every position in `(done_to, dispatched_to]` that has neither a row nor a recorded success may or may not have been delivered; it becomes a
//! row whose next attempt is at least the second, and the cursor moves over it. Every waiting row is due at once, spread over a few seconds,
//! without writing any row ([`leftover`](super::leftover)). Then they are treated like all other rows.

use std::sync::Arc;

use event::{Event, Position, Stamp, TopicId};
use storage::Reader;
use storage::delivery::{Delivery, DeliveryId, DeliveryState};
use storage::entities::{Cursor, Subscription, SubscriptionId};
use storage::ports::Waiting;

use super::damage::{Damage, Unreadable, attempts_at, events_after, row_at, rows};
use super::leftover::Leftover;
use super::{Order, Stop, Worker};
use crate::events::Events;
use crate::window::Window;

/// How many events are read at once.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 4 << 20;
/// How many rows are read at once, or changed in one commit.
pub(super) const ROWS_AT_ONCE: usize = 1_024;

impl Worker {
    /// Closes the gap that the last run left, and loads the rows.
    pub(super) async fn recover(&mut self) -> Result<(), Stop> {
        let (cursor, now, order) = (self.subscription.cursor, self.now(), self.settings.order);
        if cursor.done_to < cursor.dispatched_to {
            self.close_gap(now).await?;
        }
        self.window = Window::new(cursor.dispatched_to);
        self.source.start_after(cursor.dispatched_to);
        self.commit().await?;
        if order == Order::Fifo {
            self.take_up_keys().await?;
        }
        self.due.left = Leftover::new(cursor.dispatched_to, now);
        self.due.look_no_later_than(now);
        Ok(())
    }

    /// Gives a row to each delivery that may have been under way.
    async fn close_gap(&mut self, now: Stamp) -> Result<(), Stop> {
        let Subscription { id, topic, cursor, .. } = self.subscription;
        let (gap, events) = (Gap { id, topic, cursor, now }, self.deps.events.clone());
        let (gap, unreadable) =
            self.read_around(move |reader, damage| gap.close(reader, &events, damage)).await?;
        for one in &unreadable {
            self.set_aside(one).await?;
        }
        if !gap.is_empty() {
            tracing::info!(count = gap.len(), "deliveries that were under way are repeated");
        }
        for mut delivery in gap {
            if self.settings.order == Order::Fifo {
                delivery.state = DeliveryState::Behind;
            }
            self.changes.put(delivery);
        }
        Ok(())
    }

    /// Marks every key with a row as busy; its first row may go if it does not wait for another. All other rows of the key wait for it, even
    /// those that were independent retries before the subscription became FIFO.
    async fn take_up_keys(&mut self) -> Result<(), Stop> {
        let (id, mut after) = (self.id, Position(0));
        loop {
            let found = self
                .read_around(move |reader, damage| {
                    rows(reader, id, Waiting::After(after), ROWS_AT_ONCE, damage)
                })
                .await?;
            let Some(last) = found.last() else { break };
            after = last.as_ref().map_or_else(|last| last.position, |last| last.id.position);
            for row in found {
                match row {
                    Ok(row) => self.take_up(row),
                    Err(unreadable) => self.set_aside(&unreadable).await?,
                }
            }
            self.commit().await?;
        }
        self.due.promote_released();
        Ok(())
    }

    fn take_up(&mut self, row: Delivery) {
        let key: Arc<str> = row.key.as_str().into();
        match (self.keys.block(key.clone()), &row.state) {
            (true, DeliveryState::Behind) => self.due.release(key),
            (false, DeliveryState::Retry { .. }) => {
                self.changes.put(Delivery { state: DeliveryState::Behind, ..row });
            }
            // If the first row is a retry, it comes at its time.
            (true, _) | (false, _) => {}
        }
    }
}

/// The events that the last run may or may not have delivered.
struct Gap {
    id: SubscriptionId,
    topic: TopicId,
    cursor: Cursor,
    now: Stamp,
}

impl Gap {
    /// Its rows, and the events that cannot be read.
    fn close(
        &self,
        reader: &dyn Reader,
        events: &Events,
        damage: Damage,
    ) -> storage::Result<(Vec<Delivery>, Vec<Unreadable>)> {
        let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
        let mut after = self.cursor.done_to;
        while after < self.cursor.dispatched_to {
            let limit = (CHUNK, CHUNK_BYTES);
            let found = events_after(events, reader, self.topic, after, limit, damage)?;
            if found.is_empty() {
                break;
            }
            for next in found {
                after = next.as_ref().map_or_else(|next| next.position, |event| event.position);
                match next {
                    _ if after > self.cursor.dispatched_to => break,
                    Ok(event) => rows.extend(unfinished(reader, self.id, &event, self.now, damage)?),
                    Err(next) => unreadable.push(next),
                }
            }
        }
        Ok((rows, unreadable))
    }
}

/// The row for an event's delivery, if nothing shows its result.
fn unfinished(
    reader: &dyn Reader,
    subscription: SubscriptionId,
    event: &Event,
    now: Stamp,
    damage: Damage,
) -> storage::Result<Option<Delivery>> {
    let id = DeliveryId { subscription, position: event.position };
    // A row that cannot be read is found later.
    if row_at(reader, subscription, event.position, damage)?.is_some() {
        return Ok(None);
    }
    let mut attempts = attempts_at(reader, event.position, damage)?;
    attempts.retain(|attempt| attempt.delivery == id);
    if attempts.iter().any(|attempt| attempt.error.is_none()) {
        return Ok(None);
    }
    Ok(Some(Delivery {
        id,
        key: event.body.key.to_string(),
        state: DeliveryState::Retry { at: now },
        attempts: attempts.iter().map(|attempt| attempt.number).max().unwrap_or(1),
        since: now,
        anew_after: 0,
    }))
}
