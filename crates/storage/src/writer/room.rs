//! Room in the store: when history is deleted early, when new intents are refused, and the log lines about it.
//!
//! If the store has reached nine tenths of its size limit, or less than twice the reserve is free on the disk, each commit also deletes a slice of
//! what nobody is owed ([`UpkeepTx::make_room`](crate::ports::UpkeepTx::make_room)): the more the commit adds, the more it deletes. Without other
//! commits, slices are deleted in commits of their own. At the limit itself, a batch of intents waits while slices are deleted one after the other.
//! It is refused when nothing is left to delete, or after [`PATIENCE`].
//!
//! There is one log line when the store begins to refuse changes and one when it accepts them again, not one for each request, and not one each
//! time that a limit is crossed while deliveries make room.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Upkeep, Worker};
use crate::backend::Backend;
use crate::retention::{Housekept, Retention, Room};
use crate::{Result, StoreError, describe};

/// How many rows a slice deletes: well below a millisecond of work, and no more history than needed.
const SLICE_ROWS: usize = 16;
/// How many more rows are deleted for each change in the commit, so that the store shrinks however much is added.
const ROWS_A_CHANGE: usize = 2;
/// The shortest time between two searches for something to delete if the last one found nothing.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long a batch of intents waits while room is made for it.
const PATIENCE: Duration = Duration::from_millis(250);
/// If the store accepts changes for this long, it counts as having room again.
const CALM: Duration = Duration::from_secs(1);
/// The time between two lines about history that was deleted early.
const SAY_EVERY: Duration = Duration::from_secs(3_600);

/// The store's room, for all threads.
pub(super) struct Gauge {
    full: AtomicBool,
    /// How many changes were refused for want of space.
    refused: AtomicU64,
    /// How many rows of history were deleted before their time.
    cleared: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    room: Room,
    cause: Option<Arc<str>>,
}

/// How much room a store has, and the limits of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// What the store holds, and what is left for it; at most a second old.
    pub room: Room,
    /// The most that the store may hold, in bytes.
    pub max_bytes: u64,
    /// How much is kept free on the disk, in bytes.
    pub min_free_bytes: u64,
    /// Whether history is deleted before its time to make room.
    pub is_tight: bool,
    /// Why changes are refused, if they are.
    pub full: Option<Arc<str>>,
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            full: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            cleared: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }
}

impl Gauge {
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// The error for a refused change, which is counted.
    pub(super) fn refuse(&self) -> StoreError {
        self.refused.fetch_add(1, Ordering::Relaxed);
        StoreError::Full(self.cause().as_deref().unwrap_or("the log lines say more").to_owned())
    }

    pub(super) fn cleared(&self) -> u64 {
        self.cleared.load(Ordering::Relaxed)
    }

    pub(super) fn space(&self, retention: &Retention) -> Space {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Space {
            room: seen.room,
            max_bytes: retention.max_bytes,
            min_free_bytes: retention.min_free_bytes,
            is_tight: retention.is_tight(seen.room),
            full: seen.cause.clone(),
        }
    }

    fn cause(&self) -> Option<Arc<str>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).cause.clone()
    }

    fn note_room(&self, room: Room) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).room = room;
    }

    fn note_full(&self, cause: Option<Arc<str>>) {
        self.full.store(cause.is_some(), Ordering::Relaxed);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).cause = cause;
    }

    fn note_refused(&self, count: usize) {
        self.refused.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// What the writer knows about the store's room.
#[derive(Debug)]
pub(super) struct Keeper {
    is_tight: bool,
    /// The moment before which no slice is due, because the last search found nothing.
    again_at: Instant,
    /// When the current search began.
    searches_since: Option<Instant>,
    episode: Episode,
    /// When the last line about deleted history was written, and how much was deleted since.
    said_at: Option<Instant>,
    unsaid: u64,
}

impl Keeper {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            is_tight: false,
            again_at: now,
            searches_since: None,
            episode: Episode::default(),
            said_at: None,
            unsaid: 0,
        }
    }

    /// Whether a slice is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_tight && now >= self.again_at
    }

    /// How long the writer may sleep, if it makes room.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.is_tight.then(|| self.again_at.saturating_duration_since(now))
    }

    /// How many rows a commit with this number of changes deletes at most.
    pub(super) fn rows(changes: usize) -> usize {
        SLICE_ROWS + ROWS_A_CHANGE * changes
    }

    /// Notes the result of a slice. If nothing is left to delete, the next search begins later; after a long search, much later.
    pub(super) fn searched(&mut self, done: Housekept, now: Instant) {
        let since = *self.searches_since.get_or_insert(now);
        if done.rows == 0 && !done.more {
            self.rest(AGAIN_AFTER.max(now.duration_since(since) * 4), now);
        } else if done.rows > 0 {
            self.searches_since = None;
        }
    }

    fn rest(&mut self, pause: Duration, now: Instant) {
        self.again_at = now + pause;
        self.searches_since = None;
    }

    fn say_cleared(&mut self, rows: u64, now: Instant) {
        self.unsaid += rows;
        if self.unsaid == 0 || self.said_at.is_some_and(|said| now.duration_since(said) < SAY_EVERY) {
            return;
        }
        self.said_at = Some(now);
        let rows = std::mem::take(&mut self.unsaid);
        tracing::warn!(
            rows,
            "the store is nearly full: events and attempts that nobody is owed go before their time, the oldest first; make room on \
             the disk, or see --max-store and --min-free"
        );
    }
}

