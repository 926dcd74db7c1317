//! Commands that make messages: publish to a topic, send straight to a queue.
//!
//! A published message is an event of its topic like any other: every subscription is owed it from its commit on. A message that is sent to a
//! queue is an event too, but one without a topic, which this queue alone is owed. Storing it in the queue's row alone would save the row in the
//! log. But then receives, retention, size limits, damage and the lists of events would all have to know two kinds of messages, and the table of
//! messages, to which every publish writes, would have columns for the rarer kind.
//!
//! Both are durable when they are acknowledged. A refused message is not kept: the sender knows of the failure and may send it again.

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use event::message::Details;
use event::{Content, EventId, Message, NewEvent, Position, TopicId};
use futures_util::future::join_all;
use storage::Receipt;
use uuid::Uuid;

use crate::queue::Queue;
use crate::{Hub, HubError, Result};

pub use storage::queue::MAX_DELAY;

const PUBLISH: &str = "publish a message";

/// A message on its way into the log. The protocol decides what it may contain; the hub accepts everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The text for every protocol without a text of its own.
    pub text: String,
    /// Subject, attributes and the like.
    pub details: Details,
}

/// A message on its way into a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The message.
    pub draft: Draft,
    /// How long it is kept back before it can be received, up to [`MAX_DELAY`].
    pub delay: Duration,
}

/// A topic of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic(TopicId);

impl Hub {
    /// A topic by its bare name.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        self.known().topics.get(name).copied().map(Topic)
    }

    /// Publishes messages to a topic, in their order. Returns when the accepted ones are durable, with a result for each: its id, or `None` if
    /// the topic was deleted meanwhile.
    pub async fn publish(&self, topic: Topic, drafts: Vec<Draft>) -> Vec<Result<Option<EventId>>> {
        // They enter the writer's queue one after the other, so they keep their order.
        let appended: Vec<Result<_>> = drafts.into_iter().map(|draft| self.append(topic.0, draft)).collect();
        let durable = appended.into_iter().map(async |appended| {
            let (id, receipt) = appended?;
            let position = receipt.await.map_err(HubError::store(PUBLISH))?;
            // `None`: a commit that was under way deleted the topic.
            Ok(position.map(|_| id))
        });
        join_all(durable).await
    }

    fn append(&self, topic: TopicId, draft: Draft) -> Result<(EventId, Receipt<Option<Position>>)> {
        let writer = &self.shared.deps.writer;
        writer.admits().map_err(HubError::store(PUBLISH))?;
        let event = self.event(topic, draft)?;
        let id = event.id;
        Ok((id, writer.append(event)))
    }

    /// Sends messages to a queue, all in one commit; their SQS ids in the same order.
    ///
    /// # Errors
    /// If the store fails, or the queue is gone: then none was sent.
    pub async fn send(&self, queue: &Queue, sends: Vec<Outgoing>) -> Result<Vec<Uuid>> {
        const OPERATION: &str = "send messages to a queue";
        let writer = &self.shared.deps.writer;
        writer.admits().map_err(HubError::store(OPERATION))?;
        let events = sends.into_iter().map(|Outgoing { mut draft, delay }| {
            draft.details.queue = Some(queue.name().to_owned());
            Ok((self.event(TopicId::NONE, draft)?, delay.min(MAX_DELAY)))
        });
        let (events, id) = (events.collect::<Result<Vec<_>>>()?, queue.id());
        let sent = writer.transact_if_room(move |tx| {
            events.iter().map(|(event, delay)| tx.send(event, id, *delay)).collect::<storage::Result<_>>()
        });
        let sent: Option<Vec<Uuid>> = sent.await.map_err(HubError::store(OPERATION))?;
        sent.ok_or_else(|| HubError::NoSuchQueue { name: queue.name().to_owned() })
    }

    fn event(&self, topic: TopicId, Draft { text, details }: Draft) -> Result<NewEvent> {
        let now = self.shared.deps.clock.now();
        let mut random = [0; 10];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| HubError::NoRandomness { what: "the id of a message" })?;
        let id = EventId::v7(now, random);
        let key = details.group.clone().unwrap_or_else(|| id.to_string()).into();
        let content = Content::Message(Message::new(text, &details));
        Ok(NewEvent { id, topic, key, recorded_at: now, content })
    }
}

#[cfg(test)]
mod tests;
