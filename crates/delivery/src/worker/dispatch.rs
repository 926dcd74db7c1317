//! Chooses the next attempts.

use event::Event;
use storage::delivery::{Delivery, DeliveryId, DeliveryState};

use super::source::Held;
use super::under_way::{Dispatch, Row};
use super::{MAX_SPAN, Order, Stop, Worker};
use crate::policy::in_words;
use crate::window::Admit;

/// How many attempts may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// All attempts together.
    pub(super) free: usize,
    /// Of deliveries with a row.
    pub(super) retries: usize,
    /// First ones.
    pub(super) new: usize,
}

impl Worker {
    /// As long as new events wait, retries get half of the room, so that neither blocks the other. While the budget is used up, there is no room
    /// for events that have to be read.
    pub(super) fn room(&self) -> Room {
        let free = self.settings.max_in_flight.saturating_sub(self.attempts.len());
        let retries = if self.share.affordable().is_none() {
            0
        } else if self.source.is_drained() {
            free
        } else {
            let half = self.settings.max_in_flight.div_ceil(2);
            half.saturating_sub(self.attempts.retries()).min(free)
        };
        Room { free, retries, new: free.min(MAX_SPAN.saturating_sub(self.window.span())) }
    }

    /// Chooses attempts and notes them in `changes`; they may be made when the changes are durable.
    pub(super) async fn choose(&mut self) -> Result<Vec<Dispatch>, Stop> {
        let mut dispatches = self.promoted(self.room().retries).await?;
        let retries = self.room().retries.saturating_sub(dispatches.len());
        dispatches.extend(self.due(retries).await?);
        let new = self.room().new.min(self.room().free.saturating_sub(dispatches.len()));
        for next in self.next_events(new).await? {
            match next {
                Ok(held) => dispatches.extend(self.begin(held)),
                Err(unreadable) => {
                    self.set_aside(&unreadable).await?;
                    self.window.begin(unreadable.position);
                    self.window.settle(unreadable.position);
                }
            }
        }
        Ok(dispatches)
    }

    /// Begins a new event, with an attempt or directly with a row.
    fn begin(&mut self, Held { event, charge }: Held) -> Option<Dispatch> {
        let now = self.now();
        let position = event.position;
        self.window.begin(position);
        if self.age(event.stamp) > self.deps.max_age {
            let reason = format!("older than {} before its first attempt", in_words(self.deps.max_age));
            let dead = DeliveryState::Dead { reason, at: now, died_at: self.wall() };
            let delivery = self.row(&event, dead, 0, now);
            self.bury(delivery);
            self.window.settle(position);
            return None;
        }
        if self.settings.order == Order::Fifo && self.keys.admit(&event.body.key) == Admit::Behind {
            self.changes.put(self.row(&event, DeliveryState::Behind, 0, now));
            self.window.settle(position);
            return None;
        }
        let began_at = self.wall();
        Some(Dispatch {
            event,
            charge,
            number: 1,
            since: now,
            anew_after: 0,
            began: now,
            began_at,
            due: None,
            row: Row::None,
        })
    }

    /// Notes a dead letter.
    pub(super) fn bury(&mut self, delivery: Delivery) {
        if let DeliveryState::Dead { reason, .. } = &delivery.state
            && let Some(times) = self.lines.dead_letter.happened()
        {
            tracing::warn!(position = %delivery.id.position, reason, times, "dead letter");
        }
        self.shared.count_dead();
        self.changes.put(delivery);
    }

    pub(super) fn row(
        &self,
        event: &Event,
        state: DeliveryState,
        attempts: u32,
        since: event::Stamp,
    ) -> Delivery {
        let id = DeliveryId { subscription: self.id, position: event.position };
        Delivery { id, key: event.body.key.to_string(), state, attempts, since, anew_after: 0 }
    }
}
