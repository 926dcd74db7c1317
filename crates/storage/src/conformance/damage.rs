//! One event that is damaged spoils no other.

use std::time::Duration;

use event::{Event, Position};

use super::{Case, Store, after, cases, stamp, to_queue};
use crate::StoreError;
use crate::memory::{sample_event, sample_id};

pub(super) const CASES: &[Case] = cases![
    a_read_ends_before_a_damaged_event_and_goes_on_after_it,
    a_damaged_event_is_said_to_be_damaged_wherever_it_is_asked_for,
    a_damaged_message_does_not_hold_up_its_queue,
];

/// Samples 1 to `last`, the one in the middle damaged.
fn damaged(store: &mut Store, last: u8) -> Vec<Position> {
    let positions: Vec<Position> = (1..=last).map(|n| store.append(&sample_event(n))).collect();
    store.subject.damage(positions[usize::from(last) / 2]);
    positions
}

fn positions(events: &[Event]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

fn a_read_ends_before_a_damaged_event_and_goes_on_after_it(store: &mut Store) {
    let all = damaged(store, 5);
    let topic = sample_event(1).topic;
    let after = |after| store.reader().events_after(topic, after, 9, usize::MAX);
    assert_eq!(positions(&after(Position(0)).unwrap()), all[..2]);
    let found = after(all[1]);
    assert!(matches!(found, Err(StoreError::Damaged(_))), "{found:?}");
    assert_eq!(positions(&after(all[2]).unwrap()), all[3..]);
}

fn a_damaged_event_is_said_to_be_damaged_wherever_it_is_asked_for(store: &mut Store) {
    let all = damaged(store, 5);
    for found in [store.reader().event_at(all[2]), store.reader().event(sample_id(3))] {
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{found:?}");
    }
    assert!(store.reader().event_at(all[3]).unwrap().is_some());
    let newest_first = store.reader().events_before(None, 9, usize::MAX).unwrap();
    assert_eq!(positions(&newest_first.events), [all[4], all[3], all[1], all[0]]);
    let around = store.reader().events_before(Some(all[4]), 2, usize::MAX).unwrap();
    assert_eq!(positions(&around.events), [all[3]]);
    assert_eq!(around.next, Some(all[2]), "a page that a damaged event makes shorter is not the last");
    assert_eq!(store.reader().head().unwrap(), all[4]);
}

fn a_damaged_message_does_not_hold_up_its_queue(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let all = damaged(store, 3);
    let mut receive = |max| {
        let (received, committed) =
            store.write_and_tell(|tx| tx.receive(queue, max, Duration::from_secs(60), after(0)));
        let set_aside: Vec<_> = committed.set_aside.into_iter().collect();
        (received.iter().map(|message| message.event.position).collect::<Vec<_>>(), set_aside)
    };
    assert_eq!(receive(2), (all[..1].to_vec(), vec![(queue, 1)]));
    assert_eq!(receive(2), (all[2..].to_vec(), Vec::new()));
    assert_eq!(receive(2), (Vec::new(), Vec::new()));
    let depth = store.reader().queue_depth(queue, stamp(61)).unwrap();
    assert_eq!((depth.visible, depth.in_flight), (2, 1), "it is hidden for longer than the others");
}
