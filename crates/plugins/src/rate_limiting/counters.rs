//! How often each has been let through, by plug-in: shared by all cores of the process, bounded, and kept through reloads.
//!
//! A plug-in's counts are in 16 parts, each behind a lock of its own that is held for the time of a look into a table. Requests of others than
//! those that share a part never wait for each other, and requests on routes without such a plug-in come nowhere near.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use uuid::Uuid;

use super::period::{Period, Window};

/// Parts of a table.
const PARTS: usize = 16;
/// How many a part remembers.
pub(super) const MOST_OF_PART: usize = 4_096;

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

#[derive(Default)]
struct Part {
    counts: HashMap<u128, Counts>,
    /// Grows with each look.
    clock: u64,
}

/// How often one has been let through in the windows of now.
#[derive(Clone, Copy, Default)]
struct Counts {
    windows: [Count; 6],
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
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looked {
    pub left: Vec<Left>,
    /// Whether the request is let through, and counted.
    pub passes: bool,
    /// How many were forgotten to make room.
    pub forgotten: usize,
}

impl Table {
    /// Lets one more through if all of these limits allow it, and counts it then.
    pub fn take(&self, who: impl Hash, limits: &[(Period, u64, Window)]) -> Looked {
        let [high, low] = [0, 1].map(|index| u128::from(self.hashers[index].hash_one(&who)));
        let name = high << 64 | low;
        let part = &self.parts[(name % PARTS as u128) as usize];
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        part.take(name, limits)
    }
}

impl Part {
    fn take(&mut self, name: u128, limits: &[(Period, u64, Window)]) -> Looked {
        let forgotten = if self.counts.len() >= MOST_OF_PART && !self.counts.contains_key(&name) {
            self.forget()
        } else {
            0
        };
        self.clock += 1;
        let counts = self.counts.entry(name).or_default();
        counts.last_look = self.clock;
        let mut left = Vec::with_capacity(limits.len());
        for (period, limit, window) in limits {
            let count = &mut counts.windows[*period as usize];
            count.enter(window);
            left.push(Left {
                period: *period,
                limit: *limit,
                window: *window,
                left: limit.saturating_sub(count.count),
            });
        }
        let passes = left.iter().all(|one| one.left > 0);
        if passes {
            limits.iter().for_each(|(period, ..)| counts.windows[*period as usize].count += 1);
        }
        Looked { left, passes, forgotten }
    }

    /// Forgets the half that was looked at least recently.
    fn forget(&mut self) -> usize {
        let mut looks: Vec<u64> = self.counts.values().map(|counts| counts.last_look).collect();
        let half = looks.len() / 2;
        let (_, median, _) = looks.select_nth_unstable(half);
        let (before, median) = (self.counts.len(), *median);
        self.counts.retain(|_, counts| counts.last_look > median);
        before - self.counts.len()
    }
}

impl Count {
    /// Begins anew in another window. A clock that is set back by less than a window goes on counting; one that is set back further is believed.
    fn enter(&mut self, window: &Window) {
        if self.begin == window.begin || (self.begin == window.end && self.count > 0) {
            return;
        }
        *self = Self { begin: window.begin, count: 0 };
    }
}

#[cfg(test)]
mod tests {
    use event::Timestamp;

    use super::*;

    fn limits(second: u64, limits: &[(Period, u64)]) -> Vec<(Period, u64, Window)> {
        let now = Timestamp::from_millis(second * 1_000);
        limits.iter().map(|(period, limit)| (*period, *limit, period.window(now))).collect()
    }

    #[test]
    fn a_window_lets_its_limit_through_and_the_next_one_begins_anew() {
        let table = Table::default();
        let look = |second| {
            let looked = table.take("ann", &limits(second, &[(Period::Second, 2), (Period::Minute, 3)]));
            (looked.passes, looked.left.iter().map(|one| one.left).collect::<Vec<_>>())
        };
        assert_eq!(look(120), (true, vec![2, 3]));
        assert_eq!(look(120), (true, vec![1, 2]));
        assert_eq!(look(120), (false, vec![0, 1]), "and a refused one is not counted");
        assert_eq!(look(121), (true, vec![2, 1]));
        assert_eq!(look(122), (false, vec![2, 0]));
        assert_eq!(look(180), (true, vec![2, 3]));
        assert!(
            table.take("bob", &limits(120, &[(Period::Second, 1)])).passes,
            "others count for themselves"
        );
    }

    #[test]
    fn a_clock_that_is_set_frees_and_freezes_nobody() {
        let table = Table::default();
        let look = |second| table.take("ann", &limits(second, &[(Period::Minute, 1)])).passes;
        assert!(look(600));
        assert!(!look(599), "a second back is the same budget");
        assert!(!look(600));
        assert!(look(1_000_000), "a jump forward");
        assert!(look(660), "and back: nothing waits for the future");
        assert!(!look(661));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_asks_again_and_again_is_not_forgotten() {
        let table = Table::default();
        let limit = limits(60, &[(Period::Minute, 1)]);
        assert!(table.take("ann", &limit).passes);
        let mut forgotten = 0;
        for other in 0..3 * PARTS * MOST_OF_PART {
            forgotten += table.take(other, &limit).forgotten;
            if other % 512 == 0 {
                assert!(!table.take("ann", &limit).passes, "after {other}");
            }
        }
        assert!(forgotten > PARTS * MOST_OF_PART, "{forgotten}");
        let kept: usize = table.parts.iter().map(|part| part.lock().unwrap().counts.len()).sum();
        assert!(kept <= PARTS * MOST_OF_PART, "{kept}");
    }

    #[test]
    fn exactly_the_limit_passes_whoever_asks_at_once() {
        let table = Arc::new(Table::default());
        let passed: usize = std::thread::scope(|scope| {
            let asking = (0..4).map(|_| {
                let table = table.clone();
                scope.spawn(move || {
                    let limit = limits(60, &[(Period::Minute, 500), (Period::Hour, 1_000)]);
                    (0..1_000).filter(|_| table.take("ann", &limit).passes).count()
                })
            });
            let asking: Vec<_> = asking.collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 500);
    }

    #[test]
    fn counts_stay_as_long_as_a_generation_has_the_plugin() {
        let counters = Counters::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let limit = limits(60, &[(Period::Minute, 1)]);
        let first = counters.of(one);
        assert!(first.take("ann", &limit).passes);
        let next = counters.of(one);
        drop(first);
        assert!(!next.take("ann", &limit).passes, "the next generation goes on");
        assert!(counters.of(other).take("ann", &limit).passes);
        drop(next);
        assert!(counters.of(one).take("ann", &limit).passes, "nobody had it any more");
        assert_eq!(counters.0.lock().unwrap().len(), 1, "what is gone takes no room");
    }
}
