//! Sending one delivery again because somebody asked for it.

use event::Position;
use storage::delivery::{DeliveryId, DeliveryState};

use super::handle::{Command, RedeliverError};
use super::{Order, Stop, Worker};
use crate::window::Admit;

impl Worker {
    pub(super) async fn obey(&mut self, command: Command) -> Result<(), Stop> {
        let Command::Redeliver { position, reply } = command;
        let result = self.redeliver(position).await?;
        // Who asked and went away does not mind.
        let _ = reply.send(result);
        Ok(())
    }

    async fn redeliver(&mut self, position: Position) -> Result<Result<(), RedeliverError>, Stop> {
        if self.flight.contains(position) || position > self.window.cursor().dispatched_to {
            return Ok(Err(self.no_such_event_or(position, RedeliverError::UnderWay).await?));
        }
        // What was settled a moment ago must be in the store before it is asked.
        self.commit().await?;
        let id = DeliveryId { subscription: self.id, position };
        let (event, row, attempts) = self
            .read(move |reader| {
                let event = reader.event_at(position)?;
                Ok((event, reader.delivery(id)?, reader.attempts_at(position)?))
            })
            .await?;
        let Some(event) = event.filter(|event| event.body.topic == self.subscription.topic) else {
            return Ok(Err(RedeliverError::NoSuchEvent));
        };
        let waits = row.as_ref().map(|row| &row.state);
        if waits == Some(&DeliveryState::Behind) {
            return Ok(Err(RedeliverError::Behind));
        }
        let now = self.now();
        // A row that waits for its retry is the head of its key already.
        let is_head = matches!(waits, Some(DeliveryState::Retry { .. }));
        let follows = self.settings.order == Order::Fifo
            && !is_head
            && self.keys.admit(&event.body.key) == Admit::Behind;
        let state = if follows { DeliveryState::Behind } else { DeliveryState::Retry { at: now } };
        let recorded = attempts.iter().filter(|attempt| attempt.delivery == id).map(|attempt| attempt.number);
        let begun = recorded.chain(row.iter().map(|row| row.attempts)).max().unwrap_or(0);
        self.changes.put(self.row(&event, state, begun, now));
        self.due.look_no_later_than(now);
        self.commit().await?;
        Ok(Ok(()))
    }

    async fn no_such_event_or(
        &mut self,
        position: Position,
        error: RedeliverError,
    ) -> Result<RedeliverError, Stop> {
        let event = self.read(move |reader| reader.event_at(position)).await?;
        let ours = event.is_some_and(|event| event.body.topic == self.subscription.topic);
        Ok(if ours { error } else { RedeliverError::NoSuchEvent })
    }
}
