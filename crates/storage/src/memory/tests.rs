//! The suite, and what only this store has: faults and blocked commits.

use event::Position;

use super::*;
use crate::conformance::{self, Subject};
use crate::delivery::{Delivery, DeliveryId, DeliveryState};
use crate::entities::{Desired, DesiredSubscription, Protocol};
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
    store.spare_next_commit();
    store.fail_next_commit(CommitFault::Full);
    assert!(commit().is_ok() && commit().is_err());
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

#[test]
fn reads_fail_as_they_are_told_to() {
    let store = Memory::default();
    let Opened { mut backend, .. } = store.open();
    let now = event::Stamp::default();
    backend.begin(now).unwrap();
    let wanted = DesiredSubscription {
        topic: "t".into(),
        name: None,
        protocol: Protocol::Http,
        endpoint: "http://a".into(),
        confirm_with: None,
        uuid: uuid::Uuid::nil(),
    };
    let desired = Desired { subscriptions: vec![wanted], ..Desired::default() };
    let subscription = backend.tx().sync_entities(&desired, SAMPLE_TIME).unwrap().subscriptions[0].id;
    let retry = DeliveryState::Retry { at: now };
    let dead = DeliveryState::Dead { reason: "why".into(), at: now, died_at: SAMPLE_TIME };
    let ids = [(1, retry.clone()), (2, retry), (3, dead)].map(|(n, state)| {
        let position = backend.tx().append(&memory::sample_event(n)).unwrap();
        let id = DeliveryId { subscription, position };
        let row = Delivery { id, key: "a".into(), state, attempts: 1, since: now, anew_after: 0 };
        backend.tx().put_delivery(&row).unwrap();
        id
    });
    backend.commit().unwrap();
    let faults = Arc::new(ReadFaults::default());
    let reader = store.reader_with(faults.clone());
    assert_eq!((faults.left(), reader.head().unwrap()), (0, ids[2].position));
    faults.fail_next(StoreError::Closed);
    faults.fail_next(StoreError::Closed);
    assert_eq!(faults.left(), 2);
    assert!(reader.head().is_err() && reader.head().is_err());
    assert!(faults.left() == 0 && reader.head().is_ok());
    let events = || ids.map(|id| reader.event_at(id.position).is_ok());
    let rows = || ids.map(|id| reader.delivery(id).is_ok());
    faults.damage(ids[0].position);
    assert_eq!((events(), rows()), ([false, true, true], [true; 3]));
    ids.iter().for_each(|id| faults.damage_row(id.position));
    assert_eq!((events(), rows()), ([false, true, true], [false, false, true]));
    faults.mend_rows();
    faults.damage_row(ids[1].position);
    assert_eq!(rows(), [true, false, true]);
}
