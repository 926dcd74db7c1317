//! Intents, events and recovery.

use std::time::Duration;

use event::attributes::AttributeValue;
use event::message::Details;
use event::{Event, NewEvent, Outcome, Position, TopicId, UnknownReason};

use super::{Case, Store, after, cases, event_of, secs_of, stamp, to_queue};
use crate::memory::{sample_event, sample_exchange, sample_id, sample_intent, sample_message};
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    an_intent_is_removed_once,
    an_intent_that_is_open_already_stays_one,
    an_event_is_appended_as_it_was_given,
    an_event_of_a_known_id_is_not_appended_again,
    positions_grow_by_commit_and_not_by_id,
    the_next_of_a_topic_is_found_without_its_event,
    positions_are_never_used_twice,
    an_append_sends_to_every_subscribed_queue_in_its_own_transaction,
    events_are_read_by_topic_within_limits,
    events_are_read_newest_first,
    recovery_leaves_the_living_alone,
    recovery_turns_intents_of_the_dead_into_unknown_events,
    recovery_drops_what_wants_no_unknown_event,
    recovery_keeps_to_its_limit,
    recovered_intents_reach_queues,
    intents_survive_an_orderly_close,
    small_values_are_kept,
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

fn an_event_is_appended_as_it_was_given(store: &mut Store) {
    let mut bodies: Vec<NewEvent> = UnknownReason::ALL
        .into_iter()
        .zip(1..)
        .map(|(reason, n)| sample_exchange(n, |exchange| exchange.outcome = Outcome::Unknown(reason)))
        .collect();
    let odd = sample_exchange(100, |exchange| (exchange.overlapped, exchange.answer) = (true, None));
    bodies.push(NewEvent { key: "ä'\"\0".into(), ..odd });
    let details = Details {
        subject: Some("ä".into()),
        attributes: [("n".to_owned(), AttributeValue::number(7))].into(),
        ..Details::default()
    };
    bodies.push(sample_message(101, "no JSON: \0ä", &Details::default()));
    bodies.push(sample_message(102, "", &details));
    for body in bodies {
        let position = store.append(&body);
        let expected = Some(Event { position, stamp: stamp(secs_of(body.recorded_at)), body: body.clone() });
        assert_eq!(store.reader().event(body.id).unwrap(), expected);
        assert_eq!(store.reader().event_at(position).unwrap(), expected);
        assert_eq!(store.reader().head().unwrap(), position);
    }
    assert_eq!(store.reader().event(sample_id(200)).unwrap(), None);
    assert_eq!(store.reader().event_at(Position(10_000)).unwrap(), None);
}

fn an_event_of_a_known_id_is_not_appended_again(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let first = store.append(&sample_event(1));
    let again = store.write(|tx| {
        let again = tx.append(&sample_event(1))?;
        assert_eq!(tx.append(&sample_event(1))?, again);
        Ok(again)
    });
    assert_eq!(again, first);
    assert_eq!(store.positions().len(), 1);
    assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap().visible, 1, "and sent to no queue again");
}

fn positions_grow_by_commit_and_not_by_id(store: &mut Store) {
    let positions: Vec<Position> = [9, 3, 5].map(|n| store.append(&sample_event(n))).into();
    assert!(positions.is_sorted());
    let read = store.reader().events_after(TopicId(1), Position(0), 9, usize::MAX).unwrap();
    let ids: Vec<_> = read.iter().map(|event| event.body.id).collect();
    assert_eq!(ids, [9, 3, 5].map(sample_id));
}

fn the_next_of_a_topic_is_found_without_its_event(store: &mut Store) {
    let next =
        |store: &Store, topic, after| store.reader().next_position(TopicId(topic), Position(after)).unwrap();
    assert_eq!(next(store, 1, 0), None);
    let of = |topic, n| NewEvent { topic: TopicId(topic), ..sample_event(n) };
    let positions = [of(1, 1), of(2, 2), of(1, 3)].map(|event| store.append(&event));
    assert_eq!(next(store, 1, 0), Some(positions[0]));
    assert_eq!(next(store, 1, positions[0].0), Some(positions[2]));
    assert_eq!(next(store, 1, positions[0].0 - 1), Some(positions[0]));
    assert_eq!(next(store, 1, positions[2].0), None);
    assert_eq!(next(store, 2, 0), Some(positions[1]));
}

