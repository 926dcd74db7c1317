//! All ports in one commit: what it leaves, what a rollback leaves, who reads what; admission and the checks.

use std::time::Duration;

use event::{Position, TopicId};

use super::{Case, Store, after, cases, dead, event_of, push, retry, row, stamp, to_queue};
use crate::StoreError;
use crate::backend::Tx;
use crate::clock::Trace;
use crate::delivery::DeliveryId;
use crate::entities::{Cursor, Desired};
use crate::memory::{sample_event, sample_id, sample_intent};
use crate::queue::VisibilityChange;
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    what_a_transaction_leaves_says_whether_the_clock_must_be_kept,
    a_rollback_leaves_nothing,
    what_is_not_committed_is_read_by_nobody,
    an_append_sends_to_every_subscribed_queue_in_its_own_transaction,
    an_empty_transaction_brings_nothing,
    entities_of_a_rolled_back_transaction_get_no_messages,
    intents_are_refused_at_the_size_limit,
    a_sound_store_has_no_findings,
];

fn a_rollback_leaves_nothing(store: &mut Store) {
    let entities = store.sync(&[push("/a"), to_queue("worker")]);
    let (subscription, queue) = (entities.subscriptions[0].clone(), entities.queues[0].id);
    let position = store.append(&sample_event(1));
    store.write(|tx| tx.insert_intent(&sample_intent(2)));
    store.write(|tx| tx.put_delivery(&row(&subscription, position, retry(1))));
    let handle = store.write(|tx| tx.receive(queue, 1, Duration::from_secs(30), after(0)))[0].handle;

    let backend = &mut store.opened().backend;
    backend.begin(stamp(100_000_000)).unwrap();
    let tx = backend.tx();
    tx.remove_intent(sample_id(2)).unwrap();
    tx.insert_intent(&sample_intent(3)).unwrap();
    let lost = tx.append(&sample_event(4)).unwrap();
    tx.advance_cursor(subscription.id, Cursor { dispatched_to: lost, done_to: lost }).unwrap();
    tx.remove_delivery(DeliveryId { subscription: subscription.id, position }).unwrap();
    tx.disable_subscription(subscription.id, None).unwrap();
    tx.delete_message(queue, handle).unwrap();
    tx.sync_entities(&Desired::default(), after(5)).unwrap();
    tx.put_value("name", b"value").unwrap();
    tx.housekeep(&Retention::default(), after(100_000_000), 99).unwrap();
    backend.rollback();
    backend.rollback();

    assert_eq!(store.positions(), [position.0]);
    assert_eq!(store.reader().head().unwrap(), position);
    assert_eq!(store.subscription(subscription.id), Some(subscription.clone()));
    assert_eq!(store.reader().deliveries_at(position).unwrap(), [row(&subscription, position, retry(1))]);
    assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap().in_flight, 1);
    assert_eq!(store.write(|tx| tx.get_value("name")), None);
    assert!(!store.write(|tx| tx.remove_intent(sample_id(3))), "its insert was rolled back");
    assert!(store.write(|tx| tx.remove_intent(sample_id(2))), "its removal was rolled back");
    store.write(|tx| tx.insert_intent(&sample_intent(3)));
    assert!(store.write(|tx| tx.remove_intent(sample_id(3))));
    assert!(store.append(&sample_event(5)) > position);
    assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap().visible, 1);
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

fn what_is_not_committed_is_read_by_nobody(store: &mut Store) {
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    backend.tx().append(&sample_event(1)).unwrap();
    assert_eq!(store.reader().event(sample_id(1)).unwrap(), None);
    let committed = store.opened().backend.commit().unwrap();
    assert_eq!(committed.topics.len(), 1);
    assert!(store.reader().event(sample_id(1)).unwrap().is_some());
}

fn an_empty_transaction_brings_nothing(store: &mut Store) {
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    backend.tx().append(&sample_event(1)).unwrap();
    backend.rollback();
    backend.begin(stamp(0)).unwrap();
    let committed = backend.commit().unwrap();
    assert!(committed.topics.is_empty() && committed.queues.is_empty());
    backend.between_commits();
}

fn entities_of_a_rolled_back_transaction_get_no_messages(store: &mut Store) {
    let desired = Desired { subscriptions: vec![to_queue("worker")], ..Desired::default() };
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    backend.tx().sync_entities(&desired, after(0)).unwrap();
    backend.rollback();
    backend.begin(stamp(0)).unwrap();
    backend.tx().append(&sample_event(1)).unwrap();
    assert_eq!(backend.commit().unwrap().queues, []);
}

