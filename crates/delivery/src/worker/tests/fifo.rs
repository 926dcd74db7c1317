//! Order within a key.

use super::world::fifo;
use super::*;
use crate::worker::recovery::ROWS_AT_ONCE;

#[tokio::test(start_paused = true)]
async fn a_blocked_key_keeps_its_order_and_holds_up_no_other() {
    let mut world = World::new(1).await;
    world.script(|call| if call.key == "a" && call.attempt == 1 { Answer::Status(500) } else { OK });
    world.start(0, fifo());
    let a1 = world.publish("a").await;
    let a2 = world.publish("a").await;
    let a3 = world.publish("a").await;
    let b1 = world.publish("b").await;
    world.until("the other key", |world| world.delivered() == [b1]).await;
    world.until("the cursor", |world| world.done_to() == b1).await;
    for follower in [a2, a3] {
        assert_eq!(world.row(follower).unwrap().state, DeliveryState::Behind);
    }
    // Each of them fails once, and the next waits for it.
    for (next, left) in [(a1, 3), (a2, 2), (a3, 1)] {
        let rows = |world: &World| [a1, a2, a3].iter().filter(|p| world.row(**p).is_some()).count();
        world.until("its failure", |world| world.recorded(next).len() == 1).await;
        assert_eq!(rows(&world), left);
        world.advance(6 * SECOND).await;
        world.until("its delivery", |world| world.delivered().last() == Some(&next)).await;
    }
    world.until("no row", |world| world.row(a3).is_none()).await;
    assert_eq!(world.delivered(), [b1, a1, a2, a3]);
    let a4 = world.publish("a").await;
    world.until("a free key", |world| world.row(a4).is_some() || world.delivered().contains(&a4)).await;
}

/// A key whose turn it is finds every place taken: the worker must wait for one, not look for ever and keep the thread.
#[tokio::test(start_paused = true)]
async fn a_key_that_finds_no_place_waits_for_one() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::After(Duration::from_millis(500), 200));
    world.start(0, Settings { max_in_flight: 2, ..fifo() });
    let mut positions = Vec::new();
    for key in ["a", "a", "b", "c", "d", "a", "b"] {
        positions.push(world.publish(key).await);
    }
    for _ in 0..8 {
        world.advance(SECOND).await;
        world.barrier().await;
    }
    world.until("all of them", |world| world.delivered().len() == positions.len()).await;
    let mut delivered = world.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, positions);
}

#[tokio::test(start_paused = true)]
async fn one_of_a_key_is_under_way_at_a_time() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::After(Duration::from_millis(500), 200));
    world.start(0, fifo());
    let mut positions = Vec::new();
    for _ in 0..4 {
        positions.push(world.publish("a").await);
    }
    for begun in 1..=4 {
        world.until("the next", |world| world.attempts().len() == begun).await;
        world.barrier().await;
        assert_eq!(world.attempts().len(), begun, "two at once");
        world.advance(SECOND / 2).await;
    }
    world.until("the end", |world| world.delivered() == positions).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_head_releases_its_followers() {
    let mut world = World::new(1).await;
    world.script(|call| if call.position == 1 { Answer::Status(500) } else { OK });
    let policy = Policy { waits: vec![SECOND], give_up_after: SECOND / 2 };
    world.start(0, Settings { policy, ..fifo() });
    let head = world.publish("a").await;
    let follower = world.publish("a").await;
    assert_eq!(head, 1);
    world.until("the follower", |world| world.delivered() == [follower]).await;
    assert!(world.is_dead(head));
}

#[tokio::test(start_paused = true)]
async fn an_unsendable_head_releases_its_followers() {
    let mut world = World::new(1).await;
    let head = world.publish_with("a", |event| event.exchange_mut().unwrap().request = "{}".into()).await;
    let follower = world.publish("a").await;
    world.start(0, fifo());
    world.until("the follower", |world| world.delivered() == [follower]).await;
    assert!(world.is_dead(head));
}

#[tokio::test(start_paused = true)]
async fn followers_survive_a_crash_in_their_order() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Hang);
    world.start(0, fifo());
    let mut positions = Vec::new();
    for _ in 0..3 {
        positions.push(world.publish("a").await);
    }
    world.until("followers", |world| world.row(positions[2]).is_some()).await;
    world.crash().await;
    world.script(|_| OK);
    world.start(0, fifo());
    world.until("all", |world| world.delivered() == positions).await;
    assert_eq!(world.attempts()[1], (positions[0], 2));
}

#[tokio::test(start_paused = true)]
async fn followers_go_when_the_subscription_is_no_longer_fifo() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(500));
    world.start(0, fifo());
    let head = world.publish("a").await;
    let follower = world.publish("a").await;
    world.until("the follower", |world| world.row(head).is_some() && world.row(follower).is_some()).await;
    world.crash().await;
    world.script(|_| OK);
    world.start(0, raw());
    world.until("the follower", |world| world.delivered() == [follower]).await;
}

