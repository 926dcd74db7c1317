//! The word of an owner: single entities are made and ended, and what that drops is gone at once.

use std::time::Duration;

use event::{Intent, Position, TopicId};

use super::entities::queued;
use super::{
    Case, Store, TOPIC, after, cases, dead, event_of, pending, push, recorded_at, retry, row, stamp, to_queue,
};
use crate::dropped::Dropped;
use crate::entities::{
    Cursor, Desired, DesiredSubscription, Queue, QueueId, Subscription, SubscriptionId, SubscriptionState,
    Topic,
};
use crate::memory::{sample_event, sample_id, sample_intent};
use crate::queue::VisibilityChange;
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    topics_and_queues_are_made_once_and_numbers_are_never_given_again,
    one_more_subscription_owns_from_its_commit_on,
    a_subscription_that_is_made_again_is_the_same,
    a_disabled_subscription_that_is_made_again_is_declared_anew,
    a_removed_subscription_that_is_made_again_has_what_it_is_owed,
    a_removed_subscription_is_the_same_however_its_endpoint_is_spelt,
    an_ended_subscription_is_owed_nothing_and_is_nobody,
    a_removed_subscription_can_be_ended_too,
    what_an_ended_queue_subscription_was_sent_stays_and_what_it_missed_goes,
    a_deleted_topic_drops_what_its_subscriptions_were_owed,
    a_deleted_topic_and_a_new_one_of_its_name_are_apart,
    an_intent_of_a_deleted_topic_is_settled_and_nobody_is_owed_it,
    an_open_intent_of_a_deleted_topic_becomes_no_event_after_a_crash,
    a_deleted_topic_is_remembered_while_something_has_it,
    a_purged_queue_is_empty_at_once_and_goes_on,
    what_a_worker_has_in_hand_of_a_purged_queue_is_gone,
    a_deleted_queue_is_nobody_and_its_name_begins_anew,
    what_a_deleted_queue_was_yet_to_be_sent_goes_with_it,
    the_retention_of_a_queue_is_set_and_belongs_to_its_life,
    what_was_dropped_stays_dropped_when_the_process_dies,
    what_was_dropped_goes_slice_by_slice_and_pins_until_then,
    room_is_made_of_what_was_dropped,
    the_word_is_rolled_back_with_its_transaction,
    the_configuration_brings_nothing_back_that_was_dropped,
];

fn subscribe(store: &mut Store, wanted: &DesiredSubscription) -> Subscription {
    store.write(|tx| tx.subscribe(wanted, after(0))).0
}

fn visible(store: &Store, queue: QueueId) -> u64 {
    store.reader().queue_depth(queue, stamp(0)).unwrap().visible
}

/// Past every limit.
fn housekeep_all(store: &mut Store) {
    store.housekeep(&Retention::default(), after(100_000_000));
}

/// A subscription with two events unread, one delivery waiting and one dead.
fn with_backlog(store: &mut Store) -> (Subscription, Vec<Position>) {
    let subscription = subscribe(store, &pending("/a", "token"));
    store.write(|tx| tx.confirm_subscription("token"));
    let positions: Vec<_> = (1..=4).map(|n| store.append(&event_of(n, subscription.topic))).collect();
    let to = Cursor { dispatched_to: positions[1], done_to: positions[1] };
    store.write(|tx| tx.advance_cursor(subscription.id, to));
    store.write(|tx| tx.put_delivery(&row(&subscription, positions[0], retry(5))));
    store.write(|tx| tx.put_delivery(&row(&subscription, positions[1], dead(6))));
    (store.subscription(subscription.id).unwrap(), positions)
}

const BACKLOG: Dropped = Dropped { subscriptions: 1, unread: 2, waiting: 1, dead: 1, messages: 0 };

