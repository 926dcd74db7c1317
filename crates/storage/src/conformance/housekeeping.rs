//! Every rule of [`retention`](crate::retention), with limits of a few seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use event::{NewEvent, Position, Timestamp, TopicId};

use super::{
    Case, Store, TOPIC, after, cases, dead, event_of, pending, push, recorded_at, retry, row, stamp, to_queue,
};
use crate::clock::{Assumed, Record};
use crate::delivery::{Attempt, Delivery, DeliveryId, DeliveryState};
use crate::dropped::Dropped;
use crate::entities::{Cursor, Desired, Subscription};
use crate::memory::{sample_event, sample_id};
use crate::retention::{Retention, TOO_OLD};

pub(super) const CASES: &[Case] = cases![
    events_that_nobody_is_owed_go_after_their_history,
    what_a_push_subscription_has_not_read_stays,
    a_removed_subscription_still_owns_until_its_grace_is_over,
    what_removed_subscriptions_are_owed_is_counted_when_it_goes,
    a_pending_subscription_pins_for_a_while,
    a_disabled_subscription_pins_for_a_while,
    a_waiting_delivery_pins_its_event,
    rows_of_unreachable_subscriptions_go_with_their_pin,
    what_pending_and_disabled_subscriptions_lose_is_counted,
    what_was_delivered_or_is_still_there_has_not_lapsed,
    a_delivery_that_is_given_up_is_told,
    a_delivery_past_its_age_becomes_a_dead_letter,
    a_dead_letter_pins_its_event_for_its_time,
    a_message_pins_its_event_and_goes_past_its_time,
    each_queue_keeps_its_messages_for_its_own_time_and_what_goes_is_counted,
    a_message_that_a_worker_has_in_hand_goes_when_it_comes_back,
    what_the_wall_clock_says_ages_nothing,
    what_starts_assumed_counts_towards_no_limit,
    the_clock_is_kept_and_is_behind_no_event_or_message,
    what_is_released_late_goes_too,
    one_topic_does_not_hold_up_another,
    attempts_go_with_their_event,
    attempts_beyond_the_limit_go_oldest_first,
    a_budget_is_kept_and_more_is_told,
    nothing_to_do_is_no_rows,
    room_is_made_of_the_oldest_whatever_its_age,
    what_is_owed_makes_no_room,
    attempts_at_what_is_done_make_room_at_last,
];

/// Limits in seconds, each different, each far from the others.
fn limits() -> Retention {
    let secs = Duration::from_secs;
    Retention {
        history: secs(10),
        pending_pin: secs(100),
        removed_grace: secs(1_000),
        queue_message: secs(2_000),
        max_age: secs(5_000),
        dead_letter: secs(20_000),
        ..Retention::default()
    }
}

fn keep(store: &mut Store, secs: u64) -> Vec<i64> {
    store.housekeep(&limits(), after(secs));
    store.positions()
}

fn read_to(store: &mut Store, subscription: &Subscription, position: Position) {
    let to = Cursor { dispatched_to: position, done_to: position };
    store.write(|tx| tx.advance_cursor(subscription.id, to));
}

fn put(store: &mut Store, delivery: &Delivery) {
    store.write(|tx| tx.put_delivery(delivery));
}

fn attempt(subscription: &Subscription, position: Position, number: u32) -> Attempt {
    Attempt {
        delivery: DeliveryId { subscription: subscription.id, position },
        event: sample_id(1),
        number,
        at: after(1),
        took_micros: 1,
        status: None,
        error: None,
        answer: Vec::new(),
        next_at: None,
    }
}

fn events_that_nobody_is_owed_go_after_their_history(store: &mut Store) {
    for n in 0..5 {
        store.append(&recorded_at(n, n.into()));
    }
    let all = store.positions();
    assert_eq!(keep(store, 9), all);
    assert_eq!(keep(store, 11), all[2..]);
    assert_eq!(keep(store, 12), all[3..]);
    store.reopen();
    assert_eq!(keep(store, 13), all[4..]);
    assert_eq!(keep(store, 14), [0; 0]);
    assert_eq!(store.reader().event(sample_id(1)).unwrap(), None);
}

