//! The store's own clock. All ages are measured with it, so that setting the wall clock can neither delete anything nor stop anything.
//!
//! It never goes back. While a process lives it advances with the time that the machine is up. At a start it advances by the wall time since its
//! last stored value, because nothing else shows how long the machine was off. But it advances by at most [`MAX_GAP`], and by at most
//! [`MAX_GAPS`] in total until a process has lived for [`SETTLED`]: a wall clock that is years ahead at a boot costs an hour, and a series of
//! starts costs a day at most. The time that a start adds is [`Assumed`], and does not count towards any limit of what is owed, because nobody
//! knows whether it really passed.
//!
//! What is stored: a start must not go on from before the stamp of any durable row. The last event and the last message have their own stamps. A
//! commit that writes any other stamp also writes a [`Record`] ([`Keeping`]). So does a commit without stamps if a second has passed since the
//! last record or event, and every commit if a minute has passed since the last record. So most commits of requests write no page more than they
//! would without a clock.
//!
//! The wall clock is watched: if it moves differently from the machine's uptime, somebody has set it. That is noticed ([`StoreClock::look`]),
//! counted and logged, and changes nothing here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::timestamp::Clock;
use event::{Stamp, Timestamp};

mod assumed;
mod keeping;

pub use assumed::Assumed;
pub use keeping::{Keeping, Trace};

const HOUR: Duration = Duration::from_secs(3_600);

/// The most that the clock advances at one start.
pub const MAX_GAP: Duration = HOUR;
/// The most that it advances at starts, one after the other, of which none is followed by [`SETTLED`].
pub const MAX_GAPS: Duration = Duration::from_secs(24 * 3_600);
/// A process that has lived this long does not belong to a series of failed starts.
pub const SETTLED: Duration = HOUR;
/// A commit writes the record if the last one is this old, whatever the commit changes.
pub const KEEP_EVERY: Duration = Duration::from_secs(60);
/// How far the clock may fall back in a crash after a commit that wrote no stamp.
pub const KEEP_WITHIN: Duration = Duration::from_secs(1);
/// How far the wall clock must move between two looks to count as set: more than a leap second, and less than anything that could matter.
pub const JUMP: Duration = Duration::from_secs(5);

/// Two readings that are further apart do not count as one moment.
const ONE_MOMENT: Duration = Duration::from_millis(100);

/// The state of the clock, as a store keeps it for the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the store's clock showed.
    pub stamp: Stamp,
    /// What the wall clock showed at that moment.
    pub wall: Timestamp,
    /// How far starts have advanced the clock since a process last lived for [`SETTLED`].
    pub advanced: Duration,
    /// The time that starts have added to the clock, as far as anything in the store may be old enough to be concerned.
    pub assumed: Assumed,
}

impl Record {
    /// The record as it would have been kept with the last row that has a stamp. The wall clock has moved on by the same time: a start must not
    /// add it again.
    #[must_use]
    pub fn not_behind(self, last: Stamp) -> Self {
        let missed = last.since(self.stamp);
        Self { stamp: self.stamp.plus(missed), wall: self.wall.plus(missed), ..self }
    }
}

/// The clock of an open store; clones are the same clock.
#[derive(Clone)]
pub struct StoreClock {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    start: Start,
    seen: Mutex<Seen>,
}

/// How a process began.
#[derive(Clone, Debug)]
struct Start {
    stamp: Stamp,
    uptime: Duration,
    /// See [`Record::advanced`]; this start is included.
    advanced: Duration,
    /// See [`Record::assumed`]; this start is included.
    assumed: Assumed,
}

/// What is known of the wall clock.
#[derive(Debug)]
struct Seen {
    /// The wall clock and the uptime at the last look.
    wall: Timestamp,
    uptime: Duration,
    jumps: Jumps,
}

/// How the wall clock was set since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Jumps {
    /// How often.
    pub count: u64,
    /// The last time.
    pub last: Option<Jump>,
    /// The sum of all jumps, in seconds; negative for back.
    pub moved: f64,
}

/// The wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// How far it moved, in seconds; negative for back.
    pub seconds: f64,
    /// What it showed afterwards.
    pub to: Timestamp,
    /// When that was seen.
    pub stamp: Stamp,
}

/// How a start treated the time before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The clock advanced by the whole time that passed by the wall clock.
    Whole,
    /// By the wall clock, more time has passed than the clock advanced by.
    Cut {
        /// How much time has passed by the wall clock.
        passed: Duration,
        /// How far the store's clock has advanced.
        advanced: Duration,
    },
    /// The wall clock shows a time that is earlier by this much than when the store was last used.
    Behind(Duration),
}

impl StoreClock {
    /// Goes on from the last record; without one, it begins at the wall clock's time. Also returns how the time in between was treated.
    pub fn resume(kept: Option<Record>, clock: Arc<dyn Clock>) -> (Self, Gap) {
        let (wall, uptime) = read(&*clock);
        let (start, gap) = start(kept, wall, uptime);
        let mut jumps = Jumps::default();
        if let Gap::Behind(by) = gap
            && by >= JUMP
        {
            jumps.note(Jump { seconds: -by.as_secs_f64(), to: wall, stamp: start.stamp });
        }
        let seen = Mutex::new(Seen { wall, uptime, jumps });
        (Self { shared: Arc::new(Shared { clock, start, seen }) }, gap)
    }

