//! The intents of one request that several recorders follow: one change, one commit, one wait.

use event::Intent;

use super::bell::Rings;
use super::change::{Change, Noted, Request};
use super::inbox::Refused;
use super::receipt::{Receipt, receipt};
use super::{MAX_QUEUED, Writer};
use crate::StoreError;

/// Intents of one request that become durable in one commit, or not at all. They are queued when this is dropped.
pub struct IntentBatch {
    writer: Writer,
    intents: Vec<Noted>,
}

impl Writer {
    /// Begins a batch of the intents of one request.
    pub fn intents_together(&self) -> IntentBatch {
        IntentBatch { writer: self.clone(), intents: Vec::new() }
    }
}

impl IntentBatch {
    /// Adds an intent. The receipt resolves when the whole batch is durable.
    pub fn intend(&mut self, intent: Intent) -> Receipt<()> {
        if let Some(taken) = self.writer.stalled_for() {
            return Receipt::refused(StoreError::Stalled(taken));
        }
        let request = if self.intents.is_empty() { Request::New } else { Request::SameAsBefore };
        let (reply, receipt) = receipt();
        self.intents.push(Noted { intent, reply, request });
        receipt
    }
}

impl Drop for IntentBatch {
    fn drop(&mut self) {
        if self.intents.is_empty() {
            return;
        }
        let intents = std::mem::take(&mut self.intents);
        if let Some(Refused::Full) = self.writer.queue.refuses() {
            let mut rings = Rings::default();
            for Noted { reply, .. } in intents {
                reply.send(Err(StoreError::Overloaded { limit: MAX_QUEUED }), &mut rings);
            }
            return;
        }
        // If this fails, the intents are dropped, and their receipts resolve with `Closed`.
        let _ = self.writer.enqueue(Change::IntendTogether(intents));
    }
}
