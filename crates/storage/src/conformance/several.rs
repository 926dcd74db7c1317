//! Several events of one request: an intent each, or one intent that ends in several events.

use event::{Outcome, UnknownReason};

use super::{Case, Store, after, cases, stamp, to_queue};
use crate::Result;
use crate::backend::Tx;
use crate::memory::{sample_event, sample_id, sample_intent};

pub(super) const CASES: &[Case] = cases![
    an_intent_may_end_in_several_events,
    the_events_of_an_intent_have_no_order_among_each_other,
    an_intent_of_which_several_events_would_have_come_is_recovered_as_one,
    intents_of_one_request_are_settled_each_by_itself,
];

/// The first event has the intent's id; the others have ids that nobody noted.
fn an_intent_may_end_in_several_events(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    let append_all =
        |tx: &mut dyn Tx| (1..=3).map(|n| tx.append(&sample_event(n))).collect::<Result<Vec<_>>>();
    let positions = store.write(append_all);
    assert!(positions.is_sorted());
    assert_eq!(store.reader().stats().unwrap().open_intents, 0);
    assert_eq!(store.write(append_all), positions, "a repeat adds nothing");
    store.restart();
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 0);
    for n in 1..=3 {
        assert_eq!(store.reader().event(sample_id(n)).unwrap().unwrap().body, sample_event(n));
    }
    assert_eq!(store.reader().queue_depth(queue, stamp(9)).unwrap().visible, 3);
}

fn the_events_of_an_intent_have_no_order_among_each_other(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.write(|tx| {
        tx.append(&sample_event(2))?;
        tx.append(&sample_event(1))
    });
    assert_eq!(store.reader().stats().unwrap().open_intents, 0);
    assert_eq!(store.positions().len(), 2);
}

/// The process died before their commit: nobody knows how many they would have been.
fn an_intent_of_which_several_events_would_have_come_is_recovered_as_one(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.opened().backend.begin(stamp(1)).unwrap();
    for n in 1..=3 {
        store.opened().backend.tx().append(&sample_event(n)).unwrap();
    }
    store.restart();
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 1);
    assert_eq!(store.positions().len(), 1);
    let unknown = store.reader().event(sample_id(1)).unwrap().unwrap().body;
    assert_eq!(unknown.outcome(), Outcome::Unknown(UnknownReason::GatewayRestarted));
}

/// The process died between the commits of two recorders' outcomes.
fn intents_of_one_request_are_settled_each_by_itself(store: &mut Store) {
    store.write(|tx| {
        tx.insert_intent(&sample_intent(1))?;
        tx.insert_intent(&sample_intent(2))
    });
    store.write(|tx| tx.append(&sample_event(1)));
    assert_eq!(store.reader().stats().unwrap().open_intents, 1);
    store.restart();
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 1);
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 0);
    let outcome = |n| store.reader().event(sample_id(n)).unwrap().unwrap().body.outcome();
    let unknown = Outcome::Unknown(UnknownReason::GatewayRestarted);
    assert_eq!([outcome(1), outcome(2)], [Outcome::Succeeded, unknown]);
}
