//! The watch on one exchange, and how each of the four durabilities uses the store's writer.
//!
//! | durability | `intend` | `settle` |
//! |---|---|---|
//! | `intent` | the intent; waited for | the intent with its event; nothing is held |
//! | `strict` | the intent; waited for | the same; an event's answer is held |
//! | `outcome` | whether the store takes events now | an event's append; its answer is held |
//! | `memory` | nothing | an event's append if there is room; nothing is held |
//!
//! A watch that is dropped without being settled settles itself: as `abandoned` if the head may have been sent, and as not sent before that. The
//! head may have been sent as soon as the wait for the intent has ended well.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event::capture::BodyCapture;
use event::facts::{AnswerView, HeadersView};
use event::redaction::{CredentialNames, Redactor};
use event::{
    Content, Decision, EventId, Exchange, Fate, Intent, NewEvent, Outcome, Timestamp, UnknownReason,
};
use pipeline::{Answer, Hold, Joint, NotKept, Wants, Watch};
use storage::writer::IntentBatch;

use super::config::Durability;
use super::rule::Rule;

/// One exchange that a rule matched.
pub(super) struct PublishWatch {
    pub rule: Arc<Rule>,
    pub id: EventId,
    pub key: Arc<str>,
    pub request: Arc<str>,
    /// The names under which the request may have carried credentials: an answer may repeat them, so they are redacted there, too.
    pub credentials: Vec<Arc<CredentialNames>>,
    pub request_body: Option<BodyCapture>,
    pub response_body: Option<BodyCapture>,
    pub stage: Rc<Cell<Stage>>,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has been asked of the store.
    Fresh,
    /// The intent is on its way into the store: the head has not been sent.
    Intending,
    /// The store refused the intent: the head will not be sent.
    Refused,
    /// The head may have been sent.
    Forwarded,
    /// The store has the outcome in its queue.
    Settled,
}

impl Stage {
    pub fn fresh() -> Rc<Cell<Self>> {
        Rc::new(Cell::new(Self::Fresh))
    }
}

impl Watch for PublishWatch {
    fn wants(&self) -> Wants {
        Wants { request_body: self.request_body.is_some(), response_body: self.response_body.is_some() }
    }

    fn intend(&mut self, joint: &mut Joint) -> Option<Hold> {
        if !self.keeps_intent() {
            if self.rule.durability == Durability::Outcome
                && let Err(error) = self.rule.writer.admits()
            {
                self.stage.set(Stage::Refused);
                return Some(Box::pin(std::future::ready(Err(NotKept::new(error)))));
            }
            self.stage.set(Stage::Forwarded);
            return None;
        }
        self.stage.set(Stage::Intending);
        let intent = Intent {
            id: self.id,
            topic: self.rule.topic,
            key: self.key.clone(),
            publish_unknown: self.rule.publish_unknown,
            noted_at: self.rule.clock.now(),
            request: self.request.clone(),
        };
        let writer = &self.rule.writer;
        let receipt = match joint.batch(|| writer.intents_together()) {
            Some(batch) => IntentBatch::intend(batch, intent),
            None => writer.intend(intent),
        };
        let stage = self.stage.clone();
        Some(Box::pin(async move {
            let kept = receipt.await.map_err(NotKept::new);
            // If the watch was settled in the meantime, that stays.
            if stage.get() == Stage::Intending {
                stage.set(if kept.is_ok() { Stage::Forwarded } else { Stage::Refused });
            }
            kept
        }))
    }

    fn may_hold(&self) -> bool {
        matches!(self.rule.durability, Durability::Strict | Durability::Outcome)
    }

    fn decision(&self, fate: Fate) -> Decision {
        event::outcome::decide(fate, &self.rule.success, self.rule.publish_unknown)
    }

    fn resolve_after(&self) -> Duration {
        self.rule.resolve_after
    }

    fn bound(&self) -> Duration {
        self.rule.exchange_timeout
    }

    fn store_timeout(&self) -> Duration {
        self.rule.store_timeout
    }

    fn request_body(&mut self, chunk: &Bytes) {
        if let Some(capture) = &mut self.request_body {
            capture.push(chunk);
        }
    }

    fn response_body(&mut self, chunk: &Bytes) {
        if let Some(capture) = &mut self.response_body {
            capture.push(chunk);
        }
    }

    fn settle(&mut self, fate: Fate, answer: &Answer<'_>) -> Option<Hold> {
        let event = match self.decision(fate) {
            Decision::Publish(outcome) => {
                let facts = self.answer_facts(answer);
                Some(self.event(outcome, answer.now, Some(facts)))
            }
            Decision::None => None,
        };
        self.hand_over(event)
    }
}

impl PublishWatch {
    fn keeps_intent(&self) -> bool {
        matches!(self.rule.durability, Durability::Intent | Durability::Strict)
    }

    fn event(&self, outcome: Outcome, recorded_at: Timestamp, answer: Option<Arc<str>>) -> NewEvent {
        NewEvent {
            id: self.id,
            topic: self.rule.topic,
            key: self.key.clone(),
            recorded_at,
            // The writer fills it in: it knows which other intents were open.
            content: Content::Exchange(Exchange {
                outcome,
                overlapped: false,
                request: self.request.clone(),
                answer,
            }),
        }
    }

    fn answer_facts(&mut self, answer: &Answer<'_>) -> Arc<str> {
        let request_body = self.request_body.take().map(BodyCapture::finish);
        let response_body = self.response_body.take().map(BodyCapture::finish);
        let redactor = Redactor::new(&self.rule.redaction, &self.credentials);
        let headers = HeadersView::new(answer.headers, redactor);
        let view = AnswerView {
            status: answer.status,
            headers: &headers,
            headers_truncated: headers.is_truncated(),
            request_body_size: answer.request_body_size,
            size: answer.size,
            latencies: answer.latencies,
            request_body: request_body.as_ref(),
            response_body: response_body.as_ref(),
        };
        super::rule::json(&view)
    }

    /// Puts the outcome into the writer's queue. Does nothing if it was called before, or if the store has nothing of this exchange.
    fn hand_over(&mut self, event: Option<NewEvent>) -> Option<Hold> {
        let stage = self.stage.replace(Stage::Settled);
        if matches!(stage, Stage::Fresh | Stage::Refused | Stage::Settled) {
            return None;
        }
        let writer = &self.rule.writer;
        let receipt = match (self.rule.durability, event) {
            (Durability::Strict, Some(event)) => writer.settle(self.id, Some(event)),
            (Durability::Outcome, Some(event)) => writer.publish(event),
            (Durability::Intent | Durability::Strict, event) => {
                writer.settle_unawaited(self.id, event);
                return None;
            }
            (Durability::Memory, Some(event)) => {
                writer.offer_unawaited(event);
                return None;
            }
            (Durability::Outcome | Durability::Memory, None) => return None,
        };
        Some(Box::pin(async move { receipt.await.map(drop).map_err(NotKept::new) }))
    }
}

impl Drop for PublishWatch {
    fn drop(&mut self) {
        let fate = match self.stage.get() {
            Stage::Forwarded => Fate::Unanswered(UnknownReason::Abandoned),
            Stage::Intending => Fate::NotSent,
            Stage::Fresh | Stage::Refused | Stage::Settled => return,
        };
        let event = match self.decision(fate) {
            Decision::Publish(outcome) => Some(self.event(outcome, self.rule.clock.now(), None)),
            Decision::None => None,
        };
        // Nobody is left who could hold the answer.
        drop(self.hand_over(event));
    }
}
