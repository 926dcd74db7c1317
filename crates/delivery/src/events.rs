//! Events that some worker holds, by position, so that an event which several subscriptions read at the same time is in memory once.
//!
//! Only weak references are kept: an event is freed when the last worker drops it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use event::{Event, Position};
use foldhash::HashMap;
use storage::{Reader, Result};

/// Dead references are removed when this many have been added since the last time.
const SWEEP_AFTER: usize = 1_024;

/// The events; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_position: HashMap<Position, Weak<Event>>,
    /// The number of references at which dead ones are removed next.
    sweep_at: usize,
}

impl Events {
    /// The event at a position: the one that a worker holds, or else the one in the store.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn at(&self, reader: &dyn Reader, position: Position) -> Result<Option<Arc<Event>>> {
        if let Some(held) = self.known().get(position) {
            return Ok(Some(held));
        }
        Ok(reader.event_at(position)?.map(|event| self.share(event)))
    }

    /// The same event that another worker holds, if there is one; else this one, which was just read.
    pub fn share(&self, event: Event) -> Arc<Event> {
        let mut known = self.known();
        if let Some(held) = known.get(event.position) {
            return held;
        }
        let event = Arc::new(event);
        known.keep(&event);
        event
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn get(&self, position: Position) -> Option<Arc<Event>> {
        self.by_position.get(&position)?.upgrade()
    }

    fn keep(&mut self, event: &Arc<Event>) {
        self.by_position.insert(event.position, Arc::downgrade(event));
        if self.by_position.len() > self.sweep_at {
            self.by_position.retain(|_, held| held.strong_count() > 0);
            self.sweep_at = self.by_position.len() + SWEEP_AFTER;
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::memory::sample_event;

    use super::*;

    fn event(position: i64) -> Event {
        Event { position: Position(position), stamp: event::Stamp::default(), body: sample_event(1) }
    }

    #[test]
    fn what_somebody_holds_is_not_read_again() {
        let memory = storage::memory::Memory::default();
        let faults = Arc::new(storage::memory::ReadFaults::default());
        let reader = memory.reader_with(faults.clone());
        let mut opened = memory.open();
        let backend: &mut dyn storage::backend::Backend = &mut opened.backend;
        backend.begin(event::Stamp::default()).unwrap();
        let position = backend.tx().append(&sample_event(1)).unwrap();
        backend.commit().unwrap();
        let events = Events::default();
        assert!(events.at(&*reader, Position(99)).unwrap().is_none());
        let held = events.at(&*reader, position).unwrap().unwrap();
        assert_eq!((held.position, held.body.clone()), (position, sample_event(1)));
        faults.fail_next(storage::StoreError::Closed);
        assert!(Arc::ptr_eq(&held, &events.at(&*reader, position).unwrap().unwrap()));
        drop(held);
        assert!(events.at(&*reader, position).is_err(), "nobody holds it any more");
        assert!(events.at(&*reader, position).unwrap().is_some());
    }

    #[test]
    fn who_reads_what_another_holds_gets_the_same_and_nothing_is_kept_for_nobody() {
        let events = Events::default();
        let first = events.share(event(1));
        assert!(Arc::ptr_eq(&first, &events.share(event(1))));
        assert!(!Arc::ptr_eq(&first, &events.share(event(2))));
        let gone = Arc::downgrade(&first);
        drop(first);
        assert!(gone.upgrade().is_none(), "the table holds nothing");
        let held: Vec<_> = (3..6).map(|position| events.share(event(position))).collect();
        for position in 6..10_000 {
            events.share(event(position));
            assert!(events.known().by_position.len() <= held.len() + 1 + SWEEP_AFTER);
        }
        for event in &held {
            assert!(Arc::ptr_eq(event, &events.share((**event).clone())), "what is held is found as before");
        }
    }
}