fn intents_are_refused_at_the_size_limit(store: &mut Store) {
    store.append(&sample_event(1));
    let roomy = Retention { min_free_bytes: 0, ..Retention::default() };
    let room = store.opened().backend.room().unwrap();
    assert!(roomy.admit(room).is_ok() && !roomy.is_tight(room), "{room:?}");
    let small = Retention { max_bytes: 1, ..roomy };
    assert!(small.is_tight(room));
    let full = small.admit(room);
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
}

fn a_sound_store_has_no_findings(store: &mut Store) {
    let entities = store.sync(&[push("/a"), to_queue("worker")]);
    let position = store.append(&sample_event(1));
    store.write(|tx| tx.put_delivery(&row(&entities.subscriptions[0], position, dead(1))));
    for full in [false, true] {
        assert_eq!(store.reader().check(full).unwrap(), [""; 0]);
    }
    let past_the_end = Cursor { dispatched_to: event::Position(99), done_to: event::Position(0) };
    store.write(|tx| tx.advance_cursor(entities.subscriptions[0].id, past_the_end));
    let found = format!(
        "subscription {} (of `profile-changes` to http://localhost/a) has read past the log's end",
        entities.subscriptions[0].id.0
    );
    assert_eq!(store.reader().check(true).unwrap(), [found], "it is named");
    let stats = store.reader().stats().unwrap();
    assert!(stats.bytes > 0);
}

fn what_a_transaction_leaves_says_whether_the_clock_must_be_kept(store: &mut Store) {
    use Trace::{Appended, Nothing, Stamped, Unstamped};
    let entities = store.sync(&[push("/a"), to_queue("worker")]);
    let (subscription, queue) = (entities.subscriptions[0].clone(), entities.queues[0].id);
    let mut trace = |secs: u64, change: &mut dyn FnMut(&mut dyn Tx)| {
        store.at(secs).write(|tx| {
            change(tx);
            Ok(tx.trace())
        })
    };
    let limits = Retention::default();
    assert_eq!(trace(1, &mut |_| ()), Nothing);
    assert_eq!(trace(1, &mut |tx| assert_eq!(tx.get_value("name").unwrap(), None)), Nothing);
    let second = Duration::from_secs(1);
    let mut handle = None;
    let mut receive = |tx: &mut dyn Tx| {
        handle =
            tx.receive(queue, 1, second, after(1)).unwrap().first().map(|message| message.handle).or(handle);
    };
    assert_eq!(trace(1, &mut receive), Nothing, "there was no message");
    assert_eq!(trace(1, &mut |tx| assert_eq!(tx.housekeep(&limits, after(1), 9).unwrap().rows, 0)), Nothing);
    assert_eq!(trace(1, &mut |tx| tx.put_value("name", b"value").unwrap()), Unstamped);
    assert_eq!(trace(1, &mut |tx| tx.insert_intent(&sample_intent(1)).unwrap()), Unstamped);
    let mut position = Position::default();
    assert_eq!(trace(1, &mut |tx| position = tx.append(&event_of(1, subscription.topic)).unwrap()), Appended);
    assert_eq!(trace(1, &mut receive), Stamped);
    let handle = handle.unwrap();
    let to = Cursor { dispatched_to: position, done_to: position };
    assert_eq!(trace(1, &mut |tx| tx.advance_cursor(subscription.id, to).unwrap()), Unstamped);
    let waiting = row(&subscription, position, retry(9));
    assert_eq!(trace(1, &mut |tx| tx.put_delivery(&waiting).unwrap()), Stamped);
    let mut hide = |tx: &mut dyn Tx| {
        assert_eq!(tx.change_visibility(queue, handle, second).unwrap(), VisibilityChange::Changed)
    };
    assert_eq!(trace(1, &mut hide), Stamped);
    assert_eq!(trace(1, &mut |tx| assert!(tx.delete_message(queue, handle).unwrap())), Unstamped);
    let mut all = |tx: &mut dyn Tx| {
        tx.put_delivery(&waiting).unwrap();
        tx.append(&event_of(2, subscription.topic)).unwrap();
        tx.put_value("name", b"another").unwrap();
    };
    assert_eq!(trace(1, &mut all), Appended, "the event has the moment of all of it");
    let long = limits.max_age.as_secs() + 100;
    assert_eq!(
        trace(long, &mut |tx| assert_eq!(tx.housekeep(&limits, after(long), 9).unwrap().rows, 1)),
        Stamped
    );
    let desired = Desired::default();
    assert_eq!(trace(long, &mut |tx| drop(tx.sync_entities(&desired, after(long)).unwrap())), Stamped);
    assert_eq!(trace(long, &mut |tx| tx.remove_delivery(waiting.id).unwrap()), Unstamped);
}
