//! Subscriptions with names: which one a wanted one is, and what it keeps when its endpoint changes.

use std::time::Duration;

use event::Position;

use super::entities::queued;
use super::{Case, Store, after, cases, dead, event_of, pending, push, retry, row, to_queue, wanted};
use crate::entities::{
    Cursor, DesiredSubscription, Protocol, Subscription, SubscriptionId, SubscriptionState,
};
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    a_name_is_kept_and_unique_in_its_topic_alone,
    an_endpoint_that_moves_under_its_name_changes_nothing_else,
    a_name_that_is_given_taken_away_or_changed_loses_nothing,
    a_name_comes_before_an_endpoint,
    two_swap_their_endpoints_or_their_names,
    the_endpoint_of_a_removed_one_is_free_and_costs_it_nothing,
    a_removed_one_comes_back_by_its_name_on_another_endpoint,
    a_name_never_makes_a_queue_of_a_webhook,
    a_queue_that_is_changed_keeps_its_messages_and_gets_no_more,
    another_origin_is_confirmed_anew,
    another_path_of_the_same_origin_stays_confirmed,
    another_origin_needs_no_confirmation_where_none_is_asked_for,
    one_that_was_never_confirmed_gets_a_fresh_token_elsewhere,
    who_unsubscribed_has_no_say_in_another_origin,
    what_moved_is_kept_as_for_a_confirmed_one,
    what_moved_and_was_never_confirmed_or_ended_is_kept_for_a_while,
];

fn named(name: &str, wanted: DesiredSubscription) -> DesiredSubscription {
    DesiredSubscription { name: Some(name.into()), ..wanted }
}

/// At another host than [`push`].
fn elsewhere(path: &str) -> DesiredSubscription {
    wanted(Protocol::Http, &format!("http://elsewhere{path}"))
}

fn with_token(token: &str, wanted: DesiredSubscription) -> DesiredSubscription {
    DesiredSubscription { confirm_with: Some(token.into()), ..wanted }
}

/// What a sync makes of each, and that it is what the store holds then.
#[track_caller]
fn sync(store: &mut Store, wanted: &[DesiredSubscription]) -> Vec<Subscription> {
    let synced = store.sync(wanted);
    let stored = store.reader().subscriptions().unwrap();
    let mut all: Vec<_> = synced.subscriptions.iter().chain(&synced.removed).cloned().collect();
    all.sort_by_key(|known| known.id);
    assert_eq!(all, stored, "it was told what it is");
    synced.subscriptions
}

fn numbers(subscriptions: &[Subscription]) -> Vec<i64> {
    subscriptions.iter().map(|known| known.id.0).collect()
}

/// Confirmed at `push("/a")`, as `a`, with one event read, and one waiting, one dead and one unread.
fn with_backlog(store: &mut Store) -> (Subscription, Vec<Position>) {
    let subscription = sync(store, &[named("a", pending("/a", "first"))]).remove(0);
    store.write(|tx| tx.confirm_subscription("first"));
    let topic = subscription.topic;
    let positions: Vec<Position> = (1..=4).map(|n| store.append(&event_of(n, topic))).collect();
    let to = Cursor { dispatched_to: positions[2], done_to: positions[2] };
    store.write(|tx| tx.advance_cursor(subscription.id, to));
    store.write(|tx| tx.put_delivery(&row(&subscription, positions[1], retry(5))));
    store.write(|tx| tx.put_delivery(&row(&subscription, positions[2], dead(6))));
    (store.subscription(subscription.id).unwrap(), positions)
}

/// All rows of the backlog are there, and the cursor is where it was.
#[track_caller]
fn assert_backlog(store: &Store, before: &Subscription) {
    let now = store.subscription(before.id).unwrap();
    assert_eq!((now.uuid, now.cursor, now.created), (before.uuid, before.cursor, before.created));
    let lag = store.reader().lag(before.id, 100).unwrap();
    assert_eq!((lag.unread, lag.waiting, lag.dead), (1, 1, 1));
}

fn a_name_is_kept_and_unique_in_its_topic_alone(store: &mut Store) {
    let other = DesiredSubscription { topic: "other".into(), ..push("/b") };
    let all = [named("a", push("/a")), named("a", other), push("/c")];
    let first = sync(store, &all);
    let names: Vec<_> = first.iter().map(|known| known.name.as_deref()).collect();
    assert_eq!((numbers(&first), names), (vec![1, 2, 3], vec![Some("a"), Some("a"), None]));
    store.restart();
    assert_eq!(sync(store, &all), first);
    let twice = [named("a", push("/a")), named("a", push("/x")), named("x", push("/a"))];
    assert_eq!(numbers(&sync(store, &twice)), [1], "the first one counts");
}