fn what_a_push_subscription_has_not_read_stays(store: &mut Store) {
    let both = store.sync(&[push("/a"), push("/b")]).subscriptions;
    let positions: Vec<Position> = (1..=4).map(|n| store.append(&recorded_at(n, 0))).collect();
    let all = store.positions();
    read_to(store, &both[0], positions[3]);
    assert_eq!(keep(store, 1_000_000), all);
    read_to(store, &both[1], positions[1]);
    assert_eq!(keep(store, 1_000_000), all[2..]);
    store.reopen();
    assert_eq!(keep(store, 1_000_000), all[2..]);
    read_to(store, &both[1], positions[3]);
    assert_eq!(keep(store, 1_000_000), [0; 0]);
}

fn a_removed_subscription_still_owns_until_its_grace_is_over(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&recorded_at(1, 0));
    let second = store.append(&recorded_at(2, 0));
    put(store, &row(&subscription, position, retry(1)));
    store.sync_at(&[], after(50));
    assert_eq!(keep(store, 1_049), [position.0, second.0]);
    assert!(store.subscription(subscription.id).is_some());
    assert_eq!(keep(store, 1_050), [0; 0]);
    assert_eq!(store.subscription(subscription.id), None);
    assert_eq!(store.reader().deliveries_at(position).unwrap(), []);
    let new = store.push_subscription();
    assert_ne!(new.id, subscription.id, "numbers are never used twice");
    assert_eq!(new.cursor.done_to, second);
}

/// In slices so small that one of them ends no more than one subscription.
fn what_removed_subscriptions_are_owed_is_counted_when_it_goes(store: &mut Store) {
    let all = store.sync(&[push("/a"), push("/b"), to_queue("worker")]).subscriptions;
    let positions: Vec<Position> = (1..=3).map(|n| store.append(&recorded_at(n, 0))).collect();
    read_to(store, &all[0], positions[1]);
    put(store, &row(&all[0], positions[0], retry(1)));
    put(store, &row(&all[0], positions[1], dead(1)));
    read_to(store, &all[1], positions[2]);
    store.sync_at(&[], after(50));
    let missed = store.append(&recorded_at(4, 60));
    read_to(store, &all[1], missed);
    let mut ended = Vec::new();
    for secs in [1_049, 1_050, 1_050] {
        loop {
            let (done, committed) =
                store.at(secs).write_and_tell(|tx| tx.housekeep(&limits(), after(secs), 1));
            assert!(secs > 1_049 || committed.ended.is_empty(), "{:?}", committed.ended);
            ended.extend(committed.ended);
            if !done.more {
                break;
            }
        }
    }
    let owed = |unread, waiting, dead| Dropped { subscriptions: 1, unread, waiting, dead, messages: 0 };
    let counted: Vec<_> = ended.iter().map(|ended| (ended.id, ended.owed)).collect();
    assert_eq!(
        counted,
        [(all[0].id, owed(2, 1, 1)), (all[1].id, owed(0, 0, 0)), (all[2].id, owed(1, 0, 0))],
        "each once"
    );
    assert_eq!((ended[0].whose.topic.as_str(), &ended[0].whose.endpoint), (TOPIC, &all[0].endpoint));
    assert_eq!(store.reader().deliveries_at(positions[0]).unwrap(), []);
}

fn a_pending_subscription_pins_for_a_while(store: &mut Store) {
    store.sync(&[pending("/a", "t")]);
    let early = store.append(&recorded_at(1, 0));
    let late = store.append(&recorded_at(2, 60));
    assert_eq!(keep(store, 99), [early.0, late.0]);
    assert_eq!(keep(store, 100), [late.0]);
    store.write(|tx| tx.confirm_subscription("t"));
    assert_eq!(keep(store, 1_000_000), [late.0], "confirmed, it owns what is left");
}

