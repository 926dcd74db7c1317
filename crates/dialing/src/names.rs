//! From a name to addresses: one lookup for whoever asks, answers that are kept for a while.
//!
//! The system's resolver gives no time to live, blocks its thread, and cannot be stopped. So:
//! * A lookup has a thread of its own for as long as it lasts, and there is at most one for a name. There is no queue: the lookup of one
//!   name never waits for that of another. At [`MAX_LOOKUPS`] threads a further name fails at once, and says why; by then that many
//!   different names have name servers that do not answer.
//! * An answer is used for [`Times::fresh`], and while a lookup refreshes it. When lookups fail or hang, the last answer is used for up
//!   to [`Times::kept`]; but a name that no longer exists is forgotten at once.
//! * A failure is remembered for [`Times::failed`].

mod entry;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use self::entry::{Decision, Ending, Entry, Outcome};
use crate::addresses::Addresses;
use crate::system::System;

/// Lookups at once, each with a thread.
pub const MAX_LOOKUPS: usize = 256;
/// With more names than this, those that nobody has asked for in a long time are forgotten.
const MANY_NAMES: usize = 1_024;
/// Of a lookup's thread: the resolver's modules keep buffers of 64 KiB on it.
const STACK: usize = 512 << 10;

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The name servers say so.
    #[error("the name does not exist")]
    NoSuchName,
    /// The resolver gave up; in its words.
    #[error("the name servers gave no answer: {0}")]
    Failed(String),
    /// The lookup is still under way.
    #[error("the name servers have not answered for {} s", .0.as_secs())]
    Silent(Duration),
    /// [`MAX_LOOKUPS`] are under way.
    #[error("{MAX_LOOKUPS} other names are being looked up, and none of their name servers answers")]
    TooMany,
}

/// Who knows the addresses of names.
pub trait Source: Send + Sync + 'static {
    /// All addresses of a name, the best first. May block for as long as it takes. A name that ends in a dot is not completed by search
    /// domains.
    ///
    /// # Errors
    /// If there are none.
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved>;
}

/// How long what is known of a name is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// An answer is used without asking again.
    pub fresh: Duration,
    /// An answer is used while it is asked for again; an older one only if the lookup fails or takes longer than `patience`.
    pub stale: Duration,
    /// An answer that cannot be refreshed is used this long. A name that nobody asked for in this time may be forgotten.
    pub kept: Duration,
    /// After a failure, before the name is looked up again.
    pub failed: Duration,
    /// For a lookup where there is an old answer.
    pub patience: Duration,
    /// For a lookup where there is none.
    pub wait: Duration,
}

impl Times {
    /// 10 s, 20 s, 1 h; 2 s, 2 s, 10 s.
    pub const DEFAULT: Self = Self {
        fresh: Duration::from_secs(10),
        stale: Duration::from_secs(20),
        kept: Duration::from_secs(3_600),
        failed: Duration::from_secs(2),
        patience: Duration::from_secs(2),
        wait: Duration::from_secs(10),
    };
}

/// The names that a process knows. Clones share them; any runtime may ask.
#[derive(Clone)]
pub struct Names {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn Source>,
    times: Times,
    /// Taken when a connection is made, never when a request uses one that there is.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Box<str>, Entry>,
    lookups: usize,
    /// Counts answers, so that the addresses of a name take turns.
    turn: usize,
}

impl Names {
    /// The system's resolver.
    pub fn system() -> Self {
        Self::new(System, Times::DEFAULT)
    }

    /// Another source.
    pub fn new(source: impl Source, times: Times) -> Self {
        Self { inner: Arc::new(Inner { source: Box::new(source), times, table: Mutex::default() }) }
    }

    /// The addresses in the order in which they are to be tried, if they can be had without waiting.
    pub fn known(&self, name: &str) -> Option<Result<Vec<IpAddr>, Unresolved>> {
        match self.inner.decide(name) {
            Ready::Now(known) => Some(known),
            Ready::Later { .. } => None,
        }
    }

    /// The addresses in the order in which they are to be tried. Waits for at most [`Times::wait`].
    ///
    /// # Errors
    /// If there are none, or none are found in that time. The lookup goes on: whoever asks later has its answer.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match self.ask(name) {
            Asked::Known(known) => known,
            Asked::Pending(pending) => pending.wait().await,
        }
    }

    /// As [`Names::lookup`], for a caller that has something to do before it waits. The lookup is under way.
    pub fn ask(&self, name: &str) -> Asked {
        match self.inner.decide(name) {
            Ready::Now(known) => Asked::Known(known),
            Ready::Later { instead, at_most, ending } => {
                Asked::Pending(Pending { inner: self.inner.clone(), instead, at_most, ending })
            }
        }
    }

    /// Looks a name up anew, unless its answer is fresh. Nobody waits for it.
    pub fn refresh(&self, name: &str) {
        // Whatever is decided, a lookup that makes sense is under way now.
        let _ = self.inner.decide(name);
    }
}

