//! Rows that can neither be read nor written: they hold up their own keys and nothing else, and nothing waits for them again.

use super::world::fifo;
use super::*;
use crate::worker::leftover::Leftover;

/// Two events of one key with rows: the first cannot be read, and the worker leaves it alone.
async fn stuck(settings: Settings, state: impl Fn(&World) -> DeliveryState) -> (World, Worker, [i64; 2]) {
    let mut world = World::new(1).await;
    let positions = [world.publish("a").await, world.publish("a").await];
    let state = state(&world);
    world.leave_rows(positions.map(|position| (position, state.clone(), 1)).to_vec()).await;
    world.faults.damage_row(Position(positions[0]));
    let (mut worker, _signal) = world.worker(settings);
    worker.due.leave_alone(Position(positions[0]));
    (world, worker, positions)
}

fn due(world: &World) -> DeliveryState {
    DeliveryState::Retry { at: world.stamp() }
}

/// What comes of it while the clock stands: a read that is tried again waits for ever.
async fn at_once<T>(what: impl Future<Output = T>) -> T {
    tokio::pin!(what);
    let deadline = std::time::Instant::now() + 20 * SECOND;
    loop {
        let real_time = tokio::task::spawn_blocking(|| std::thread::park_timeout(SECOND / 1_000));
        tokio::select! {
            biased;
            value = &mut what => return value,
            _ = real_time => assert!(std::time::Instant::now() < deadline, "it waits"),
        }
    }
}

fn begun(dispatches: &[crate::worker::under_way::Dispatch]) -> Vec<i64> {
    dispatches.iter().map(|dispatch| dispatch.event.position.0).collect()
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_due_go_around_it_even_one_at_a_time() {
    let (world, mut worker, [stuck, other]) = stuck(raw(), due).await;
    worker.due.look_no_later_than(world.stamp());
    let dispatches = at_once(worker.due(1)).await.unwrap();
    assert_eq!(begun(&dispatches), [other]);
    assert!(!world.is_dead(stuck), "it is not set aside again");
}

#[tokio::test(start_paused = true)]
async fn what_the_last_run_left_goes_around_it() {
    let (world, mut worker, [stuck, other]) = stuck(raw(), due).await;
    worker.due.left = Leftover::new(Position(other), world.stamp());
    let mut dispatches = Vec::new();
    while dispatches.is_empty() {
        dispatches = at_once(worker.left_over(9, world.stamp())).await.unwrap();
        world.advance(SECOND).await;
    }
    assert_eq!(begun(&dispatches), [other]);
    assert!(!world.is_dead(stuck), "it is not set aside again");
}

#[tokio::test(start_paused = true)]
async fn its_own_key_waits_behind_it() {
    let (world, mut worker, [stuck, other]) = stuck(fifo(), |_| DeliveryState::Behind).await;
    worker.keys.block("a".into());
    worker.due.release("a".into());
    worker.due.promote_released();
    assert_eq!(begun(&at_once(worker.promoted(9)).await.unwrap()), [0; 0]);
    assert!(!world.is_dead(stuck) && !world.is_dead(other));
    assert_eq!(worker.keys.len(), 1, "the key is not free");
    world.faults.mend_rows();
    worker.due.release("a".into());
    worker.due.promote_released();
    assert_eq!(begun(&at_once(worker.promoted(9)).await.unwrap()), [stuck], "it can be read again");
}