fn a_disabled_subscription_pins_for_a_while(store: &mut Store) {
    let subscription = store.push_subscription();
    let early = store.append(&recorded_at(1, 0));
    let late = store.append(&recorded_at(2, 60));
    assert_eq!(keep(store, 150), [early.0, late.0]);
    store.write(|tx| tx.disable_subscription(subscription.id, None));
    assert_eq!(keep(store, 159), [late.0]);
    assert_eq!(keep(store, 160), [0; 0]);
}

fn a_waiting_delivery_pins_its_event(store: &mut Store) {
    let subscription = store.push_subscription();
    let positions: Vec<Position> = (1..=4).map(|n| store.append(&recorded_at(n, 0))).collect();
    read_to(store, &subscription, positions[3]);
    put(store, &row(&subscription, positions[1], retry(9_999)));
    put(store, &row(&subscription, positions[2], DeliveryState::Behind));
    assert_eq!(keep(store, 1_000), [positions[1].0, positions[2].0]);
    store
        .write(|tx| tx.remove_delivery(DeliveryId { subscription: subscription.id, position: positions[1] }));
    assert_eq!(keep(store, 1_000), [positions[2].0]);
}

fn rows_of_unreachable_subscriptions_go_with_their_pin(store: &mut Store) {
    let subscription = store.push_subscription();
    let positions: Vec<Position> =
        (1..=3).map(|n| store.append(&recorded_at(n, u64::from(n) * 20))).collect();
    read_to(store, &subscription, positions[2]);
    put(store, &row(&subscription, positions[0], retry(1)));
    put(store, &row(&subscription, positions[1], dead(50)));
    put(store, &row(&subscription, positions[2], DeliveryState::Behind));
    let all = store.positions();
    assert_eq!(keep(store, 200), all, "while it is confirmed");
    store.write(|tx| tx.disable_subscription(subscription.id, None));
    assert_eq!(keep(store, 119), all);
    assert_eq!(keep(store, 120), all[1..]);
    assert_eq!(keep(store, 160), all[1..2], "a dead letter keeps its own time");
}

/// What housekeeping took from each subscription until nothing was left to do, and how many deliveries it gave up.
fn told(store: &mut Store, secs: u64) -> (Vec<(i64, u64)>, u64) {
    let (mut lapsed, mut given_up) = (BTreeMap::<i64, u64>::new(), 0);
    loop {
        let (done, committed) = store.at(secs).write_and_tell(|tx| tx.housekeep(&limits(), after(secs), 3));
        for (subscription, count) in committed.lapsed {
            *lapsed.entry(subscription.0).or_default() += count;
        }
        given_up += committed.given_up;
        if !done.more {
            return (lapsed.into_iter().collect(), given_up);
        }
    }
}

fn what_pending_and_disabled_subscriptions_lose_is_counted(store: &mut Store) {
    let both = store.sync(&[pending("/a", "t"), push("/b"), push("/c")]).subscriptions;
    let positions: Vec<Position> = (1..=5).map(|n| store.append(&recorded_at(n, 0))).collect();
    // The second has read three, of which one waits and one is dead; the third has read all.
    read_to(store, &both[1], positions[2]);
    put(store, &row(&both[1], positions[0], retry(1)));
    put(store, &row(&both[1], positions[1], dead(1)));
    read_to(store, &both[2], positions[4]);
    store.write(|tx| tx.disable_subscription(both[1].id, None));
    assert_eq!(told(store, 99), (vec![], 0));
    // The event of the dead letter is still there, so the first has only lost the others.
    assert_eq!(told(store, 100), (vec![(both[0].id.0, 4), (both[1].id.0, 3)], 0));
    assert_eq!(store.positions(), [positions[1].0]);
    assert_eq!(told(store, 100), (vec![], 0), "each once");
    assert_eq!(told(store, 30_000), (vec![(both[0].id.0, 1)], 0));
}

