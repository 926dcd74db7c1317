//! Rows of deliveries, attempts and lag.

use event::Position;

use super::{Case, Store, after, cases, dead, event_of, push, recorded_at, retry, row, stamp, to_queue};
use crate::delivery::{Attempt, Delivery, DeliveryId, DeliveryState, MAX_ANSWER};
use crate::entities::{Cursor, Subscription, SubscriptionId};
use crate::memory::{sample_event, sample_id};
use crate::ports::{Lag, Rows, Waiting};

pub(super) const CASES: &[Case] = cases![
    a_row_is_inserted_replaced_and_removed,
    a_row_needs_its_event_and_its_subscription,
    due_rows_come_earliest_first,
    waiting_rows_come_by_position,
    rows_of_a_key_come_by_position,
    dead_letters_come_last_first_a_page_at_a_time,
    the_first_dead_letters_of_a_subscription_come_first,
    rows_come_by_subscription_and_position_a_page_at_a_time,
    rows_of_an_event_come_by_subscription,
    the_last_attempt_is_that_with_the_greatest_number,
    attempts_come_by_subscription_and_number,
    blocked_keys_come_with_the_first_that_waits,
    an_attempt_is_kept_as_it_was_given,
    lag_counts_what_is_unread_waits_and_is_dead,
    lag_counts_no_further_than_it_is_asked_to,
];

fn two_subscriptions(store: &mut Store) -> (Subscription, Subscription) {
    let mut both = store.sync(&[push("/a"), push("/b")]).subscriptions;
    let second = both.remove(1);
    (both.remove(0), second)
}

fn put(store: &mut Store, delivery: &Delivery) {
    store.write(|tx| tx.put_delivery(delivery));
}

fn keyed(subscription: &Subscription, position: Position, key: &str, state: DeliveryState) -> Delivery {
    Delivery { key: key.into(), ..row(subscription, position, state) }
}

fn a_row_is_inserted_replaced_and_removed(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&sample_event(1));
    let id = DeliveryId { subscription: subscription.id, position };
    let states = [retry(4), DeliveryState::Behind, dead(5), retry(6)];
    for (state, attempts) in states.into_iter().zip(1..) {
        let delivery = Delivery {
            attempts,
            since: stamp(2),
            anew_after: attempts / 2,
            ..row(&subscription, position, state)
        };
        put(store, &delivery);
        store.reopen();
        assert_eq!(store.reader().delivery(id).unwrap(), Some(delivery));
    }
    for _ in 0..2 {
        store.write(|tx| tx.remove_delivery(id));
        assert_eq!(store.reader().delivery(id).unwrap(), None);
    }
}

fn a_row_needs_its_event_and_its_subscription(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&sample_event(1));
    let nowhere = Position(position.0 + 9);
    put(store, &row(&subscription, nowhere, retry(1)));
    assert_eq!(store.reader().deliveries_at(nowhere).unwrap(), []);
    let nobody = Subscription { id: SubscriptionId(99), ..subscription.clone() };
    put(store, &row(&nobody, position, retry(1)));
    assert_eq!(store.reader().deliveries_at(position).unwrap(), []);
    store.write(|tx| tx.record_attempt(&attempt(&subscription, nowhere, 1)));
    assert_eq!(store.reader().attempts_at(nowhere).unwrap(), []);
}

/// The positions of rows that were read; those that are read without the rows are the same.
fn with_their_positions(
    store: &Store,
    of: &Subscription,
    which: Waiting<'_>,
    limit: usize,
    rows: &[Delivery],
) -> Vec<Position> {
    let positions: Vec<Position> = rows.iter().map(|row| row.id.position).collect();
    assert_eq!(store.reader().waiting_positions(of.id, which, limit).unwrap(), positions);
    positions
}

fn waiting_rows_come_by_position(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let positions: Vec<Position> = (1..=5).map(|n| store.append(&sample_event(n))).collect();
    let states = [retry(9), dead(1), DeliveryState::Behind, retry(1), DeliveryState::Behind];
    for (position, state) in positions.iter().zip(states) {
        put(store, &row(&first, *position, state));
    }
    put(store, &row(&second, positions[1], retry(2)));
    let waiting = |after, limit| {
        let rows = store.reader().waiting_deliveries(first.id, after, limit).unwrap();
        with_their_positions(store, &first, Waiting::After(after), limit, &rows)
    };
    assert_eq!(waiting(Position(0), 9), [positions[0], positions[2], positions[3], positions[4]]);
    assert_eq!(waiting(positions[0], 2), [positions[2], positions[3]]);
    assert_eq!(waiting(positions[4], 2), [Position(0); 0]);
}

