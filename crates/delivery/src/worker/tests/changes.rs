//! Workers that are stopped and started anew while the others go on.

use super::*;
use crate::deliveries::StartError;

#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_notes_what_is_under_way_and_its_successor_goes_on() {
    let mut world = World::new(2).await;
    world.script(|call| match call.endpoint.as_str() {
        "/0" => Answer::After(Duration::from_millis(800), 200),
        _ => OK,
    });
    let first = world.start(0, Settings { max_in_flight: 1, ..raw() });
    let other = world.start(1, raw());
    let begun = world.publish("a").await;
    let waiting = world.publish("a").await;
    world.until("the call", |world| world.calls().iter().any(|call| call.endpoint == "/0")).await;
    let id = first.subscription();
    {
        let ids = [id];
        let stopping = world.deliveries.stop(&ids, Instant::now() + 10 * SECOND);
        tokio::pin!(stopping);
        assert!(super::lifecycle::futures_pending(&mut stopping).await);
        world.advance(SECOND).await;
        stopping.await;
    }
    assert_eq!((first.state(), world.done_to()), (WorkerState::Drained, begun));
    assert!(world.deliveries.handle(id).is_none());
    assert_eq!(world.deliveries.handles().len(), 1);
    assert_eq!(first.redeliver(Position(begun)).await, Err(RedeliverError::NotDelivering));

    world.script(|_| OK);
    let successor = world.start(0, raw());
    let last = world.publish("b").await;
    world.until("the rest", |world| world.done_to() == last).await;
    let of_first: Vec<_> = world
        .calls()
        .iter()
        .filter(|call| call.endpoint == "/0")
        .map(|call| (call.position, call.attempt))
        .collect();
    assert_eq!(of_first, [(begun, 1), (waiting, 1), (last, 1)]);
    assert_eq!(successor.counts().delivered, 3, "it counts on");
    world.until("the others", |_| other.counts().delivered == 3).await;
    assert_eq!((other.state(), other.counts().attempts.iter().sum::<u64>()), (WorkerState::Running, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_at_the_deadline_is_made_anew_by_the_successor() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Hang);
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the call", |world| world.attempts().len() == 1).await;
    {
        let ids = [handle.subscription()];
        let stopping = world.deliveries.stop(&ids, Instant::now() + SECOND / 2);
        tokio::pin!(stopping);
        assert!(super::lifecycle::futures_pending(&mut stopping).await);
        world.advance(SECOND).await;
        stopping.await;
    }
    world.script(|_| OK);
    world.start(0, raw());
    world.until("the repetition", |world| world.delivered() == [position]).await;
    assert_eq!(world.attempts(), [(position, 1), (position, 2)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_started_once_the_process_drains_and_one_that_runs_is_not_started_twice() {
    let world = World::new(2).await;
    let handle = world.start(0, raw());
    assert_eq!(world.start(0, raw()).subscription(), handle.subscription());
    assert_eq!(world.deliveries.handles().len(), 1);
    // One that does not run need not be stopped.
    world.deliveries.stop(&[world.subscriptions[1].id], Instant::now()).await;
    world.deliveries.drain(Instant::now()).await;
    let refused = world.deliveries.start(world.config(1, raw()));
    assert!(matches!(refused, Err(StartError::Draining)));
}
