//! Finds out which requests with the same key overlapped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use event::{EventId, TopicId};

use super::Batch;
use super::change::{Noted, Request, Settlement};

/// The keys of open intents. If two requests of one key were open at the same time, nobody knows in which order the service executed them.
#[derive(Default)]
pub(super) struct OpenKeys {
    keys: HashMap<(TopicId, Arc<str>), OpenKey>,
    /// A fast hash is safe here: nobody outside can choose the ids.
    intents: foldhash::HashMap<EventId, (TopicId, Arc<str>)>,
}

#[derive(Default)]
struct OpenKey {
    open: u32,
    /// Set when a second request of the key is open. Stays set while any intent of the key is open.
    overlapped: bool,
}

impl OpenKeys {
    /// A batch was committed. Its outcomes were decided before any request of its intents is forwarded, so these do not overlap with each other.
    pub(super) fn turn_over(&mut self, batch: &Batch) {
        let settled = || batch.settlements.iter().filter_map(Settlement::intent);
        settled().for_each(|id| self.close(id));
        let requests = batch.intents.chunk_by(|_, next| next.request == Request::SameAsBefore);
        requests.for_each(|intents| self.open(intents));
        // An intent may be settled in the same batch that noted it.
        settled().for_each(|id| self.close(id));
    }

    /// Adds the intents of one request, which does not overlap with itself.
    fn open(&mut self, intents: &[Noted]) {
        for Noted { intent, .. } in intents {
            let name = (intent.topic, intent.key.clone());
            let of_the_request = intents.iter().filter(|other| name_of(other) == (name.0, &*name.1)).count();
            let key = self.keys.entry(name.clone()).or_default();
            key.open += 1;
            key.overlapped |= key.open as usize > of_the_request;
            self.intents.insert(intent.id, name);
        }
    }

    pub(super) fn overlapped(&self, id: EventId) -> bool {
        self.intents.get(&id).and_then(|name| self.keys.get(name)).is_some_and(|key| key.overlapped)
    }

    fn close(&mut self, id: EventId) {
        let Some(name) = self.intents.remove(&id) else { return };
        if let Entry::Occupied(mut key) = self.keys.entry(name) {
            key.get_mut().open -= 1;
            if key.get().open == 0 {
                key.remove();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.intents.len()
    }
}

fn name_of(noted: &Noted) -> (TopicId, &str) {
    (noted.intent.topic, &noted.intent.key)
}

#[cfg(test)]
mod tests {
    use event::Intent;

    use super::*;
    use crate::memory::{sample_id, sample_intent};
    use crate::writer::change::Claim;
    use crate::writer::receipt::receipt;

    fn intent(n: u8, key: &str) -> Intent {
        Intent { key: key.into(), topic: TopicId(1), ..sample_intent(n) }
    }

    fn noted(intent: &Intent, request: Request) -> Noted {
        Noted { intent: intent.clone(), reply: receipt().0, request }
    }

    #[test]
    fn a_request_that_two_follow_does_not_overlap_with_itself() {
        let mut keys = OpenKeys::default();
        let both = |first: u8, key: &str| {
            let mut batch = batch(&[], &[]);
            batch.intents.push(noted(&intent(first, key), Request::New));
            batch.intents.push(noted(&intent(first + 1, key), Request::SameAsBefore));
            batch
        };
        keys.turn_over(&both(1, "a"));
        assert!(![1, 2].into_iter().any(|n| keys.overlapped(sample_id(n))));
        keys.turn_over(&both(3, "b"));
        assert!(![3, 4].into_iter().any(|n| keys.overlapped(sample_id(n))), "another key");
        keys.turn_over(&both(5, "a"));
        assert!([1, 2, 5, 6].into_iter().all(|n| keys.overlapped(sample_id(n))), "another request");
        keys.turn_over(&batch(&[], &[1, 2, 3, 4, 5, 6]));
        assert_eq!((keys.len(), keys.keys.len()), (0, 0));
        keys.turn_over(&both(7, "a"));
        keys.turn_over(&batch(&[intent(9, "a")], &[8]));
        assert!([7, 9].into_iter().all(|n| keys.overlapped(sample_id(n))), "one of the two was still open");
    }

    fn batch(opened: &[Intent], settled: &[u8]) -> Batch {
        let settled = settled.iter().map(|n| Settlement {
            claim: Claim::Intent(sample_id(*n)),
            event: None,
            reply: None,
        });
        Batch {
            intents: opened.iter().map(|intent| noted(intent, Request::New)).collect(),
            settlements: settled.collect(),
            transactions: Vec::new(),
        }
    }

    #[test]
    fn what_is_open_of_one_key_at_once_overlaps() {
        let mut keys = OpenKeys::default();
        let overlapped = |keys: &OpenKeys, all: &[u8]| {
            all.iter().copied().filter(|n| keys.overlapped(sample_id(*n))).collect::<Vec<_>>()
        };
        keys.turn_over(&batch(&[intent(1, "a"), intent(9, "b")], &[]));
        assert_eq!((keys.len(), overlapped(&keys, &[1, 9, 50])), (2, vec![]));
        keys.turn_over(&batch(&[intent(2, "a")], &[]));
        assert_eq!((keys.len(), overlapped(&keys, &[1, 2, 9])), (3, vec![1, 2]));
        keys.turn_over(&batch(&[], &[1]));
        assert_eq!((keys.len(), overlapped(&keys, &[1, 2])), (2, vec![2]), "it did overlap");
        keys.turn_over(&batch(&[intent(3, "a")], &[2]));
        assert_eq!(overlapped(&keys, &[3]), [0; 0], "what the batch settles was decided before");
        keys.turn_over(&batch(&[Intent { topic: TopicId(2), ..intent(4, "a") }], &[]));
        assert_eq!(overlapped(&keys, &[3, 4]), [0; 0], "the same key of another topic");
        let before = keys.len();
        keys.turn_over(&batch(&[intent(5, "c")], &[5, 77]));
        assert_eq!(keys.len(), before, "given up in the batch that noted it");
        keys.turn_over(&batch(&[], &[3, 4, 9]));
        assert_eq!((keys.len(), keys.keys.len()), (0, 0));
    }
}