fn what_was_delivered_or_is_still_there_has_not_lapsed(store: &mut Store) {
    let subscription = store.sync(&[push("/a"), to_queue("worker")]).subscriptions.remove(0);
    let positions: Vec<Position> = (1..=2).map(|n| store.append(&recorded_at(n, 0))).collect();
    read_to(store, &subscription, positions[0]);
    put(store, &row(&subscription, positions[1], retry(1)));
    store.write(|tx| tx.disable_subscription(subscription.id, None));
    // Its row goes; the queue's message keeps the event, which it would read again.
    assert_eq!(told(store, 200), (vec![], 0));
    assert_eq!(store.reader().deliveries_at(positions[1]).unwrap(), []);
    assert_eq!(told(store, 2_000), (vec![(subscription.id.0, 1)], 0));
    assert_eq!(store.positions(), [0; 0]);
}

fn a_delivery_that_is_given_up_is_told(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&recorded_at(1, 0));
    read_to(store, &subscription, position);
    put(store, &row(&subscription, position, retry(9_999)));
    assert_eq!(told(store, 4_999), (vec![], 0));
    assert_eq!(told(store, 5_000), (vec![], 1));
    assert_eq!(told(store, 5_000), (vec![], 0));
}

fn a_delivery_past_its_age_becomes_a_dead_letter(store: &mut Store) {
    let subscription = store.push_subscription();
    let positions: Vec<Position> = (1..=2).map(|n| store.append(&recorded_at(n, 0))).collect();
    read_to(store, &subscription, positions[1]);
    let waiting = Delivery { since: stamp(7), attempts: 3, ..row(&subscription, positions[0], retry(9_999)) };
    let behind = Delivery { since: stamp(8), ..row(&subscription, positions[1], DeliveryState::Behind) };
    put(store, &waiting);
    put(store, &behind);
    keep(store, 5_006);
    assert_eq!(store.reader().delivery(waiting.id).unwrap(), Some(waiting.clone()));
    keep(store, 5_007);
    let given_up = DeliveryState::Dead { reason: TOO_OLD.into(), at: stamp(5_007), died_at: after(5_007) };
    assert_eq!(store.reader().delivery(waiting.id).unwrap(), Some(Delivery { state: given_up, ..waiting }));
    assert_eq!(store.reader().delivery(behind.id).unwrap(), Some(behind));
    assert_eq!(store.reader().next_due(subscription.id).unwrap(), None);
}

fn a_dead_letter_pins_its_event_for_its_time(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&recorded_at(1, 0));
    read_to(store, &subscription, position);
    put(store, &row(&subscription, position, dead(40)));
    assert_eq!(keep(store, 20_039), [position.0]);
    assert_eq!(store.reader().deliveries_at(position).unwrap().len(), 1);
    assert_eq!(keep(store, 20_040), [0; 0]);
    assert_eq!(store.reader().deliveries_at(position).unwrap(), []);
}

fn a_message_pins_its_event_and_goes_past_its_time(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let first = store.append(&recorded_at(1, 0));
    let second = store.append(&recorded_at(2, 30));
    assert_eq!(keep(store, 1_999), [first.0, second.0]);
    assert_eq!(keep(store, 2_000), [second.0]);
    assert_eq!(store.reader().queue_depth(queue, stamp(2_000)).unwrap().visible, 1);
    assert_eq!(keep(store, 2_030), [0; 0]);
}

