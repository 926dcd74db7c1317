//! Starts with a wrong wall clock: the time that they add to the store's clock counts towards no limit of a delivery.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// The process comes back with its wall clock days ahead, again and again: the store's clock is a day ahead in the end.
async fn come_back_wrong(world: &mut World) {
    let before = world.stamp();
    for start in 1..=24 {
        world.die().await;
        world.set_wall_ahead(start * 10 * DAY);
        world.come_back().await;
    }
    assert!(world.stamp().since(before) >= DAY);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_tried_is_not_too_old_for_them() {
    let mut world = World::new(1).await;
    let old = world.publish("a").await;
    world.clock_forward(7 * DAY - HOUR);
    come_back_wrong(&mut world).await;
    world.start(0, raw());
    world.until("the end", |world| world.done_to() == old).await;
    assert_eq!((world.is_dead(old), world.delivered()), (false, vec![old]));
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_is_not_given_up_for_them() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(500));
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the row", |world| world.row(position).is_some_and(|row| row.attempts == 1)).await;
    // The default policy gives up after three days.
    world.clock_forward(2 * DAY + HOUR);
    come_back_wrong(&mut world).await;
    world.start(0, raw());
    world.advance(6 * SECOND).await;
    world.until("the second attempt", |world| world.recorded(position).len() == 2).await;
    world.barrier().await;
    assert!(!world.is_dead(position), "{}", world.dead_reason(position));
    // Nor for their age: the row may have come by a redrive.
    world.clock_forward(5 * DAY - 2 * HOUR);
    world.script(|_| OK);
    world.advance(60 * SECOND).await;
    world.until("its end", |world| world.row(position).is_none() || world.is_dead(position)).await;
    assert!(!world.is_dead(position), "{}", world.dead_reason(position));
}
