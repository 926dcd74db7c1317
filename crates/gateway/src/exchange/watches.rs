//! The watches of one exchange: every recorder that wants one has its own, and none hides another.

use std::time::Duration;

use bytes::Bytes;
use event::{Decision, Fate, Outcome};
use pipeline::{Answer, Joint, Wants, Watch};
use smallvec::SmallVec;
use storage::failpoint;

use crate::hold::Holds;

/// In the order of the chain. One is the usual number, and needs no list on the heap.
#[derive(Default)]
pub(crate) struct Watches(SmallVec<[Box<dyn Watch>; 1]>);

impl Watches {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, watch: Box<dyn Watch>) {
        self.0.push(watch);
    }

    /// What any of them wants to see.
    pub fn wants(&self) -> Wants {
        let all = self.0.iter().map(|watch| watch.wants());
        all.fold(Wants::default(), |some, more| Wants {
            request_body: some.request_body || more.request_body,
            response_body: some.response_body || more.response_body,
        })
    }

    pub fn request_body(&mut self, data: &Bytes) {
        for watch in self.0.iter_mut().filter(|watch| watch.wants().request_body) {
            watch.request_body(data);
        }
    }

    pub fn response_body(&mut self, data: &Bytes) {
        for watch in self.0.iter_mut().filter(|watch| watch.wants().response_body) {
            watch.response_body(data);
        }
    }

    /// Asks each watch for its intent. When this returns, all intents are in the store's queue.
    pub fn intend(&mut self) -> Holds {
        let mut joint = if self.0.len() > 1 { Joint::of_several() } else { Joint::alone() };
        self.0.iter_mut().map(|watch| watch.intend(&mut joint)).collect()
    }

    /// Drops the watches at these indexes: the store refused their intents, so they have nothing to settle.
    pub fn forget(&mut self, places: &[usize]) {
        let mut place = 0..;
        self.0.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
    }

    pub fn settle(&mut self, fate: Fate, answer: &Answer<'_>) -> Holds {
        let mut holds = Holds::new();
        for watch in &mut self.0 {
            if !holds.is_empty() {
                failpoint::hit(failpoint::BETWEEN_OUTCOMES);
            }
            holds.push(watch.settle(fate, answer));
        }
        holds
    }

    pub fn may_hold(&self) -> bool {
        self.0.iter().any(|watch| watch.may_hold())
    }

    /// Whether any of them makes an event for this fate.
    pub fn makes_an_event(&self, fate: Fate) -> bool {
        self.outcome(fate).is_some()
    }

    /// The outcome of the first event that any of them makes for this fate.
    pub fn outcome(&self, fate: Fate) -> Option<Outcome> {
        self.0.iter().find_map(|watch| match watch.decision(fate) {
            Decision::None => None,
            Decision::Publish(outcome) => Some(outcome),
        })
    }

    /// The longest time between the upstream's head and the settlement of all watches: the shortest that any watch asks for.
    pub fn resolve_after(&self) -> Duration {
        self.0.iter().map(|watch| watch.resolve_after()).min().unwrap_or_default()
    }

    /// How long an exchange goes on after its client left: the longest time that any watch asks for, because its end settles all of them.
    pub fn bound(&self) -> Duration {
        self.0.iter().map(|watch| watch.bound()).max().unwrap_or_default()
    }

    /// How long to wait for the store. All watches wait for the same commit, so the shortest time counts.
    pub fn store_timeout(&self) -> Duration {
        self.0.iter().map(|watch| watch.store_timeout()).min().unwrap_or_default()
    }
}
