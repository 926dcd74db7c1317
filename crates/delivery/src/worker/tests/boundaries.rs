//! Where a limit is met exactly: places, times and ages, asked of a worker that does not run.

use event::Event;
use storage::delivery::{Delivery, DeliveryId};
use storage::feed::Recent;

use super::world::fifo;
use super::*;
use crate::window::Admit;
use crate::worker::damage::Readable;
use crate::worker::dispatch::Room;

/// The event at a position.
fn event(world: &World, position: i64) -> Arc<Event> {
    Arc::new(world.reader.event_at(Position(position)).unwrap().unwrap())
}

fn row(world: &World, position: i64, state: DeliveryState) -> Delivery {
    let id = DeliveryId { subscription: world.subscriptions[0].id, position: Position(position) };
    Delivery { id, key: "a".into(), state, attempts: 1, since: world.stamp(), anew_after: 0 }
}

#[tokio::test(start_paused = true)]
async fn retries_have_half_of_the_places_rounded_up_and_all_when_nothing_else_waits() {
    for (places, within, half) in
        [(0, 1, 1), (1, 1, 1), (2, 2, 1), (3, 3, 2), (256, 256, 128), (9_999, 256, 128)]
    {
        let world = World::new(1).await;
        let (mut worker, _signal) = world.worker(Settings { max_in_flight: places, ..raw() });
        assert_eq!(worker.room(), Room { free: within, retries: half, new: within }, "{places}");
        assert!(worker.next_events(1).await.unwrap().is_empty());
        assert!(worker.source.is_drained());
        assert_eq!(worker.room(), Room { free: within, retries: within, new: within }, "{places}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_events_are_all_there_when_a_look_found_fewer_than_it_might_and_took_them() {
    let small = [(9, 1, false), (9, 1, false), (9, 1, true)];
    for (budget, looks) in [(1 << 20, [(2, 2, false), (1, 1, false), (1, 0, true)]), (1, small)] {
        let mut world = World::new(1).await;
        world.set_budget(budget);
        for _ in 0..3 {
            world.publish("a").await;
        }
        let topic = world.subscriptions[0].topic;
        let is_fed = |recent| matches!(recent, Recent::Events(events) if events.len() == 3);
        world.until("the feed", |world| is_fed(world.feed.recent(topic, Position(0), 9))).await;
        let (mut worker, _signal) = world.worker(raw());
        for (limit, count, is_all) in looks {
            let found = worker.next_events(limit).await.unwrap();
            assert_eq!(
                (found.len(), worker.source.is_drained()),
                (count, is_all),
                "{limit} of {budget} bytes"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_full_is_committed_and_takes_nothing_new() {
    let world = World::new(1).await;
    let (mut worker, _signal) = world.worker(raw());
    for position in 1..MAX_SPAN as i64 {
        worker.window.begin(Position(position));
    }
    assert_eq!((worker.room().new, worker.must_commit()), (1, false));
    worker.window.begin(Position(MAX_SPAN as i64));
    assert_eq!((worker.room().new, worker.must_commit()), (0, true));
    assert!(worker.room().retries > 0, "retries are not in it");
}

#[tokio::test(start_paused = true)]
async fn what_was_gathered_is_committed_when_its_time_has_come() {
    let world = World::new(1).await;
    let (mut worker, _signal) = world.worker(raw());
    assert!(!worker.must_commit());
    let until = Instant::now() + GATHER;
    worker.gather_until = Some(until);
    assert!(!worker.must_commit());
    assert_eq!(worker.wake_at(), until);
    world.advance(GATHER).await;
    assert!(worker.must_commit());
    worker.gather_until = None;
    worker.due.release("a".into());
    assert!(worker.must_commit(), "a key waits for it");
}

#[tokio::test(start_paused = true)]
async fn a_worker_wakes_for_the_first_of_what_it_waits_for() {
    let world = World::new(1).await;
    let (mut worker, _signal) = world.worker(raw());
    assert_eq!(worker.wake_at(), Instant::now() + worker.look_every);
    for wait in [10 * SECOND, 5 * SECOND] {
        worker.due.look_no_later_than(world.stamp().plus(wait));
        assert_eq!(worker.wake_at(), Instant::now() + wait);
    }
    worker.due.left = crate::worker::leftover::Leftover::new(Position(9), world.stamp().plus(SECOND));
    assert_eq!(worker.wake_at(), Instant::now() + SECOND, "what the last run left comes first");
    let held = worker.share.charge(&huge());
    assert_eq!(worker.room().retries, 0);
    assert_eq!(worker.wake_at(), Instant::now() + worker.look_every, "there is no room for it");
    drop(held);
}

/// An event that is larger than the budget of all.
fn huge() -> Event {
    let request = "x".repeat(crate::budget::BYTES).into();
    let body = storage::memory::sample_exchange(1, |exchange| exchange.request = request);
    Event { position: Position(1), stamp: event::Stamp::default(), body }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_as_old_as_the_limit_is_tried_and_an_older_one_is_dead() {
    for (beyond, is_tried) in [(Duration::ZERO, true), (Duration::from_micros(1), false)] {
        let mut world = World::new(1).await;
        let position = world.publish("a").await;
        let (mut worker, _signal) = world.worker(raw());
        let old = row(&world, position, DeliveryState::Retry { at: world.stamp() });
        let found: Readable = Ok(event(&world, position));
        world.clock_forward(worker.deps.max_age + beyond);
        let begun = worker.begin_rows(vec![Ok((old, Some(found)))]).await.unwrap();
        assert_eq!(begun.len(), usize::from(is_tried), "{beyond:?} beyond it");
        worker.commit().await.unwrap();
        assert_eq!(world.is_dead(position), !is_tried);
        assert_eq!(begun.first().map(|dispatch| dispatch.number), is_tried.then_some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_is_leased_for_the_attempts_time_and_a_margin() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    let (mut worker, _signal) = world.worker(Settings { timeout: 7 * SECOND, ..raw() });
    let now = world.stamp();
    let found: Readable = Ok(event(&world, position));
    let retry = row(&world, position, DeliveryState::Retry { at: now });
    assert_eq!(worker.begin_rows(vec![Ok((retry, Some(found)))]).await.unwrap().len(), 1);
    worker.commit().await.unwrap();
    let leased = world.row(position).unwrap();
    let until = now.plus(7 * SECOND + LEASE_MARGIN);
    assert_eq!((leased.attempts, leased.state), (2, DeliveryState::Retry { at: until }));
    assert_eq!(worker.due.look_at(), Some(until));
}

#[tokio::test(start_paused = true)]
async fn a_row_without_its_event_is_removed_once_and_its_key_goes_on() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    let (mut worker, _signal) = world.worker(fifo());
    worker.keys.block("a".into());
    let state = DeliveryState::Retry { at: world.stamp() };
    world.leave_rows(vec![(position, state.clone(), 1)]).await;
    let gone = row(&world, position, state);
    assert!(worker.begin_rows(vec![Ok((gone, None))]).await.unwrap().is_empty());
    worker.commit().await.unwrap();
    assert_eq!(world.row(position), None);
    assert!(worker.due.has_promotable(), "whoever follows is asked for");
    assert!(worker.promoted(1).await.unwrap().is_empty());
    assert_eq!(worker.keys.admit(&"a".into()), Admit::Go);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_slow_when_it_has_taken_a_second() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    world.script(|_| Answer::Hang);
    let (mut worker, _signal) = world.worker(raw());
    let mut dispatches = worker.choose().await.unwrap();
    while dispatches.is_empty() {
        // The feed hears of an event after the one who published it.
        world.barrier().await;
        worker.source.look_again();
        dispatches = worker.choose().await.unwrap();
    }
    worker.commit().await.unwrap();
    let began = Instant::now();
    for dispatch in dispatches {
        worker.attempts.begin(dispatch, &worker.sender);
    }
    let places = |worker: &Worker| (worker.attempts.len(), worker.attempts.rows(), worker.attempts.retries());
    assert_eq!(places(&worker), (1, 0, 0));
    assert_eq!(worker.attempts.slow_at(), Some(began + SLOW));
    let almost = began + SLOW.saturating_sub(Duration::from_nanos(1));
    assert!(worker.attempts.next_slow(almost).is_none());
    let slow = worker.attempts.next_slow(began + SLOW).map(|dispatch| dispatch.event.position);
    assert_eq!(slow, Some(Position(position)));
    assert_eq!(places(&worker), (1, 1, 0), "it has a row, and takes no place from retries");
    assert!(worker.attempts.next_slow(began + HOUR).is_none(), "once");
    // The attempt's task gets its turn: its time begins there.
    world.barrier().await;
    world.advance(16 * SECOND).await;
    assert!(world_lands(&world, &mut worker).await);
    assert_eq!((places(&worker), worker.attempts.is_empty()), ((0, 0, 0), true));
}

async fn world_lands(world: &World, worker: &mut Worker) -> bool {
    for _ in 0..100 {
        if worker.attempts.try_next_ended().is_some() {
            return true;
        }
        world.barrier().await;
    }
    false
}