fn each_queue_keeps_its_messages_for_its_own_time_and_what_goes_is_counted(store: &mut Store) {
    let sync = |store: &mut Store, short: u64| {
        let desired = Desired {
            subscriptions: vec![to_queue("long"), to_queue("short")],
            message_retention: [("short".to_owned(), Duration::from_secs(short))].into(),
            ..Desired::default()
        };
        store.write(|tx| tx.sync_entities(&desired, after(0))).queues
    };
    let queues = sync(store, 60);
    for n in 0..5 {
        store.append(&recorded_at(n, n.into()));
    }
    let expired = |store: &mut Store, secs: u64| {
        let mut expired = BTreeMap::<String, u64>::new();
        loop {
            let (done, committed) =
                store.at(secs).write_and_tell(|tx| tx.housekeep(&limits(), after(secs), 2));
            for (queue, count) in committed.expired {
                *expired.entry(queue).or_default() += count;
            }
            if !done.more {
                return expired.into_iter().collect::<Vec<_>>();
            }
        }
    };
    let depth =
        |store: &Store, n: usize| store.reader().queue_depth(queues[n].id, stamp(62)).unwrap().visible;
    assert_eq!(expired(store, 59), []);
    assert_eq!(expired(store, 62), [("short".to_owned(), 3)]);
    assert_eq!((depth(store, 0), depth(store, 1)), (5, 2));
    sync(store, 1_000);
    store.reopen();
    assert_eq!(expired(store, 999), [], "as it is configured now");
    assert_eq!(expired(store, 2_001), [("long".to_owned(), 2), ("short".to_owned(), 2)]);
}

fn a_message_that_a_worker_has_in_hand_goes_when_it_comes_back(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let positions: Vec<Position> = (1..=2).map(|n| store.append(&recorded_at(n, 0))).collect();
    let hour = Duration::from_secs(3_600);
    store.at(1_990).write(|tx| tx.receive(queue, 1, hour, after(1_990)));
    assert_eq!(keep(store, 2_100), [positions[0].0], "it is still hidden");
    assert_eq!(keep(store, 5_589), [positions[0].0]);
    assert_eq!(keep(store, 5_590), [0; 0]);
}

/// Every rule with a wall clock that is years off: nothing goes before its time has passed.
fn what_the_wall_clock_says_ages_nothing(store: &mut Store) {
    let wild = [Timestamp::default(), after(40 * 86_400), after(10_000 * 86_400)];
    let entities = store.sync(&[push("/a"), pending("/b", "t"), push("/c"), to_queue("worker")]);
    let (confirmed, queue) = (entities.subscriptions[0].clone(), entities.queues[0].id);
    let mut positions = Vec::new();
    for (n, wall) in (1..).zip(wild) {
        let event = NewEvent { recorded_at: wall, ..sample_event(n) };
        positions.push(store.at(0).write(|tx| tx.append(&event)));
    }
    let all = store.positions();
    read_to(store, &confirmed, positions[2]);
    put(store, &row(&confirmed, positions[0], retry(9_999)));
    let buried = DeliveryState::Dead { reason: "410 Gone".into(), at: stamp(0), died_at: wild[0] };
    put(store, &row(&confirmed, positions[1], buried));
    for wall in wild {
        let received = store.at(1).write(|tx| tx.receive(queue, 1, Duration::from_secs(30), wall));
        assert_eq!(received.len(), 1);
        store.at(1).write(|tx| tx.sync_entities(&desired_without_c(), wall));
        while store.at(9).write(|tx| tx.housekeep(&limits(), wall, 3)).more {}
        assert_eq!(store.positions(), all);
        assert_eq!(store.reader().deliveries_at(positions[0]).unwrap().len(), 1);
        assert_eq!(store.subscription(entities.subscriptions[2].id).unwrap().removed_at, Some(wild[0]));
    }
    let depth = store.reader().queue_depth(queue, stamp(31)).unwrap();
    assert_eq!(
        (depth.visible, depth.oldest),
        (3, Some(stamp(0))),
        "hidden for their visibility and no longer"
    );
    assert_eq!(store.reader().lag(confirmed.id, 9).unwrap().oldest, Some(stamp(0)));
    // Its own time passes, and all goes in its turn.
    store.at(1).write(|tx| tx.confirm_subscription("t"));
    read_to(store, &entities.subscriptions[1], positions[2]);
    assert_eq!(keep(store, 30_000), all[..1], "given up by now, it is a dead letter");
    assert_eq!(store.subscription(entities.subscriptions[2].id), None);
    assert_eq!(keep(store, 50_000), [0; 0]);
}

fn desired_without_c() -> Desired {
    Desired { subscriptions: vec![push("/a"), pending("/b", "t"), to_queue("worker")], ..Desired::default() }
}