    /// The moment now.
    pub fn now(&self) -> Stamp {
        self.shared.start.at(self.shared.clock.uptime())
    }

    /// How much of the time since a moment a process was running: this counts towards limits.
    pub fn lived_since(&self, moment: Stamp) -> Duration {
        self.assumed().lived(moment, self.now())
    }

    /// What starts have added to the clock, this one included.
    pub fn assumed(&self) -> &Assumed {
        &self.shared.start.assumed
    }

    /// The wall clock now.
    pub fn wall(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// What the wall clock shows at a moment if nobody sets it before, for people.
    pub fn shown(&self, moment: Stamp) -> Timestamp {
        let (now, wall) = (self.now(), self.wall());
        if moment < now { wall.minus(now.since(moment)) } else { wall.plus(moment.since(now)) }
    }

    /// The moment at which the wall clock showed a time, or will show it, if nobody sets it in between.
    pub fn at(&self, shown: Timestamp) -> Stamp {
        let (now, wall) = (self.now(), self.wall());
        if shown < wall { now.minus(wall.since(shown)) } else { now.plus(shown.since(wall)) }
    }

    /// The record to store now.
    pub fn record(&self) -> Record {
        let now = self.now();
        let start = &self.shared.start;
        let settled = now.since(start.stamp) >= SETTLED;
        Record {
            stamp: now,
            wall: self.wall(),
            advanced: if settled { Duration::ZERO } else { start.advanced },
            assumed: start.assumed.clone(),
        }
    }

    /// Looks at the wall clock: how it was set since the last look, if it was.
    pub fn look(&self) -> Option<Jump> {
        let (wall, uptime) = read(&*self.shared.clock);
        let mut seen = self.seen();
        let moved = moved(seen.wall, wall, uptime.saturating_sub(seen.uptime));
        (seen.wall, seen.uptime) = (wall, uptime);
        if moved.abs() < JUMP.as_secs_f64() {
            return None;
        }
        let jump = Jump { seconds: moved, to: wall, stamp: self.shared.start.at(uptime) };
        seen.jumps.note(jump);
        Some(jump)
    }

    /// How the wall clock was set so far.
    pub fn jumps(&self) -> Jumps {
        self.seen().jumps
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Start {
    fn at(&self, uptime: Duration) -> Stamp {
        self.stamp.plus(uptime.saturating_sub(self.uptime))
    }
}

impl Jumps {
    fn note(&mut self, jump: Jump) {
        self.count += 1;
        self.moved += jump.seconds;
        self.last = Some(jump);
    }
}

/// Both clocks at one moment, as far as possible: if the process was stopped between two readings, it reads again.
fn read(clock: &dyn Clock) -> (Timestamp, Duration) {
    let mut uptime = clock.uptime();
    for _ in 0..3 {
        let (wall, after) = (clock.now(), clock.uptime());
        if after.saturating_sub(uptime) < ONE_MOMENT {
            return (wall, after);
        }
        uptime = after;
    }
    (clock.now(), uptime)
}

fn start(kept: Option<Record>, wall: Timestamp, uptime: Duration) -> (Start, Gap) {
    let Some(kept) = kept else {
        let stamp = Stamp::from_micros(wall.as_micros());
        let start = Start { stamp, uptime, advanced: Duration::ZERO, assumed: Assumed::default() };
        return (start, Gap::Whole);
    };
    let passed = wall.since(kept.wall);
    let by = passed.min(MAX_GAP).min(MAX_GAPS.saturating_sub(kept.advanced));
    let gap = if wall < kept.wall {
        Gap::Behind(kept.wall.since(wall))
    } else if by < passed {
        Gap::Cut { passed, advanced: by }
    } else {
        Gap::Whole
    };
    let stamp = kept.stamp.plus(by);
    let assumed = kept.assumed.and(kept.stamp, stamp);
    (Start { stamp, uptime, advanced: kept.advanced + by, assumed }, gap)
}

/// How far the wall clock moved beyond the time that passed, in seconds.
fn moved(before: Timestamp, now: Timestamp, passed: Duration) -> f64 {
    now.since(before).as_secs_f64() - before.since(now).as_secs_f64() - passed.as_secs_f64()
}

/// `15 days`, `40 minutes`: how far a clock is off, for people.
pub fn in_words(seconds: f64) -> String {
    let seconds = seconds.abs();
    let (count, unit) = match seconds {
        _ if seconds >= 2.0 * 86_400.0 => (seconds / 86_400.0, "days"),
        _ if seconds >= 2.0 * 3_600.0 => (seconds / 3_600.0, "hours"),
        _ if seconds >= 120.0 => (seconds / 60.0, "minutes"),
        _ => (seconds, "seconds"),
    };
    format!("{count:.0} {unit}")
}

#[cfg(test)]
mod tests;