/// No read finds anything of a subscription.
#[track_caller]
fn assert_nothing_of(store: &Store, gone: &Subscription, positions: &[Position]) {
    let reader = store.reader();
    assert_eq!(store.subscription(gone.id), None);
    assert_eq!(reader.lag(gone.id, 100).unwrap(), Default::default());
    assert_eq!(reader.next_due(gone.id).unwrap(), None);
    assert_eq!(reader.due_deliveries(gone.id, stamp(99), 9).unwrap(), []);
    assert_eq!(reader.waiting_deliveries(gone.id, Position(0), 9).unwrap(), []);
    assert_eq!(reader.deliveries_of_key(gone.id, "k", 9).unwrap(), []);
    let waiting = reader.waiting_positions(gone.id, crate::ports::Waiting::After(Position(0)), 9);
    assert_eq!(waiting.unwrap(), []);
    for of in [Some(gone.id), None] {
        assert_eq!(reader.dead_letters(of, None, 9).unwrap(), []);
    }
    assert_eq!(reader.dead_letters_until(gone.id, None, stamp(99), 9).unwrap(), []);
    for position in positions {
        assert_eq!(reader.deliveries_at(*position).unwrap(), []);
        assert_eq!(reader.delivery(row(gone, *position, retry(1)).id).unwrap(), None);
    }
    assert_eq!(reader.check(true).unwrap(), [""; 0]);
}

fn topics_and_queues_are_made_once_and_numbers_are_never_given_again(store: &mut Store) {
    let topic = |store: &mut Store, name: &str| store.write(|tx| tx.create_topic(name));
    let queue = |store: &mut Store, name: &str| store.write(|tx| tx.create_queue(name, None));
    let (first, is_new) = topic(store, "a");
    assert_eq!((first.clone(), is_new), (Topic { id: TopicId(1), name: "a".into() }, true));
    assert_eq!(topic(store, "a"), (first.clone(), false));
    let (worker, is_new) = queue(store, "a");
    assert_eq!((worker.clone(), is_new), (Queue { id: QueueId(1), name: "a".into() }, true));
    assert_eq!(queue(store, "a"), (worker.clone(), false));
    store.reopen();
    assert_eq!((topic(store, "a"), queue(store, "a")), ((first, false), (worker, false)));
    for number in 2..5 {
        let (last_topic, last_queue) = (TopicId(number - 1), QueueId(number - 1));
        store.write(|tx| tx.delete_topic(last_topic));
        store.write(|tx| tx.delete_queue(last_queue));
        housekeep_all(store);
        store.reopen();
        assert_eq!(topic(store, "a"), (Topic { id: TopicId(number), name: "a".into() }, true));
        assert_eq!(queue(store, "a"), (Queue { id: QueueId(number), name: "a".into() }, true));
    }
    let entities = store.sync(&[]);
    assert_eq!((entities.topics, entities.queues), (vec![], vec![]));
    assert_eq!(
        (topic(store, "a").1, queue(store, "a").1),
        (false, false),
        "a configuration without it leaves it"
    );
}

fn one_more_subscription_owns_from_its_commit_on(store: &mut Store) {
    let missed = store.append(&sample_event(1));
    let (webhook, is_new) = store.write(|tx| tx.subscribe(&pending("/a", "token"), after(3)));
    assert!(is_new);
    assert_eq!(
        (webhook.topic, webhook.cursor),
        (TopicId(1), Cursor { dispatched_to: missed, done_to: missed })
    );
    assert_eq!(webhook.state, SubscriptionState::Pending { token: "token".into() });
    assert_eq!((webhook.uuid, webhook.created_at), (push("/a").uuid, after(3)));
    let (to_worker, is_new) = store.write(|tx| tx.subscribe(&to_queue("worker"), after(3)));
    assert!(is_new && to_worker.topic == webhook.topic);
    store.append(&sample_event(2));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    assert_eq!((store.reader().lag(webhook.id, 9).unwrap().unread, visible(store, queue)), (1, 1));
    store.reopen();
    store.append(&sample_event(3));
    assert_eq!((store.reader().lag(webhook.id, 9).unwrap().unread, visible(store, queue)), (2, 2));
    assert_eq!(store.reader().subscriptions().unwrap(), [webhook.clone(), to_worker.clone()]);
    let synced = store.sync(&[pending("/a", "another"), to_queue("worker")]);
    assert_eq!(synced.subscriptions, [webhook, to_worker], "a configuration that wants them finds them");
}