/// Every rule, over a start that added an hour to the clock: each limit ends an hour later for what was there before, and not for the rest.
fn what_starts_assumed_counts_towards_no_limit(store: &mut Store) {
    let assumed = Assumed::default().and(stamp(5), stamp(3_605));
    let limits = Retention { assumed, ..limits() };
    let keep = |store: &mut Store, secs: u64| {
        store.housekeep(&limits, after(secs));
        store.positions()
    };
    let wanted = [push("/a"), pending("/b", "t"), to_queue("worker"), push("/c")];
    let all = store.sync(&wanted).subscriptions;
    store.sync_at(&wanted[..3], after(0));
    let events: Vec<Position> = (1..=4).map(|n| store.append(&recorded_at(n, 0))).collect();
    let topic = TopicId(all[0].topic.0 + 1);
    let unowed = store.append(&event_of(5, topic)).0;
    for (subscription, read) in [(&all[0], 3), (&all[1], 0)] {
        read_to(store, subscription, events[read]);
    }
    put(store, &row(&all[0], events[0], retry(99_999)));
    put(store, &row(&all[0], events[1], dead(0)));
    put(store, &row(&all[1], events[2], retry(99_999)));
    let late = store.append(&NewEvent { topic, ..recorded_at(6, 3_605) }).0;

    let owed: Vec<i64> = events.iter().map(|position| position.0).collect();
    assert_eq!(keep(store, 3_609), [&owed[..], &[unowed, late]].concat(), "history");
    assert_eq!(keep(store, 3_610), [&owed[..], &[late]].concat());
    assert_eq!(keep(store, 3_615), owed, "what came after the start is older by what passed alone");
    let rows = |store: &Store, n: usize| store.reader().deliveries_at(events[n]).unwrap().len();
    store.at(3_699).write(|tx| tx.make_room(&limits, after(3_699), 99));
    assert_eq!((keep(store, 3_699), rows(store, 2)), (owed.clone(), 1), "pending");
    keep(store, 3_700);
    assert_eq!(rows(store, 2), 0);
    keep(store, 4_599);
    assert!(store.subscription(all[3].id).is_some(), "removed");
    keep(store, 4_600);
    assert_eq!(store.subscription(all[3].id), None);
    assert_eq!(keep(store, 5_599), owed, "messages");
    assert_eq!(keep(store, 5_600), owed[..2]);
    let is_dead = |store: &Store| {
        let row = store.reader().deliveries_at(events[0]).unwrap().remove(0);
        matches!(row.state, DeliveryState::Dead { .. })
    };
    keep(store, 8_599);
    assert!(!is_dead(store), "the age limit");
    keep(store, 8_600);
    assert!(is_dead(store));
    assert_eq!(keep(store, 23_599), owed[..2], "dead letters");
    assert_eq!(keep(store, 23_600), owed[..1]);
    assert_eq!(keep(store, 28_600), [0; 0], "one that died after the start has its own time");
}

fn the_clock_is_kept_and_is_behind_no_event_or_message(store: &mut Store) {
    let assumed = Assumed::default().and(stamp(20), stamp(30)).and(stamp(40), stamp(50));
    let record = Record { stamp: stamp(100), wall: after(7), advanced: Duration::from_secs(3), assumed };
    store.at(100).write(|tx| tx.keep_clock(&record));
    store.restart();
    assert_eq!(store.opened().backend.kept_clock(), Some(record.clone()));
    store.sync(&[to_queue("worker")]);
    store.at(150).write(|tx| tx.append(&sample_event(1)));
    store.restart();
    // The wall clock went on, too: what passed before the crash is not added by the start.
    let kept = Record { stamp: stamp(150), wall: after(57), ..record };
    assert_eq!(store.opened().backend.kept_clock(), Some(kept));
}