fn an_endpoint_that_moves_under_its_name_changes_nothing_else(store: &mut Store) {
    let (before, _) = with_backlog(store);
    for moved in [push("/b"), elsewhere("/c"), wanted(Protocol::Https, "https://localhost/a")] {
        let now = sync(store, &[named("a", moved.clone())]);
        let expected = Subscription { protocol: moved.protocol, endpoint: moved.endpoint, ..before.clone() };
        assert_eq!(now, [expected]);
        store.restart();
        assert_backlog(store, &before);
    }
    assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
}

fn a_name_that_is_given_taken_away_or_changed_loses_nothing(store: &mut Store) {
    let (before, _) = with_backlog(store);
    for now in
        [push("/a"), named("b", push("/a")), named("a", push("/a")), push("/a"), named("c", push("/a"))]
    {
        let synced = sync(store, std::slice::from_ref(&now));
        assert_eq!(synced, [Subscription { name: now.name, ..before.clone() }]);
        assert_backlog(store, &before);
    }
    // Also one that was gone meanwhile.
    sync(store, &[]);
    assert_eq!(numbers(&sync(store, &[named("d", push("/a"))])), [before.id.0]);
    assert_backlog(store, &before);
}

fn a_name_comes_before_an_endpoint(store: &mut Store) {
    let first = sync(store, &[named("a", push("/a")), push("/b")]);
    let now = sync(store, &[push("/a"), named("a", push("/b"))]);
    assert_eq!(now[1].id, first[0].id);
    assert_eq!(numbers(&now), [3, 1], "and whose endpoint it got is another one");
    let removed = store.subscription(first[1].id).unwrap();
    assert!(removed.removed_at.is_some());
    assert_eq!(
        numbers(&sync(store, &[named("a", push("/a")), push("/b")])),
        [1, 2],
        "it is back in its grace"
    );
}

fn two_swap_their_endpoints_or_their_names(store: &mut Store) {
    let first = sync(store, &[named("a", push("/a")), named("b", push("/b")), push("/c")]);
    let swapped = sync(store, &[named("a", push("/b")), named("b", push("/a")), push("/c")]);
    assert_eq!(numbers(&swapped), numbers(&first));
    store.restart();
    assert_eq!(store.reader().subscriptions().unwrap(), swapped);
    let endpoints: Vec<_> = swapped.iter().map(|known| &*known.endpoint).collect();
    assert_eq!(endpoints, ["http://localhost/b", "http://localhost/a", "http://localhost/c"]);
    let ring = [named("a", push("/c")), named("b", push("/b")), named("c", push("/a"))];
    assert_eq!(
        numbers(&sync(store, &ring)),
        [1, 2, 4],
        "a name that nobody had, and an endpoint that left with its name"
    );
}

fn the_endpoint_of_a_removed_one_is_free_and_costs_it_nothing(store: &mut Store) {
    let limits = Retention { removed_grace: Duration::from_secs(1_000), ..Retention::default() };
    let (before, _) = with_backlog(store);
    let other = sync(store, &[named("a", push("/a")), named("b", push("/b"))]).remove(1);
    store.sync_at(&[named("b", push("/a"))], after(50));
    let now = store.reader().subscriptions().unwrap();
    assert_eq!(now.iter().map(|known| &*known.endpoint).collect::<Vec<_>>(), ["http://localhost/a"; 2]);
    assert_eq!((now[0].removed_at, now[1].removed_at), (Some(after(50)), None));
    assert_eq!(now[1].id, other.id);
    store.housekeep(&limits, after(1_049));
    assert_backlog(store, &before);
    store.housekeep(&limits, after(1_050));
    assert_eq!(store.subscription(before.id), None);
    assert_eq!(store.subscription(other.id), Some(now[1].clone()));
}

fn a_removed_one_comes_back_by_its_name_on_another_endpoint(store: &mut Store) {
    let (before, _) = with_backlog(store);
    sync(store, &[named("b", push("/b"))]);
    let back = sync(store, &[named("b", push("/a")), named("a", push("/b"))]);
    assert_eq!((back[1].id, back[1].removed_at), (before.id, None));
    assert_eq!(&*back[1].endpoint, "http://localhost/b");
    assert_backlog(store, &before);
}

