//! Room that is made, and room that is not to be had.

use uuid::Uuid;

use super::*;

/// A subscription that reads nothing, so that all events of [`TOPIC`] are owed.
fn owe_everything(world: &World) {
    let subscription = DesiredSubscription {
        topic: "first".into(),
        name: None,
        protocol: Protocol::Http,
        endpoint: "http://localhost/".into(),
        confirm_with: None,
        uuid: Uuid::nil(),
    };
    let desired = Desired { subscriptions: vec![subscription], ..Desired::default() };
    let entities = world.writer.transact(move |tx| tx.sync_entities(&desired, SAMPLE_TIME)).wait().unwrap();
    assert_eq!(entities.topics[0].id, TOPIC);
}

/// A store that is at its limit from the start.
fn full() -> World {
    World::with(SAMPLE_TIME, Retention { max_bytes: 0, ..Retention::default() })
}

/// A store with room for about ten samples.
fn small() -> World {
    let sample = sample_event(1);
    let size = sample.bytes();
    World::with(SAMPLE_TIME, Retention { max_bytes: 10 * size as u64, ..Retention::default() })
}

#[test]
fn at_its_limit_the_store_keeps_what_is_owed_and_nothing_else() {
    let world = full();
    owe_everything(&world);
    assert!(matches!(world.writer.admits(), Err(StoreError::Full(_))), "before anybody asked for room");
    assert!(matches!(world.writer.intend(sample_intent(1)).wait(), Err(StoreError::Full(_))));
    let blocked = world.block();
    let owed = [world.settle(2, "k"), world.writer.publish(sample_event(3))];
    let offered = world.writer.offer(sample_event(4));
    drop(blocked);
    assert!(owed.into_iter().all(|receipt| receipt.wait().is_ok()));
    assert!(matches!(offered.wait(), Err(StoreError::Full(_))));
    assert_eq!(world.in_log(), [2, 3].map(sample_id));
    assert_eq!(dropped(&world), [1, 0, 0, 0]);
    let space = world.writer.space();
    assert!(space.is_tight && space.max_bytes == 0);
    assert!(space.full.is_some_and(|cause| cause.contains("--max-store")));
    assert_eq!(world.writer.cleared(), 0);
}

#[test]
fn what_adds_to_a_full_store_is_refused_in_its_commit_and_everything_else_is_done() {
    let world = full();
    let blocked = world.block();
    let adds = world.writer.transact_if_room(|_| Ok(7));
    let other = world.writer.transact(|_| Ok(8));
    drop(blocked);
    assert!(matches!(adds.wait(), Err(StoreError::Full(_))));
    assert_eq!(other.wait().expect("it adds nothing"), 8);
}

#[test]
fn history_makes_way_for_intents_without_a_refusal() {
    let world = small();
    for n in 1..=100 {
        world.writer.intend(sample_intent(n)).wait().unwrap();
        world.settle(n, "k").wait().unwrap();
    }
    let left = world.in_log();
    assert!((1..=12).contains(&left.len()), "{left:?}");
    assert_eq!(left.last(), Some(&sample_id(100)), "the oldest go first");
    assert!(world.writer.cleared() >= 88);
    wait_until("room is no longer short", || !world.writer.space().is_tight);
    assert_eq!(world.writer.space().full, None);
}

#[test]
fn a_store_that_is_too_full_for_its_limit_is_emptied_before_an_intent_is_refused() {
    let store = Memory::default();
    let world = World::over(store.clone(), SAMPLE_TIME, Retention::default());
    let receipts: Vec<_> = (1..=200).map(|n| world.writer.publish(sample_event(n))).collect();
    assert!(receipts.into_iter().all(|receipt| receipt.wait().is_ok()));
    drop(world);
    let world = World::over(store, SAMPLE_TIME, Retention { max_bytes: 500, ..Retention::default() });
    world.writer.intend(sample_intent(201)).wait().unwrap();
}

#[test]
fn what_is_owed_makes_no_way_until_it_is_read() {
    let world = small();
    owe_everything(&world);
    let refused = (1..=100).find(|n| {
        let taken = world.writer.intend(sample_intent(*n)).wait();
        taken.is_ok().then(|| world.settle(*n, "k").wait().unwrap()).is_none()
    });
    let refused = refused.expect("the store fills up");
    assert_eq!(world.in_log(), (1..refused).map(sample_id).collect::<Vec<_>>());
    assert!(world.writer.admits().is_err());
    let read = crate::entities::Cursor { dispatched_to: Position(5), done_to: Position(5) };
    let subscription = crate::entities::SubscriptionId(1);
    world.writer.transact(move |tx| tx.advance_cursor(subscription, read)).wait().unwrap();
    wait_until("there is room, though nobody asks for any", || world.writer.admits().is_ok());
    world.writer.intend(sample_intent(refused)).wait().unwrap();
    let left = world.in_log();
    assert!(left.ends_with(&(6..refused).map(sample_id).collect::<Vec<_>>()), "{left:?}");
}

#[test]
fn an_intent_is_refused_as_soon_as_nothing_is_left_to_delete() {
    let world = full();
    for n in 1..=3 {
        assert!(matches!(world.writer.intend(sample_intent(n)).wait(), Err(StoreError::Full(_))));
    }
    // Searching on for as long as an intent may wait would take thousands.
    assert!(world.commits() < 50, "{} commits", world.commits());
}
