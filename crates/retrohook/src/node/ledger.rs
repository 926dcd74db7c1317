//! The store of a node: opening it, finishing what the last run began, and declaring what the configuration wants.

mod left;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use control::Fresh;
use entities::Set;
use event::Timestamp;
use event::timestamp::Clock;
use storage::entities::{Desired, Entities};
use storage::retention::Retention;
use storage::vital::Vitals;
use storage::writer;
use storage::{Feed, Reader, Receipt, StoreError, Tx, Writer};

use super::{StartError, changes};
use crate::report;

/// How many open intents one commit of the recovery turns into events.
const RECOVER_AT_ONCE: usize = 512;

/// How many messages that queues had missed are sent in one commit at a start.
const COPY_AT_ONCE: usize = 2_048;
/// The same while requests wait for the same writer.
pub const BESIDE_REQUESTS: usize = 64;

/// A node's store.
pub struct Ledger {
    /// All writes.
    pub writer: Writer,
    /// All reads.
    pub reader: Arc<dyn Reader>,
    /// The wake-ups after commits, with the most recent events.
    pub feed: Feed,
    /// Topics, queues and subscriptions as the store has them.
    pub entities: Entities,
    /// The limits.
    pub retention: Retention,
    found: Found,
    clock: Arc<dyn Clock>,
    thread: JoinHandle<()>,
}

/// Where a node stores its data, and how much of it.
pub struct Config {
    /// The data directory.
    pub store: stores::sqlite::Options,
    /// The limits.
    pub retention: Retention,
}

/// What the last run left.
#[derive(Clone, Copy)]
struct Found {
    /// Whether there was no store before.
    new: bool,
    /// Whether it ended without an orderly stop.
    unclean: bool,
    /// How many of its open intents have become events.
    recovered: usize,
    /// How many of its open intents belonged to a deleted topic.
    ownerless: usize,
    /// How many messages that queues had missed were sent.
    copied: usize,
}

impl Ledger {
    /// Opens the data directory and finishes what the last run began. Topics, queues and subscriptions are those of the last run until
    /// [`Ledger::declare`].
    ///
    /// # Errors
    /// If it cannot be used; nothing in it was overwritten.
    pub fn open(config: Config, clock: Arc<dyn Clock>, vitals: Vitals) -> Result<Self, StartError> {
        let Config { store: options, retention } = config;
        let new = !stores::sqlite::database(&options.dir).exists();
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
        let ownerless = writer.stats().of_deleted_topics.load(Ordering::Relaxed) as usize;
        // Messages that the last start had not finished sending, and those for queues that are declared again now.
        let copied = copy_missed(&writer, COPY_AT_ONCE).map_err(store)?;
        let (unclean, recovered) = (opened.unclean, recovered - ownerless);
        let found = Found { new, unclean, recovered, ownerless, copied };
        let entities = Entities::default();
        Ok(Self { writer, reader: opened.reader, feed, entities, retention, found, clock, thread })
    }

    /// Makes topics, queues and subscriptions those of a configuration; `also` is a part of the same commit.
    ///
    /// # Errors
    /// If the store fails: then nothing has changed.
    pub fn declare<A>(&mut self, set: &Set, mut also: A) -> Result<(), StartError>
    where
        A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
    {
        let before = changes::Before::read(&*self.reader, &[]).map_err(store)?;
        let (wanted, now) = (desired(set)?, self.clock.now());
        self.entities = wait(self.writer.transact(move |tx| {
            also(tx)?;
            tx.sync_entities(&wanted, now)
        }))?;
        changes::say(&before.subscriptions, &self.entities);
        self.found.copied += copy_missed(&self.writer, COPY_AT_ONCE).map_err(store)?;
        changes::warn_of_idle_subscriptions(&changes::Owed {
            before: &before,
            entities: &self.entities,
            reader: &*self.reader,
            clock: self.writer.clock(),
            pending_pin: self.retention.pending_pin,
        });
        self.feed.start_after(self.reader.head().map_err(store)?);
        Ok(())
    }

