//! The suite, and what only this store has: faults and blocked commits.

use event::Position;

use super::*;
use crate::conformance::{self, Subject};
use crate::memory;

impl Subject for Memory {
    fn open(&mut self) -> conformance::Open {
        let opened = Memory::open(self);
        conformance::Open {
            backend: Box::new(opened.backend),
            reader: opened.reader,
            unclean: opened.unclean,
        }
    }

    fn damage(&mut self, position: Position) {
        Memory::damage(self, position);
    }
}

#[test]
fn passes_the_suite() {
    conformance::run(Memory::default);
}

#[test]
fn a_commit_that_fails_keeps_nothing_and_the_next_one_succeeds() {
    let store = Memory::default();
    let Opened { mut backend, reader, .. } = store.open();
    store.fail_next_commit(CommitFault::Full);
    store.fail_next_commit(CommitFault::Io);
    let mut commit = || {
        backend.begin(event::Stamp::default()).unwrap();
        backend.tx().append(&memory::sample_event(1)).unwrap();
        backend.commit().map(drop)
    };
    assert!(matches!(commit(), Err(StoreError::Full(_))));
    assert!(matches!(commit(), Err(StoreError::Io { .. })));
    assert!(reader.event(memory::sample_id(1)).unwrap().is_none());
    assert!(commit().is_ok());
    assert!(reader.event(memory::sample_id(1)).unwrap().is_some());
}

#[test]
fn a_blocked_commit_is_seen_by_nobody_until_it_is_released() {
    let store = Memory::default();
    let Opened { mut backend, reader, .. } = store.open();
    let blocked = store.block_commits();
    let commit = std::thread::spawn(move || {
        backend.begin(event::Stamp::default()).unwrap();
        backend.tx().append(&memory::sample_event(1)).unwrap();
        backend.commit().map(drop)
    });
    assert!(blocked.wait_for_commit(Duration::from_secs(10)));
    assert_eq!(reader.head().unwrap().0, 0);
    drop(blocked);
    commit.join().unwrap().unwrap();
    assert_eq!(reader.head().unwrap().0, 1);
}
