//! Intents, and what a restart makes of them.

use event::{NewEvent, Outcome, Position, UnknownReason};

use super::{Case, Store, after, cases, stamp, to_queue};
use crate::memory::{sample_event, sample_exchange, sample_id, sample_intent};
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    an_intent_is_removed_once,
    an_intent_that_is_open_already_stays_one,
    recovery_leaves_the_living_alone,
    recovery_turns_intents_of_the_dead_into_unknown_events,
    recovery_drops_what_wants_no_unknown_event,
    recovery_keeps_to_its_limit,
    recovered_intents_reach_queues,
    intents_survive_an_orderly_close,
    open_intents_are_listed_in_the_order_in_which_they_were_noted,
    an_event_says_when_its_intent_was_noted,
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

fn open_intents_are_listed_in_the_order_in_which_they_were_noted(store: &mut Store) {
    store.write(|tx| tx.insert_intent(&sample_intent(1)));
    store.restart();
    for n in [5, 2, 3, 4] {
        store.write(|tx| tx.insert_intent(&sample_intent(n)));
    }
    store.append(&sample_event(2));
    assert!(store.write(|tx| tx.remove_intent(sample_id(3))));
    let listed = |store: &Store, after, rows, max_bytes| {
        let open = store.reader().open_intents(after, rows, max_bytes).unwrap();
        (open.intents, open.next)
    };
    let (all, next) = listed(store, 0, 99, usize::MAX);
    assert_eq!(next, None);
    let intents: Vec<_> = all.iter().map(|open| open.intent.clone()).collect();
    assert_eq!(intents, [1, 5, 4].map(sample_intent), "another run's too, and none that is settled");
    // A few at a time, as far as rows or bytes allow.
    for (rows, max_bytes) in [(1, usize::MAX), (99, 0)] {
        let (mut found, mut after) = (Vec::new(), 0);
        for _ in 0..9 {
            let (some, next) = listed(store, after, rows, max_bytes);
            assert!(some.len() <= 1);
            found.extend(some);
            match next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(found, all);
    }
    store.write(|tx| tx.recover(after(9), 9));
    let (left, _) = listed(store, 0, 99, usize::MAX);
    assert_eq!(left.iter().map(|open| open.intent.id).collect::<Vec<_>>(), [5, 4].map(sample_id));
}

fn an_event_says_when_its_intent_was_noted(store: &mut Store) {
    let noted = |store: &Store, n| {
        let event = store.reader().event(sample_id(n)).unwrap().expect("an event");
        store.reader().intent_at(event.position).unwrap()
    };
    let mut intent = sample_intent(1);
    intent.noted_at = after(3);
    store.write(|tx| tx.insert_intent(&intent));
    store.append(&sample_event(1));
    store.append(&sample_event(2));
    assert_eq!(noted(store, 1), Some(after(3)));
    assert_eq!(noted(store, 2), None, "it had none");
    let mut left = sample_intent(3);
    left.noted_at = after(4);
    store.write(|tx| tx.insert_intent(&left));
    store.restart();
    store.write(|tx| tx.recover(after(9), 9));
    assert_eq!((noted(store, 3), noted(store, 1)), (Some(after(4)), Some(after(3))));
    assert_eq!(store.reader().intent_at(Position(999)).unwrap(), None);
    store.housekeep(&Retention::default(), after(10_000_000));
    assert_eq!(store.reader().intent_at(Position(1)).unwrap(), None);
}