fn a_name_never_makes_a_queue_of_a_webhook(store: &mut Store) {
    let (before, _) = with_backlog(store);
    let queue = sync(store, &[named("a", to_queue("worker"))]).remove(0);
    assert_ne!(queue.id, before.id);
    let removed = store.subscription(before.id).unwrap();
    assert_eq!((removed.name.clone(), removed.removed_at.is_some()), (None, true));
    assert_backlog(store, &before);
    assert_eq!(
        sync(store, &[named("a", push("/a"))]),
        std::slice::from_ref(&before),
        "its endpoint finds it again"
    );
    assert_backlog(store, &before);
    let removed = store.subscription(queue.id).unwrap();
    assert_eq!((removed.name, removed.removed_at.is_some()), (None, true));
}

fn a_queue_that_is_changed_keeps_its_messages_and_gets_no_more(store: &mut Store) {
    let topic = store.sync(&[named("a", to_queue("one"))]).topics[0].id;
    let first = store.append(&event_of(1, topic));
    let now = store.sync(&[named("a", to_queue("two")), to_queue("unrelated")]);
    let second = store.append(&event_of(2, topic));
    let one = store.sync(&[named("a", to_queue("two")), named("z", to_queue("one"))]).queues[1].id;
    let two = now.queues[0].id;
    assert_eq!((queued(store, one), queued(store, two)), (vec![first], vec![second]));
    // What it missed while it was out of the configuration goes to the queue that it has then.
    store.sync(&[]);
    let missed = store.append(&event_of(3, topic));
    store.sync(&[named("a", to_queue("one"))]);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 1);
    assert_eq!((queued(store, one), queued(store, two)), (vec![first, missed], vec![second]));
}

fn state(store: &Store, id: SubscriptionId) -> (SubscriptionState, bool) {
    let known = store.subscription(id).unwrap();
    (known.state, known.reconfirms)
}

fn is_pending(token: &str) -> SubscriptionState {
    SubscriptionState::Pending { token: token.into() }
}

fn another_origin_is_confirmed_anew(store: &mut Store) {
    let (before, _) = with_backlog(store);
    let id = before.id;
    sync(store, &[named("a", with_token("second", elsewhere("/a")))]);
    store.restart();
    assert_eq!(state(store, id), (is_pending("second"), true));
    assert_backlog(store, &before);
    assert_eq!(store.write(|tx| tx.confirm_subscription("first")), None, "the old endpoint has no say");
    sync(store, &[named("a", with_token("third", elsewhere("/b")))]);
    assert_eq!(state(store, id), (is_pending("second"), true), "a start does not ask anew");
    // Back where it was once confirmed: nobody knows whose that is by now.
    sync(store, &[named("a", pending("/a", "fourth"))]);
    assert_eq!(state(store, id), (is_pending("fourth"), true));
    store.write(|tx| tx.confirm_subscription("fourth"));
    store.restart();
    assert_eq!(state(store, id), (SubscriptionState::Confirmed, false));
    assert_backlog(store, &before);
}

fn another_path_of_the_same_origin_stays_confirmed(store: &mut Store) {
    let (before, _) = with_backlog(store);
    sync(store, &[named("a", pending("/elsewhere?key=value", "second"))]);
    assert_eq!(state(store, before.id), (SubscriptionState::Confirmed, false));
    sync(store, &[named("a", with_token("third", wanted(Protocol::Http, "http://LOCALHOST:80")))]);
    assert_eq!(state(store, before.id), (SubscriptionState::Confirmed, false), "another spelling");
    for (endpoint, protocol) in
        [("http://localhost:81/", Protocol::Http), ("https://localhost/", Protocol::Https)]
    {
        sync(store, &[named("a", with_token("fourth", wanted(protocol, endpoint)))]);
        assert_eq!(state(store, before.id), (is_pending("fourth"), true), "{endpoint}");
        store.write(|tx| tx.confirm_subscription("fourth"));
    }
}

fn another_origin_needs_no_confirmation_where_none_is_asked_for(store: &mut Store) {
    let (before, _) = with_backlog(store);
    sync(store, &[named("a", elsewhere("/a"))]);
    assert_eq!(state(store, before.id), (SubscriptionState::Confirmed, false));
    // Nor one that waits for it.
    sync(store, &[named("a", with_token("second", push("/a")))]);
    assert_eq!(state(store, before.id), (is_pending("second"), true));
    sync(store, &[named("a", push("/a"))]);
    assert_eq!(state(store, before.id), (SubscriptionState::Confirmed, false));
    sync(store, &[named("a", with_token("third", elsewhere("/a")))]);
    let enabled = store.write(|tx| tx.enable_subscription(before.id)).unwrap();
    assert_eq!((enabled.state, enabled.reconfirms), (SubscriptionState::Confirmed, false));
    assert_backlog(store, &before);
}

