//! The process dies: nothing is lost, and little is repeated.

use std::collections::{BTreeMap, BTreeSet};

use super::world::fifo;
use super::*;
use crate::worker::recovery::ROWS_AT_ONCE;

#[tokio::test(start_paused = true)]
async fn what_was_under_way_is_attempt_two_and_what_was_recorded_is_not_repeated() {
    let mut world = World::new(1).await;
    world.script(|call| if call.key == "hangs" { Answer::Hang } else { OK });
    world.start(0, raw());
    let hangs = world.publish("hangs").await;
    let done = world.publish("done").await;
    world.until("the record", |world| world.recorded(done).len() == 1).await;
    assert!(world.done_to() < hangs);
    world.crash().await;
    world.script(|_| OK);
    world.start(0, raw());
    world.until("the repetition", |world| world.attempts().len() == 3).await;
    world.until("its end", |world| world.row(hangs).is_none()).await;
    assert_eq!(world.attempts(), [(hangs, 1), (done, 1), (hangs, 2)]);
    assert_eq!(world.done_to(), done);
    let numbers: Vec<_> = world.recorded(hangs).iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [2]);
}

/// What the dead process had under way holds nothing up: neither itself nor the rest of its key.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_had_a_row_is_repeated_at_once() {
    for settings in [raw(), fifo()] {
        for hangs_at in [1, 2] {
            let mut world = World::new(1).await;
            world.script(move |call| match call.attempt {
                attempt if attempt == hangs_at => Answer::Hang,
                _ => Answer::Status(500),
            });
            world.start(0, settings.clone());
            let position = world.publish("a").await;
            let follower = world.publish("b").await;
            world.until("the calls", |world| world.attempts().len() == 2).await;
            if hangs_at == 1 {
                world.advance(SLOW).await;
            } else {
                world.until("the failures", |world| world.recorded(follower).len() == 1).await;
                world.barrier().await;
                world.advance(6 * SECOND).await;
                world.until("the retries", |world| world.attempts().len() == 4).await;
            }
            let leased =
                |world: &World, position| world.row(position).is_some_and(|row| row.attempts == hangs_at);
            world.until("the rows", |world| leased(world, position) && leased(world, follower)).await;
            world.crash().await;
            let restarted = world.now();
            world.script(|_| OK);
            world.start(0, settings.clone());
            let last = world.publish("a").await;
            world.until("all", |world| world.delivered().len() == 3).await;
            let waited = world.now().since(restarted);
            assert!(waited < 5 * SECOND, "{waited:?}: the lease of the dead process was waited for");
            let numbers = |position| {
                let attempts = world.attempts().into_iter().filter(move |attempt| attempt.0 == position);
                attempts.map(|(_, number)| number).collect::<Vec<_>>()
            };
            let expected = if hangs_at == 1 { vec![1, 2] } else { vec![1, 2, 2] };
            assert_eq!(numbers(position), expected);
            world.until("no row", |world| world.row(position).is_none() && world.row(last).is_none()).await;
        }
    }
}

/// The process may be down until long after the end of what the dead one had under way.
#[tokio::test(start_paused = true)]
async fn crashes_make_no_wait_longer() {
    for down in [Duration::ZERO, 30 * SECOND, 1_800 * SECOND] {
        let mut world = World::new(1).await;
        world.script(|_| Answer::Hang);
        world.start(0, raw());
        let position = world.publish("a").await;
        for calls in 1..=6 {
            world.until("the call", |world| world.attempts().len() == calls).await;
            world.crash().await;
            world.clock_forward(down);
            if calls == 6 {
                // The first failure that the endpoint has shown.
                world.script(|_| Answer::Status(500));
            }
            world.start(0, raw());
        }
        world.until("the record", |world| world.recorded(position).len() == 1).await;
        let failed = world.recorded(position).remove(0);
        let waits = failed.next_at.expect("it is tried again").since(failed.at);
        assert!(waits < 35 * SECOND, "{waits:?} after {:?}", world.attempts());
        assert_eq!(failed.number, 2, "an endpoint that may have seen a first attempt sees a second one");
    }
}

