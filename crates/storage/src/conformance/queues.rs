//! Messages: order, visibility, receipts.

use std::collections::HashSet;
use std::time::Duration;

use event::message::Details;
use event::{NewEvent, Position, TopicId};
use uuid::Uuid;

use super::{Case, Store, after, cases, push, recorded_at, stamp, to_queue};
use crate::entities::QueueId;
use crate::memory::{sample_event, sample_id, sample_message};
use crate::ports::Lag;
use crate::queue::{
    MAX_RECEIVED_BYTES, MAX_VISIBILITY, MessageHandle, QueueDepth, QueuedMessage, Received, VisibilityChange,
};
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    messages_come_in_the_order_in_which_they_were_sent,
    a_receive_takes_no_more_than_its_bytes,
    a_message_carries_its_event_and_its_subscription,
    a_received_message_is_hidden_for_its_visibility,
    a_message_that_comes_back_keeps_its_place,
    receives_are_counted,
    a_message_is_deleted_by_any_of_its_receipts,
    a_receipt_is_good_for_its_own_queue_only,
    numbers_of_messages_are_never_used_twice,
    visibility_changes_from_now_on,
    zero_visibility_shows_a_message_at_once,
    visibility_ends_at_the_limit_of_the_last_receive,
    a_message_that_is_hidden_beyond_the_limit_is_visible,
    message_ids_differ_between_queues_and_stay,
    depth_tells_the_visible_from_those_in_flight,
    an_events_messages_are_those_that_are_still_there,
    a_sent_message_is_owed_by_its_queue_alone,
    a_sent_message_is_received_hidden_and_deleted_like_any_other,
    a_delayed_message_is_received_when_its_delay_is_over,
    a_message_for_a_queue_that_does_not_exist_is_not_sent,
];

const HALF_MINUTE: Duration = Duration::from_secs(30);

fn queue(store: &mut Store, messages: u8) -> QueueId {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    for n in 1..=messages {
        store.append(&recorded_at(n, n.into()));
    }
    queue
}

pub(super) fn receive(store: &mut Store, queue: QueueId, max: usize, secs: u64) -> Vec<Received> {
    store.at(secs).write(|tx| tx.receive(queue, max, HALF_MINUTE, after(secs)))
}

/// The samples that were received.
pub(super) fn samples(received: &[Received]) -> Vec<u8> {
    let number = |one: &Received| (1..=u8::MAX).find(|n| sample_id(*n) == one.event.body.id);
    received.iter().filter_map(number).collect()
}

fn messages_come_in_the_order_in_which_they_were_sent(store: &mut Store) {
    let queue = queue(store, 5);
    assert_eq!(samples(&receive(store, queue, 2, 10)), [1, 2]);
    assert_eq!(samples(&receive(store, queue, 2, 10)), [3, 4]);
    assert_eq!(samples(&receive(store, queue, 9, 10)), [5]);
    assert_eq!(samples(&receive(store, queue, 9, 10)), [0; 0]);
    assert_eq!(samples(&receive(store, QueueId(99), 9, 10)), [0; 0]);
}

fn a_receive_takes_no_more_than_its_bytes(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let of = |n, bytes| sample_message(n, &"x".repeat(bytes), &Details::default());
    let half = MAX_RECEIVED_BYTES / 2;
    for (n, bytes) in (1..).zip([half, MAX_RECEIVED_BYTES - half, 1, MAX_RECEIVED_BYTES, 1, 1]) {
        store.append(&of(n, bytes));
    }
    let all: Vec<_> = (0..4).map(|_| samples(&receive(store, queue, 9, 10))).collect();
    assert_eq!(all, [vec![1, 2], vec![3], vec![4], vec![5, 6]], "what is left out is not hidden");
    store.append(&of(7, MAX_RECEIVED_BYTES + 1));
    assert_eq!(samples(&receive(store, queue, 9, 10)), [7], "at least one, however large");
}

fn a_message_carries_its_event_and_its_subscription(store: &mut Store) {
    let entities = store.sync(&[to_queue("worker")]);
    let body = recorded_at(1, 4);
    let position = store.append(&body);
    let received = receive(store, entities.queues[0].id, 1, 9).remove(0);
    assert_eq!((received.event.position, &received.event.body), (position, &body));
    assert_eq!(received.subscription, Some(entities.subscriptions[0].id));
    assert_eq!((received.sent_at, received.first_received_at), (after(4), after(9)));
}