fn due_rows_come_earliest_first(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let positions: Vec<Position> = (1..=6).map(|n| store.append(&sample_event(n))).collect();
    let states = [retry(5), retry(3), dead(1), DeliveryState::Behind, retry(9), retry(3)];
    for (position, state) in positions.iter().zip(states) {
        put(store, &row(&first, *position, state));
    }
    put(store, &row(&second, positions[0], retry(2)));
    let due = |secs, limit| {
        let rows = store.reader().due_deliveries(first.id, stamp(secs), limit).unwrap();
        with_their_positions(store, &first, Waiting::Due(stamp(secs)), limit, &rows)
    };
    assert_eq!(due(5, 9), [positions[1], positions[5], positions[0]]);
    assert_eq!(due(5, 2), [positions[1], positions[5]]);
    assert_eq!(due(2, 9), []);
    assert_eq!(store.reader().next_due(first.id).unwrap(), Some(stamp(3)));
    assert_eq!(store.reader().next_due(second.id).unwrap(), Some(stamp(2)));
    assert_eq!(store.reader().next_due(SubscriptionId(99)).unwrap(), None);
}

fn rows_of_a_key_come_by_position(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let positions: Vec<Position> = (1..=4).map(|n| store.append(&sample_event(n))).collect();
    put(store, &keyed(&first, positions[3], "k", DeliveryState::Behind));
    put(store, &keyed(&first, positions[0], "k", retry(9)));
    put(store, &keyed(&first, positions[1], "other", retry(1)));
    put(store, &keyed(&first, positions[2], "k", dead(1)));
    put(store, &keyed(&second, positions[1], "k", retry(1)));
    let of_key = |limit| {
        let rows = store.reader().deliveries_of_key(first.id, "k", limit).unwrap();
        with_their_positions(store, &first, Waiting::OfKey("k"), limit, &rows)
    };
    assert_eq!(of_key(9), [positions[0], positions[3]]);
    assert_eq!(of_key(1), [positions[0]]);
}

/// Dead letters of two subscriptions among rows that are not dead. Returns the subscriptions and the positions.
fn graveyard(store: &mut Store) -> ((Subscription, Subscription), Vec<Position>) {
    let both = two_subscriptions(store);
    let positions: Vec<Position> = (1..=5).map(|n| store.append(&sample_event(n))).collect();
    let states = [dead(7), retry(1), dead(5), dead(7), DeliveryState::Behind];
    for (position, state) in positions.iter().zip(states) {
        put(store, &row(&both.0, *position, state));
    }
    put(store, &row(&both.1, positions[0], dead(7)));
    put(store, &row(&both.1, positions[1], dead(6)));
    (both, positions)
}

fn dead_letters_come_last_first_a_page_at_a_time(store: &mut Store) {
    let ((first, second), positions) = graveyard(store);
    let id = |of: &Subscription, n: usize| DeliveryId { subscription: of.id, position: positions[n] };
    let pages = |of, limit| {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = store.reader().dead_letters(of, before, limit).unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return all };
            before = last.death();
            all.extend(page.iter().map(|row| row.id));
        }
    };
    let of_all = [id(&second, 0), id(&first, 3), id(&first, 0), id(&second, 1), id(&first, 2)];
    for limit in [1, 2, 9] {
        assert_eq!(pages(None, limit), of_all);
        assert_eq!(pages(Some(first.id), limit), [id(&first, 3), id(&first, 0), id(&first, 2)]);
        assert_eq!(pages(Some(second.id), limit), [id(&second, 0), id(&second, 1)]);
    }
    assert_eq!(pages(Some(SubscriptionId(99)), 9), []);
}

fn the_first_dead_letters_of_a_subscription_come_first(store: &mut Store) {
    let ((first, _), positions) = graveyard(store);
    let page = |after_death, until, limit| {
        let rows = store.reader().dead_letters_until(first.id, after_death, stamp(until), limit).unwrap();
        rows.iter().map(|row| (row.id.position, row.death())).collect::<Vec<_>>()
    };
    let all = page(None, 7, 9);
    let order: Vec<Position> = all.iter().map(|(position, _)| *position).collect();
    assert_eq!(order, [positions[2], positions[0], positions[3]]);
    assert_eq!(page(None, 6, 9), all[..1]);
    assert_eq!(page(None, 7, 2), all[..2]);
    assert_eq!(page(all[1].1, 7, 2), all[2..]);
}

fn rows_of_an_event_come_by_subscription(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let position = store.append(&sample_event(1));
    put(store, &row(&second, position, retry(1)));
    put(store, &row(&first, position, dead(1)));
    let rows = store.reader().deliveries_at(position).unwrap();
    assert_eq!(rows, [row(&first, position, dead(1)), row(&second, position, retry(1))]);
}