/// A time during which the store refuses changes. It does not end before the store has accepted changes for [`CALM`].
#[derive(Debug, Default)]
struct Episode {
    /// The line that said so; `None` while the store accepts changes.
    said: Option<Said>,
    /// Since when it has accepted changes again.
    calm_since: Option<Instant>,
}

#[derive(Debug)]
struct Said {
    began: Instant,
    said_at: Instant,
    cause: Arc<str>,
    refused_before: u64,
}

/// A line that is due.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Full(Arc<str>),
    Again { refused: u64, took: Duration },
}

impl Episode {
    /// The line that is due now, if any. `stays` says whether a new cause is worth a line.
    fn note(&mut self, cause: Option<&Arc<str>>, stays: bool, refused: u64, now: Instant) -> Option<Line> {
        let Some(cause) = cause else {
            let calm_since = *self.calm_since.get_or_insert(now);
            if now.duration_since(calm_since) < CALM {
                return None;
            }
            let said = self.said.take()?;
            let took = calm_since.duration_since(said.began);
            return Some(Line::Again { refused: refused - said.refused_before, took });
        };
        self.calm_since = None;
        match &mut self.said {
            Some(said) if stays || said.cause == *cause || now.duration_since(said.said_at) < CALM => None,
            Some(said) => {
                (said.cause, said.said_at) = (cause.clone(), now);
                Some(Line::Full(cause.clone()))
            }
            None => {
                let refused_before = refused;
                self.said = Some(Said { began: now, said_at: now, cause: cause.clone(), refused_before });
                Some(Line::Full(cause.clone()))
            }
        }
    }
}

impl<B: Backend> Worker<B> {
    /// Measures the store's room, and says whether intents may be tried now. After a commit was put off, callers of
    /// [`Writer::admits`](super::Writer::admits) are refused until a commit succeeds.
    pub(super) fn look_for_room(&mut self) -> Result<()> {
        let measured = self.config.backend.room();
        let measured = measured.inspect(|room| {
            self.shared.gauge.note_room(*room);
            self.keeper.is_tight = self.config.retention.is_tight(*room);
        });
        let admitted = if self.owed.is_empty() {
            measured.and_then(|room| self.config.retention.admit(room))
        } else {
            Err(StoreError::Full("outcomes are waiting for space".into()))
        };
        // While a commit is put off, its error is the cause; everything else follows from it.
        let put_off_by = self.shared.gauge.cause().filter(|_| self.short);
        let cause = put_off_by.or_else(|| admitted.as_ref().err().map(|error| describe(error).into()));
        self.note_full(cause, true);
        admitted
    }

