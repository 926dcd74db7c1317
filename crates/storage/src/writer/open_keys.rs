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