fn attempt(subscription: &Subscription, position: Position, number: u32) -> Attempt {
    Attempt {
        delivery: DeliveryId { subscription: subscription.id, position },
        event: sample_id(1),
        number,
        at: after(1),
        took_micros: 1_500,
        status: Some(503),
        error: Some("the endpoint answered 503".into()),
        answer: b"\xff\0busy".to_vec(),
        next_at: Some(after(6)),
    }
}

fn attempts_come_by_subscription_and_number(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let position = store.append(&sample_event(1));
    for (subscription, number) in [(&second, 1), (&first, 2), (&first, 1)] {
        store.write(|tx| tx.record_attempt(&attempt(subscription, position, number)));
    }
    let repeated = Attempt { took_micros: 7, ..attempt(&first, position, 2) };
    store.write(|tx| tx.record_attempt(&repeated));
    let attempts = store.reader().attempts_at(position).unwrap();
    assert_eq!(attempts, [attempt(&first, position, 1), repeated, attempt(&second, position, 1)]);
}

fn an_attempt_is_kept_as_it_was_given(store: &mut Store) {
    let subscription = store.push_subscription();
    let position = store.append(&sample_event(1));
    let success = Attempt {
        status: Some(204),
        error: None,
        answer: vec![b'x'; MAX_ANSWER],
        next_at: None,
        ..attempt(&subscription, position, 1)
    };
    let lost =
        Attempt { status: None, answer: Vec::new(), next_at: None, ..attempt(&subscription, position, 2) };
    for given in [&success, &lost] {
        store.write(|tx| tx.record_attempt(given));
    }
    store.reopen();
    assert_eq!(store.reader().attempts_at(position).unwrap(), [success, lost]);
}

fn rows_come_by_subscription_and_position_a_page_at_a_time(store: &mut Store) {
    let ((first, second), positions) = graveyard(store);
    let third = store.sync(&[push("/a"), push("/b"), push("/c")]).subscriptions.remove(2);
    put(store, &row(&third, positions[4], retry(3)));
    let id = |of: &Subscription, n: usize| DeliveryId { subscription: of.id, position: positions[n] };
    let pages = |store: &Store, of, which, limit| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.reader().deliveries_after(of, after, which, limit).unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return all };
            after = Some(last.id);
            all.extend(page.iter().map(|row| row.id));
        }
    };
    let of_first: Vec<_> = (0..5).map(|n| id(&first, n)).collect();
    let others = [id(&second, 0), id(&second, 1), id(&third, 4)];
    for limit in [1, 2, 9] {
        let all = |store: &Store, of| pages(store, of, Rows::All, limit);
        assert_eq!(all(store, None), [&of_first[..], &others].concat());
        assert_eq!(all(store, Some(first.id)), of_first);
        assert_eq!(all(store, Some(second.id)), others[..2]);
        assert_eq!(all(store, Some(SubscriptionId(99))), []);
        let waiting = |store: &Store, of| pages(store, of, Rows::Waiting, limit);
        assert_eq!(waiting(store, None), [of_first[1], of_first[4], others[2]]);
        assert_eq!(waiting(store, Some(first.id)), [of_first[1], of_first[4]]);
        assert_eq!(waiting(store, Some(second.id)), []);
    }
    // A page may begin after a row that has been deleted.
    store.write(|tx| tx.remove_delivery(id(&first, 3)));
    let rest = store.reader().deliveries_after(None, Some(id(&first, 3)), Rows::All, 2).unwrap();
    assert_eq!(rest.iter().map(|row| row.id).collect::<Vec<_>>(), [id(&first, 4), id(&second, 0)]);
    store.write(|tx| tx.unsubscribe(second.id));
    let rest = store.reader().deliveries_after(None, Some(id(&first, 4)), Rows::All, 9).unwrap();
    assert_eq!(rest.iter().map(|row| row.id).collect::<Vec<_>>(), [id(&third, 4)], "of none that is gone");
}

fn the_last_attempt_is_that_with_the_greatest_number(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let position = store.append(&sample_event(1));
    let of = |subscription: &Subscription| DeliveryId { subscription: subscription.id, position };
    assert_eq!(store.reader().last_attempt(of(&first)).unwrap(), None);
    for (subscription, number) in [(&first, 2), (&first, 10), (&first, 9), (&second, 11)] {
        let given = attempt(subscription, position, number);
        store.write(|tx| tx.record_attempt(&given));
    }
    assert_eq!(store.reader().last_attempt(of(&first)).unwrap(), Some(attempt(&first, position, 10)));
    assert_eq!(store.reader().last_attempt(of(&second)).unwrap(), Some(attempt(&second, position, 11)));
}

