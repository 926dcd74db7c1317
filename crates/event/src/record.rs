//! What the store keeps: intents before the upstream is asked, events after.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::facts::{AnswerFacts, RequestFacts};
use crate::{EventId, Outcome, Stamp, Timestamp, UnknownReason};

/// The store's number of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub i64);

/// A place in the event log: grows with every commit, has gaps, is never used twice. Travels as the event's `sequence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The durable note that a matching request is about to be forwarded.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The id of the event that may come of it.
    pub id: EventId,
    /// Where the event would go.
    pub topic: TopicId,
    /// What the event is about; orders deliveries. At most [`MAX_KEY`] bytes of UTF-8.
    pub key: Arc<str>,
    /// Whether a dead gateway's open intent becomes an event of outcome `unknown`.
    pub publish_unknown: bool,
    /// When the request arrived.
    pub started_at: Timestamp,
    /// [`RequestFacts`] as JSON.
    pub request: Arc<str>,
}

impl Intent {
    /// The event of an intent that a dead gateway left open: its outcome is `unknown`, nobody saw an answer, and whom it overlapped with
    /// nobody knows any more.
    pub fn left_open(&self, now: Timestamp) -> NewEvent {
        NewEvent {
            id: self.id,
            topic: self.topic,
            key: self.key.clone(),
            outcome: Outcome::Unknown(UnknownReason::GatewayRestarted),
            overlapped: false,
            recorded_at: now,
            request: self.request.clone(),
            answer: None,
        }
    }
}

/// The longest ordering key, in bytes; longer ones are cut at a character.
pub const MAX_KEY: usize = 1024;

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Fixed at the intent.
    pub id: EventId,
    /// Where it goes.
    pub topic: TopicId,
    /// What it is about.
    pub key: Arc<str>,
    /// `succeeded` or `unknown`.
    pub outcome: Outcome,
    /// Another matching request with the same key was open at the same time, so their order means nothing.
    pub overlapped: bool,
    /// The publish time: every delivery carries it.
    pub recorded_at: Timestamp,
    /// [`RequestFacts`] as JSON.
    pub request: Arc<str>,
    /// [`AnswerFacts`] as JSON; `None` after a restart.
    pub answer: Option<Arc<str>>,
}

impl NewEvent {
    /// How many bytes its facts have: what an event takes in memory and in the store, nearly.
    pub fn bytes(&self) -> usize {
        self.request.len() + self.answer.as_ref().map_or(0, |answer| answer.len())
    }
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place; the `sequence` of its deliveries.
    pub position: Position,
    /// When it entered the log, by the store's clock: its age is measured from here.
    pub stamp: Stamp,
    /// What was appended.
    pub body: NewEvent,
}

impl Event {
    /// What was asked. Fails only on a damaged or foreign record.
    pub fn request(&self) -> Result<RequestFacts<'_>, serde_json::Error> {
        serde_json::from_str(&self.body.request)
    }

    /// What was answered; `None` after a restart. Fails only on a damaged or foreign record.
    pub fn answer(&self) -> Result<Option<AnswerFacts<'_>>, serde_json::Error> {
        self.body.answer.as_deref().map(serde_json::from_str).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_that_was_left_open_becomes_an_event_of_unknown_outcome() {
        let intent = Intent {
            id: EventId::from_bytes([1; 16]),
            topic: TopicId(2),
            key: "key".into(),
            publish_unknown: true,
            started_at: Timestamp::from_millis(3),
            request: "{}".into(),
        };
        let expected = NewEvent {
            id: intent.id,
            topic: TopicId(2),
            key: "key".into(),
            outcome: Outcome::Unknown(UnknownReason::GatewayRestarted),
            overlapped: false,
            recorded_at: Timestamp::from_millis(9),
            request: "{}".into(),
            answer: None,
        };
        assert_eq!(intent.left_open(Timestamp::from_millis(9)), expected);
        assert_eq!(expected.bytes(), 2);
        assert_eq!(NewEvent { answer: Some("[1]".into()), ..expected }.bytes(), 5);
        assert_eq!(Position(-7).to_string(), "-7");
    }
}
