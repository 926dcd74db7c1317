//! What a start finds: deliveries that were under way when the process died.
//!
//! Every position in `(done_to, dispatched_to]` that has neither a row nor a recorded success may or may not have been delivered; it
//! becomes a row whose next attempt is at least the second, and the cursor closes over it. A row whose last attempt is not on record was
//! leased to the dead process: it is due at once, and its next attempt has the same number. What ended with a process says nothing about
//! the endpoint: were it counted, one refusal after some crashes would be followed by a wait of hours. Every other retry is due at once,
//! too, spread over a few seconds: nobody knows how long the process was gone, and whoever starts it again wants to see what works now.
//! Then all goes the ordinary way of rows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Position, Stamp, TopicId};
use storage::delivery::{Delivery, DeliveryId, DeliveryState};
use storage::entities::{Cursor, SubscriptionId};
use storage::{Reader, StoreError};

use super::damage::{Damage, Unreadable, events_after};
use super::{LEASE_MARGIN, MAX_TIMEOUT, Order, Stop, Worker};
use crate::events::Events;
use crate::window::Window;

/// Events that are read at once.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 4 << 20;
/// Retries that waited when the process ended are spread over so long.
const RESUME_WITHIN: Duration = Duration::from_secs(5);
/// Rows that are changed in one commit.
pub(super) const ROWS_AT_ONCE: usize = 1_024;

impl Worker {
    /// Closes the gap that the last run left, and takes up the rows.
    pub(super) async fn recover(&mut self) -> Result<(), Stop> {
        let (id, topic, cursor) = (self.id, self.subscription.topic, self.subscription.cursor);
        let (now, order, events) = (self.now(), self.settings.order, self.deps.events.clone());
        let gap = Gap { id, topic, cursor, now };
        let (gap, unreadable) =
            self.read_around(move |reader, damage| gap.close(reader, &events, damage)).await?;
        for one in &unreadable {
            self.set_aside(one).await?;
        }
        if !gap.is_empty() {
            tracing::info!(count = gap.len(), "deliveries that were under way are repeated");
        }
        let keys: BTreeSet<String> = gap.iter().map(|delivery| delivery.key.clone()).collect();
        for mut delivery in gap {
            if order == Order::Fifo {
                delivery.state = DeliveryState::Behind;
            }
            self.changes.put(delivery);
        }
        self.window = Window::new(cursor.dispatched_to);
        self.source.start_after(cursor.dispatched_to);
        self.commit().await?;
        self.break_leases(now).await?;
        self.bring_retries_forward(now).await?;
        match order {
            Order::Fifo => self.take_up_keys(keys).await?,
            Order::Any => self.free_followers().await?,
        }
        self.due.look_no_later_than(now);
        Ok(())
    }

    /// Every key with a row is busy, and its first row may go if it waits for nobody.
    async fn take_up_keys(&mut self, of_gap: BTreeSet<String>) -> Result<(), Stop> {
        let id = self.id;
        let mut keys: BTreeSet<String> =
            self.read(move |reader| reader.blocked_keys(id)).await?.into_iter().collect();
        keys.extend(of_gap);
        for key in keys {
            let key: Arc<str> = key.into();
            self.keys.block(key.clone());
            self.due.release(key);
        }
        self.due.promote_released();
        Ok(())
    }

    /// Nobody is at work on what the dead process had under way.
    async fn break_leases(&mut self, now: Stamp) -> Result<(), Stop> {
        let (id, until) = (self.id, now.plus(MAX_TIMEOUT + LEASE_MARGIN));
        let mut first = None;
        loop {
            let leased = self
                .read_around(move |reader, damage| {
                    match reader.leased_deliveries(id, now, until, ROWS_AT_ONCE) {
                        // They are due by their time.
                        Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => Ok(Vec::new()),
                        leased => leased,
                    }
                })
                .await?;
            let next = leased.first().map(|row| row.id);
            // As in `bring_retries_forward`.
            if next.is_none() || next == first {
                return Ok(());
            }
            first = next;
            for row in leased {
                let attempts = row.attempts.saturating_sub(1).max(1);
                self.changes.put(Delivery { state: DeliveryState::Retry { at: now }, attempts, ..row });
            }
            self.commit().await?;
        }
    }

    /// What waits for a retry has waited for long enough.
    async fn bring_retries_forward(&mut self, now: Stamp) -> Result<(), Stop> {
        let (id, soon) = (self.id, now.plus(RESUME_WITHIN));
        let mut first = None;
        loop {
            let later = self
                .read_around(move |reader, damage| match reader.retries_after(id, soon, ROWS_AT_ONCE) {
                    Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => Ok(Vec::new()),
                    later => later,
                })
                .await?;
            let next = later.first().map(|row| row.id);
            // A row whose event is missing cannot be written: those that stand where they stood are left to their time.
            if next.is_none() || next == first {
                return Ok(());
            }
            first = next;
            for row in later {
                let at = now.plus(RESUME_WITHIN.mul_f64(fastrand::f64()));
                self.changes.put(Delivery { state: DeliveryState::Retry { at }, ..row });
            }
            self.commit().await?;
        }
    }

    /// Pointer rows of a subscription that was FIFO before this start wait for nobody any more. A commit has a bounded number of them;
    /// after a crash in between the next start frees the rest.
    async fn free_followers(&mut self) -> Result<(), Stop> {
        let (id, now) = (self.id, self.now());
        let mut after = Position(0);
        loop {
            let waiting = self.read(move |reader| reader.waiting_deliveries(id, after, ROWS_AT_ONCE)).await?;
            let Some(last) = waiting.last() else { return Ok(()) };
            after = last.id.position;
            for row in waiting.into_iter().filter(|row| row.state == DeliveryState::Behind) {
                self.changes.put(Delivery { state: DeliveryState::Retry { at: now }, ..row });
            }
            self.commit().await?;
        }
    }
}

/// What the last run may or may not have delivered.
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

/// The row of an event's delivery, if nothing tells what became of it.
fn unfinished(
    reader: &dyn Reader,
    subscription: SubscriptionId,
    event: &Event,
    now: Stamp,
    damage: Damage,
) -> storage::Result<Option<Delivery>> {
    let id = DeliveryId { subscription, position: event.position };
    if reader.delivery(id)?.is_some() {
        return Ok(None);
    }
    let mut attempts = match reader.attempts_at(event.position) {
        // They say less about the delivery than a repetition does.
        Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => Vec::new(),
        attempts => attempts?,
    };
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
    }))
}
