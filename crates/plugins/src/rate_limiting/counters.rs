//! The counters of each plug-in: how many requests of each caller were let through. All cores of the process share them, their number is
//! bounded, and they survive reloads.
//!
//! The counts of a plug-in are divided into 16 parts, each with its own lock, which is held only for a look-up in a table. Only requests whose
//! callers share a part can wait for each other, and requests on routes without such a plug-in take none of these locks.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use event::Timestamp;
use uuid::Uuid;

use super::period::{Period, Window};

/// Parts of a table.
const PARTS: usize = 16;

/// The counts of all plug-ins of a node. Clones share them. Counts that no generation of the configuration uses any more are dropped.
#[derive(Clone, Default)]
pub struct Counters(Arc<Mutex<HashMap<Uuid, Weak<Table>>>>);

impl Counters {
    /// The counts of a plug-in: the same ones as long as a generation uses them.
    pub(super) fn of(&self, plugin: Uuid) -> Arc<Table> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|_, table| table.strong_count() > 0);
        if let Some(table) = tables.get(&plugin).and_then(Weak::upgrade) {
            return table;
        }
        let table = Arc::new(Table::default());
        tables.insert(plugin, Arc::downgrade(&table));
        table
    }
}

/// The counts of one plug-in.
#[derive(Default)]
pub(super) struct Table {
    /// Callers are kept as 128-bit hashes that nobody outside can compute, so they need the same little memory whatever a client sends.
    hashers: [RandomState; 2],
    parts: [Mutex<Part>; PARTS],
}

/// What callers are told apart by. Each kind has a limit of its own, so that unknown clients, however many, never push out a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Consumers and credentials, whose number the configuration decides.
    Known,
    /// Addresses; one client may have many.
    Address,
    /// Values of a header, which a client chooses freely; also a service, or a path.
    Text,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Known, Self::Address, Self::Text];

    /// How many callers of this kind a part of a table keeps.
    pub(super) const fn room(self) -> usize {
        match self {
            Self::Known => 16_384,
            Self::Address | Self::Text => 4_096,
        }
    }
}

/// For each period, the number of requests that pass in a window, if there is a limit.
pub(super) type Limits = [Option<u64>; Period::ALL.len()];

#[derive(Default)]
struct Part {
    of_kinds: [HashMap<u128, Counts>; Kind::ALL.len()],
    /// Grows with each look-up.
    clock: u64,
}

/// How many requests of one caller passed in the current windows.
#[derive(Clone, Copy, Default)]
struct Counts {
    windows: [Count; Period::ALL.len()],
    last_look: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// In seconds since 1970.
    begin: u64,
    count: u64,
}

/// What is left of a limit, before this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub period: Period,
    pub limit: u64,
    pub window: Window,
    /// How many more requests may pass.
    pub left: u64,
}

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// For each period that has a limit, what is left before this request.
    pub left: [Option<Left>; Period::ALL.len()],
    /// Whether the request passes and was counted.
    pub passes: bool,
    /// How many callers were dropped to make room although one of their windows was still open.
    pub forgotten: usize,
}

impl Table {
    /// Lets one more request pass if all limits allow it in the windows of `now`, and then counts it.
    pub fn take(&self, kind: Kind, who: impl Hash, limits: &Limits, now: Timestamp) -> Looked {
        let [high, low] = [0, 1].map(|index| u128::from(self.hashers[index].hash_one(&who)));
        let name = high << 64 | low;
        let mut left = [None; Period::ALL.len()];
        for (period, limit) in Period::ALL.into_iter().zip(limits) {
            left[period as usize] =
                limit.map(|limit| Left { period, limit, window: period.window(now), left: limit });
        }
        let part = &self.parts[(name % PARTS as u128) as usize];
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        part.take(kind, name, left)
    }
}

impl Part {
    fn take(&mut self, kind: Kind, name: u128, mut left: [Option<Left>; Period::ALL.len()]) -> Looked {
        let counts = &mut self.of_kinds[kind as usize];
        let is_full = counts.len() >= kind.room() && !counts.contains_key(&name);
        let forgotten = if is_full { make_room(counts, kind.room(), &left) } else { 0 };
        self.clock += 1;
        let counts = counts.entry(name).or_default();
        counts.last_look = self.clock;
        for one in left.iter_mut().flatten() {
            let count = &mut counts.windows[one.period as usize];
            count.enter(&one.window);
            one.left = one.limit.saturating_sub(count.count);
        }
        let passes = left.iter().flatten().all(|one| one.left > 0);
        if passes {
            left.iter().flatten().for_each(|one| counts.windows[one.period as usize].count += 1);
        }
        Looked { left, passes, forgotten }
    }
}

/// Makes room for at least a quarter of the limit. First it drops the callers whose windows have all ended: their counts mean nothing any more.
/// If these are too few, it drops half of the rest, those that have used the smallest share of their limits: that gives away the least, and a
/// client that wants its used-up limit to be dropped would have to use up those of thousands of others first. Among equal shares, those that
/// asked least recently go first. Returns how many were dropped with a window still open.
fn make_room(
    counts: &mut HashMap<u128, Counts>,
    room: usize,
    left: &[Option<Left>; Period::ALL.len()],
) -> usize {
    counts.retain(|_, counts| counts.used(left) > 0);
    if counts.len() <= room / 4 * 3 {
        return 0;
    }
    let worth = |counts: &Counts| (counts.used(left), counts.last_look);
    let mut all: Vec<_> = counts.values().map(worth).collect();
    let half = all.len() / 2;
    let (_, median, _) = all.select_nth_unstable(half);
    let (before, median) = (counts.len(), *median);
    counts.retain(|_, counts| worth(counts) > median);
    before - counts.len()
}

impl Counts {
    /// The share of its limits that a caller has used in the current windows, of the limit that is used most, in units of 1/65,536; 0 if all
    /// windows have ended.
    fn used(&self, left: &[Option<Left>; Period::ALL.len()]) -> u128 {
        let used = left.iter().flatten().map(|one| {
            let count = &self.windows[one.period as usize];
            let used = if count.is_in(&one.window) { count.count } else { 0 };
            (u128::from(used) << 16).div_ceil(u128::from(one.limit.max(1)))
        });
        used.max().unwrap_or_default()
    }
}

impl Count {
    /// Starts from zero if `window` is another one. If the clock is set back by less than a window, counting goes on; if it is set back further,
    /// the new time is taken.
    fn enter(&mut self, window: &Window) {
        if !self.is_in(window) {
            *self = Self { begin: window.begin, count: 0 };
        }
    }

    fn is_in(&self, window: &Window) -> bool {
        self.begin == window.begin || (self.begin == window.end && self.count > 0)
    }
}

#[cfg(test)]
mod tests;