fn a_subscription_that_is_made_again_is_the_same(store: &mut Store) {
    let named = DesiredSubscription { name: Some("name".into()), ..pending("/b", "t2") };
    for wanted in [pending("/a", "t1"), named, to_queue("worker")] {
        let (first, _) = store.write(|tx| tx.subscribe(&wanted, after(1)));
        let again = DesiredSubscription {
            uuid: uuid::Uuid::nil(),
            confirm_with: wanted.confirm_with.as_ref().map(|_| "other".into()),
            ..wanted.clone()
        };
        assert_eq!(store.write(|tx| tx.subscribe(&again, after(2))), (first.clone(), false));
        let nameless = DesiredSubscription { name: None, ..again };
        assert_eq!(store.write(|tx| tx.subscribe(&nameless, after(2))), (first, false), "its name stays");
    }
    let vouched = store.write(|tx| tx.subscribe(&push("/a"), after(3))).0;
    assert_eq!(vouched.state, SubscriptionState::Confirmed);
    store.append(&sample_event(1));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    assert_eq!(visible(store, queue), 1, "sent once");
}

fn a_disabled_subscription_that_is_made_again_is_declared_anew(store: &mut Store) {
    let first = subscribe(store, &pending("/a", "t1"));
    let queue = subscribe(store, &to_queue("worker"));
    store.write(|tx| tx.disable_subscription(first.id, Some("back")));
    store.write(|tx| tx.disable_subscription(queue.id, None));
    let again = DesiredSubscription { uuid: uuid::Uuid::from_u128(9), ..pending("/a", "t2") };
    let (again, is_new) = store.write(|tx| tx.subscribe(&again, after(9)));
    let pending = SubscriptionState::Pending { token: "t2".into() };
    assert_eq!(
        (again.id, again.uuid, again.state, is_new),
        (first.id, uuid::Uuid::from_u128(9), pending, false)
    );
    assert_eq!(store.write(|tx| tx.confirm_subscription("back")), None);
    assert_eq!(subscribe(store, &to_queue("worker")).state, SubscriptionState::Confirmed);
    store.append(&sample_event(1));
    let worker = store.write(|tx| tx.create_queue("worker", None)).0.id;
    assert_eq!(visible(store, worker), 1);
}

fn a_removed_subscription_that_is_made_again_has_what_it_is_owed(store: &mut Store) {
    let (before, _) = with_backlog(store);
    subscribe(store, &to_queue("worker"));
    store.sync_at(&[], after(5));
    let missed = store.append(&event_of(9, before.topic));
    let wanted = DesiredSubscription { uuid: uuid::Uuid::nil(), ..pending("/a", "other") };
    let (back, is_new) = store.write(|tx| tx.subscribe(&wanted, after(6)));
    assert_eq!(
        (back.id, back.uuid, back.cursor, back.removed_at),
        (before.id, before.uuid, before.cursor, None)
    );
    assert_eq!((back.state, is_new), (SubscriptionState::Confirmed, false));
    let lag = store.reader().lag(before.id, 100).unwrap();
    assert_eq!((lag.unread, lag.waiting, lag.dead), (3, 1, 1));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    subscribe(store, &to_queue("worker"));
    store.write(|tx| tx.copy_missed(9));
    assert_eq!(queued(store, queue), [missed]);
}

fn a_removed_subscription_is_the_same_however_its_endpoint_is_spelt(store: &mut Store) {
    let of = |endpoint: &str| DesiredSubscription { endpoint: endpoint.into(), ..push("/a") };
    let first = subscribe(store, &of("http://A.example:80"));
    store.sync_at(&[], after(5));
    let (back, is_new) = store.write(|tx| tx.subscribe(&of("http://a.example/"), after(6)));
    assert_eq!((back.id, back.removed_at, is_new), (first.id, None, false));
    assert_eq!(back.endpoint, "http://a.example/", "as it was spelt last");
    // One that is wanted has the spelling that it has: whoever asks for it knows that.
    let (other, is_new) = store.write(|tx| tx.subscribe(&of("http://a.example"), after(7)));
    assert!(is_new && other.id != back.id);
}