fn one_that_was_never_confirmed_gets_a_fresh_token_elsewhere(store: &mut Store) {
    let id = sync(store, &[named("a", pending("/a", "first"))])[0].id;
    sync(store, &[named("a", pending("/b", "second"))]);
    assert_eq!(state(store, id), (is_pending("first"), false), "the same origin, which has the token");
    sync(store, &[named("a", with_token("third", elsewhere("/a")))]);
    assert_eq!(state(store, id), (is_pending("third"), false));
    assert_eq!(store.write(|tx| tx.confirm_subscription("first")), None);
    sync(store, &[]);
    sync(store, &[named("a", pending("/a", "fourth"))]);
    assert_eq!(state(store, id), (is_pending("fourth"), false), "also one that was gone meanwhile");
}

fn who_unsubscribed_has_no_say_in_another_origin(store: &mut Store) {
    let (before, _) = with_backlog(store);
    let id = before.id;
    store.write(|tx| tx.disable_subscription(id, Some("back")));
    sync(store, &[named("a", pending("/b", "second"))]);
    assert!(state(store, id).0.is_disabled(), "the same origin");
    sync(store, &[named("a", with_token("third", elsewhere("/a")))]);
    assert_eq!(state(store, id), (is_pending("third"), false));
    assert_backlog(store, &before);
    assert_eq!(store.write(|tx| tx.confirm_subscription("back")), None);
    store.write(|tx| tx.disable_subscription(id, None));
    sync(store, &[named("a", push("/a"))]);
    assert_eq!(state(store, id), (SubscriptionState::Confirmed, false));
    assert_backlog(store, &before);
    let queue = sync(store, &[named("q", to_queue("one"))]).remove(0);
    store.write(|tx| tx.disable_subscription(queue.id, None));
    assert!(sync(store, &[named("q", to_queue("one"))])[0].state.is_disabled());
    let moved = sync(store, &[named("q", to_queue("two"))]).remove(0);
    assert_eq!((moved.id, moved.uuid, moved.state), (queue.id, queue.uuid, SubscriptionState::Confirmed));
}

/// Limits in seconds: history 10, pending 100.
fn limits() -> Retention {
    let secs = Duration::from_secs;
    Retention { history: secs(10), pending_pin: secs(100), ..Retention::default() }
}

fn what_moved_is_kept_as_for_a_confirmed_one(store: &mut Store) {
    let (before, positions) = with_backlog(store);
    let owed: Vec<i64> = positions[1..].iter().map(|position| position.0).collect();
    sync(store, &[named("a", with_token("second", elsewhere("/a")))]);
    store.restart();
    store.housekeep(&limits(), after(5_000));
    store.at(5_000).write(|tx| tx.make_room(&limits(), after(5_000), 100));
    assert_eq!(store.positions(), owed);
    assert_backlog(store, &before);
    // It is not confirmed yet, moves again, is gone for a moment: it is owed all the same.
    sync(store, &[]);
    sync(store, &[named("a", with_token("third", push("/a")))]);
    store.housekeep(&limits(), after(5_000));
    assert_eq!(store.positions(), owed);
    assert_backlog(store, &before);
    // Confirmed, and unsubscribed: three days.
    store.write(|tx| tx.confirm_subscription("third"));
    store.housekeep(&limits(), after(5_000));
    assert_backlog(store, &before);
    store.write(|tx| tx.disable_subscription(before.id, None));
    store.housekeep(&limits(), after(5_000));
    assert_eq!(store.positions(), [positions[2].0], "a dead letter stays");
}

fn what_moved_and_was_never_confirmed_or_ended_is_kept_for_a_while(store: &mut Store) {
    let never = sync(store, &[named("a", pending("/a", "first"))]).remove(0);
    let position = store.append(&event_of(1, never.topic));
    sync(store, &[named("a", with_token("second", elsewhere("/a")))]);
    store.housekeep(&limits(), after(99));
    assert_eq!(store.positions(), [position.0]);
    store.housekeep(&limits(), after(200));
    assert_eq!(store.positions(), [0; 0]);
    // Pending because it moved, and ended by its receiver then.
    store.write(|tx| tx.confirm_subscription("second"));
    sync(store, &[named("a", pending("/a", "third"))]);
    let position = store.append(&event_of(2, never.topic));
    assert_eq!(state(store, never.id), (is_pending("third"), true));
    store.housekeep(&limits(), after(200));
    assert_eq!(store.positions(), [position.0]);
    store.write(|tx| tx.disable_subscription(never.id, None));
    store.restart();
    assert!(!state(store, never.id).1);
    store.housekeep(&limits(), after(200));
    assert_eq!(store.positions(), [0; 0]);
}
