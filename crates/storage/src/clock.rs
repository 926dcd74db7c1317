//! The store's own clock: what ages is measured with it, so that nobody who sets the wall clock can delete, kill or freeze anything.
//!
//! It never goes back. While a process lives it advances with the time that the machine is up. At a start it advances by the wall time
//! since its last kept value, because nothing else tells how long the machine was off, but only by [`MAX_GAP`], and by [`MAX_GAPS`] in
//! all until a process has lived for [`SETTLED`]: a wall clock that is years ahead at a boot costs an hour, and starts that follow each
//! other cost a day at most. What a start adds is [`Assumed`], and counts towards no limit of what is owed: nobody knows that it passed.
//!
//! What is kept: a start resumes behind no stamp of a durable row. The last event and the last message keep their own; a commit that
//! leaves any other stamp writes a [`Record`] ([`Keeping`]), and so does one that leaves none if a second has passed since. So the
//! commits of requests cost no page more than they would without a clock.
//!
//! The wall clock is watched: one that moves otherwise than the machine's uptime was set by somebody. That is noticed
//! ([`StoreClock::look`]), counted and said, and it changes nothing here.

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
/// A process that has lived so long is no part of a series of failed starts.
pub const SETTLED: Duration = HOUR;
/// Between two commits that write the record, whatever they change.
pub const KEEP_EVERY: Duration = Duration::from_secs(60);
/// What the clock may lose in a crash after a commit that left no stamp.
pub const KEEP_WITHIN: Duration = Duration::from_secs(1);
/// How far the wall clock moves between two looks before it counts as set: more than a leap second, less than anything that could matter.
pub const JUMP: Duration = Duration::from_secs(5);

/// Two readings that are further apart are not of one moment.
const ONE_MOMENT: Duration = Duration::from_millis(100);

/// What a store keeps of its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The clock.
    pub stamp: Stamp,
    /// The wall clock at that moment.
    pub wall: Timestamp,
    /// How far starts have advanced the clock since a process last lived for [`SETTLED`].
    pub advanced: Duration,
    /// What all starts have added to the clock, as far as anything is kept that it concerns.
    pub assumed: Assumed,
}

impl Record {
    /// The record as it would have been kept with the last row that has a stamp. The wall clock went on for as long: a start must not add
    /// that time once more.
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
    /// As of this start, it included.
    advanced: Duration,
    /// As of this start, it included.
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
    /// How far all of them moved it together, in seconds: negative for back.
    pub moved: f64,
}

/// The wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// How far it moved, in seconds: negative for back.
    pub seconds: f64,
    /// What it showed afterwards.
    pub to: Timestamp,
    /// When that was seen.
    pub stamp: Stamp,
}

/// What a start made of the time before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The clock went on where it stood, as far as the wall clock says.
    Whole,
    /// By the wall clock more time has passed than the clock advanced by.
    Cut {
        /// By the wall clock.
        passed: Duration,
        /// By this one.
        advanced: Duration,
    },
    /// The wall clock shows an earlier time than when the store was last used.
    Behind(Duration),
}

impl StoreClock {
    /// Goes on from what was kept last; begins at the wall clock's time where nothing was. What came of the time between comes with it.
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

    /// How much of the time since a moment a process was there for: what counts towards a limit.
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

    /// What the wall clock shows at a moment, if nobody sets it until then: for people.
    pub fn shown(&self, moment: Stamp) -> Timestamp {
        let (now, wall) = (self.now(), self.wall());
        if moment < now { wall.minus(now.since(moment)) } else { wall.plus(moment.since(now)) }
    }

    /// What a store is to keep now.
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

/// Both clocks at one moment, as far as can be: a process that was stopped between two readings reads again.
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