fn an_ended_subscription_is_owed_nothing_and_is_nobody(store: &mut Store) {
    let (gone, positions) = with_backlog(store);
    let other = subscribe(store, &push("/other"));
    assert_eq!(store.write(|tx| tx.unsubscribe(gone.id)), BACKLOG);
    assert_nothing_of(store, &gone, &positions);
    // Whoever still delivers to it may say so.
    store.write(|tx| tx.put_delivery(&row(&gone, positions[2], retry(1))));
    store.write(|tx| tx.advance_cursor(gone.id, gone.cursor));
    assert_eq!(store.write(|tx| tx.confirm_subscription("token")), None);
    assert_eq!(store.write(|tx| tx.disable_subscription(gone.id, None)), None);
    assert_eq!(store.write(|tx| tx.enable_subscription(gone.id)), None);
    assert_eq!(store.write(|tx| tx.unsubscribe(gone.id)), Dropped::default(), "it is gone already");
    store.reopen();
    assert_nothing_of(store, &gone, &positions);
    let (again, is_new) = store.write(|tx| tx.subscribe(&pending("/a", "token"), after(9)));
    assert!(is_new && again.id > gone.id);
    assert_eq!(again.cursor.done_to, positions[3], "nothing of the old one is owed to it");
    assert_eq!(store.reader().lag(again.id, 9).unwrap(), Default::default());
    assert_eq!(store.subscription(other.id), Some(other));
    housekeep_all(store);
    assert_eq!(store.positions(), [0; 0], "it pins nothing");
}

fn a_removed_subscription_can_be_ended_too(store: &mut Store) {
    let (gone, positions) = with_backlog(store);
    store.sync_at(&[], after(5));
    assert_eq!(store.write(|tx| tx.unsubscribe(gone.id)), BACKLOG);
    assert_nothing_of(store, &gone, &positions);
    assert_eq!(store.write(|tx| tx.unsubscribe(SubscriptionId(99))), Dropped::default());
}

fn what_an_ended_queue_subscription_was_sent_stays_and_what_it_missed_goes(store: &mut Store) {
    let first = subscribe(store, &to_queue("worker"));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    let sent = store.append(&event_of(1, first.topic));
    store.sync_at(&[], after(1));
    store.append(&event_of(2, first.topic));
    store.append(&event_of(3, first.topic));
    let missed = Dropped { subscriptions: 1, unread: 2, ..Dropped::default() };
    assert_eq!(store.write(|tx| tx.unsubscribe(first.id)), missed);
    let again = subscribe(store, &to_queue("worker"));
    assert!(again.id > first.id);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0);
    store.write(|tx| tx.unsubscribe(again.id));
    store.append(&event_of(4, first.topic));
    store.reopen();
    store.append(&event_of(5, first.topic));
    assert_eq!(queued(store, queue), [sent]);
}

fn a_deleted_topic_drops_what_its_subscriptions_were_owed(store: &mut Store) {
    let (gone, positions) = with_backlog(store);
    let to_worker = subscribe(store, &to_queue("worker"));
    let removed = subscribe(store, &push("/removed"));
    let sent = store.append(&event_of(5, gone.topic));
    let other = subscribe(store, &DesiredSubscription { topic: "other".into(), ..push("/a") });
    store.append(&event_of(6, other.topic));
    store.sync_at(
        &[
            pending("/a", "t"),
            to_queue("worker"),
            DesiredSubscription { topic: "other".into(), ..push("/a") },
        ],
        after(6),
    );
    assert!(store.subscription(removed.id).unwrap().removed_at.is_some());
    let dropped = Dropped { subscriptions: 3, unread: 4, waiting: 1, dead: 1, messages: 0 };
    assert_eq!(store.write(|tx| tx.delete_topic(gone.topic)), dropped);
    assert_nothing_of(store, &gone, &positions);
    assert_eq!((store.subscription(to_worker.id), store.subscription(removed.id)), (None, None));
    assert_eq!(store.write(|tx| tx.delete_topic(gone.topic)), Dropped::default(), "it is gone already");
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    assert_eq!(queued(store, queue), [sent], "a queue keeps what it has");
    assert_eq!(store.reader().lag(other.id, 9).unwrap().unread, 1);
}

