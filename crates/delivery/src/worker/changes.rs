//! What the next commit will write.

use std::sync::Arc;

use storage::Tx;
use storage::delivery::{Attempt, Delivery, DeliveryId};
use storage::entities::{Cursor, SubscriptionId};

/// Rows in the order of their changes, and attempts.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    rows: Vec<Row>,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug)]
enum Row {
    Put(Delivery),
    Remove(DeliveryId),
}

impl Changes {
    pub(super) fn put(&mut self, delivery: Delivery) {
        self.rows.push(Row::Put(delivery));
    }

    pub(super) fn remove(&mut self, id: DeliveryId) {
        self.rows.push(Row::Remove(id));
    }

    pub(super) fn record(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.attempts.is_empty()
    }

    /// Turns them into a change for the writer, which may run it more than once.
    pub(super) fn into_change(
        self: Arc<Self>,
        id: SubscriptionId,
        cursor: Cursor,
    ) -> impl FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static {
        move |tx| {
            for row in &self.rows {
                match row {
                    Row::Put(delivery) => tx.put_delivery(delivery)?,
                    Row::Remove(delivery) => tx.remove_delivery(*delivery)?,
                }
            }
            for attempt in &self.attempts {
                tx.record_attempt(attempt)?;
            }
            tx.advance_cursor(id, cursor)
        }
    }
}
