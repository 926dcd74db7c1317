//! All workers together hold no more than their budget, and none is kept waiting by another.

use super::world::SINK_WAITING;
use super::*;
use crate::budget::{COST, facts};

/// What makes an event large, in bytes; it is in its facts more than once.
const LARGE: usize = 20_000;

async fn publish_large(world: &mut World) -> i64 {
    world
        .publish_with("a", |event| {
            // The facts stay what they are: only longer.
            let padding = "p".repeat(LARGE);
            let exchange = event.exchange_mut().unwrap();
            exchange.request =
                exchange.request.replace("/profiles/1", &format!("/profiles/{padding}")).into();
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_hang_hold_no_more_than_the_budget_and_keep_nobody_waiting() {
    const BUDGET: usize = 2_000_000;
    let mut world = World::new(4).await;
    world.set_budget(BUDGET);
    let mut last = 0;
    for _ in 0..40 {
        last = publish_large(&mut world).await;
    }
    let cost = COST * (facts(&world.reader.event_at(Position(last)).unwrap().unwrap()) + 1_024);
    world.feed.start_after(Position(last));
    world.script(|call| if call.endpoint == "/3" { OK } else { Answer::Hang });
    let handles: Vec<_> = (0..4).map(|index| world.start(index, raw())).collect();
    let limit = (BUDGET + 4 * cost) as u64;
    world
        .until("all at the healthy endpoint", |world| {
            assert!(world.budget.held() <= limit, "{} of {limit}", world.budget.held());
            handles[3].counts().delivered == 40
        })
        .await;
    assert!(world.budget.held() > BUDGET as u64 / 2, "the others use what is left: {}", world.budget.held());
    let deliveries = &world.deliveries;
    assert_eq!(
        (deliveries.bytes_held(), deliveries.workers_waiting()),
        (world.budget.held(), 3),
        "as it is shown"
    );
    let hung = world.calls().iter().filter(|call| call.endpoint != "/3").count();
    assert!((BUDGET / 2 / cost..=BUDGET / cost + 4).contains(&hung), "{hung} of {cost} bytes each");
    // Attempts that end make room for the next ones, also for those that wait for a retry.
    world.script(|_| OK);
    for _ in 0..40 {
        world.advance(5 * SECOND).await;
        world.barrier().await;
    }
    world.until("all", |_| handles.iter().all(|handle| handle.counts().delivered == 40)).await;
    world.until("nothing held", |world| world.budget.held() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_larger_than_the_budget_is_delivered() {
    let mut world = World::new(2).await;
    world.set_budget(1);
    world.start(0, raw());
    let other = world.start(1, raw());
    let mut last = 0;
    for _ in 0..5 {
        last = publish_large(&mut world).await;
    }
    world.until("the cursor", |world| world.done_to() == last).await;
    world.until("the other's", |_| other.counts().delivered == 5).await;
    assert_eq!(world.budget.held(), 0);
    let deliveries = &world.deliveries;
    assert_eq!((deliveries.bytes_held(), deliveries.workers_waiting()), (0, 0));
    assert_eq!(deliveries.attempts_waiting(), SINK_WAITING);
}