    /// Like [`Worker::look_for_room`], but first deletes history if that helps.
    pub(super) fn make_room_for_intents(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let Err(error) = self.look_for_room() else { return Ok(()) };
            let now = Instant::now();
            let may_help = self.owed.is_empty() && !self.short && self.keeper.is_due(now);
            if !may_help || now.duration_since(began) > PATIENCE || self.latched.is_some() {
                return Err(error);
            }
            let batch = std::mem::take(&mut self.batch);
            self.commit_once(Upkeep { make_room: true, ..Upkeep::default() });
            self.batch = batch;
        }
    }

    /// Notes that a commit was put off: changes are refused until one succeeds.
    pub(super) fn note_put_off(&mut self, error: &StoreError) {
        self.keeper.rest(AGAIN_AFTER, Instant::now());
        self.note_full(Some(describe(error).into()), false);
    }

    pub(super) fn note_refused(&self, count: usize) {
        self.shared.gauge.note_refused(count);
    }

    /// What a slice has deleted is durable.
    pub(super) fn note_cleared(&mut self, rows: u64) {
        self.shared.gauge.cleared.fetch_add(rows, Ordering::Relaxed);
        self.keeper.say_cleared(rows, Instant::now());
    }

    fn note_full(&mut self, cause: Option<Arc<str>>, stays: bool) {
        let refused = self.shared.gauge.refused.load(Ordering::Relaxed);
        let line = self.keeper.episode.note(cause.as_ref(), stays, refused, Instant::now());
        self.shared.gauge.note_full(cause);
        match line {
            None => {}
            Some(Line::Full(cause)) => {
                tracing::warn!(
                    cause = &*cause,
                    "the store takes no changes: matching requests are refused until it does; it goes on by itself"
                );
            }
            Some(Line::Again { refused, took }) => {
                tracing::info!(refused, seconds = took.as_secs(), "the store takes changes again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_is_said_once_and_once_when_it_is_no_longer() {
        let (mut episode, began) = (Episode::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        let cause: Arc<str> = "why".into();
        assert_eq!(episode.note(None, true, 0, at(0)), None, "all is well");
        assert_eq!(episode.note(Some(&cause), true, 3, at(0)), Some(Line::Full(cause.clone())));
        let other: Arc<str> = "1 byte less".into();
        assert_eq!(episode.note(Some(&other), true, 4, at(5_000)), None);
        // It flickers.
        assert_eq!(episode.note(None, true, 5, at(6_000)), None);
        assert_eq!(episode.note(Some(&cause), true, 6, at(6_999)), None);
        assert_eq!(episode.note(None, true, 10, at(7_000)), None);
        assert_eq!(episode.note(None, true, 10, at(7_999)), None);
        let again = Line::Again { refused: 7, took: Duration::from_secs(7) };
        assert_eq!(episode.note(None, true, 10, at(8_000)), Some(again));
        assert_eq!(episode.note(None, true, 10, at(20_000)), None);
        assert_eq!(episode.note(Some(&cause), true, 10, at(20_001)), Some(Line::Full(cause)));
    }

    #[test]
    fn another_cause_of_a_commit_that_is_put_off_is_said_once_a_second() {
        let (mut episode, began) = (Episode::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        let (disk, index): (Arc<str>, Arc<str>) = ("the disk".into(), "the index".into());
        assert_eq!(episode.note(Some(&disk), false, 0, at(0)), Some(Line::Full(disk.clone())));
        assert_eq!(episode.note(Some(&index), false, 0, at(999)), None);
        assert_eq!(episode.note(Some(&index), false, 0, at(1_000)), Some(Line::Full(index.clone())));
        assert_eq!(episode.note(Some(&index), false, 0, at(9_000)), None);
        assert_eq!(episode.note(Some(&disk), false, 0, at(9_000)), Some(Line::Full(disk)));
    }

    #[test]
    fn history_that_goes_is_said_once_an_hour() {
        let began = Instant::now();
        let mut keeper = Keeper::new(began);
        keeper.say_cleared(0, began);
        assert_eq!(keeper.said_at, None);
        keeper.say_cleared(5, began);
        assert_eq!((keeper.said_at, keeper.unsaid), (Some(began), 0));
        keeper.say_cleared(6, began + SAY_EVERY - Duration::from_nanos(1));
        assert_eq!((keeper.said_at, keeper.unsaid), (Some(began), 6));
        keeper.say_cleared(0, began + SAY_EVERY);
        assert_eq!((keeper.said_at, keeper.unsaid), (Some(began + SAY_EVERY), 0));
    }

    #[test]
    fn a_slice_is_due_while_room_is_short_and_something_may_be_found() {
        let began = Instant::now();
        let mut keeper = Keeper::new(began);
        assert_eq!((keeper.is_due(began), keeper.patience(began)), (false, None));
        keeper.is_tight = true;
        assert_eq!((keeper.is_due(began), keeper.patience(began)), (true, Some(Duration::ZERO)));
        keeper.searched(Housekept { rows: 0, more: true }, began);
        keeper.searched(Housekept { rows: 1, more: false }, began);
        assert!(keeper.is_due(began), "there may be more");
        keeper.searched(Housekept::default(), began);
        let just_before = began + AGAIN_AFTER - Duration::from_nanos(1);
        assert!(!keeper.is_due(just_before));
        assert_eq!(keeper.patience(just_before), Some(Duration::from_nanos(1)));
        assert!(keeper.is_due(began + AGAIN_AFTER));
        let second = |n| began + Duration::from_secs(n);
        keeper.searched(Housekept { rows: 0, more: true }, second(1));
        keeper.searched(Housekept::default(), second(2));
        assert!(!keeper.is_due(second(5)), "a long search for nothing");
        assert!(keeper.is_due(second(6)));
        assert_eq!((Keeper::rows(0), Keeper::rows(100)), (16, 216));
    }
}