fn a_deleted_topic_and_a_new_one_of_its_name_are_apart(store: &mut Store) {
    let old = subscribe(store, &to_queue("worker"));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    store.write(|tx| tx.delete_topic(old.topic));
    let (topic, is_new) = store.write(|tx| tx.create_topic(TOPIC));
    assert!(is_new && topic.id > old.topic);
    let is_there = |store: &mut Store, id| store.write(|tx| tx.has_topic(id));
    assert_eq!((is_there(store, old.topic), is_there(store, topic.id)), (false, true));
    assert!(!is_there(store, TopicId::NONE));
    let (webhook, to_worker) = (subscribe(store, &push("/a")), subscribe(store, &to_queue("worker")));
    assert_eq!((webhook.topic, to_worker.topic), (topic.id, topic.id));
    store.append(&event_of(1, old.topic));
    let new = store.append(&event_of(2, topic.id));
    assert_eq!(queued(store, queue), [new], "nobody is owed what the old one publishes");
    assert_eq!(store.reader().events_after(topic.id, Position(0), 9, 999).unwrap().len(), 1);
    store.reopen();
    assert_eq!(store.sync(&[push("/a"), to_queue("worker")]).subscriptions, [webhook, to_worker]);
}

fn intent_of(n: u8, topic: TopicId) -> Intent {
    Intent { topic, ..sample_intent(n) }
}

fn an_intent_of_a_deleted_topic_is_settled_and_nobody_is_owed_it(store: &mut Store) {
    let old = subscribe(store, &push("/a"));
    store.write(|tx| tx.insert_intent(&intent_of(1, old.topic)));
    store.write(|tx| tx.insert_intent(&intent_of(2, old.topic)));
    store.write(|tx| tx.delete_topic(old.topic));
    let new = subscribe(store, &push("/a"));
    let settled = store.append(&event_of(1, old.topic));
    assert!(store.write(|tx| tx.remove_intent(sample_id(2))));
    assert_eq!(store.reader().stats().unwrap().open_intents, 0);
    assert_eq!(store.reader().lag(new.id, 9).unwrap().unread, 0);
    assert_eq!(store.positions(), [settled.0], "it can be looked at");
    housekeep_all(store);
    assert_eq!(store.positions(), [0; 0]);
}

fn an_open_intent_of_a_deleted_topic_becomes_no_event_after_a_crash(store: &mut Store) {
    let old = subscribe(store, &push("/a"));
    store.write(|tx| tx.insert_intent(&intent_of(1, old.topic)));
    store.write(|tx| tx.delete_topic(old.topic));
    let new = subscribe(store, &push("/a"));
    store.write(|tx| tx.insert_intent(&intent_of(2, new.topic)));
    store.write(|tx| tx.insert_intent(&Intent { publish_unknown: false, ..intent_of(3, old.topic) }));
    housekeep_all(store);
    store.restart();
    let (recovered, committed) = store.write_and_tell(|tx| tx.recover(after(9), 99));
    assert_eq!((recovered, committed.of_deleted_topics), (3, 2));
    assert_eq!(store.reader().event(sample_id(1)).unwrap(), None);
    assert!(store.reader().event(sample_id(2)).unwrap().is_some());
    assert_eq!(store.reader().stats().unwrap().open_intents, 0);
    assert_eq!(store.reader().lag(new.id, 9).unwrap().unread, 1);
    assert_eq!(store.write(|tx| tx.recover(after(9), 99)), 0);
    assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
}

fn a_deleted_topic_is_remembered_while_something_has_it(store: &mut Store) {
    let old = subscribe(store, &push("/a")).topic;
    store.write(|tx| tx.insert_intent(&intent_of(1, old)));
    store.write(|tx| tx.delete_topic(old));
    let housekeep = |store: &mut Store| store.housekeep(&Retention::default(), after(100_000_000));
    assert_eq!(housekeep(store), 0, "an open intent has it");
    store.append(&event_of(1, old));
    let young = |store: &mut Store| store.housekeep(&Retention::default(), after(9));
    assert_eq!(young(store), 0, "an event has it");
    assert_eq!(housekeep(store), 2, "the event, and then the topic");
    assert_eq!(housekeep(store), 0);
    let empty = store.write(|tx| tx.create_topic("empty")).0.id;
    store.write(|tx| tx.delete_topic(empty));
    assert_eq!(young(store), 1);
}