fn what_is_released_late_goes_too(store: &mut Store) {
    let entities = store.sync(&[push("/a"), to_queue("worker")]);
    let (subscription, queue) = (entities.subscriptions[0].clone(), entities.queues[0].id);
    let positions: Vec<Position> = (1..=5).map(|n| store.append(&recorded_at(n, 0))).collect();
    let all = store.positions();
    read_to(store, &subscription, positions[4]);
    put(store, &row(&subscription, positions[1], retry(1)));
    assert_eq!(keep(store, 500), all, "all are owed to the queue");
    let received = store.at(500).write(|tx| tx.receive(queue, 4, Duration::from_secs(30), after(500)));
    for one in [&received[3], &received[1], &received[0]] {
        store.write(|tx| tx.delete_message(queue, one.handle));
    }
    assert_eq!(keep(store, 500), [all[1], all[2], all[4]]);
    store
        .write(|tx| tx.remove_delivery(DeliveryId { subscription: subscription.id, position: positions[1] }));
    assert_eq!(keep(store, 500), [all[2], all[4]]);
    store.reopen();
    store.write(|tx| tx.delete_message(queue, received[2].handle));
    assert_eq!(keep(store, 500), [all[4]]);
}

fn one_topic_does_not_hold_up_another(store: &mut Store) {
    let topic = store.push_subscription().topic;
    let owed = store.append(&event_of(1, topic));
    for n in 2..9 {
        store.append(&event_of(n, event::TopicId(topic.0 + 1)));
    }
    assert_eq!(keep(store, 1_000), [owed.0]);
}

fn attempts_go_with_their_event(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&recorded_at(1, 0));
    for number in 1..=8 {
        store.write(|tx| tx.record_attempt(&attempt(&subscription, position, number)));
    }
    read_to(store, &subscription, position);
    assert_eq!(store.housekeep(&limits(), after(10)), 9);
    assert_eq!(store.reader().attempts_at(position).unwrap(), []);
    assert_eq!(store.positions(), [0; 0]);
}

fn attempts_beyond_the_limit_go_oldest_first(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&recorded_at(1, 0));
    for number in [5, 1, 2, 4, 3] {
        store.write(|tx| tx.record_attempt(&attempt(&subscription, position, number)));
    }
    store.housekeep(&Retention { max_attempts: 3, ..limits() }, after(1));
    let attempts = store.reader().attempts_at(position).unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [2, 3, 4]);
}

fn a_budget_is_kept_and_more_is_told(store: &mut Store) {
    for n in 1..=5 {
        store.append(&recorded_at(n, 0));
    }
    let step = store.at(10).write(|tx| tx.housekeep(&limits(), after(10), 2));
    assert_eq!((step.rows, step.more), (2, true));
    assert_eq!(store.positions().len(), 3, "the oldest first");
    let none = store.write(|tx| tx.housekeep(&limits(), after(10), 0));
    assert_eq!((none.rows, none.more), (0, true));
    assert_eq!(store.housekeep(&limits(), after(10)), 3);
}

fn nothing_to_do_is_no_rows(store: &mut Store) {
    assert_eq!(store.housekeep(&limits(), after(0)), 0);
    store.append(&recorded_at(1, 0));
    assert_eq!(store.housekeep(&limits(), after(0)), 0);
    assert_eq!(store.housekeep(&limits(), after(10)), 1);
    assert_eq!(store.housekeep(&limits(), after(10)), 0);
}

/// Makes room until nothing is left to delete, a row at a time; what is left then.
fn make_all_room(store: &mut Store, secs: u64) -> Vec<i64> {
    for _ in 0..1_000 {
        let done = store.at(secs).write(|tx| tx.make_room(&limits(), after(secs), 1));
        assert!(done.rows <= 1);
        if !done.more {
            assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
            return store.positions();
        }
    }
    panic!("there is always more");
}

