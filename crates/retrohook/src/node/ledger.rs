//! The store of a node: opened, finished what the last run began, and told what the configuration wants.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use delivery::endpoint::shown;
use event::Timestamp;
use event::timestamp::Clock;
use storage::entities::{Desired, Entities, Protocol, Subscription, SubscriptionState};
use storage::retention::Retention;
use storage::vital::Vitals;
use storage::writer::{self, STALLED_AFTER};
use storage::{Feed, Reader, Receipt, StoreError, Writer};

use super::StartError;
use crate::cli::NodeArgs;

/// Open intents that are turned into events in one commit of the recovery.
const RECOVER_AT_ONCE: usize = 512;

/// Messages that queues had missed and that are sent in one commit.
const COPY_AT_ONCE: usize = 2_048;

/// A node's store.
pub struct Ledger {
    /// All writes.
    pub writer: Writer,
    /// All reads.
    pub reader: Arc<dyn Reader>,
    /// What was committed a moment ago.
    pub feed: Feed,
    /// What the configuration wants, as it stands in the store.
    pub entities: Entities,
    /// The limits.
    pub retention: Retention,
    /// What was found, in one line.
    pub history: String,
    thread: JoinHandle<()>,
}

impl Ledger {
    /// Opens the data directory and brings it to where the last run should have ended.
    ///
    /// # Errors
    /// If it cannot be used; nothing in it was overwritten.
    pub fn open(
        node: &NodeArgs,
        config: &config::Config,
        clock: Arc<dyn Clock>,
        vitals: Vitals,
    ) -> Result<Self, StartError> {
        let retention =
            Retention { max_bytes: node.max_store, min_free_bytes: node.min_free, ..Retention::default() };
        let options = stores::sqlite::Options { dir: node.data_dir.clone() };
        let opened = stores::sqlite::open(options).map_err(|error| StartError::Store(error.into()))?;
        let feed = Feed::default();
        let config_of_writer = writer::Config {
            backend: opened.backend,
            feed: feed.clone(),
            clock: clock.clone(),
            retention: retention.clone(),
            vitals,
        };
        let (writer, thread) =
            Writer::spawn(config_of_writer).map_err(StartError::part("start the store's writer"))?;

        let recovered = recover(&writer, clock.now())?;
        let mut fresh = fresh(config.subscriptions.len())?;
        let desired = config.desired(&mut || fresh.pop().expect("there is one for each subscription"));
        // What the last start did not come to the end of, and what this one brings back.
        let mut copied = copy_missed(&writer)?;
        let before = opened.reader.subscriptions().map_err(|error| StartError::Store(error.into()))?;
        let entities = sync(&writer, desired, clock.now())?;
        say_who_moved(&before, &entities);
        say_who_is_confirmed(&before, &entities);
        copied += copy_missed(&writer)?;
        warn_of_idle_subscriptions(&entities);
        let head = opened.reader.head().map_err(|error| StartError::Store(error.into()))?;
        feed.start_after(head);
        let mut history = format!("log at {head}");
        if opened.unclean {
            history.push_str(", last run did not end in order");
        }
        if recovered > 0 {
            let intents = if recovered == 1 { "1 open intent" } else { &format!("{recovered} open intents") };
            history.push_str(&format!(", {intents} became unknown"));
        }
        if copied > 0 {
            history.push_str(&format!(", {copied} messages that queues had missed were sent"));
        }
        Ok(Self { writer, reader: opened.reader, feed, entities, retention, history, thread })
    }

    /// Finishes what is queued and closes the store. A disk that hangs is waited for at most for `patience`, but for as long as it
    /// takes to be sure that it hangs.
    ///
    /// # Errors
    /// If the store is not closed: then the process is to end, and its next start recovers.
    pub fn close(self, patience: Duration) -> Result<(), CloseError> {
        self.writer.stop();
        let patience = patience.max(STALLED_AFTER);
        match join_within(self.thread, patience).map_err(CloseError::Thread)? {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(CloseError::Panicked),
            None => Err(CloseError::Stalled(patience)),
        }
    }
}

/// Why a store is not closed. Nothing that was acknowledged is lost.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// It did not end in time.
    #[error(
        "the disk of the data directory has not taken the last changes for {} s; nothing that was acknowledged is lost: the \
         next start finishes what is left", .0.as_secs()
    )]
    Stalled(Duration),
    /// Its thread panicked.
    #[error(
        "the store's writer panicked; nothing that was acknowledged is lost: the next start finishes what is left"
    )]
    Panicked,
    /// The system gave no thread to wait in.
    #[error("cannot wait for the store")]
    Thread(#[source] std::io::Error),
}

