//! What a turn does when nobody asked for a change, and whom housekeeping wakes.

use super::*;
use crate::delivery::{Delivery, DeliveryId, DeliveryState};

#[test]
fn a_turn_that_brings_nothing_commits_nothing() {
    let mut world = World::new();
    world.intend(1, "k");
    assert_eq!(world.commits(), 1);
    // Its own turn, which has no change.
    world.stop();
    assert_eq!(world.commits(), 1);
}

#[test]
fn a_writer_without_work_wakes_once_a_second() {
    let began = Instant::now();
    let world = World::new();
    let reads = || world.clock.reads.load(Ordering::SeqCst);
    let at_first = reads();
    wait_until("the writer woke a few times", || reads() >= at_first + 4);
    assert!(began.elapsed() >= LOOK_EVERY, "it spins");
}

#[test]
fn whoever_waits_for_a_row_is_woken_when_it_was_given_up_and_else_not() {
    let world = World::new();
    let wanted = DesiredSubscription {
        topic: "t".into(),
        name: None,
        protocol: Protocol::Http,
        endpoint: "http://a".into(),
        confirm_with: None,
        uuid: uuid::Uuid::nil(),
    };
    let desired = Desired { subscriptions: vec![wanted], ..Desired::default() };
    let entities = world.writer.transact(move |tx| tx.sync_entities(&desired, SAMPLE_TIME)).wait().unwrap();
    let position = world.settle(1, "a").wait().unwrap().unwrap();
    let id = DeliveryId { subscription: entities.subscriptions[0].id, position };
    let now = world.writer.clock().now();
    let row = Delivery {
        id,
        key: "a".into(),
        state: DeliveryState::Retry { at: now },
        attempts: 1,
        since: now,
        anew_after: 0,
    };
    let mut given_up = world.feed.watch_given_up();
    world.writer.transact(move |tx| tx.put_delivery(&row)).wait().unwrap();
    assert!(!given_up.has_changed().unwrap());
    world.clock.pass(Retention::default().max_age + Duration::from_secs(3_600));
    tidy(&world);
    wait_until("the wake-up", || given_up.has_changed().unwrap());
    assert_eq!(*given_up.borrow_and_update(), 1);
    let row = world.reader.delivery(id).unwrap().unwrap();
    assert!(matches!(row.state, DeliveryState::Dead { .. }), "{row:?}");
}