fn a_received_message_is_hidden_for_its_visibility(store: &mut Store) {
    let queue = queue(store, 1);
    assert_eq!(receive(store, queue, 1, 10).len(), 1);
    assert_eq!(receive(store, queue, 1, 39).len(), 0);
    store.reopen();
    assert_eq!(receive(store, queue, 1, 39).len(), 0);
    assert_eq!(receive(store, queue, 1, 40).len(), 1, "visible again on the second");
}

fn a_message_that_comes_back_keeps_its_place(store: &mut Store) {
    let queue = queue(store, 3);
    assert_eq!(samples(&receive(store, queue, 2, 10)), [1, 2]);
    assert_eq!(samples(&receive(store, queue, 9, 40)), [1, 2, 3]);
}

fn receives_are_counted(store: &mut Store) {
    let queue = queue(store, 1);
    for (count, secs) in [(1, 10), (2, 50), (3, 90)] {
        let received = receive(store, queue, 1, secs).remove(0);
        assert_eq!((received.receive_count, received.handle.receive_count), (count, count));
        assert_eq!(received.first_received_at, after(10));
    }
}

fn a_message_is_deleted_by_any_of_its_receipts(store: &mut Store) {
    let queue = queue(store, 2);
    let first = receive(store, queue, 1, 10)[0].handle;
    let second = receive(store, queue, 1, 50)[0].handle;
    assert_eq!(first.seq, second.seq);
    assert!(store.write(|tx| tx.delete_message(queue, first)));
    assert!(!store.write(|tx| tx.delete_message(queue, second)), "it was gone");
    assert_eq!(samples(&receive(store, queue, 9, 900)), [2]);
}

fn a_receipt_is_good_for_its_own_queue_only(store: &mut Store) {
    let queues = store.sync(&[to_queue("one"), to_queue("two")]).queues;
    store.append(&sample_event(1));
    let handle = receive(store, queues[0].id, 1, 10)[0].handle;
    assert!(!store.write(|tx| tx.delete_message(queues[1].id, handle)));
    let change = store.at(10).write(|tx| tx.change_visibility(queues[1].id, handle, HALF_MINUTE));
    assert_eq!(change, VisibilityChange::Gone);
    assert!(store.write(|tx| tx.delete_message(queues[0].id, handle)));
    assert_eq!(receive(store, queues[1].id, 9, 10).len(), 1);
}

fn numbers_of_messages_are_never_used_twice(store: &mut Store) {
    let queue = queue(store, 0);
    let mut seen = HashSet::new();
    for n in 1..=4 {
        store.append(&sample_event(n));
        let handle = receive(store, queue, 1, 10)[0].handle;
        assert!(seen.insert(handle.seq), "an old receipt must not name a new message");
        store.write(|tx| tx.delete_message(queue, handle));
        store.reopen();
    }
}

fn visibility_changes_from_now_on(store: &mut Store) {
    let queue = queue(store, 1);
    let handle = receive(store, queue, 1, 10)[0].handle;
    let change = store.at(20).write(|tx| tx.change_visibility(queue, handle, HALF_MINUTE * 2));
    assert_eq!(change, VisibilityChange::Changed);
    assert_eq!(receive(store, queue, 1, 79).len(), 0);
    assert_eq!(receive(store, queue, 1, 80).len(), 1);
    let gone = MessageHandle { seq: handle.seq + 1, receive_count: 1 };
    let change = store.at(80).write(|tx| tx.change_visibility(queue, gone, HALF_MINUTE));
    assert_eq!(change, VisibilityChange::Gone);
}

fn zero_visibility_shows_a_message_at_once(store: &mut Store) {
    let queue = queue(store, 2);
    let handle = receive(store, queue, 1, 10)[0].handle;
    store.at(10).write(|tx| tx.change_visibility(queue, handle, Duration::ZERO));
    assert_eq!(samples(&receive(store, queue, 2, 10)), [1, 2], "in its place");
    let unhidden = store.at(100).write(|tx| tx.receive(queue, 9, Duration::ZERO, after(100)));
    assert_eq!(unhidden.len(), 2);
    assert_eq!(receive(store, queue, 9, 100).len(), 2);
}