/// Joins a thread if it ends in time.
fn join_within(
    thread: JoinHandle<()>,
    patience: Duration,
) -> Result<Option<std::thread::Result<()>>, std::io::Error> {
    let (ended, end) = channel();
    std::thread::Builder::new().name("store-close".into()).spawn(move || ended.send(thread.join()))?;
    Ok(end.recv_timeout(patience).ok())
}

/// Subscriptions whose endpoint is another one than before.
fn say_who_moved(before: &[Subscription], entities: &Entities) {
    for now in &entities.subscriptions {
        let was = before.iter().find(|known| known.id == now.id);
        let Some(was) = was.filter(|was| was.endpoint != now.endpoint) else { continue };
        let consequence = match now.state {
            SubscriptionState::Pending { .. } => "its new endpoint has to confirm",
            SubscriptionState::Confirmed if now.protocol == Protocol::Sqs => {
                "events go there from now on; messages of the queue before stay in it"
            }
            SubscriptionState::Confirmed => "what it is owed goes there",
            SubscriptionState::Disabled { .. } => "it stays disabled",
        };
        tracing::info!(
            subscription = now.id.0,
            name = now.name,
            before = shown(&was.endpoint),
            endpoint = shown(&now.endpoint),
            "a subscription has another endpoint: {consequence}"
        );
    }
}

/// Pending subscriptions that the configuration has just confirmed.
fn say_who_is_confirmed(before: &[Subscription], entities: &Entities) {
    let was_pending = |id| {
        let known = before.iter().find(|known| known.id == id);
        known.is_some_and(|known| matches!(known.state, SubscriptionState::Pending { .. }))
    };
    let confirmed = entities.subscriptions.iter().filter(|now| now.state == SubscriptionState::Confirmed);
    for now in confirmed.filter(|now| was_pending(now.id)) {
        tracing::info!(
            subscription = now.id.0,
            name = now.name,
            endpoint = shown(&now.endpoint),
            "a pending subscription is confirmed, because the configuration asks for no handshake any more"
        );
    }
}

/// Those to whom nothing is delivered, and what becomes of what they are owed.
fn warn_of_idle_subscriptions(entities: &Entities) {
    for removed in &entities.removed {
        tracing::warn!(
            subscription = removed.id.0,
            name = removed.name,
            protocol = removed.protocol.as_str(),
            endpoint = shown(&removed.endpoint),
            "a subscription is no longer in the configuration: what it is owed is dropped after a day"
        );
    }
    for pending in entities.subscriptions.iter().filter(|known| known.reconfirms) {
        tracing::warn!(
            subscription = pending.id.0,
            name = pending.name,
            endpoint = shown(&pending.endpoint),
            "a subscription waits for its new endpoint to confirm: all that it is owed is kept until then, however long that takes"
        );
    }
    for disabled in entities.subscriptions.iter().filter(|known| known.state.is_disabled()) {
        let topic = entities.topics.iter().find(|topic| topic.id == disabled.topic);
        tracing::warn!(
            subscription = disabled.id.0,
            name = disabled.name,
            topic = topic.map_or("", |topic| &topic.name),
            endpoint = shown(&disabled.endpoint),
            "a subscription is disabled: what it is owed goes after three days, unless it is enabled on the admin port"
        );
    }
}

/// Turns the open intents of dead runs into events.
fn recover(writer: &Writer, now: Timestamp) -> Result<usize, StartError> {
    let mut total = 0;
    loop {
        match wait(writer.transact(move |tx| tx.recover(now, RECOVER_AT_ONCE)))? {
            0 => return Ok(total),
            some => total += some,
        }
    }
}

/// Sends queues that are in the configuration again what they missed.
fn copy_missed(writer: &Writer) -> Result<usize, StartError> {
    let mut total = 0;
    loop {
        match wait(writer.transact(|tx| tx.copy_missed(COPY_AT_ONCE)))? {
            0 => return Ok(total),
            some => total += some,
        }
    }
}

fn sync(writer: &Writer, desired: Desired, now: Timestamp) -> Result<Entities, StartError> {
    wait(writer.transact(move |tx| tx.sync_entities(&desired, now)))
}

fn wait<T>(receipt: Receipt<T>) -> Result<T, StartError> {
    receipt.wait().map_err(|error: StoreError| StartError::Store(error.into()))
}

/// A token and the last part of an ARN for every subscription, in case it is new; both unguessable.
fn fresh(count: usize) -> Result<Vec<config::Fresh>, StartError> {
    let one = |_| -> Result<config::Fresh, Box<dyn std::error::Error + Send + Sync>> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no randomness")?;
        Ok(config::Fresh {
            token: hub::token::random()?,
            uuid: uuid::Builder::from_random_bytes(bytes).into_uuid(),
        })
    };
    (0..count).map(one).collect::<Result<_, _>>().map_err(StartError::part("make a token"))
}