fn a_purged_queue_is_empty_at_once_and_goes_on(store: &mut Store) {
    let topic = subscribe(store, &to_queue("worker")).topic;
    subscribe(store, &to_queue("other"));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    let other = store.write(|tx| tx.create_queue("other", None)).0.id;
    assert_eq!(store.write(|tx| tx.purge_queue(queue)), Dropped::default());
    let positions: Vec<_> = (1..=3).map(|n| store.append(&event_of(n, topic))).collect();
    let messages = |messages| Dropped { messages, ..Dropped::default() };
    for round in 4..7 {
        let had = if round == 4 { 3 } else { 1 };
        assert_eq!(store.write(|tx| tx.purge_queue(queue)), messages(had));
        assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap(), Default::default());
        assert_eq!(store.write(|tx| tx.receive(queue, 9, Duration::ZERO, after(0))), []);
        assert_eq!(store.reader().messages_at(positions[0]).unwrap().len(), 1, "that of the other queue");
        let new = store.append(&event_of(round, topic));
        assert_eq!(queued(store, queue), [new], "it gets what comes");
        store.reopen();
        assert_eq!(queued(store, queue), [new]);
    }
    assert_eq!(visible(store, other), 6);
    assert_eq!(store.write(|tx| tx.purge_queue(QueueId(99))), Dropped::default());
    assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
}

fn what_a_worker_has_in_hand_of_a_purged_queue_is_gone(store: &mut Store) {
    let topic = subscribe(store, &to_queue("worker")).topic;
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    store.append(&event_of(1, topic));
    let second = Duration::from_secs(1);
    let handle = store.write(|tx| tx.receive(queue, 1, second, after(0)))[0].handle;
    assert_eq!(store.write(|tx| tx.purge_queue(queue)).messages, 1);
    assert_eq!(store.write(|tx| tx.change_visibility(queue, handle, second)), VisibilityChange::Gone);
    assert!(!store.write(|tx| tx.delete_message(queue, handle)));
    assert_eq!(store.at(99).write(|tx| tx.receive(queue, 9, second, after(99))), []);
}

fn a_deleted_queue_is_nobody_and_its_name_begins_anew(store: &mut Store) {
    let subscription = subscribe(store, &to_queue("worker"));
    let old = store.write(|tx| tx.create_queue("worker", None)).0.id;
    let first = store.append(&event_of(1, subscription.topic));
    let dropped = store.write(|tx| tx.delete_queue(old));
    assert_eq!(dropped, Dropped { messages: 1, ..Dropped::default() });
    assert_eq!(store.write(|tx| tx.delete_queue(old)), Dropped::default(), "it is gone already");
    assert_eq!(store.subscription(subscription.id), Some(subscription.clone()), "it stays, as in SNS");
    let nowhere = store.append(&event_of(2, subscription.topic));
    store.reopen();
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0);
    let (new, is_new) = store.write(|tx| tx.create_queue("worker", None));
    assert!(is_new && new.id > old);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0);
    for queue in [old, new.id] {
        assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap(), Default::default());
        assert_eq!(store.write(|tx| tx.receive(queue, 9, Duration::ZERO, after(0))), []);
    }
    let sent = store.append(&event_of(3, subscription.topic));
    assert_eq!((queued(store, new.id), queued(store, old)), (vec![sent], vec![]));
    for position in [first, nowhere] {
        assert_eq!(store.reader().messages_at(position).unwrap(), []);
    }
    assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
}

fn what_a_deleted_queue_was_yet_to_be_sent_goes_with_it(store: &mut Store) {
    let subscription = subscribe(store, &to_queue("worker"));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    store.sync_at(&[], after(1));
    store.append(&event_of(1, subscription.topic));
    store.append(&event_of(2, subscription.topic));
    subscribe(store, &to_queue("worker"));
    let dropped = store.write(|tx| tx.delete_queue(queue));
    assert_eq!(dropped, Dropped { unread: 2, ..Dropped::default() });
    store.write(|tx| tx.create_queue("worker", None));
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0);
    housekeep_all(store);
    assert_eq!(store.positions(), [0; 0], "it keeps nothing");
}