fn visibility_ends_at_the_limit_of_the_last_receive(store: &mut Store) {
    let queue = queue(store, 1);
    let change = |store: &mut Store, handle, visibility, secs| {
        store.at(secs).write(|tx| tx.change_visibility(queue, handle, visibility))
    };
    let first = receive(store, queue, 1, 10)[0].handle;
    assert_eq!(change(store, first, MAX_VISIBILITY, 10), VisibilityChange::Changed);
    assert_eq!(change(store, first, MAX_VISIBILITY, 11), VisibilityChange::BeyondLimit);
    let nearly = MAX_VISIBILITY - Duration::from_secs(1);
    assert_eq!(change(store, first, nearly, 11), VisibilityChange::Changed);
    let again = 10 + MAX_VISIBILITY.as_secs();
    assert_eq!(receive(store, queue, 1, again - 1).len(), 0, "the refused change changed nothing");
    let second = receive(store, queue, 1, again)[0].handle;
    assert_eq!(change(store, second, MAX_VISIBILITY, again), VisibilityChange::Changed);
    assert_eq!(change(store, first, MAX_VISIBILITY, again), VisibilityChange::Changed);
}

/// The clock is behind what a receive was given: as nothing can be hidden for so long, it is not.
fn a_message_that_is_hidden_beyond_the_limit_is_visible(store: &mut Store) {
    const THIRTY_DAYS: u64 = 30 * 86_400;
    let queue = queue(store, 2);
    assert_eq!(receive(store, queue, 1, THIRTY_DAYS).len(), 1);
    assert_eq!(store.reader().queue_depth(queue, stamp(20)).unwrap().visible, 2);
    assert_eq!(samples(&receive(store, queue, 9, 20)), [1, 2]);
    assert_eq!(receive(store, queue, 9, 20).len(), 0);
    assert_eq!(samples(&receive(store, queue, 9, 50)), [1, 2]);
}

fn message_ids_differ_between_queues_and_stay(store: &mut Store) {
    let queues = store.sync(&[to_queue("one"), to_queue("two")]).queues;
    store.append(&sample_event(1));
    let first = receive(store, queues[0].id, 1, 10)[0].message_id;
    let other = receive(store, queues[1].id, 1, 10)[0].message_id;
    assert_ne!(first, other);
    store.reopen();
    assert_eq!(receive(store, queues[0].id, 1, 100)[0].message_id, first);
}

fn depth_tells_the_visible_from_those_in_flight(store: &mut Store) {
    let queue = queue(store, 3);
    let handle = receive(store, queue, 1, 10)[0].handle;
    let depth = |store: &Store, secs| store.reader().queue_depth(queue, stamp(secs)).unwrap();
    let oldest = Some(stamp(1));
    assert_eq!(depth(store, 10), QueueDepth { visible: 2, in_flight: 1, delayed: 0, oldest });
    assert_eq!(depth(store, 40), QueueDepth { visible: 3, in_flight: 0, delayed: 0, oldest });
    store.write(|tx| tx.delete_message(queue, handle));
    assert_eq!(depth(store, 40), QueueDepth { visible: 2, oldest: Some(stamp(2)), ..QueueDepth::default() });
    assert_eq!(store.reader().queue_depth(QueueId(99), stamp(0)).unwrap(), QueueDepth::default());
}

fn an_events_messages_are_those_that_are_still_there(store: &mut Store) {
    let entities = store.sync(&[to_queue("a"), to_queue("b")]);
    let position = store.append(&sample_event(1));
    store.append(&sample_event(2));
    let seen = |store: &Store| store.reader().messages_at(position).unwrap();
    let message = |n: usize, receive_count| QueuedMessage {
        queue: entities.queues[n].id,
        subscription: Some(entities.subscriptions[n].id),
        receive_count,
    };
    assert_eq!(seen(store), [message(0, 0), message(1, 0)]);
    let received = receive(store, entities.queues[1].id, 1, 9).remove(0);
    receive(store, entities.queues[1].id, 1, 99);
    assert_eq!(seen(store), [message(0, 0), message(1, 2)]);
    store.write(|tx| tx.delete_message(entities.queues[1].id, received.handle));
    assert_eq!(seen(store), [message(0, 0)]);
}

/// A message straight into the queue `worker`.
pub(super) fn sent(n: u8) -> NewEvent {
    let details = Details { queue: Some("worker".into()), ..Details::default() };
    NewEvent { topic: TopicId::NONE, ..sample_message(n, "text", &details) }
}

fn send(store: &mut Store, queue: QueueId, event: &NewEvent, delay: u64) -> Uuid {
    let delay = Duration::from_secs(delay);
    store.write(|tx| tx.send(event, queue, delay)).expect("the queue is there")
}

