//! New events of the topic: from the feed, or from the log if the feed does not reach back far enough.

use std::collections::VecDeque;
use std::sync::Arc;

use event::{Event, Position};
use storage::feed::Recent;
use tokio::sync::watch;

use super::damage::{Readable, Unreadable, events_after};
use super::{Stop, Worker};
use crate::budget::{Allowance, Charge, facts};

/// At most this many bytes of facts are read from the log at once.
pub(super) const MAX_READ_BYTES: usize = 4 << 20;

/// An event that a worker holds, and its charge.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) event: Arc<Event>,
    pub(super) charge: Charge,
}

/// A new event, or one that cannot be read.
pub(super) type Next = Result<Held, Unreadable>;

/// Events that were read and not dispatched yet.
pub(super) struct Source {
    changes: watch::Receiver<Position>,
    backlog: VecDeque<Next>,
    /// All events of the topic up to here were read.
    read_to: Position,
    /// Whether the last look found nothing.
    caught_up: bool,
}

impl Source {
    pub(super) fn new(changes: watch::Receiver<Position>) -> Self {
        Self { changes, backlog: VecDeque::new(), read_to: Position(0), caught_up: false }
    }

    pub(super) fn start_after(&mut self, position: Position) {
        self.read_to = position;
    }

    pub(super) fn look_again(&mut self) {
        self.caught_up = false;
    }

    /// Whether all known events have been taken.
    pub(super) fn is_drained(&self) -> bool {
        self.caught_up && self.backlog.is_empty()
    }

    /// Resolves when the topic has a new event. If the feed is gone, it never resolves.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn took(&mut self, next: Next) {
        self.read_to = match &next {
            Ok(held) => held.event.position,
            Err(unreadable) => unreadable.position,
        };
        self.backlog.push_back(next);
    }
}

impl Worker {
    /// Up to `limit` new events, in order; fewer or none if the budget is used up.
    pub(super) async fn next_events(&mut self, limit: usize) -> Result<Vec<Next>, Stop> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if self.source.backlog.is_empty()
            && !self.source.caught_up
            && let Some(allowance) = self.share.reserve(MAX_READ_BYTES)
        {
            self.refill(limit, allowance).await?;
        }
        let take = limit.min(self.source.backlog.len());
        Ok(self.source.backlog.drain(..take).collect())
    }

    async fn refill(&mut self, limit: usize, allowance: Allowance) -> Result<(), Stop> {
        // Marked as seen before the read, so that an event that comes during the read wakes the worker again.
        self.source.changes.mark_unchanged();
        let (topic, after) = (self.subscription.topic, self.source.read_to);
        if let Recent::Events(events) = self.deps.feed.recent(topic, after, limit) {
            let (found, mut bytes) = (events.len(), 0);
            let first = events.into_iter().take_while(|event| {
                let is_first = bytes == 0;
                bytes += facts(event).max(1);
                is_first || bytes <= allowance.facts()
            });
            let first: Vec<_> = first.map(Ok).collect();
            self.source.caught_up = first.len() == found && found < limit;
            self.take(first, allowance);
            return Ok(());
        }
        let (events, max_bytes) = (self.deps.events.clone(), allowance.facts());
        let (head, found) = self
            .read_around(move |reader, damage| {
                // Read the head first: then all events of the topic up to it are found.
                let head = reader.head()?;
                Ok((head, events_after(&events, reader, topic, after, (limit, max_bytes), damage)?))
            })
            .await?;
        if found.is_empty() {
            self.source.read_to = head.max(after);
        }
        // The limit of bytes may have cut the read short: only an empty read has seen the end.
        self.source.caught_up = found.is_empty();
        self.take(found, allowance);
        Ok(())
    }

    fn take(&mut self, found: Vec<Readable>, allowance: Allowance) {
        drop(allowance);
        for read in found {
            self.source.took(read.map(|event| Held { charge: self.share.charge(&event), event }));
        }
    }
}
