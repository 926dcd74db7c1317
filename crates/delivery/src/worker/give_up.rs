//! Giving up a delivery on request, such as a poisonous event at the head of its key: it becomes a dead letter, and the next one goes on.
//!
//! The dead letter is durable before the next one of the key may go, and before the answer. Whoever kills the process in between finds the dead
//! letter, and the next start takes up the key with the one after it.

use std::time::Duration;

use event::Position;
use storage::delivery::{Attempt, Delivery, DeliveryState};
use storage::failpoint;

use super::handle::RedeliverError;
use super::under_way::Dispatch;
use super::{Stop, Worker};

/// What an attempt that was cut off says of its end.
const CUT_OFF: &str = "an operator gave the delivery up while this attempt was under way: it was cut off";

impl Worker {
    pub(super) async fn give_up(
        &mut self,
        position: Position,
        reason: String,
    ) -> Result<Result<(), RedeliverError>, Stop> {
        // An attempt that has ended counts, and must be in the store before it is asked.
        while let Some(ended) = self.attempts.try_next_ended() {
            self.settle(ended);
        }
        self.commit().await?;
        let (row, is_head) = if let Some((dispatch, took)) = self.attempts.cut_off(position) {
            self.window.settle(position);
            self.record_cut_off(&dispatch, took);
            (dispatch.to_row(self.id, DeliveryState::Behind), true)
        } else {
            let row = match self.waiting_row(position).await? {
                Ok(row) => row,
                Err(error) => return Ok(Err(error)),
            };
            let is_head = row.state != DeliveryState::Behind;
            (row, is_head)
        };
        self.lay_to_rest(row, reason, is_head).await?;
        Ok(Ok(()))
    }

    async fn lay_to_rest(&mut self, row: Delivery, reason: String, is_head: bool) -> Result<(), Stop> {
        failpoint::hit(failpoint::GIVING_UP);
        let (key, position, attempts) = (row.key.clone(), row.id.position, row.attempts);
        tracing::warn!(%position, attempts, reason, "a delivery is given up, because an operator asked for it: it is a dead letter now");
        let state = DeliveryState::Dead { reason, at: self.now(), died_at: self.wall() };
        self.shared.count_dead();
        self.changes.put(Delivery { state, ..row });
        self.commit().await?;
        failpoint::hit(failpoint::GIVEN_UP);
        if is_head {
            self.head_done(&key);
        }
        Ok(())
    }

    fn record_cut_off(&mut self, dispatch: &Dispatch, took: Duration) {
        self.changes.record(Attempt {
            delivery: dispatch.to_row(self.id, DeliveryState::Behind).id,
            event: dispatch.event.body.id,
            number: dispatch.number,
            at: dispatch.began_at,
            took_micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            status: None,
            error: Some(CUT_OFF.into()),
            answer: Vec::new(),
            next_at: None,
        });
    }
}