fn a_sent_message_is_owed_by_its_queue_alone(store: &mut Store) {
    let entities = store.sync(&[to_queue("worker"), to_queue("other"), push("/a")]);
    let [worker, other] = [0, 1].map(|n| entities.queues[n].id);
    let (id, committed) = store.write_and_tell(|tx| tx.send(&sent(1), worker, Duration::ZERO));
    assert_eq!((committed.topics.len(), committed.queues, committed.sends), (0, vec![worker], 1));
    assert_eq!(store.reader().queue_depth(other, stamp(0)).unwrap(), QueueDepth::default());
    assert_eq!(store.reader().head().unwrap(), Position(1), "it stands in the log");
    let read = store.reader().event(sample_id(1)).unwrap().unwrap();
    assert_eq!((read.position, read.body), (Position(1), sent(1)));
    for topic in [TopicId::NONE, TopicId(1)] {
        assert_eq!(store.reader().next_position(topic, Position(1)).unwrap(), None);
    }
    let lag = store.reader().lag(entities.subscriptions[2].id, 9).unwrap();
    assert_eq!(lag, Lag::default(), "no subscription is owed it");
    let queued = store.reader().messages_at(Position(1)).unwrap();
    assert_eq!(queued, [QueuedMessage { queue: worker, subscription: None, receive_count: 0 }]);
    store.reopen();
    let received = receive(store, worker, 9, 10);
    assert_eq!((samples(&received), received[0].subscription), (vec![1], None));
    assert_eq!(Some(received[0].message_id), id, "under the id that its sender was told");
}

fn a_sent_message_is_received_hidden_and_deleted_like_any_other(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    send(store, queue, &sent(1), 0);
    store.append(&sample_event(2));
    send(store, queue, &sent(3), 0);
    let received = receive(store, queue, 9, 10);
    assert_eq!(samples(&received), [1, 2, 3], "in the order in which they came");
    assert_eq!(receive(store, queue, 9, 39).len(), 0);
    assert_eq!(samples(&receive(store, queue, 9, 40)), [1, 2, 3]);
    for message in &received {
        assert!(store.write(|tx| tx.delete_message(queue, message.handle)));
    }
    assert_eq!(store.reader().queue_depth(queue, stamp(99)).unwrap(), QueueDepth::default());
    store.housekeep(&Retention::default(), after(1_000_000));
    assert_eq!(store.positions(), [0; 0], "housekeeping deletes its event");
    send(store, queue, &sent(4), 0);
    let retention = Retention::default().queue_message.as_secs();
    store.housekeep(&Retention::default(), after(1_000_000 + retention - 1));
    assert_eq!(store.reader().queue_depth(queue, stamp(1_000_000)).unwrap().visible, 1, "it pins its event");
    store.housekeep(&Retention::default(), after(2_000_000 + retention));
    assert_eq!(store.positions(), [0; 0], "its time is over");
}

fn a_delayed_message_is_received_when_its_delay_is_over(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let (_, committed) = store.at(10).write_and_tell(|tx| tx.send(&sent(1), queue, Duration::from_secs(5)));
    assert_eq!((committed.queues.len(), committed.sends), (0, 1), "there is nothing yet to wake up for");
    let depth = |store: &Store, secs| store.reader().queue_depth(queue, stamp(secs)).unwrap();
    let oldest = Some(stamp(10));
    assert_eq!(depth(store, 14), QueueDepth { delayed: 1, oldest, ..QueueDepth::default() });
    assert_eq!(receive(store, queue, 9, 14).len(), 0);
    store.reopen();
    assert_eq!(receive(store, queue, 9, 14).len(), 0);
    assert_eq!(depth(store, 15), QueueDepth { visible: 1, oldest, ..QueueDepth::default() });
    assert_eq!(samples(&receive(store, queue, 9, 15)), [1]);
    assert_eq!(depth(store, 15), QueueDepth { in_flight: 1, oldest, ..QueueDepth::default() });
}

fn a_message_for_a_queue_that_does_not_exist_is_not_sent(store: &mut Store) {
    let (id, committed) = store.write_and_tell(|tx| tx.send(&sent(1), QueueId(99), Duration::ZERO));
    assert_eq!((id, committed.sends), (None, 0));
    assert_eq!(store.reader().head().unwrap(), Position(0));
}