fn the_retention_of_a_queue_is_set_and_belongs_to_its_life(store: &mut Store) {
    let topic = subscribe(store, &to_queue("worker")).topic;
    let secs = |secs| Some(Duration::from_secs(secs));
    let queue = store.write(|tx| tx.create_queue("worker", secs(5))).0.id;
    let mut n = 0;
    let mut lives = |store: &mut Store, queue: QueueId, secs: u64| {
        n += 1;
        store.append(&event_of(n, topic));
        store.housekeep(
            &Retention { queue_message: Duration::from_secs(50), ..Retention::default() },
            after(secs),
        );
        let lives = visible(store, queue) > 0;
        store.write(|tx| tx.purge_queue(queue));
        lives
    };
    assert!(lives(store, queue, 49), "it was there, so what a new one would get is not its own");
    for (retention, secs, expected) in
        [(secs(5), 6, false), (secs(5), 4, true), (secs(90), 60, true), (None, 60, false)]
    {
        assert!(store.write(|tx| tx.set_queue_retention(queue, retention)));
        assert!(store.write(|tx| tx.set_queue_retention(queue, retention)), "once more");
        store.reopen();
        assert_eq!(lives(store, queue, secs), expected, "{retention:?} {secs}");
    }
    store.write(|tx| tx.set_queue_retention(queue, secs(5)));
    store.write(|tx| tx.delete_queue(queue));
    assert!(!store.write(|tx| tx.set_queue_retention(queue, None)));
    let new = store.write(|tx| tx.create_queue("worker", None)).0.id;
    assert!(lives(store, new, 40), "nothing of the old one's");
    store.write(|tx| tx.delete_queue(new));
    let new = store.write(|tx| tx.create_queue("worker", secs(3))).0.id;
    assert!(!lives(store, new, 4));
}

fn what_was_dropped_stays_dropped_when_the_process_dies(store: &mut Store) {
    let (gone, positions) = with_backlog(store);
    let topic = subscribe(store, &to_queue("worker")).topic;
    let purged = store.write(|tx| tx.create_queue("worker", None)).0.id;
    subscribe(store, &to_queue("deleted"));
    let deleted = store.write(|tx| tx.create_queue("deleted", None)).0.id;
    for n in 5..=9 {
        store.append(&event_of(n, topic));
    }
    store.write(|tx| {
        tx.unsubscribe(gone.id)?;
        tx.purge_queue(purged)?;
        tx.delete_queue(deleted)
    });
    for _ in 0..3 {
        store.restart();
        store.write(|tx| tx.housekeep(&Retention::default(), after(9), 2));
        assert_nothing_of(store, &gone, &positions);
        for queue in [purged, deleted] {
            assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap(), Default::default());
            assert_eq!(store.write(|tx| tx.receive(queue, 9, Duration::ZERO, after(0))), []);
        }
    }
}

fn what_was_dropped_goes_slice_by_slice_and_pins_until_then(store: &mut Store) {
    let webhook = subscribe(store, &push("/a"));
    subscribe(store, &to_queue("worker"));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    let positions: Vec<_> = (1..=10).map(|n| store.append(&recorded_at_topic(n, webhook.topic))).collect();
    let to = Cursor { dispatched_to: positions[9], done_to: positions[9] };
    store.write(|tx| tx.advance_cursor(webhook.id, to));
    store.write(|tx| positions.iter().try_for_each(|at| tx.put_delivery(&row(&webhook, *at, retry(5)))));
    let limits = Retention { history: Duration::ZERO, ..Retention::default() };
    assert_eq!(store.housekeep(&limits, after(60)), 0, "all of it is owed");
    store.write(|tx| tx.purge_queue(queue));
    assert_eq!(store.housekeep(&limits, after(60)), 10, "the messages; the deliveries pin the events");
    assert_eq!(store.positions().len(), 10);
    store.write(|tx| tx.unsubscribe(webhook.id));
    let mut rows = 0;
    while !store.positions().is_empty() {
        let done = store.at(60).write(|tx| tx.housekeep(&limits, after(60), 3));
        assert!((1..=3).contains(&done.rows), "{done:?}");
        rows += done.rows;
        assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
    }
    assert_eq!(rows, 20, "ten deliveries, ten events");
    assert_eq!(store.housekeep(&limits, after(60)), 0);
}

