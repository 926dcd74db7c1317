//! Which requests overlapped.

use std::collections::HashMap;
use std::sync::Arc;

use event::{EventId, Intent, TopicId};

use super::Batch;
use super::change::Settlement;

/// Which keys have open intents, to tell which requests overlapped. Two of one key that were ever open together have no true order.
#[derive(Default)]
pub(super) struct OpenKeys {
    keys: HashMap<(TopicId, Arc<str>), OpenKey>,
    intents: HashMap<EventId, (TopicId, Arc<str>)>,
}

#[derive(Default)]
struct OpenKey {
    open: u32,
    /// Stays set while anything of the key is open: each of them overlapped with one that set it.
    overlapped: bool,
}

impl OpenKeys {
    /// A batch was committed. What it settled was decided before anything that it noted is forwarded, so they do not overlap.
    pub(super) fn turn_over(&mut self, batch: &Batch) {
        let settled = || batch.settlements.iter().filter_map(Settlement::intent);
        settled().for_each(|id| self.close(id));
        batch.intents.iter().for_each(|(intent, _)| self.open(intent));
        // An intent may be given up in the batch that noted it.
        settled().for_each(|id| self.close(id));
    }

    fn open(&mut self, intent: &Intent) {
        let name = (intent.topic, intent.key.clone());
        let key = self.keys.entry(name.clone()).or_default();
        key.open += 1;
        key.overlapped |= key.open > 1;
        self.intents.insert(intent.id, name);
    }

    pub(super) fn overlapped(&self, id: EventId) -> bool {
        self.intents.get(&id).and_then(|name| self.keys.get(name)).is_some_and(|key| key.overlapped)
    }

    fn close(&mut self, id: EventId) {
        let Some(name) = self.intents.remove(&id) else { return };
        if let Some(key) = self.keys.get_mut(&name) {
            key.open -= 1;
            if key.open == 0 {
                self.keys.remove(&name);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.intents.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{sample_id, sample_intent};
    use crate::writer::change::Claim;
    use crate::writer::receipt::receipt;

    fn intent(n: u8, key: &str) -> Intent {
        Intent { key: key.into(), topic: TopicId(1), ..sample_intent(n) }
    }

    fn batch(opened: &[Intent], settled: &[u8]) -> Batch {
        let settled = settled.iter().map(|n| Settlement {
            claim: Claim::Intent(sample_id(*n)),
            event: None,
            reply: None,
        });
        Batch {
            intents: opened.iter().map(|intent| (intent.clone(), receipt().0)).collect(),
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
