//! How many bytes all workers of a process may hold at the same time: one budget, so that endpoints that hang do not fill the memory.
//!
//! Half of the budget is divided equally: every worker has a part for itself, so that workers whose endpoints hang cannot block the others. Any
//! worker may use the other half, first come, first served. A worker that holds nothing may always take one event, however large. So together
//! they hold at most the budget and one event each.
//!
//! An attempt costs [`COST`] times the size of its event's facts: the facts themselves, the message that is rendered from them, and the body
//! around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use event::Event;

/// The budget of a process, in bytes.
pub const BYTES: usize = 64 << 20;
/// An attempt holds at most this many times the size of its event's facts.
pub const COST: usize = 3;
/// What an attempt holds besides that, in bytes.
const OVERHEAD: usize = 1_024;

/// The budget; clones are the same one.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    size: i64,
    /// What is left of the common half; negative after an event that was larger than the rest.
    common: AtomicI64,
    held: AtomicI64,
    shares: AtomicI64,
    /// The number of shares that were refused bytes when they last asked.
    waiting: AtomicI64,
}

/// A worker's part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    /// What the worker holds.
    held: Arc<AtomicI64>,
    /// Whether it was refused bytes when it last asked.
    waits: AtomicBool,
}

/// What an event costs, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    pool: Arc<Pool>,
    of: Arc<AtomicI64>,
    bytes: i64,
    /// Of these, from the common half.
    common: i64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(BYTES)
    }
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let size = signed(bytes);
        let (common, held, shares) = (AtomicI64::new(size / 2), AtomicI64::new(0), AtomicI64::new(0));
        Self(Arc::new(Pool { size, common, held, shares, waiting: AtomicI64::new(0) }))
    }

    /// A part for one more worker; the parts of the others become smaller.
    pub fn share(&self) -> Share {
        self.0.shares.fetch_add(1, Ordering::Relaxed);
        Share { pool: self.0.clone(), held: Arc::default(), waits: AtomicBool::new(false) }
    }

    /// What all workers hold, in bytes.
    pub fn held(&self) -> u64 {
        u64::try_from(self.0.held.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// How many workers were refused bytes when they last asked.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.0.waiting.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl Share {
    /// How many bytes of facts may be taken now, at least one. `None` if nothing may be taken before something is given back.
    pub fn affordable(&self) -> Option<usize> {
        let held = self.held.load(Ordering::Relaxed);
        let left = self.own_left(held) + self.pool.common.load(Ordering::Relaxed).max(0);
        let may = left > 0 || held == 0;
        self.note(!may);
        may.then(|| (usize::try_from(left).unwrap_or(0) / COST).max(1))
    }

    /// Only one worker asks.
    fn note(&self, waits: bool) {
        if self.waits.swap(waits, Ordering::Relaxed) != waits {
            self.pool.waiting.fetch_add(if waits { 1 } else { -1 }, Ordering::Relaxed);
        }
    }

    /// Room for up to `at_most` bytes of facts that are about to be read: others may read at the same time. `None` as
    /// [`Share::affordable`].
    pub fn reserve(&self, at_most: usize) -> Option<Allowance> {
        let facts = self.affordable()?.min(at_most).max(1);
        Some(Allowance { facts, charge: self.take(signed(facts.saturating_mul(COST))) })
    }

    /// Takes the cost of an event, even if the budget does not have it.
    pub fn charge(&self, event: &Event) -> Charge {
        self.take(signed(facts(event).saturating_mul(COST).saturating_add(OVERHEAD)))
    }

    fn take(&self, bytes: i64) -> Charge {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        let common = (bytes - self.own_left(held)).max(0);
        self.pool.common.fetch_sub(common, Ordering::Relaxed);
        self.pool.held.fetch_add(bytes, Ordering::Relaxed);
        Charge { pool: self.pool.clone(), of: self.held.clone(), bytes, common }
    }

    fn own_left(&self, held: i64) -> i64 {
        let own = self.pool.size / 2 / self.pool.shares.load(Ordering::Relaxed).max(1);
        (own - held).max(0)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.note(false);
        self.pool.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
        self.pool.common.fetch_add(self.common, Ordering::Relaxed);
        self.pool.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Room for events that are about to be read. Given back when dropped, which is after they were read and before they are charged.
#[derive(Debug)]
pub struct Allowance {
    /// At least one byte of facts.
    facts: usize,
    #[expect(dead_code, reason = "it is there to be dropped")]
    charge: Charge,
}

impl Allowance {
    /// How many bytes of facts there is room for.
    pub fn facts(&self) -> usize {
        self.facts
    }
}

/// The bytes of an event's facts.
pub fn facts(event: &Event) -> usize {
    event.body.bytes()
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use event::Position;
    use storage::memory::sample_exchange;

    use super::*;

    fn of(facts: usize) -> Event {
        let body = sample_exchange(1, |exchange| {
            (exchange.request, exchange.answer) = ("x".repeat(facts).into(), None);
        });
        Event { position: Position(1), stamp: event::Stamp::default(), body }
    }

    /// Facts of an event that costs so many bytes.
    fn costing(bytes: usize) -> Event {
        of((bytes - OVERHEAD) / COST)
    }

    const KIB: usize = 1_024;

    #[test]
    fn what_is_about_to_be_read_is_room_for_nobody_else() {
        let budget = Budget::new(12 * KIB);
        let (one, other) = (budget.share(), budget.share());
        // 3 KiB of its own and 6 KiB in common.
        let first = one.reserve(KIB).unwrap();
        assert_eq!((first.facts(), budget.held()), (KIB, 3 * KIB as u64));
        assert_eq!(other.affordable(), Some(3 * KIB));
        let second = one.reserve(usize::MAX).unwrap();
        assert_eq!(second.facts(), 2 * KIB);
        assert!(one.reserve(1).is_none());
        assert_eq!(other.affordable(), Some(KIB));
        drop((first, second));
        assert_eq!((one.affordable(), budget.held()), (Some(3 * KIB), 0));
        assert_eq!(one.reserve(0).unwrap().facts(), 1);
    }

    #[test]
    fn facts_are_the_request_and_the_answer() {
        let mut event = of(7);
        assert_eq!(facts(&event), 7);
        event.body.exchange_mut().unwrap().answer = Some("abc".into());
        assert_eq!(facts(&event), 10);
    }

    #[test]
    fn a_worker_has_its_part_and_what_is_left_of_the_common_half() {
        let budget = Budget::new(64 * KIB);
        let (one, other) = (budget.share(), budget.share());
        // 16 KiB of its own and 32 KiB in common.
        assert_eq!(one.affordable(), Some(48 * KIB / COST));
        let first = one.charge(&costing(16 * KIB));
        assert_eq!(budget.held(), 16 * KIB as u64);
        assert_eq!(one.affordable(), Some(32 * KIB / COST));
        assert_eq!(other.affordable(), Some(48 * KIB / COST), "the common half is whole");
        let second = one.charge(&costing(31 * KIB));
        assert_eq!(one.affordable(), Some(KIB / COST));
        let third = one.charge(&costing(10 * KIB));
        assert_eq!(one.affordable(), None, "one event more than there was room for, and no more");
        assert_eq!(other.affordable(), Some(16 * KIB / COST), "its own part is nobody else's");
        let others = other.charge(&costing(16 * KIB));
        assert_eq!(other.affordable(), None);
        drop(third);
        assert_eq!((one.affordable(), other.affordable()), (Some(KIB / COST), Some(KIB / COST)));
        drop((first, second, others));
        assert_eq!(budget.held(), 0);
        assert_eq!(one.affordable(), Some(48 * KIB / COST));
        drop(other);
        assert_eq!(one.affordable(), Some(64 * KIB / COST), "alone");
    }

    #[test]
    fn a_worker_that_was_refused_counts_as_waiting_until_it_asks_with_success_or_is_gone() {
        let budget = Budget::new(8 * KIB);
        let (one, other) = (budget.share(), budget.share());
        assert!(one.affordable().is_some());
        let huge = one.charge(&costing(64 * KIB));
        assert_eq!(budget.waiting(), 0, "nobody has asked");
        for _ in 0..2 {
            assert!(one.reserve(1).is_none());
            assert_eq!(budget.waiting(), 1);
        }
        let too = other.charge(&costing(64 * KIB));
        assert!(other.affordable().is_none());
        assert_eq!(budget.waiting(), 2);
        drop(huge);
        assert!(one.affordable().is_some());
        assert_eq!(budget.waiting(), 1);
        drop(other);
        assert_eq!(budget.waiting(), 0);
        drop(too);
    }

    #[test]
    fn who_holds_nothing_may_take_one_event_however_large() {
        let budget = Budget::new(8 * KIB);
        let (one, other) = (budget.share(), budget.share());
        let huge = one.charge(&costing(64 * KIB));
        assert_eq!(one.affordable(), None);
        assert_eq!(other.affordable(), Some(2 * KIB / COST));
        let too = other.charge(&costing(64 * KIB));
        assert_eq!(other.affordable(), None);
        drop((huge, too));
        assert_eq!((one.affordable(), budget.held()), (Some(6 * KIB / COST), 0));
        let nothing = Budget::new(0);
        let share = nothing.share();
        assert_eq!(share.affordable(), Some(1));
        let _held = share.charge(&of(1));
        assert_eq!(share.affordable(), None);
    }
}
