//! Sending deliveries again on request: a single one, or dead letters.

use std::sync::Arc;

use event::{Position, Stamp};
use storage::StoreError;
use storage::delivery::{Delivery, DeliveryId, DeliveryState};

use super::damage::{Damage, attempts_at, event_at, row_at};
use super::handle::{AskError, Command, RedeliverError, Redrive, Redriven};
use super::recovery::ROWS_AT_ONCE;
use super::{Order, Stop, Worker};
use crate::window::Admit;

impl Worker {
    pub(super) async fn obey(&mut self, command: Command) -> Result<(), Stop> {
        // It does not matter if the caller is gone.
        match command {
            Command::Redeliver { position, reply } => drop(reply.send(self.redeliver(position).await?)),
            Command::Redrive { part, reply } => drop(reply.send(self.redrive(part).await?)),
            Command::Retry { position, reply } => drop(reply.send(self.retry(position).await?)),
            Command::RetryAll { part, reply } => drop(reply.send(self.retry_all(part).await?)),
            Command::GiveUp { position, reason, reply } => {
                let _ = reply.send(self.give_up(position, reason).await?);
            }
            Command::AskToConfirm { reply } => drop(reply.send(Err(AskError::NotPending))),
        }
        Ok(())
    }

    /// The part may have more dead letters than there is room for: they are due, and follow one after the other.
    async fn redrive(&mut self, part: Redrive) -> Result<Result<Redriven, RedeliverError>, Stop> {
        self.commit().await?;
        let (id, Redrive { after, until, reason }) = (self.id, part);
        let dead = self
            .read_around(move |reader, damage| {
                match reader.dead_letters_until(id, after, until, ROWS_AT_ONCE) {
                    Err(StoreError::Damaged(_)) if damage == Damage::IsSetAside => Ok(None),
                    dead => dead.map(Some),
                }
            })
            .await?;
        let Some(mut dead) = dead else { return Ok(Err(RedeliverError::Unreadable)) };
        let next = dead.last().filter(|_| dead.len() == ROWS_AT_ONCE).and_then(Delivery::death);
        // Housekeeping may have given up a delivery whose attempt is under way; that attempt settles it.
        dead.retain(|row| !self.attempts.contains(row.id.position) && row.died_of(reason.as_deref()));
        dead.sort_by_key(|row| row.id.position);
        let (now, count) = (self.now(), dead.len() as u64);
        for row in dead {
            let state = self.state_of_redelivery(&Arc::from(&*row.key), now);
            self.changes.put(row.begun_anew(state, now));
        }
        self.due.look_no_later_than(now);
        self.commit().await?;
        if count > 0 {
            tracing::debug!(count, "dead letters are sent again, because an operator asked for it");
        }
        Ok(Ok(Redriven { count, next }))
    }

    /// The state of a delivery that is sent again: due now, or waiting behind what its key has under way. It is not the head of its key yet.
    fn state_of_redelivery(&mut self, key: &Arc<str>, now: Stamp) -> DeliveryState {
        let follows = self.settings.order == Order::Fifo && self.keys.admit(key) == Admit::Behind;
        if follows { DeliveryState::Behind } else { DeliveryState::Retry { at: now } }
    }

    async fn redeliver(&mut self, position: Position) -> Result<Result<(), RedeliverError>, Stop> {
        if self.attempts.contains(position) || position > self.window.cursor().dispatched_to {
            return Ok(Err(self.no_such_event_or(position, RedeliverError::UnderWay).await?));
        }
        // What was just settled must be in the store before it is asked.
        self.commit().await?;
        let id = DeliveryId { subscription: self.id, position };
        let events = self.deps.events.clone();
        let (event, row, attempts) = self
            .read_around(move |reader, damage| {
                let event = event_at(&events, reader, position, damage)?;
                // A row that cannot be read is overwritten.
                let row = row_at(reader, id.subscription, position, damage)?.and_then(Result::ok);
                Ok((event, row, attempts_at(reader, position, damage)?))
            })
            .await?;
        let event = match event {
            Some(Ok(event)) if event.body.topic == self.subscription.topic => event,
            Some(Err(_)) => return Ok(Err(RedeliverError::Unreadable)),
            Some(Ok(_)) | None => return Ok(Err(RedeliverError::NoSuchEvent)),
        };
        let waits = row.as_ref().map(|row| &row.state);
        if waits == Some(&DeliveryState::Behind) && self.settings.order == Order::Fifo {
            return Ok(Err(RedeliverError::Behind));
        }
        let now = self.now();
        // A row that waits for its retry is the head of its key already.
        let is_head = matches!(waits, Some(DeliveryState::Retry { .. }));
        let state = if is_head {
            DeliveryState::Retry { at: now }
        } else {
            self.state_of_redelivery(&event.body.key, now)
        };
        let recorded = attempts.iter().filter(|attempt| attempt.delivery == id).map(|attempt| attempt.number);
        let begun = recorded.chain(row.iter().map(|row| row.attempts)).max().unwrap_or(0);
        self.changes.put(self.row(&event, state.clone(), begun, now).begun_anew(state, now));
        self.due.look_no_later_than(now);
        self.commit().await?;
        Ok(Ok(()))
    }

    async fn no_such_event_or(
        &mut self,
        position: Position,
        error: RedeliverError,
    ) -> Result<RedeliverError, Stop> {
        let events = self.deps.events.clone();
        let read =
            self.read_around(move |reader, damage| event_at(&events, reader, position, damage)).await?;
        Ok(match read {
            Some(Ok(event)) if event.body.topic == self.subscription.topic => error,
            Some(Err(_)) => RedeliverError::Unreadable,
            Some(Ok(_)) | None => RedeliverError::NoSuchEvent,
        })
    }
}