fn positions_are_never_used_twice(store: &mut Store) {
    let mut last = store.append(&sample_event(1));
    for n in 2..5 {
        store.housekeep(&Retention::default(), after(1_000_000));
        assert_eq!(store.positions(), [0; 0], "everything is deleted");
        assert_eq!(store.reader().head().unwrap(), last, "the head stays where it was");
        store.reopen();
        assert_eq!(store.reader().head().unwrap(), last);
        let next = store.append(&sample_event(n));
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

fn an_append_sends_to_every_subscribed_queue_in_its_own_transaction(store: &mut Store) {
    let entities = store.sync(&[to_queue("one"), to_queue("two")]);
    let queues: Vec<_> = entities.queues.iter().map(|queue| queue.id).collect();
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    let position = backend.tx().append(&sample_event(1)).unwrap();
    let inside = backend.tx().receive(queues[0], 9, Duration::ZERO, after(0)).unwrap();
    assert_eq!(inside.len(), 1, "the transaction sees it already");
    let committed = backend.commit().unwrap();
    assert_eq!(committed.topics, [(TopicId(1), position)]);
    assert_eq!(committed.queues, queues);
    for queue in queues {
        assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap().visible, 1);
    }
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    backend.tx().append(&sample_event(1)).unwrap();
    let elsewhere = backend.tx().append(&event_of(2, TopicId(99))).unwrap();
    let committed = backend.commit().unwrap();
    assert_eq!(committed.topics, [(TopicId(99), elsewhere)], "what was known is nothing new");
    assert_eq!(committed.queues, []);
}

fn events_are_read_by_topic_within_limits(store: &mut Store) {
    let positions: Vec<Position> =
        (1..=6).map(|n| store.append(&event_of(n, TopicId(1 + i64::from(n % 2))))).collect();
    let odd = |after: Position, limit, bytes| {
        let events = store.reader().events_after(TopicId(2), after, limit, bytes).unwrap();
        events.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    let of_odd = [positions[0], positions[2], positions[4]];
    assert_eq!(odd(Position(0), 9, usize::MAX), of_odd);
    assert_eq!(odd(positions[0], 9, usize::MAX), of_odd[1..]);
    assert_eq!(odd(Position(0), 2, usize::MAX), of_odd[..2]);
    assert_eq!(odd(Position(0), 9, 1), of_odd[..1], "at least one, however large");
    assert_eq!(odd(Position(0), 0, usize::MAX), []);
    assert_eq!(odd(positions[5], 9, usize::MAX), []);
    let event = sample_event(1);
    let size = event.bytes();
    assert_eq!(odd(Position(0), 9, 2 * size + 1), of_odd[..2]);
}

fn events_are_read_newest_first(store: &mut Store) {
    let positions: Vec<Position> = (1..=4).map(|n| store.append(&sample_event(n))).collect();
    let page = |before, limit, max_bytes| {
        let page = store.reader().events_before(before, limit, max_bytes).unwrap();
        (page.events.iter().map(|event| event.position).collect::<Vec<_>>(), page.next, page.is_cut)
    };
    let newest_first: Vec<Position> = positions.iter().rev().copied().collect();
    let from = |first: usize, last: usize| newest_first[first..=last].to_vec();
    let none = usize::MAX;
    assert_eq!(page(None, 2, none), (from(0, 1), Some(positions[2]), false));
    assert_eq!(page(Some(positions[2]), 9, none), (from(2, 3), None, false));
    assert_eq!(page(Some(positions[2]), 2, none), (from(2, 3), None, false), "there is no more");
    assert_eq!(page(Some(positions[0]), 9, none), (vec![], None, false));
    let size = sample_event(1).bytes();
    assert_eq!(page(None, 9, 3 * size), (from(0, 2), Some(positions[1]), true));
    assert_eq!(page(None, 9, 3 * size - 1), (from(0, 1), Some(positions[2]), true));
    assert_eq!(page(None, 2, 2 * size), (from(0, 1), Some(positions[2]), false));
    assert_eq!(page(None, 9, 4 * size), (from(0, 3), None, false));
    assert_eq!(page(None, 9, 0), (from(0, 0), Some(positions[3]), true), "at least one, however large");
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

fn small_values_are_kept(store: &mut Store) {
    assert_eq!(store.write(|tx| tx.get_value("signing-key")), None);
    store.write(|tx| tx.put_value("signing-key", b"one"));
    store.write(|tx| tx.put_value("signing-key", b"\0two"));
    store.reopen();
    assert_eq!(store.write(|tx| tx.get_value("signing-key")).as_deref(), Some(&b"\0two"[..]));
    assert_eq!(store.write(|tx| tx.get_value("other")), None);
}