/// What is on record counts, and only the one attempt more that is not.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_on_record_counts_after_a_start() {
    for (recorded, begun, next) in
        [(3, 3, 4), (3, 4, 4), (0, 0, 1), (0, 1, 2), (0, 2, 2), (1, 1, 2), (1, 2, 2), (0, 9, 10)]
    {
        let mut world = World::new(1).await;
        let position = world.publish("a").await;
        let at = world.stamp();
        world.leave_rows(vec![(position, DeliveryState::Retry { at }, begun)]).await;
        let of = storage::delivery::DeliveryId {
            subscription: world.subscriptions[0].id,
            position: Position(position),
        };
        let record = move |tx: &mut dyn storage::Tx| {
            (1..=recorded).try_for_each(|number| {
                tx.record_attempt(&storage::delivery::Attempt {
                    delivery: of,
                    event: event::EventId::from_bytes([1; 16]),
                    number,
                    at: Timestamp::default(),
                    took_micros: 1,
                    status: Some(500),
                    error: Some("answered 500".into()),
                    answer: Vec::new(),
                    next_at: None,
                })
            })
        };
        world.writer.transact(record).await.unwrap();
        world.start(0, raw());
        for _ in 0..60 {
            world.advance(SECOND / 10).await;
            world.barrier().await;
        }
        world.until("the call", |world| !world.attempts().is_empty()).await;
        assert_eq!(world.attempts(), [(position, next)], "{recorded} on record of {begun}");
    }
}

/// More than are read at once, and more than there are places.
#[tokio::test(start_paused = true)]
async fn a_start_writes_no_retry_that_it_does_not_begin() {
    for settings in [raw(), fifo()] {
        let count = 2 * ROWS_AT_ONCE + 10;
        let mut world = World::new(1).await;
        let mut rows = Vec::new();
        let at = world.stamp().plus(10 * HOUR);
        for n in 0..count {
            let position = world.publish(if settings.order == Order::Fifo { "a" } else { "b" }).await;
            let is_head = n == 0 || settings.order == Order::Any;
            let state = if is_head { DeliveryState::Retry { at } } else { DeliveryState::Behind };
            rows.push((position, state, 1));
        }
        world.leave_rows(rows.clone()).await;
        world.script(|_| Answer::Hang);
        let places = 8;
        let handle = world.start(0, Settings { max_in_flight: places, ..settings.clone() });
        world.until_state(&handle, WorkerState::Running).await;
        for _ in 0..60 {
            world.advance(SECOND / 10).await;
            world.barrier().await;
        }
        let begun = if settings.order == Order::Fifo { 1 } else { places };
        world.until("the calls", |world| world.attempts().len() == begun).await;
        let as_they_were =
            rows.iter().filter(|(position, state, _)| world.row(*position).unwrap().state == *state).count();
        assert_eq!(as_they_were, count - begun);
        assert!(world.writer.stats().commits.load(std::sync::atomic::Ordering::Relaxed) < count as u64 + 40);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_survives() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(503));
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the row", |world| world.row(position).is_some()).await;
    world.crash().await;
    world.script(|_| OK);
    world.start(0, raw());
    world.advance(6 * SECOND).await;
    world.until("attempt 2", |world| world.attempts() == [(position, 1), (position, 2)]).await;
    world.until("its end", |world| world.row(position).is_none()).await;
}