fn lag_counts_what_is_unread_waits_and_is_dead(store: &mut Store) {
    let entities = store.sync(&[push("/a"), to_queue("worker")]);
    let (subscription, to_queue) = (entities.subscriptions[0].clone(), entities.subscriptions[1].clone());
    assert_eq!(store.reader().lag(subscription.id, 100).unwrap(), Lag::default());
    let positions: Vec<Position> = (1..=6).map(|n| store.append(&recorded_at(n, n.into()))).collect();
    store.append(&event_of(7, event::TopicId(99)));
    store.write(|tx| {
        let done_to = positions[3];
        tx.advance_cursor(subscription.id, Cursor { dispatched_to: done_to, done_to })
    });
    let unread = Lag { unread: 2, waiting: 0, behind: 0, dead: 0, oldest: Some(stamp(5)) };
    assert_eq!(store.reader().lag(subscription.id, 100).unwrap(), unread);
    put(store, &row(&subscription, positions[0], dead(1)));
    put(store, &row(&subscription, positions[1], retry(1)));
    put(store, &row(&subscription, positions[2], DeliveryState::Behind));
    let behind = Lag { unread: 2, waiting: 2, behind: 1, dead: 1, oldest: Some(stamp(2)) };
    assert_eq!(store.reader().lag(subscription.id, 100).unwrap(), behind);
    assert_eq!(store.reader().lag(to_queue.id, 100).unwrap(), Lag::default(), "a queue has its own depth");
    let depth = store.reader().queue_depth(entities.queues[0].id, stamp(0)).unwrap();
    assert_eq!(depth.oldest, Some(stamp(1)));
}

fn lag_counts_no_further_than_it_is_asked_to(store: &mut Store) {
    let subscription = store.push_subscription();
    let positions: Vec<Position> = (1..=9).map(|n| store.append(&recorded_at(n, n.into()))).collect();
    store.write(|tx| {
        let done_to = positions[5];
        tx.advance_cursor(subscription.id, Cursor { dispatched_to: done_to, done_to })
    });
    for position in &positions[..3] {
        put(store, &row(&subscription, *position, dead(1)));
    }
    for position in &positions[3..6] {
        put(store, &row(&subscription, *position, DeliveryState::Behind));
    }
    let lag = |count: u64, oldest| Lag { unread: count, waiting: count, behind: count, dead: count, oldest };
    // The oldest is what it is, however little is counted.
    for (at_most, count) in [(1, 1), (2, 2), (3, 3), (4, 3), (u64::MAX, 3)] {
        let counted = store.reader().lag(subscription.id, at_most).unwrap();
        assert_eq!(counted, lag(count, Some(stamp(4))), "at most {at_most}");
    }
}

fn blocked_keys_come_with_the_first_that_waits(store: &mut Store) {
    let (first, second) = two_subscriptions(store);
    let positions: Vec<Position> = (1..=9).map(|n| store.append(&sample_event(n))).collect();
    let behind = || DeliveryState::Behind;
    for (of, n, key, state) in [
        (&first, 0, "b", dead(1)),
        (&first, 1, "b", retry(9)),
        (&first, 2, "b", behind()),
        (&first, 3, "", retry(7)),
        (&first, 4, "b", behind()),
        (&first, 5, "ä", behind()),
        (&first, 6, "only dead", dead(2)),
        (&second, 0, "a", retry(5)),
    ] {
        put(store, &keyed(of, positions[n], key, state));
    }
    let page = |of: SubscriptionId, after, limit, at_most| {
        let keys = store.reader().blocked_keys(of, after, limit, at_most).unwrap();
        keys.into_iter().map(|key| (key.head.key, key.head.id.position, key.behind)).collect::<Vec<_>>()
    };
    let of = |key: &str, n: usize, behind| (key.to_owned(), positions[n], behind);
    let all = [of("", 3, 0), of("b", 1, 2), of("ä", 5, 0)];
    assert_eq!(page(first.id, None, 9, 9), all);
    assert_eq!(page(first.id, None, 2, 1), [of("", 3, 0), of("b", 1, 1)], "counted no further");
    assert_eq!(page(first.id, Some("b"), 9, 9), all[2..]);
    assert_eq!(page(first.id, Some(""), 1, 9), all[1..2]);
    assert_eq!(page(second.id, None, 9, 9), [of("a", 0, 0)]);
    assert_eq!(page(SubscriptionId(99), None, 9, 9), []);
}
