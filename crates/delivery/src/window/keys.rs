//! One delivery of a key at a time, in order.

use std::collections::HashMap;
use std::sync::Arc;

/// The keys of a FIFO subscription that have a delivery under way or a row. All other keys are free.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    busy: HashMap<Arc<str>, Followers>,
}

/// Whether rows may wait behind the head of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followers {
    None,
    Some,
}

/// Whether an event may be delivered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Yes; it is the head of its key from now on.
    Go,
    /// No, another event is the head: this one becomes a pointer row.
    Behind,
}

/// The state of a key whose head is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// No event waits: the key is free.
    Free,
    /// An event may wait: ask the store for the first row. The key stays busy.
    AskFollowers,
}

impl Keys {
    /// Asks whether an event may be delivered now.
    pub fn admit(&mut self, key: &Arc<str>) -> Admit {
        match self.busy.get_mut(key) {
            Some(followers) => {
                *followers = Followers::Some;
                Admit::Behind
            }
            None => {
                self.busy.insert(key.clone(), Followers::None);
                Admit::Go
            }
        }
    }

    /// Marks a key that has rows in the store. Returns whether it was free.
    pub fn block(&mut self, key: Arc<str>) -> bool {
        self.busy.insert(key, Followers::Some).is_none()
    }

    /// Notes that the head of a key was delivered or is dead.
    pub fn head_done(&mut self, key: &str) -> Release {
        match self.busy.get(key) {
            Some(Followers::Some) => Release::AskFollowers,
            Some(Followers::None) | None => {
                self.busy.remove(key);
                Release::Free
            }
        }
    }

    /// Notes that the store has no rows of this key.
    pub fn free(&mut self, key: &str) {
        self.busy.remove(key);
    }

    /// The keys that are not free.
    pub fn busy(&self) -> impl Iterator<Item = &Arc<str>> {
        self.busy.keys()
    }

    /// How many keys are busy.
    pub fn len(&self) -> usize {
        self.busy.len()
    }

    /// Whether all keys are free.
    pub fn is_empty(&self) -> bool {
        self.busy.is_empty()
    }
}