fn room_is_made_of_the_oldest_whatever_its_age(store: &mut Store) {
    // Three topics that take turns, all as young as can be.
    let positions: Vec<i64> = (1..=9)
        .map(|n| store.append(&NewEvent { topic: TopicId(1 + i64::from(n % 3)), ..recorded_at(n, 0) }).0)
        .collect();
    for left in (1..9).rev() {
        while store.positions().len() > left {
            let done = store.at(0).write(|tx| tx.make_room(&limits(), after(0), 1));
            assert!(done.rows <= 1 && done.more, "{done:?}");
        }
        assert_eq!(store.positions(), positions[9 - left..], "the oldest first, over all topics");
    }
    assert_eq!(make_all_room(store, 0), [0; 0]);
    let more = store.append(&recorded_at(10, 0));
    assert!(more.0 > positions[8]);
    assert_eq!(make_all_room(store, 0), [0; 0], "what came since, too");
    let nothing = store.at(0).write(|tx| tx.make_room(&limits(), after(0), 9));
    assert_eq!((nothing.rows, nothing.more), (0, false));
}

fn what_is_owed_makes_no_room(store: &mut Store) {
    let wanted = [push("/a"), pending("/b", "t"), to_queue("worker")];
    let all = store.sync(&wanted).subscriptions;
    let positions: Vec<Position> = (1..=6).map(|n| store.append(&recorded_at(n, 0))).collect();
    let of = |left: &[usize]| left.iter().map(|n| positions[*n].0).collect::<Vec<_>>();
    let message = |store: &mut Store| {
        let queue = store.sync(&wanted).queues.remove(0).id;
        let received = store.write(|tx| tx.receive(queue, 9, Duration::ZERO, after(0)));
        received.into_iter().map(move |message| (queue, message.handle)).collect::<Vec<_>>()
    };
    // A message of each.
    assert_eq!(make_all_room(store, 1), of(&[0, 1, 2, 3, 4, 5]));
    for (queue, handle) in message(store).split_off(1) {
        store.write(|tx| tx.delete_message(queue, handle));
    }
    // Unread by both.
    assert_eq!(make_all_room(store, 1), of(&[0, 1, 2, 3, 4, 5]));
    read_to(store, &all[0], positions[3]);
    assert_eq!(make_all_room(store, 99), of(&[0, 1, 2, 3, 4, 5]), "the pending one is owed them for a while");
    put(store, &row(&all[0], positions[1], retry(9_999)));
    put(store, &row(&all[0], positions[2], dead(1)));
    // The first has its message, two have rows, two are unread.
    assert_eq!(make_all_room(store, 100), of(&[0, 1, 2, 4, 5]));
    store.write(|tx| tx.remove_delivery(DeliveryId { subscription: all[0].id, position: positions[1] }));
    assert_eq!(make_all_room(store, 100), of(&[0, 2, 4, 5]), "what was passed by and is released");
    read_to(store, &all[0], positions[5]);
    assert_eq!(make_all_room(store, 100), of(&[0, 2]));
}

fn attempts_at_what_is_done_make_room_at_last(store: &mut Store) {
    let both = store.sync(&[push("/a"), push("/b")]).subscriptions;
    let positions: Vec<Position> = (1..=3).map(|n| store.append(&recorded_at(n, 0))).collect();
    for position in &positions {
        for (subscription, number) in [(0, 1), (0, 2), (1, 1)] {
            let one = attempt(&both[subscription], *position, number);
            store.write(|tx| tx.record_attempt(&one));
        }
    }
    read_to(store, &both[0], positions[1]);
    read_to(store, &both[1], positions[2]);
    put(store, &row(&both[0], positions[0], retry(9_999)));
    // The first event waits for its retry, the second is done by both, the third is unread by the first.
    assert_eq!(make_all_room(store, 0), [positions[0].0, positions[2].0]);
    let attempts = |n: usize| {
        let all = store.reader().attempts_at(positions[n]).unwrap();
        all.iter().map(|one| (one.delivery.subscription, one.number)).collect::<Vec<_>>()
    };
    assert_eq!(attempts(0), [(both[0].id, 1), (both[0].id, 2)], "what is to come goes by them");
    assert_eq!(attempts(1), []);
    assert_eq!(attempts(2), [(both[0].id, 1), (both[0].id, 2)], "a success may be on record by them alone");
}
