//! One attempt, from the event to the report; runs in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use event::Event;
use event::timestamp::Clock;
use storage::failpoint;
use tokio::sync::watch;

use crate::endpoint::{Endpoint, without_query};
use crate::signing::{SnsKey, SnsKeyError};
use crate::sink::{AttemptReport, AttemptRequest, Failure, Sink};
use crate::wire::cache::Messages;
use crate::wire::{Message, Outgoing, Recipient, sns};

/// What an attempt needs of its subscription.
pub(super) struct Courier {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) recipient: Recipient,
    pub(super) timeout: Duration,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) messages: Messages,
    pub(super) sns_key: watch::Receiver<Option<Arc<SnsKey>>>,
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It was made.
    Report(AttemptReport),
    /// It cannot be made, now or ever.
    Unsendable(String),
}

impl Courier {
    /// Attempt number `number` at an event.
    pub(super) async fn attempt(self: Arc<Self>, event: Arc<Event>, number: u32) -> Arrival {
        let message = match self.messages.get(&event) {
            Ok(message) => message,
            Err(error) => return Arrival::Unsendable(error.to_string()),
        };
        match self.outgoing(&message, number).await {
            Ok(outgoing) => Arrival::Report(self.send(outgoing).await),
            Err(error) => {
                Arrival::Report(AttemptReport::failed(Failure::Internal, error.to_string(), Duration::ZERO))
            }
        }
    }

    async fn outgoing(&self, message: &Arc<Message>, number: u32) -> Result<Outgoing, SnsKeyError> {
        let signed = if self.recipient.wants_sns_signature() {
            let key = self.key().ok_or(SnsKeyError::Generate)?;
            Some(message.signed(self.recipient.protocol, &self.recipient.names, &key).await?)
        } else {
            None
        };
        Ok(self.recipient.notification(message, number, self.clock.now(), signed))
    }

    pub(super) fn key(&self) -> Option<Arc<SnsKey>> {
        self.sns_key.borrow().clone()
    }

    pub(super) async fn send(&self, outgoing: Outgoing) -> AttemptReport {
        let request = AttemptRequest {
            endpoint: self.endpoint.clone(),
            headers: outgoing.headers,
            body: outgoing.body,
            timeout: self.timeout,
        };
        let report = self.sink.attempt(request).await;
        AttemptReport { answer: without_query(report.answer, &self.endpoint), ..report }
    }

    /// Sends a request to confirm.
    pub(super) async fn confirm(self: Arc<Self>, confirmation: sns::Confirmation) -> AttemptReport {
        failpoint::hit(failpoint::HANDSHAKE);
        let names = &self.recipient.names;
        let signed = match self.key() {
            Some(key) => sns::sign(names, confirmation.string_to_sign(names), key).await,
            None => Err(SnsKeyError::Generate),
        };
        match signed {
            Ok(signed) => self.send(confirmation.request(names, &signed)).await,
            Err(error) => AttemptReport::failed(Failure::Internal, error.to_string(), Duration::ZERO),
        }
    }
}
