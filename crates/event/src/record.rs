//! What the store keeps: intents before the upstream is asked, events after.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::facts::{AnswerFacts, RequestFacts};
use crate::{EventId, Message, Outcome, Stamp, Timestamp, UnknownReason};

/// The store's number of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub i64);

impl TopicId {
    /// Of an event that was sent straight to a queue: it has no topic, and no subscription is owed it. No topic has this number.
    pub const NONE: Self = Self(0);
}

/// A position in the event log: grows with every event, has gaps, is never used twice. Receivers see it as the event's `sequence`.
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
    /// Whether an event of outcome `unknown` is made if the gateway dies while this intent is open.
    pub publish_unknown: bool,
    /// When it was submitted to the store, by the wall clock; it is durable somewhat later, with its commit.
    pub noted_at: Timestamp,
    /// [`RequestFacts`] as JSON.
    pub request: Arc<str>,
}

impl Intent {
    /// The event of an intent that a dead gateway left open, made at `now`: its outcome is `unknown`, it has no answer, and `overlapped` is false,
    /// because what it overlapped with is no longer known.
    pub fn left_open(&self, now: Timestamp) -> NewEvent {
        NewEvent {
            id: self.id,
            topic: self.topic,
            key: self.key.clone(),
            recorded_at: now,
            content: Content::Exchange(Exchange {
                outcome: Outcome::Unknown(UnknownReason::GatewayRestarted),
                overlapped: false,
                request: self.request.clone(),
                answer: None,
            }),
        }
    }
}

/// The longest ordering key, in bytes; longer ones are cut at a character.
pub const MAX_KEY: usize = 1024;

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Fixed at the intent; a message's is made when it is taken.
    pub id: EventId,
    /// Where it goes; [`TopicId::NONE`] if straight into a queue.
    pub topic: TopicId,
    /// What it is about; orders deliveries. A message without a group has its own id, so that none waits for another.
    pub key: Arc<str>,
    /// The publish time: every delivery carries it.
    pub recorded_at: Timestamp,
    /// What happened.
    pub content: Content,
}

/// What happened: a request that matched a rule, or a message that somebody sent through the SNS or SQS API.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A request and its answer.
    Exchange(Exchange),
    /// A text that somebody published.
    Message(Message),
}

/// A request that matched a rule, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// `succeeded` or `unknown`.
    pub outcome: Outcome,
    /// Another matching request with the same key was open at the same time, so their order means nothing.
    pub overlapped: bool,
    /// [`RequestFacts`] as JSON.
    pub request: Arc<str>,
    /// [`AnswerFacts`] as JSON; `None` if nobody saw how the exchange ended: the gateway died meanwhile, or dropped the exchange in a panic.
    pub answer: Option<Arc<str>>,
}

impl NewEvent {
    /// The size of its facts or of its message with details, in bytes of UTF-8: nearly what the event takes in memory and in the store.
    pub fn bytes(&self) -> usize {
        let (first, second) = match &self.content {
            Content::Exchange(exchange) => (&exchange.request, &exchange.answer),
            Content::Message(message) => (&message.text, &message.details),
        };
        first.len() + second.as_ref().map_or(0, |second| second.len())
    }

    /// The outcome that its receivers are told. That of a message is always `succeeded`.
    pub fn outcome(&self) -> Outcome {
        match &self.content {
            Content::Exchange(exchange) => exchange.outcome,
            Content::Message(_) => Outcome::Succeeded,
        }
    }

    /// The exchange, if it is one.
    pub fn exchange(&self) -> Option<&Exchange> {
        match &self.content {
            Content::Exchange(exchange) => Some(exchange),
            Content::Message(_) => None,
        }
    }

    /// The exchange, to be changed, if it is one.
    pub fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match &mut self.content {
            Content::Exchange(exchange) => Some(exchange),
            Content::Message(_) => None,
        }
    }
}

impl Exchange {
    /// What was asked.
    ///
    /// # Errors
    /// If the record is damaged, or was written by something else.
    pub fn request(&self) -> Result<RequestFacts<'_>, serde_json::Error> {
        serde_json::from_str(&self.request)
    }

    /// What was answered; `None` if nobody saw how the exchange ended.
    ///
    /// # Errors
    /// If the record is damaged, or was written by something else.
    pub fn answer(&self) -> Result<Option<AnswerFacts<'_>>, serde_json::Error> {
        self.answer.as_deref().map(serde_json::from_str).transpose()
    }
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its position; the `sequence` of its deliveries.
    pub position: Position,
    /// When it entered the log, by the store's clock: its age is measured from here.
    pub stamp: Stamp,
    /// What was appended.
    pub body: NewEvent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Details;

    #[test]
    fn an_intent_that_was_left_open_becomes_an_event_of_unknown_outcome() {
        let intent = Intent {
            id: EventId::from_bytes([1; 16]),
            topic: TopicId(2),
            key: "key".into(),
            publish_unknown: true,
            noted_at: Timestamp::from_millis(3),
            request: "{}".into(),
        };
        let expected = NewEvent {
            id: intent.id,
            topic: TopicId(2),
            key: "key".into(),
            recorded_at: Timestamp::from_millis(9),
            content: Content::Exchange(Exchange {
                outcome: Outcome::Unknown(UnknownReason::GatewayRestarted),
                overlapped: false,
                request: "{}".into(),
                answer: None,
            }),
        };
        assert_eq!(intent.left_open(Timestamp::from_millis(9)), expected);
        assert_eq!(expected.bytes(), 2);
        let mut answered = expected;
        answered.exchange_mut().unwrap().answer = Some("[1]".into());
        assert_eq!(answered.bytes(), 5);
        assert_eq!(Position(-7).to_string(), "-7");
    }

    #[test]
    fn a_message_has_the_bytes_of_its_text_and_of_what_is_beside_it() {
        let details = Details { subject: Some("s".into()), ..Details::default() };
        let event = |message| NewEvent {
            id: EventId::from_bytes([1; 16]),
            topic: TopicId::NONE,
            key: "key".into(),
            recorded_at: Timestamp::from_millis(9),
            content: Content::Message(message),
        };
        let mut plain = event(Message::new("four", &Details::default()));
        assert_eq!((plain.bytes(), plain.outcome()), (4, Outcome::Succeeded));
        assert!(plain.exchange().is_none() && plain.exchange_mut().is_none());
        assert_eq!(event(Message::new("four", &details)).bytes(), 4 + r#"{"subject":"s"}"#.len());
    }
}
