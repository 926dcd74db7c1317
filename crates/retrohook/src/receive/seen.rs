//! The events that came already: delivery is at least once, and whoever receives has to know them again.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many are remembered.
const REMEMBERED: usize = 10_000;

/// The last [`REMEMBERED`] events.
#[derive(Default)]
pub struct Seen(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Seen {
    /// Whether an event came before; remembers it.
    pub fn again(&self, port: u16, path: &str, id: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *seen;
        // Two addresses are two receivers.
        let id = format!("{port}{path} {id}");
        if !known.insert(id.clone()) {
            return true;
        }
        order.push_back(id);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_an_event_again_until_many_others_came() {
        let seen = Seen::default();
        assert!(!seen.again(1, "/", "a") && seen.again(1, "/", "a"));
        assert!(!seen.again(2, "/", "a") && !seen.again(1, "/b", "a"));
        for number in 0..REMEMBERED {
            assert!(!seen.again(1, "/", &number.to_string()));
        }
        assert!(!seen.again(1, "/", "a"), "it is forgotten");
    }
}
