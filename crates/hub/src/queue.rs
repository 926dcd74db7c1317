//! Commands on queues.
//!
//! A receive takes messages in the commit that hides them, so what it takes it must hand over: the transaction is only submitted when
//! there may be something, and does nothing if its caller has gone by the time it runs. If the caller goes later, during the commit or the
//! signing after it, the messages are received again after their visibility timeout, as in SQS.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delivery::drain::Drain;
use storage::entities::{Queue as StoredQueue, QueueId};
use storage::queue::{MessageHandle, QueueDepth, Received, VisibilityChange};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::message::Message;
use crate::receipt::HandleError;
use crate::{Hub, HubError, QueueSettings, Result};

pub use storage::queue::MAX_VISIBILITY;

/// The most messages of one receive.
pub const MAX_MESSAGES: usize = 10;
/// The longest that a receive may wait.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// How often the store is asked for messages that became visible again, whatever the number of receives that wait for a queue.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A queue of ours; clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    id: QueueId,
    name: String,
    settings: QueueSettings,
    /// When a receive last found nothing.
    found_empty: Mutex<Option<Instant>>,
    /// Whether it was deleted; the same for all that have its number, whatever their settings.
    is_gone: Arc<watch::Sender<bool>>,
}

impl Queue {
    /// `before` is the one that had its name.
    pub(crate) fn new(stored: StoredQueue, settings: QueueSettings, before: Option<&Self>) -> Self {
        let StoredQueue { id, name } = stored;
        let same = before.filter(|before| before.shared.id == id);
        let is_gone =
            same.map_or_else(|| Arc::new(watch::channel(false).0), |same| same.shared.is_gone.clone());
        Self { shared: Arc::new(Shared { id, name, settings, found_empty: Mutex::new(None), is_gone }) }
    }

    pub(crate) fn id(&self) -> QueueId {
        self.shared.id
    }

    /// The queue is gone: whoever waits for a message of it hears that.
    pub(crate) fn delete(&self) {
        self.shared.is_gone.send_replace(true);
    }

    /// Refuses a command on one that was deleted meanwhile.
    fn there(&self) -> Result<()> {
        match *self.shared.is_gone.borrow() {
            false => Ok(()),
            true => Err(HubError::NoSuchQueue { name: self.shared.name.clone() }),
        }
    }

    /// Whether it is this one, with these settings.
    pub(crate) fn is(&self, stored: &StoredQueue, settings: QueueSettings) -> bool {
        self.shared.id == stored.id && self.shared.settings == settings
    }

    /// Its bare name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What a receive takes where it does not say otherwise.
    pub fn settings(&self) -> QueueSettings {
        self.shared.settings
    }

    fn note(&self, found: &[Received]) {
        let mut found_empty = self.shared.found_empty.lock().unwrap_or_else(PoisonError::into_inner);
        *found_empty = found.is_empty().then(Instant::now);
    }

    /// Whether it is time to look for messages that became visible again. One receive looks for all that wait.
    fn wants_a_look(&self) -> bool {
        let found_empty = self.shared.found_empty.lock().unwrap_or_else(PoisonError::into_inner);
        found_empty.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} {:?})", self.shared.id.0, self.shared.name)
    }
}

/// What a receive asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receive {
    /// The most messages, up to [`MAX_MESSAGES`].
    pub max: usize,
    /// How long they are hidden; the queue's own where it is `None`.
    pub visibility: Option<Duration>,
    /// How long to wait for one, up to [`MAX_WAIT`]; the queue's own where it is `None`.
    pub wait: Option<Duration>,
}

/// A visibility that is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeVisibility<'a> {
    /// The receipt handle.
    pub handle: &'a str,
    /// How long the message is hidden from now on; zero makes it visible at once. Up to [`MAX_VISIBILITY`].
    pub visibility: Duration,
}

/// Why a visibility was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VisibilityError {
    /// The handle names no message of this queue.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The message was deleted, or its retention is over.
    #[error("the message is gone")]
    Gone,
    /// The message would be hidden for longer than [`MAX_VISIBILITY`] after its receive.
    #[error("no receive hides a message for longer than {} seconds", MAX_VISIBILITY.as_secs())]
    BeyondLimit,
}

impl Hub {
    /// A queue by its bare name.
    pub fn queue(&self, name: &str) -> Option<Queue> {
        self.known().queues.get(name).cloned()
    }

    /// All queues, by name.
    pub fn queues(&self) -> Vec<Queue> {
        self.known().queues.values().cloned().collect()
    }

    /// How full a queue is.
    ///
    /// # Errors
    /// If the store cannot be read, or the queue is gone.
    pub async fn depth(&self, queue: &Queue) -> Result<QueueDepth> {
        const OPERATION: &str = "count the messages of a queue";
        queue.there()?;
        let (reader, id, now) =
            (self.shared.deps.reader.clone(), queue.shared.id, self.shared.deps.writer.clock().now());
        tokio::task::spawn_blocking(move || reader.queue_depth(id, now))
            .await
            .map_err(|_| HubError::BrokeOff { operation: OPERATION })?
            .map_err(HubError::store(OPERATION))
    }

    /// How many receives wait for a message.
    pub fn waiting_polls(&self) -> usize {
        self.shared.max_polls - self.shared.polls.available_permits()
    }

