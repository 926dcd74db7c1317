//! A worker that panics has a successor, which begins as after a start.

use super::world::fifo;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_started_again_after_waits_that_grow() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    world.clock.panic_next(2);
    let handle = world.start(0, raw());
    for (restarts, wait) in [(1, SECOND), (2, 2 * SECOND)] {
        world.until("the end", |_| handle.counts().restarts == restarts).await;
        assert_eq!(handle.state(), WorkerState::Restarting);
        let trouble = handle.trouble().expect("it is said why");
        assert!(trouble.contains("a panic: the clock was told to"), "{trouble}");
        assert_eq!(handle.redeliver(Position(position)).await, Err(RedeliverError::NotDelivering));
        world.advance(wait / 2).await;
        world.barrier().await;
        assert_eq!((handle.state(), world.attempts().len()), (WorkerState::Restarting, 0));
        world.advance(wait * 3 / 5).await;
    }
    world.until("the delivery", |world| world.done_to() == position).await;
    assert_eq!(world.attempts(), [(position, 1)]);
    assert_eq!((handle.state(), handle.trouble()), (WorkerState::Running, None));
    assert_eq!(handle.counts().restarts, 2);
    handle.redeliver(Position(position)).await.unwrap();
    world.until("the second", |world| world.attempts().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_is_repeated_and_nothing_else() {
    for (settings, keeps_order) in [(raw(), false), (fifo(), true)] {
        let mut world = World::new(1).await;
        let handle = world.start(0, settings);
        let done = world.publish("a").await;
        world.until("the first", |world| world.done_to() == done).await;
        world.script(|call| if call.attempt == 1 { Answer::Hang } else { OK });
        let hangs = world.publish("a").await;
        world.until("the call", |world| world.attempts().len() == 2).await;
        let follower = world.publish("a").await;
        world.barrier().await;
        world.clock.panic_next(1);
        let last = world.publish("b").await;
        world.until("the end", |_| handle.counts().restarts == 1).await;
        world.script(|_| OK);
        world.advance(SECOND).await;
        world.until("all", |world| world.delivered().len() == 4).await;
        world.until("the cursor", |world| world.done_to() == last).await;
        world.until("no rows", |world| [hangs, follower].iter().all(|row| world.row(*row).is_none())).await;
        let mut delivered = world.delivered();
        delivered.sort_unstable();
        assert_eq!(delivered, [done, hangs, follower, last], "each once");
        if keeps_order {
            let place = |position| world.delivered().iter().position(|other| *other == position);
            assert!(place(hangs) < place(follower), "{:?}", world.delivered());
        }
        assert!(world.attempts().contains(&(hangs, 2)), "{:?}", world.attempts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_well_for_a_minute_is_started_again_after_the_first_wait() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    for restarts in 1..=3 {
        world.until_state(&handle, WorkerState::Running).await;
        world.advance(61 * SECOND).await;
        world.barrier().await;
        world.clock.panic_next(1);
        let position = world.publish("a").await;
        world.until("the end", |_| handle.counts().restarts == restarts).await;
        let ended = world.now();
        world.advance(SECOND).await;
        world.until("the delivery", |world| world.done_to() == position).await;
        assert!(world.now().since(ended) < SECOND * 3 / 2, "{:?}", world.now().since(ended));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_again_within_a_minute_waits_longer_and_a_minute_at_most() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    for (restarts, wait) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        world.until_state(&handle, WorkerState::Running).await;
        world.advance(50 * SECOND).await;
        world.barrier().await;
        world.clock.panic_next(1);
        let position = world.publish("a").await;
        world.until("the end", |_| handle.counts().restarts == restarts).await;
        world.advance((wait - 1) * SECOND + SECOND / 2).await;
        world.barrier().await;
        assert_eq!(handle.state(), WorkerState::Restarting, "{wait} s");
        world.advance(SECOND).await;
        world.until("the delivery", |world| world.done_to() == position).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_restart() {
    let world = World::new(1).await;
    world.clock.panic_next(1);
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::Restarting).await;
    world.deliveries.drain(Instant::now() + HOUR).await;
    assert_eq!(handle.state(), WorkerState::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_a_store_that_cannot_be_read() {
    let mut world = World::new(1).await;
    world.clock.panic_next(1);
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::Restarting).await;
    let position = world.publish("a").await;
    for _ in 0..2 {
        world.faults.fail_next(StoreError::Damaged("a moment".into()));
    }
    for _ in 0..8 {
        world.advance(SECOND).await;
        world.barrier().await;
    }
    world.until("the delivery", |world| world.done_to() == position).await;
    assert_eq!((world.faults.left(), handle.counts().restarts), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_runs_the_workers_ends() {
    let world = World::new(2).await;
    let handles = [world.start(0, raw()), world.start(1, raw())];
    assert!(!world.deliveries.is_lost());
    world.deliveries.lose("the thread ended");
    assert!(world.deliveries.is_lost());
    for handle in handles {
        assert_eq!(handle.state(), WorkerState::Failed("the thread ended".into()));
        assert_eq!(handle.trouble().as_deref(), Some("the thread ended"));
        assert!(handle.state().is_final());
    }
}
