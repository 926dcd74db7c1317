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
    let head = world.publish_with("a", |event| event.request = "{}".into()).await;
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

/// More of them than one commit changes, and a crash in the middle.
#[tokio::test(start_paused = true)]
async fn followers_are_freed_a_part_at_a_time() {
    let parts = 2 * ROWS_AT_ONCE + 10;
    let mut world = World::new(1).await;
    let id = world.subscriptions[0].id;
    let mut positions = Vec::new();
    for _ in 0..parts {
        positions.push(world.publish("a").await);
    }
    let (rows, now) = (positions.clone(), world.stamp());
    let behind = move |tx: &mut dyn storage::Tx| {
        for position in &rows {
            tx.put_delivery(&storage::delivery::Delivery {
                id: storage::delivery::DeliveryId { subscription: id, position: Position(*position) },
                key: "a".into(),
                state: DeliveryState::Behind,
                attempts: 0,
                since: now,
            })?;
        }
        let last = Position(*rows.last().unwrap_or(&0));
        tx.advance_cursor(id, storage::entities::Cursor { dispatched_to: last, done_to: last })
    };
    world.writer.transact(behind).await.unwrap();
    world.memory.spare_next_commit();
    world.memory.fail_next_commit(CommitFault::Io);
    let handle = world.start(0, raw());
    world.until("the end", |_| matches!(handle.state(), WorkerState::Failed(_))).await;
    let freed = |world: &World| {
        let waiting = world.reader.waiting_deliveries(id, Position(0), parts).unwrap();
        waiting.iter().filter(|row| row.state != DeliveryState::Behind).count()
    };
    assert_eq!(freed(&world), ROWS_AT_ONCE, "one part is durable, the rest is as it was");
    assert_eq!(world.attempts(), []);
    world.crash().await;
    world.start(0, raw());
    world.until("all", |world| world.delivered().len() == parts).await;
    let mut delivered = world.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, positions);
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
    let (_signal, drain) = crate::drain::drain();
    let (_handle, shared, commands) = Handle::new(world.subscriptions[0].id);
    let (config, commands) = (world.config(0, fifo()), commands.try_lock_owned().unwrap());
    let endpoint = config.endpoint().unwrap();
    let mut worker = Worker::new(config, endpoint, world.deps(), drain, shared, commands);
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