/// Random answers, random crashes: every event is delivered in the end; of a FIFO subscription, each key in order.
async fn storm(seed: u64, settings: Settings) {
    let mut world = World::new(1).await;
    let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
    let dice = random.clone();
    world.script(move |_| match dice.lock().unwrap().u32(0..10) {
        0 => Answer::Hang,
        1..=3 => Answer::Status(500),
        4 => Answer::After(Duration::from_millis(700), 200),
        5 => Answer::After(Duration::from_millis(1_500), 200),
        _ => OK,
    });
    world.start(0, settings.clone());
    let mut published: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for _ in 0..60 {
        let (key, wait, crash) = {
            let mut random = random.lock().unwrap();
            (format!("k{}", random.u32(0..4)), random.u64(0..400), random.u32(0..12) == 0)
        };
        let position = world.publish(&key).await;
        published.entry(key).or_default().push(position);
        world.advance(Duration::from_millis(wait)).await;
        if crash {
            world.crash().await;
            world.start(0, settings.clone());
        }
    }
    world.script(|_| OK);
    let all: BTreeSet<i64> = published.values().flatten().copied().collect();
    for _ in 0..400 {
        let (delivered, has_row) = (world.delivered(), |position: &i64| world.row(*position).is_some());
        // One whose success nobody noted before a crash is delivered and waits all the same.
        if all.iter().all(|position| delivered.contains(position) && !has_row(position)) {
            break;
        }
        world.advance(30 * SECOND).await;
        world.barrier().await;
    }
    let delivered = world.delivered();
    let missing: Vec<_> = all.iter().filter(|position| !delivered.contains(position)).collect();
    assert!(missing.is_empty(), "seed {seed}: lost {missing:?}");
    world.until("no rows", |world| all.iter().all(|position| world.row(*position).is_none())).await;
    if settings.order == Order::Fifo {
        for (key, positions) in published {
            let mut first: Vec<i64> = Vec::new();
            for position in delivered.iter().filter(|position| positions.contains(position)) {
                if !first.contains(position) {
                    first.push(*position);
                }
            }
            assert_eq!(first, positions, "seed {seed}: {key} out of order");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_a_storm() {
    for seed in 0..12 {
        storm(seed, raw()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_keep_their_order_in_a_storm() {
    for seed in 100..112 {
        storm(seed, fifo()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn retries_that_wait_are_due_at_a_start() {
    for settings in [raw(), fifo()] {
        let mut world = World::new(1).await;
        world.script(|_| Answer::RetryAfter(503, 36_000));
        world.start(0, settings.clone());
        let mut positions = Vec::new();
        for n in 0..20 {
            positions.push(world.publish(&n.to_string()).await);
        }
        world
            .until("the failures", |world| positions.iter().all(|one| world.recorded(*one).len() == 1))
            .await;
        world.crash().await;
        world.script(|_| OK);
        world.start(0, settings);
        let restarted = world.now();
        while world.delivered().len() < positions.len() {
            assert!(world.now().since(restarted) < 20 * SECOND, "{:?} were delivered", world.delivered());
            world.advance(SECOND / 10).await;
            world.barrier().await;
        }
        assert!(world.attempts()[20..].iter().all(|(_, number)| *number == 2), "each failure counts once");
    }
}

/// Somebody changes the subscription, or starts the process anew, every few seconds of an outage.
#[tokio::test(start_paused = true)]
async fn starts_during_an_outage_put_no_retry_off() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(500));
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the failure", |world| world.recorded(position).len() == 1).await;
    let began = world.now();
    for starts in 1..=20 {
        world.barrier().await;
        world.crash().await;
        world.start(0, raw());
        let failures = starts + 1;
        world.until("one more failure", |world| world.recorded(position).len() >= failures).await;
        let Some(DeliveryState::Retry { at }) = world.row(position).map(|row| row.state) else { continue };
        let (age, left) = (world.now().since(began), at.since(world.stamp()));
        assert!(
            left <= age * 5 + 6 * SECOND,
            "after {age:?} and {starts} starts the next attempt is in {left:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_puts_no_retry_off_and_gives_none_up() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut world = World::new(1).await;
    world.set_wall_ahead(30 * DAY);
    world.script(|_| Answer::Status(500));
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the failure", |world| world.recorded(position).len() == 1).await;
    let next_at = world.recorded(position)[0].next_at.unwrap();
    assert!(next_at.since(world.now()) < 6 * SECOND, "a time for people is the wall clock's");
    for ahead in [Duration::ZERO, 8 * DAY, 400 * DAY, Duration::ZERO] {
        world.set_wall_ahead(ahead);
        world.barrier().await;
        assert!(!world.is_dead(position));
    }
    let young = world.publish_with("b", |event| event.recorded_at = Timestamp::default()).await;
    world.script(|_| OK);
    world.advance(6 * SECOND).await;
    world.until("both", |world| world.delivered().len() == 2).await;
    // The result of a call is recorded after the call.
    world.until("no row", |world| world.row(young).is_none() && world.row(position).is_none()).await;
}