    /// Whether the last run declared any.
    ///
    /// # Errors
    /// If the store fails.
    pub fn has_subscriptions(&self) -> Result<bool, StartError> {
        let known = self.reader.subscriptions().map_err(store)?;
        Ok(known.iter().any(|known| known.removed_at.is_none()))
    }

    /// What APIs have made.
    ///
    /// # Errors
    /// If the store fails, or has a row that this version cannot read.
    pub fn made_by_apis(&self) -> Result<Set, StartError> {
        let rows = self.reader.rows().map_err(store)?;
        control::rows::read(&rows).map_err(|error| StartError::Store(error.into()))
    }

    /// Says where the data is, what was found there, and what is owed.
    ///
    /// # Errors
    /// If the store fails.
    pub fn say(&self, dir: &Path) -> Result<(), StartError> {
        // Where the system does not tell the whole path, it is shown as it was given.
        let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        report::entry("data", &format!("{} ({})", whole.display(), self.history()?));
        Ok(())
    }

    fn history(&self) -> Result<String, StartError> {
        let head = self.reader.head().map_err(store)?;
        let Found { new, unclean, recovered, ownerless, copied } = self.found;
        if new {
            return Ok("new".into());
        }
        let mut history = format!("log at {head}");
        if unclean {
            history.push_str(", last run did not end in order");
        }
        if recovered > 0 {
            let intents = if recovered == 1 { "1 open intent" } else { &format!("{recovered} open intents") };
            history.push_str(&format!(", {intents} became unknown"));
        }
        if ownerless > 0 {
            let intents = if ownerless == 1 { "1 open intent" } else { &format!("{ownerless} open intents") };
            history.push_str(&format!(", {intents} of deleted topics became no events"));
        }
        if copied > 0 {
            history.push_str(&format!(", {copied} messages that queues had missed were sent"));
        }
        if let Some(owed) = left::owed(&*self.reader).map_err(store)? {
            history.push_str("; ");
            history.push_str(&owed);
        }
        Ok(history)
    }

    /// Finishes what is queued and closes the store. If the disk hangs, waits for at most `patience`.
    ///
    /// # Errors
    /// If the store could not be closed: then the process should end, and its next start recovers.
    pub fn close(self, patience: Duration) -> Result<(), CloseError> {
        self.writer.stop();
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
        "the disk of the data directory has not taken the last changes in the last {} s; nothing that was acknowledged is lost: the \
         next start finishes what is left", .0.as_secs().max(1)
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

/// Sends to queues that are in the configuration again the messages that they missed, at most `at_once` in one commit. Returns how many there
/// were.
///
/// # Errors
/// If the store fails; what was not sent is sent by the next call.
pub fn copy_missed(writer: &Writer, at_once: usize) -> storage::Result<usize> {
    let mut total = 0;
    loop {
        match writer.transact(move |tx| tx.copy_missed(at_once)).wait()? {
            0 => return Ok(total),
            some => total += some,
        }
    }
}

fn wait<T>(receipt: Receipt<T>) -> Result<T, StartError> {
    receipt.wait().map_err(store)
}

fn store(error: StoreError) -> StartError {
    StartError::Store(error.into())
}

/// The topics, queues and subscriptions that the store should have.
///
/// # Errors
/// If the system gives no randomness.
pub fn desired(set: &Set) -> Result<Desired, StartError> {
    let mut fresh = fresh(set.subscriptions.len())?;
    Ok(control::desired(set, &mut || fresh.pop().expect("there is one for each subscription")))
}

/// A token and the last part of an ARN for every subscription, in case it is new. Nobody can guess them.
///
/// # Errors
/// If the system gives no randomness.
pub fn fresh(count: usize) -> Result<Vec<Fresh>, StartError> {
    let one = |_| -> Result<Fresh, Box<dyn std::error::Error + Send + Sync>> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no randomness")?;
        Ok(Fresh { token: hub::token::random()?, uuid: uuid::Builder::from_random_bytes(bytes).into_uuid() })
    };
    (0..count).map(one).collect::<Result<_, _>>().map_err(StartError::part("make a token"))
}
