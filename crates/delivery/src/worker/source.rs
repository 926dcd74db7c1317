//! New events of the topic: from the feed, or from the log where the feed does not reach back.

use std::collections::VecDeque;
use std::sync::Arc;

use event::{Event, Position};
use storage::feed::Recent;
use tokio::sync::watch;

use super::{Stop, Worker};

/// At most this many bytes of facts are read from the log at once.
const MAX_READ_BYTES: usize = 4 << 20;

/// What was read and not yet dispatched.
pub(super) struct Source {
    changes: watch::Receiver<Position>,
    backlog: VecDeque<Arc<Event>>,
    /// Everything of the topic up to here was read.
    read_to: Position,
    /// Nothing was there at the last look.
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

    /// Whether all that was there has been taken.
    pub(super) fn is_drained(&self) -> bool {
        self.caught_up && self.backlog.is_empty()
    }

    /// Resolves when the topic has a new event. A feed that is gone has none.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn took(&mut self, events: Vec<Arc<Event>>, all: bool) {
        self.caught_up = all;
        if let Some(last) = events.last() {
            self.read_to = last.position;
        }
        self.backlog.extend(events);
    }
}

impl Worker {
    /// Up to `limit` new events, in order.
    pub(super) async fn next_events(&mut self, limit: usize) -> Result<Vec<Arc<Event>>, Stop> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if self.source.backlog.is_empty() && !self.source.caught_up {
            self.refill(limit).await?;
        }
        let take = limit.min(self.source.backlog.len());
        Ok(self.source.backlog.drain(..take).collect())
    }

    async fn refill(&mut self, limit: usize) -> Result<(), Stop> {
        // Marked as seen before the read: what comes during it wakes us again.
        self.source.changes.mark_unchanged();
        let (topic, after) = (self.subscription.topic, self.source.read_to);
        if let Recent::Events(events) = self.deps.feed.recent(topic, after, limit) {
            let all = events.len() < limit;
            self.source.took(events, all);
            return Ok(());
        }
        let (head, events) = self
            .read(move |reader| {
                // The head first: then all of the topic up to it is among the events.
                let head = reader.head()?;
                Ok((head, reader.events_after(topic, after, limit, MAX_READ_BYTES)?))
            })
            .await?;
        let none = events.is_empty();
        if none {
            self.source.read_to = head.max(after);
        }
        // The bytes may have cut the read short: only an empty one has seen the end.
        self.source.took(events.into_iter().map(Arc::new).collect(), none);
        Ok(())
    }
}