/// What there is to a question.
pub enum Asked {
    /// The addresses in the order in which they are to be tried, or why there are none.
    Known(Result<Vec<IpAddr>, Unresolved>),
    /// A lookup is to be waited for.
    Pending(Pending),
}

/// The wait for a lookup.
pub struct Pending {
    inner: Arc<Inner>,
    instead: Option<Arc<Addresses>>,
    at_most: Duration,
    ending: Ending,
}

impl Pending {
    /// The addresses in the order in which they are to be tried. Waits for at most [`Times::wait`].
    ///
    /// # Errors
    /// As [`Names::lookup`].
    pub async fn wait(self) -> Result<Vec<IpAddr>, Unresolved> {
        let Self { inner, instead, at_most, mut ending } = self;
        let ended = timeout(at_most, ending.wait_for(Option::is_some)).await;
        let outcome = match ended {
            Ok(Ok(outcome)) => outcome.clone(),
            // It is never dropped without an outcome.
            Ok(Err(_)) | Err(_) => None,
        };
        match (outcome.unwrap_or(Err(Unresolved::Silent(at_most))), instead) {
            (Ok(addresses), _) => Ok(inner.in_order(&addresses)),
            (Err(error), Some(old)) if error != Unresolved::NoSuchName => Ok(inner.in_order(&old)),
            (Err(error), _) => Err(error),
        }
    }
}

/// What somebody who asks gets.
enum Ready {
    Now(Result<Vec<IpAddr>, Unresolved>),
    /// The end of a lookup is to be waited for; what is used if it fails or takes longer.
    Later {
        instead: Option<Arc<Addresses>>,
        at_most: Duration,
        ending: Ending,
    },
}

impl Inner {
    /// Begins a lookup where one is needed and none is under way.
    fn decide(self: &Arc<Self>, name: &str) -> Ready {
        let now = Instant::now();
        let mut table = self.table();
        if !table.entries.contains_key(name) {
            table.forget_unused(now, &self.times);
            table.entries.insert(name.into(), Entry::new(now));
        }
        let Table { entries, lookups, turn } = &mut *table;
        let Some(entry) = entries.get_mut(name) else {
            return Ready::Now(Err(Unresolved::TooMany));
        };
        entry.used(now);
        *turn = turn.wrapping_add(1);
        let turn = *turn;
        let decision = entry.decide(now, &self.times);
        let mut begun = None;
        if matches!(decision, Decision::UseAndLookUp(_) | Decision::Wait { .. })
            && entry.ending().is_none()
            && *lookups < MAX_LOOKUPS
        {
            let (tell, ending) = watch::channel(None);
            entry.begin(now, ending);
            *lookups += 1;
            begun = Some(Lookup { inner: self.clone(), name: name.into(), tell, outcome: None });
        }
        let ending = entry.ending();
        drop(table);
        if let Some(lookup) = begun {
            lookup.run();
        }
        match (decision, ending) {
            (Decision::Use(addresses) | Decision::UseAndLookUp(addresses), _)
            | (Decision::Wait { instead: Some(addresses), .. }, None) => {
                Ready::Now(Ok(addresses.in_order(turn)))
            }
            (Decision::Refuse(error), _) => Ready::Now(Err(error)),
            (Decision::Wait { instead: None, .. }, None) => Ready::Now(Err(Unresolved::TooMany)),
            (Decision::Wait { instead, at_most }, Some(ending)) => Ready::Later { instead, at_most, ending },
        }
    }

    fn in_order(&self, addresses: &Addresses) -> Vec<IpAddr> {
        let mut table = self.table();
        table.turn = table.turn.wrapping_add(1);
        let turn = table.turn;
        drop(table);
        addresses.in_order(turn)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget_unused(&mut self, now: Instant, times: &Times) {
        if self.entries.len() >= MANY_NAMES {
            self.entries.retain(|_, entry| !entry.is_unused(now, times));
        }
    }
}

/// A lookup under way. Its end is told when it is dropped, however it ended: also if the resolver panicked, or there was no thread.
struct Lookup {
    inner: Arc<Inner>,
    name: Box<str>,
    tell: watch::Sender<Option<Outcome>>,
    outcome: Option<Outcome>,
}

impl Lookup {
    fn run(self) {
        let thread = std::thread::Builder::new().name("name-lookup".into()).stack_size(STACK);
        // Without a thread the closure is dropped, and the lookup with it.
        let _ = thread.spawn(move || {
            let mut lookup = self;
            let found = lookup.inner.source.addresses(&lookup.name).map(Addresses::new);
            lookup.outcome = Some(match found {
                Ok(addresses) if addresses.is_empty() => Err(Unresolved::NoSuchName),
                found => found.map(Arc::new),
            });
            drop(lookup);
        });
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Err(Unresolved::Failed("no thread could be started for the lookup, or it panicked".into()))
        });
        let mut table = self.inner.table();
        table.lookups -= 1;
        if let Some(entry) = table.entries.get_mut(&self.name) {
            entry.end(Instant::now(), &outcome);
        }
        drop(table);
        self.tell.send_replace(Some(outcome));
    }
}

#[cfg(test)]
mod tests;
