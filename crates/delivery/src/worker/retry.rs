//! Trying waiting deliveries again on request, before their time: a single one, or all. Their waits begin anew.

use event::Position;
use storage::delivery::{Delivery, DeliveryState};
use storage::ports::Waiting;

use super::damage::{row_at, rows};
use super::due::position;
use super::handle::{RedeliverError, Retried, Retry};
use super::recovery::ROWS_AT_ONCE;
use super::{LEASE_MARGIN, Order, Stop, Worker};

impl Worker {
    pub(super) async fn retry(&mut self, position: Position) -> Result<Result<(), RedeliverError>, Stop> {
        // What was just settled must be in the store before it is asked.
        self.commit().await?;
        match self.waiting_row(position).await? {
            Err(error) => return Ok(Err(error)),
            Ok(row) if row.state == DeliveryState::Behind && self.settings.order == Order::Fifo => {
                return Ok(Err(RedeliverError::Behind));
            }
            Ok(row) => self.begin_anew(row),
        }
        self.commit().await?;
        Ok(Ok(()))
    }

    /// The row of a delivery that waits, for its next attempt or behind an earlier one of its key.
    pub(super) async fn waiting_row(
        &mut self,
        position: Position,
    ) -> Result<Result<Delivery, RedeliverError>, Stop> {
        let id = self.id;
        let row = self.read_around(move |reader, damage| row_at(reader, id, position, damage)).await?;
        Ok(match row {
            None => Err(RedeliverError::NotWaiting),
            Some(Err(_)) => Err(RedeliverError::Unreadable),
            Some(Ok(row)) if matches!(row.state, DeliveryState::Dead { .. }) => Err(RedeliverError::Dead),
            Some(Ok(row)) => Ok(row),
        })
    }

    /// A part may be more than there is room for: its deliveries are due, and follow one after the other.
    pub(super) async fn retry_all(&mut self, part: Retry) -> Result<Result<Retried, RedeliverError>, Stop> {
        self.commit().await?;
        let (id, Retry { after, until }) = (self.id, part);
        let found = self
            .read_around(move |reader, damage| rows(reader, id, Waiting::After(after), ROWS_AT_ONCE, damage))
            .await?;
        let last = found.last().map(position).filter(|_| found.len() == ROWS_AT_ONCE);
        let next = last.filter(|last| *last < until);
        let mut count = 0;
        // Rows that cannot be read are set aside when they are due.
        for row in found.into_iter().flatten().filter(|row| row.id.position <= until) {
            self.begin_anew(row);
            count += 1;
        }
        self.commit().await?;
        if count > 0 {
            tracing::debug!(count, "waiting deliveries are tried again, because an operator asked for it");
        }
        Ok(Ok(Retried { count, next }))
    }

    /// Lets the waits of a waiting delivery begin anew: with the attempt that is under way, or with one that is due now, or behind an earlier one
    /// of its key.
    fn begin_anew(&mut self, row: Delivery) {
        let now = self.now();
        if self.attempts.contains(row.id.position) {
            let lease = self.settings.timeout + LEASE_MARGIN;
            let Some(dispatch) = self.attempts.begin_anew(row.id.position, now) else { return };
            let state = DeliveryState::Retry { at: dispatch.began.plus(lease) };
            self.changes.put(dispatch.to_row(self.id, state));
            return;
        }
        let state = match row.state {
            DeliveryState::Behind if self.settings.order == Order::Fifo => DeliveryState::Behind,
            _ => DeliveryState::Retry { at: now },
        };
        self.changes.put(row.begun_anew(state, now));
        self.due.look_no_later_than(now);
    }
}
