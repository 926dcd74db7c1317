//! Intents, and what a restart makes of them.

use event::{NewEvent, Outcome, UnknownReason};

use super::{Case, Store, after, cases, stamp, to_queue};
use crate::memory::{sample_exchange, sample_id, sample_intent};

pub(super) const CASES: &[Case] = cases![
    an_intent_is_removed_once,
    an_intent_that_is_open_already_stays_one,
    recovery_leaves_the_living_alone,
    recovery_turns_intents_of_the_dead_into_unknown_events,
    recovery_drops_what_wants_no_unknown_event,
    recovery_keeps_to_its_limit,
    recovered_intents_reach_queues,
    intents_survive_an_orderly_close,
];

fn an_intent_is_removed_once(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    assert_eq!(store.reader().stats().unwrap().open_intents, 1);
    assert!(store.write(|tx| tx.remove_intent(sample_id(1))));
    assert_eq!(store.reader().stats().unwrap().open_intents, 0);
    assert!(!store.write(|tx| tx.remove_intent(sample_id(1))));
    let within_one = store.write(|tx| {
        tx.insert_intent(&sample_intent(2))?;
        tx.remove_intent(sample_id(2))
    });
    assert!(within_one, "a call sees the writes of the calls before it");
}

fn an_intent_that_is_open_already_stays_one(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    assert_eq!(store.reader().stats().unwrap().open_intents, 1);
}

fn recovery_leaves_the_living_alone(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 0);
    assert!(store.write(|tx| tx.remove_intent(sample_id(1))));
}

fn recovery_turns_intents_of_the_dead_into_unknown_events(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.restart();
    store.write(|tx| tx.insert_intent(&sample_intent(2)));
    assert!(
        !store.write(|tx| tx.remove_intent(sample_id(1))),
        "the intents of others are not ours to settle"
    );
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 1);
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 0);
    let event = store.reader().event(sample_id(1)).unwrap().unwrap().body;
    let expected = sample_exchange(1, |exchange| {
        (exchange.outcome, exchange.answer) = (Outcome::Unknown(UnknownReason::GatewayRestarted), None);
    });
    let expected = NewEvent { recorded_at: after(9), ..expected };
    assert_eq!(event, expected);
    assert_eq!(store.reader().event(sample_id(2)).unwrap(), None, "its gateway lives");
    assert_eq!(store.reader().stats().unwrap().open_intents, 1);
}

fn recovery_drops_what_wants_no_unknown_event(store: &mut Store) {
    let quiet = event::Intent { publish_unknown: false, ..sample_intent(1) };
    store.write(|tx| tx.insert_intent(&quiet));
    store.restart();
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 1, "it was there, all the same");
    assert_eq!(store.reader().event(quiet.id).unwrap(), None);
    assert_eq!(store.reader().stats().unwrap().open_intents, 0);
}

fn recovery_keeps_to_its_limit(store: &mut Store) {
    for n in 1..=3 {
        store.write(|tx| tx.insert_intent(&sample_intent(n)));
        store.restart();
    }
    store.write(|tx| tx.insert_intent(&sample_intent(4)));
    store.write(|tx| tx.insert_intent(&sample_intent(5)));
    store.restart();
    let steps: Vec<usize> = (0..4).map(|_| store.write(|tx| tx.recover(after(9), 2))).collect();
    assert_eq!(steps, [2, 2, 1, 0]);
    let events = store.reader().events_before(None, 9, usize::MAX).unwrap().events;
    let ids: Vec<_> = events.iter().rev().map(|event| event.body.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5].map(sample_id), "in the order in which they were noted");
}

fn recovered_intents_reach_queues(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.restart();
    store.write(|tx| tx.recover(after(9), 9));
    assert_eq!(store.reader().queue_depth(queue, stamp(9)).unwrap().visible, 1);
}

fn intents_survive_an_orderly_close(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.reopen();
    assert!(!store.opened().unclean);
    assert_eq!(store.write(|tx| tx.recover(after(9), 9)), 1);
    store.restart();
    assert!(store.opened().unclean, "it was dropped without a close");
}
