//! How often each has been let through, by plug-in: shared by all cores of the process, bounded, and kept through reloads.
//!
//! A plug-in's counts are in 16 parts, each behind a lock of its own that is held for the time of a look into a table. Requests of others than
//! those that share a part never wait for each other, and requests on routes without such a plug-in come nowhere near.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use event::Timestamp;
use uuid::Uuid;

use super::period::{Period, Window};

/// Parts of a table.
const PARTS: usize = 16;

/// The counts of all plug-ins of a node. Clones share them. What no generation of the configuration uses any more is forgotten.
#[derive(Clone, Default)]
pub struct Counters(Arc<Mutex<HashMap<Uuid, Weak<Table>>>>);

impl Counters {
    /// Those of a plug-in: the same ones as long as a generation has it.
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
    /// Names are kept as 128 bits of hashes that nobody outside can compute: they need no room, whatever a client sends.
    hashers: [RandomState; 2],
    parts: [Mutex<Part>; PARTS],
}

/// What is counted. Each kind has room of its own, so that however many strangers ask, no consumer is forgotten for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Consumers and credentials, which the configuration has.
    Known,
    /// Addresses, of which a client may have many.
    Address,
    /// Values of a header, of which a client sends what it likes; a service or a path.
    Text,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Known, Self::Address, Self::Text];

    /// How many of the kind a part of a table remembers.
    pub(super) const fn room(self) -> usize {
        match self {
            Self::Known => 16_384,
            Self::Address | Self::Text => 4_096,
        }
    }
}

/// For each period, the number of requests that it lets through in a window, if it has a limit.
pub(super) type Limits = [Option<u64>; Period::ALL.len()];

#[derive(Default)]
struct Part {
    of_kinds: [HashMap<u128, Counts>; Kind::ALL.len()],
    /// Grows with each look.
    clock: u64,
}

/// How often one has been let through in the windows of now.
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

/// What is left of a period, before this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub period: Period,
    pub limit: u64,
    pub window: Window,
    /// How many more may be let through.
    pub left: u64,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// By period, for those that have a limit: what is left before this request.
    pub left: [Option<Left>; Period::ALL.len()],
    /// Whether the request is let through, and counted.
    pub passes: bool,
    /// How many were forgotten to make room while their windows were still open.
    pub forgotten: usize,
}

impl Table {
    /// Lets one more through if all limits allow it in the windows of `now`, and counts it then.
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

/// Makes room for at least a quarter of what there may be. First go those whose windows have all ended: they have nothing to lose. If these
/// are too few, half of all that is left goes, those that have used the least part of their limits: it gives back least, and whoever wants
/// to have a used-up limit forgotten must use up that of thousands of others before. Of those that have used alike, those that asked least
/// recently go. How many went that had something to lose.
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
    /// How much of its limits it has used in the windows of now: of the one that is used most, in parts of 65,536; 0 if all windows have
    /// ended.
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
    /// Begins anew in another window. A clock that is set back by less than a window goes on counting; one that is set back further is believed.
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
