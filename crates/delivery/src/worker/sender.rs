//! One attempt, from the event to the report; runs in a task of its own.

use std::sync::Arc;

use event::Event;
use event::timestamp::Clock;
use storage::failpoint;
use tokio::sync::watch;

use crate::signing::SnsKey;
use crate::sink::{AttemptReport, Content, Job, Target};
use crate::wire::cache::Messages;
use crate::wire::sns;

/// What an attempt needs of its subscription.
pub(super) struct Sender {
    pub(super) target: Arc<dyn Target>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) messages: Messages,
    pub(super) sns_key: watch::Receiver<Option<Arc<SnsKey>>>,
}

/// The end of an attempt.
#[derive(Debug)]
pub(super) enum End {
    /// It was made.
    Report(AttemptReport),
    /// It can never be made.
    Unsendable(String),
}

impl Sender {
    /// Attempt number `number` at an event.
    pub(super) async fn attempt(self: Arc<Self>, event: Arc<Event>, number: u32) -> End {
        match self.messages.get(&event) {
            Ok(message) => End::Report(self.send(Content::Event { message, number }).await),
            Err(error) => End::Unsendable(error.to_string()),
        }
    }

    pub(super) fn key(&self) -> Option<Arc<SnsKey>> {
        self.sns_key.borrow().clone()
    }

    async fn send(&self, content: Content) -> AttemptReport {
        self.target.attempt(Job { content, at: self.clock.now(), sns_key: self.key() }).await
    }

    /// Sends a request to confirm.
    pub(super) async fn confirm(self: Arc<Self>, confirmation: sns::Confirmation) -> AttemptReport {
        failpoint::hit(failpoint::HANDSHAKE);
        self.send(Content::Confirmation(confirmation)).await
    }
}
