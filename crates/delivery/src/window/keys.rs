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
    /// It is the head of its key from now on.
    Go,
    /// Another is: it becomes a pointer row.
    Behind,
}

/// What becomes of a key whose head is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Nobody waits: the key is free.
    Free,
    /// Somebody may wait: ask the store for the first row. The key stays busy.
    AskFollowers,
}

impl Keys {
    /// Asks for an event's turn.
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

    /// Marks a key that has rows in the store. Whether it was free.
    pub fn block(&mut self, key: Arc<str>) -> bool {
        self.busy.insert(key, Followers::Some).is_none()
    }

    /// The head of a key was delivered or is dead.
    pub fn head_done(&mut self, key: &str) -> Release {
        match self.busy.get(key) {
            Some(Followers::Some) => Release::AskFollowers,
            Some(Followers::None) | None => {
                self.busy.remove(key);
                Release::Free
            }
        }
    }

    /// The store has no rows of this key.
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