fn recorded_at_topic(n: u8, topic: TopicId) -> event::NewEvent {
    event::NewEvent { topic, ..recorded_at(n, 1) }
}

fn room_is_made_of_what_was_dropped(store: &mut Store) {
    let topic = subscribe(store, &to_queue("worker")).topic;
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    for n in 1..=5 {
        store.append(&event_of(n, topic));
    }
    let make_room = |store: &mut Store| store.write(|tx| tx.make_room(&Retention::default(), after(0), 99));
    assert_eq!(make_room(store).rows, 0, "all of it is owed");
    store.write(|tx| tx.purge_queue(queue));
    let done = make_room(store);
    assert_eq!((done.rows, done.more), (10, false));
    assert_eq!(store.positions(), [0; 0]);
}

fn the_word_is_rolled_back_with_its_transaction(store: &mut Store) {
    let (before, positions) = with_backlog(store);
    let topic = subscribe(store, &to_queue("worker")).topic;
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    let subscriptions = store.reader().subscriptions().unwrap();
    store.append(&event_of(5, topic));
    for case in 0..5 {
        let backend = &mut store.opened().backend;
        backend.begin(stamp(0)).unwrap();
        let tx = backend.tx();
        match case {
            0 => drop(tx.unsubscribe(before.id).unwrap()),
            1 => drop(tx.delete_topic(topic).unwrap()),
            2 => drop(tx.delete_queue(queue).unwrap()),
            3 => drop(tx.purge_queue(queue).unwrap()),
            _ => {
                tx.subscribe(&to_queue("another"), after(0)).unwrap();
                tx.subscribe(&DesiredSubscription { topic: "another".into(), ..push("/a") }, after(0))
                    .unwrap();
                tx.set_queue_retention(queue, Some(Duration::ZERO)).unwrap();
            }
        }
        backend.rollback();
        assert_eq!(store.reader().subscriptions().unwrap(), subscriptions, "{case}");
        let sent = store.append(&event_of(10 + case, topic));
        assert_eq!(store.reader().messages_at(sent).unwrap().len(), 1, "{case}");
        assert_eq!(store.reader().deliveries_at(positions[0]).unwrap().len(), 1, "{case}");
        assert_eq!(visible(store, queue), u64::from(case) + 2, "{case}");
    }
    assert!(store.write(|tx| tx.create_topic("another")).1);
}

fn the_configuration_brings_nothing_back_that_was_dropped(store: &mut Store) {
    let (gone, positions) = with_backlog(store);
    let worker = subscribe(store, &to_queue("worker"));
    let queue = store.write(|tx| tx.create_queue("worker", None)).0.id;
    store.append(&event_of(5, worker.topic));
    store.write(|tx| {
        tx.unsubscribe(gone.id)?;
        tx.delete_queue(queue)
    });
    let desired = Desired { subscriptions: vec![push("/a"), to_queue("worker")], ..Desired::default() };
    let entities = store.write(|tx| tx.sync_entities(&desired, after(9)));
    let [again, same] = &entities.subscriptions[..] else { panic!("{entities:?}") };
    assert!(again.id > gone.id && again.cursor.done_to > positions[3] && entities.removed.is_empty());
    assert_eq!((same.id, entities.queues[0].id > queue), (worker.id, true), "what it names exists");
    assert_eq!(store.reader().queue_depth(entities.queues[0].id, stamp(0)).unwrap(), Default::default());
    assert_nothing_of(store, &gone, &positions);
    store.write(|tx| tx.delete_topic(worker.topic));
    let entities = store.write(|tx| tx.sync_entities(&desired, after(9)));
    assert!(entities.topics[0].id > worker.topic && entities.removed.is_empty());
    assert!(entities.subscriptions.iter().all(|known| known.id > again.id), "{entities:?}");
}