    /// Hands out messages and hides them; waits for one if there is none, and returns as soon as one is there.
    ///
    /// Dropping the future while it waits consumes nothing.
    ///
    /// # Errors
    /// If the store fails, if it would have to wait and too many do, or if the queue is deleted, at once.
    pub async fn receive(&self, queue: &Queue, ask: Receive) -> Result<Vec<Message>> {
        let wait = ask.wait.unwrap_or(queue.settings().receive_wait).min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        let mut news = self.shared.deps.feed.watch_queue(queue.shared.id);
        let mut drain = self.shared.deps.drain.clone();
        let mut gone = queue.shared.is_gone.subscribe();
        let mut place = None;
        queue.there()?;
        self.await_key(queue).await?;
        loop {
            news.mark_unchanged();
            let received = self.take(queue, ask).await?;
            let messages = self.render(queue.shared.id, received).await;
            if !messages.is_empty() {
                return Ok(messages);
            }
            queue.there()?;
            if Instant::now() >= deadline {
                return Ok(messages);
            }
            if place.is_none() {
                let full = |_| HubError::TooManyPolls { limit: self.shared.max_polls };
                place = Some(self.shared.polls.try_acquire().map_err(full)?);
            }
            match wait_for_news(queue, &mut news, (&mut drain, &mut gone), deadline).await {
                News::TryAgain => {}
                News::Drain => return Ok(Vec::new()),
            }
        }
    }

    /// One try, in a commit of its own or with others.
    async fn take(&self, queue: &Queue, ask: Receive) -> Result<Vec<Received>> {
        let (id, clock) = (queue.shared.id, self.shared.deps.clock.clone());
        let max = ask.max.min(MAX_MESSAGES);
        let visibility = ask.visibility.unwrap_or(queue.settings().visibility).min(MAX_VISIBILITY);
        // Lives as long as somebody waits for this future.
        let caller = Arc::new(());
        let waiting = Arc::downgrade(&caller);
        let received = self.shared.deps.writer.transact(move |tx| match waiting.strong_count() {
            0 => Ok(Vec::new()),
            _ => tx.receive(id, max, visibility, clock.now()),
        });
        let received = received.await.map_err(HubError::store("receive messages"))?;
        drop(caller);
        queue.note(&received);
        Ok(received)
    }

    /// Deletes messages; one result for each handle. A message that is gone already is not an error, and neither is a handle of an
    /// earlier receive.
    ///
    /// # Errors
    /// If the store fails, or the queue is gone: then none is deleted.
    pub async fn delete(&self, queue: &Queue, handles: &[&str]) -> Result<Vec<Result<(), HandleError>>> {
        queue.there()?;
        let id = queue.shared.id;
        let read: Vec<_> = handles.iter().map(|handle| self.shared.receipts.read(id, handle)).collect();
        let valid: Vec<MessageHandle> = read.iter().flatten().copied().collect();
        if !valid.is_empty() {
            self.shared
                .deps
                .writer
                .transact(move |tx| {
                    valid.iter().try_for_each(|handle| tx.delete_message(id, *handle).map(drop))
                })
                .await
                .map_err(HubError::store("delete messages"))?;
        }
        Ok(read.into_iter().map(|handle| handle.map(drop)).collect())
    }

    /// Changes how long messages stay hidden; one result for each change.
    ///
    /// # Errors
    /// If the store fails, or the queue is gone: then none is changed.
    pub async fn change_visibility(
        &self,
        queue: &Queue,
        changes: &[ChangeVisibility<'_>],
    ) -> Result<Vec<Result<(), VisibilityError>>> {
        queue.there()?;
        let id = queue.shared.id;
        let read: Vec<_> =
            changes.iter().map(|change| self.shared.receipts.read(id, change.handle)).collect();
        let valid: Vec<(MessageHandle, Duration)> = read
            .iter()
            .zip(changes)
            .filter_map(|(handle, change)| handle.ok().map(|handle| (handle, change.visibility)))
            .collect();
        let changed = self
            .shared
            .deps
            .writer
            .transact(move |tx| {
                let change = |(handle, visibility): &(MessageHandle, Duration)| {
                    tx.change_visibility(id, *handle, *visibility)
                };
                valid.iter().map(change).collect::<storage::Result<Vec<_>>>()
            })
            .await
            .map_err(HubError::store("change the visibility of messages"))?;
        if changes.iter().any(|change| change.visibility.is_zero()) {
            self.shared.deps.feed.wake_queues(&[id]);
        }
        let mut changed = changed.into_iter();
        Ok(read
            .into_iter()
            .map(|handle| match handle.map(|_| changed.next()) {
                Err(error) => Err(error.into()),
                Ok(Some(VisibilityChange::Changed)) => Ok(()),
                Ok(Some(VisibilityChange::BeyondLimit)) => Err(VisibilityError::BeyondLimit),
                Ok(Some(VisibilityChange::Gone) | None) => Err(VisibilityError::Gone),
            })
            .collect())
    }
}

/// Why a receive stops waiting.
enum News {
    /// It is worth another try: something was committed, a message may have become visible again, the queue is gone, or the wait is over.
    TryAgain,
    /// The process drains.
    Drain,
}

async fn wait_for_news(
    queue: &Queue,
    news: &mut watch::Receiver<u64>,
    (drain, gone): (&mut Drain, &mut watch::Receiver<bool>),
    deadline: Instant,
) -> News {
    let mut look = Instant::now() + LOOK_EVERY;
    loop {
        tokio::select! {
            // A feed whose sender is gone tells nothing more; the timer still does.
            Ok(()) = news.changed() => return News::TryAgain,
            _ = drain.started() => return News::Drain,
            Ok(_) = gone.wait_for(|is_gone| *is_gone) => return News::TryAgain,
            () = tokio::time::sleep_until(look.min(deadline)) => {}
        }
        if Instant::now() >= deadline || queue.wants_a_look() {
            return News::TryAgain;
        }
        look = Instant::now() + LOOK_EVERY;
    }
}

#[cfg(test)]
mod tests;