/// More of them than are read at once.
#[tokio::test(start_paused = true)]
async fn many_followers_go_when_the_subscription_is_no_longer_fifo() {
    let count = 2 * ROWS_AT_ONCE + 10;
    let mut world = World::new(1).await;
    let positions = waiting(&mut world, count, |_| DeliveryState::Behind).await;
    world.start(0, raw());
    world.until("all", |world| world.delivered().len() == count).await;
    let mut delivered = world.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, positions);
    assert!(world.attempts().iter().all(|(_, number)| *number == 1), "none was tried before");
    assert!(positions.iter().all(|position| world.row(*position).is_none()));
}

/// Each was a retry of its own; the last one is due first.
#[tokio::test(start_paused = true)]
async fn retries_of_a_key_go_in_their_order_when_the_subscription_becomes_fifo() {
    for (seed, due_first) in [(1, true), (2, false)] {
        fastrand::seed(seed);
        let mut world = World::new(1).await;
        let now = world.stamp();
        let positions = waiting(&mut world, 20, |n| DeliveryState::Retry {
            at: now.plus(SECOND * if due_first { 20 - n } else { 3_600 }),
        })
        .await;
        let other = world.publish("b").await;
        world.script(|call| if call.key == "a" && call.position == 1 { Answer::Hang } else { OK });
        world.start(0, fifo());
        world
            .until("the head's call", |world| world.attempts().iter().any(|(position, _)| *position == 1))
            .await;
        world.until("the other key", |world| world.delivered() == [other]).await;
        assert_eq!(world.attempts().len(), 2, "the others of the key wait");
        for follower in &positions[1..] {
            assert_eq!(world.row(*follower).unwrap().state, DeliveryState::Behind, "and it is durable");
        }
        world.crash().await;
        world.script(|_| OK);
        world.start(0, fifo());
        world.until("all", |world| world.delivered().len() == 21).await;
        assert_eq!(world.delivered()[1..], positions);
    }
}

/// Rows of key `a` for so many new events.
async fn waiting(world: &mut World, count: usize, state: impl Fn(u32) -> DeliveryState) -> Vec<i64> {
    let mut positions = Vec::new();
    for _ in 0..count {
        positions.push(world.publish("a").await);
    }
    world.leave_rows(positions.iter().zip(0..).map(|(position, n)| (*position, state(n), 0)).collect()).await;
    positions
}

/// The age limit of the store does what the worker does not hear of: the head of a key becomes a dead letter long before it is due.
#[tokio::test(start_paused = true)]
async fn a_head_that_housekeeping_gave_up_releases_its_followers() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut world = World::new(1).await;
    world.script(|call| if call.position == 1 { Answer::Status(500) } else { OK });
    let policy = Policy { waits: vec![30 * DAY], give_up_after: 60 * DAY };
    world.start(0, Settings { policy, ..fifo() });
    let head = world.publish("a").await;
    world.until("the failure", |world| world.row(head).is_some()).await;
    world.advance(4 * DAY).await;
    let followers = [world.publish("a").await, world.publish("a").await];
    world.until("the followers", |world| world.row(followers[1]).is_some()).await;
    let other = world.publish("b").await;
    world.until("the other key", |world| world.delivered() == [other]).await;
    world.advance(4 * DAY).await;
    let (retention, now) = (storage::retention::Retention::default(), world.now());
    world.writer.transact(move |tx| tx.housekeep(&retention, now, 99)).await.unwrap();
    assert_eq!(world.dead_reason(head), storage::retention::TOO_OLD);
    world.until("the followers", |world| world.delivered() == [other, followers[0], followers[1]]).await;
    let next = world.publish("a").await;
    world.until("a free key", |world| world.delivered().last() == Some(&next)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_to_be_asked_anyway_is_not_noted_again() {
    let world = World::new(1).await;
    let (mut worker, _signal) = world.worker(fifo());
    for key in ["a", "b", "c"] {
        worker.keys.block(key.into());
    }
    worker.due.release("a".into());
    worker.due.promote_released();
    for _ in 0..3 {
        worker.release_idle_keys();
    }
    let mut asked: Vec<&str> = worker.due.asked().map(|key| &**key).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_waits_behind_the_head_of_its_key() {
    let mut world = World::new(1).await;
    let handle = world.start(0, fifo());
    let first = world.publish("a").await;
    world.until("the first", |world| world.done_to() == first).await;
    world.script(|_| Answer::After(Duration::from_millis(500), 200));
    let second = world.publish("a").await;
    world.until("the second's call", |world| world.attempts().len() == 2).await;
    handle.redeliver(Position(first)).await.unwrap();
    world.barrier().await;
    assert_eq!(world.attempts().len(), 2);
    world.advance(SECOND).await;
    world.until("the redelivery", |world| world.attempts() == [(first, 1), (second, 1), (first, 2)]).await;
}
