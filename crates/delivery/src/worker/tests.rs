//! The worker over the in-memory store, with a scripted sink and a clock that stands still.

mod boundaries;
mod changes;
mod crashes;
mod fifo;
mod freed;
mod left_alone;
mod lifecycle;
mod memory;
mod reads;
mod starts;
mod supervision;
mod world;

use std::sync::Mutex;

use event::Position;
use storage::delivery::DeliveryState;
use storage::memory::CommitFault;

use self::world::{Answer, OK, World, raw};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn delivers_and_closes_the_cursor_without_rows() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    let mut positions = Vec::new();
    for key in ["a", "b", "a"] {
        positions.push(world.publish(key).await);
    }
    world.until("the cursor", |world| world.done_to() == positions[2]).await;
    let mut delivered = world.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, positions);
    for position in positions {
        assert_eq!(world.row(position), None);
        let recorded = world.recorded(position);
        assert_eq!((recorded.len(), recorded[0].number, recorded[0].status), (1, 1, Some(204)));
        assert_eq!((recorded[0].error.clone(), &recorded[0].answer[..]), (None, &b"body"[..]));
    }
    let counts = handle.counts();
    assert_eq!((counts.delivered, counts.of(AttemptResult::Success), counts.dead), (3, 3, 0));
    assert_eq!(handle.state(), WorkerState::Running);
}

#[tokio::test(start_paused = true)]
async fn what_is_called_is_durable_as_dispatched() {
    let mut world = World::new(1).await;
    let (reader, broken) = (world.reader.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = broken.clone();
    world.script(move |call| {
        let cursor = reader.subscriptions().unwrap()[0].cursor;
        if cursor.dispatched_to.0 < call.position || cursor.done_to.0 >= call.position {
            seen.lock().unwrap().push((call.position, cursor));
        }
        OK
    });
    world.start(0, raw());
    let mut last = 0;
    for _ in 0..50 {
        last = world.publish("a").await;
    }
    world.until("the cursor", |world| world.done_to() == last).await;
    assert_eq!(world.attempts().len(), 50);
    assert!(broken.lock().unwrap().is_empty(), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn reads_the_log_where_the_feed_does_not_reach_back() {
    let mut world = World::new(1).await;
    let mut last = 0;
    for _ in 0..600 {
        last = world.publish("a").await;
    }
    world.feed.start_after(Position(last));
    world.start(0, raw());
    world.until("the cursor", |world| world.done_to() == last).await;
    assert_eq!(world.delivered().len(), 600);
    last = world.publish("a").await;
    world.until("the one after", |world| world.done_to() == last).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_in_a_row_and_pins_nothing() {
    let mut world = World::new(1).await;
    world.script(|call| if call.attempt < 3 { Answer::Status(500) } else { OK });
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the row", |world| world.row(position).is_some()).await;
    assert_eq!(world.done_to(), position);
    let row = world.row(position).unwrap();
    assert_eq!((row.attempts, &*row.key), (1, "a"));

    world.advance(4 * SECOND).await;
    world.barrier().await;
    assert_eq!(world.attempts(), [(position, 1)], "not before its time");
    world.advance(2 * SECOND).await;
    world.until("attempt 2", |world| world.attempts().len() == 2).await;
    world.until("its row", |world| world.recorded(position).len() == 2).await;
    world.advance(34 * SECOND).await;
    world.until("the end", |world| world.row(position).is_none()).await;
    assert_eq!(world.attempts(), [(position, 1), (position, 2), (position, 3)]);
    let recorded = world.recorded(position);
    let told: Vec<_> = recorded.iter().map(|attempt| (attempt.status, attempt.next_at.is_some())).collect();
    assert_eq!(told, [(Some(500), true), (Some(500), true), (Some(204), false)]);
    assert_eq!(recorded[0].error.as_deref(), Some("answered 500"));
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_in_deliveries_or_in_dead_letters() {
    let mut world = World::new(1).await;
    world.script(|call| if call.key == "lost" { Answer::Status(404) } else { OK });
    let handle = world.start(0, raw());
    let lost = world.publish("lost").await;
    let began = world.now();
    while !world.is_dead(lost) {
        world.advance(HOUR / 2).await;
        world.barrier().await;
        assert!(world.now().since(began) < 100 * HOUR, "tried for ever");
    }
    let reason = world.dead_reason(lost);
    assert!(reason.starts_with("gave up after ") && reason.ends_with("; the last: answered 404"), "{reason}");
    let tried_for = world.now().since(began);
    assert!(tried_for > 68 * HOUR, "{tried_for:?}");
    assert!((35..50).contains(&world.attempts().len()), "{}", world.attempts().len());
    assert_eq!(handle.counts().dead, 1);
    let next = world.publish("next").await;
    world.until("what follows", |world| world.delivered() == [next]).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_left_alone_as_long_as_it_asked() {
    let mut world = World::new(1).await;
    world.script(|call| if call.attempt == 1 { Answer::RetryAfter(429, 600) } else { OK });
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the row", |world| world.row(position).is_some()).await;
    world.advance(590 * SECOND).await;
    world.barrier().await;
    assert_eq!(world.attempts().len(), 1);
    world.advance(11 * SECOND).await;
    world.until("the delivery", |world| world.delivered() == [position]).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_gets_a_row_and_the_others_go_on() {
    let mut world = World::new(1).await;
    world.script(|call| if call.key == "slow" { Answer::Hang } else { OK });
    world.start(0, raw());
    let slow = world.publish("slow").await;
    let quick = world.publish("quick").await;
    world.until("the quick one", |world| world.delivered() == [quick]).await;
    assert!(world.done_to() < slow && world.row(slow).is_none());
    world.advance(SLOW).await;
    world.until("the row", |world| world.row(slow).is_some()).await;
    assert_eq!(world.done_to(), quick);
    assert!(
        matches!(world.row(slow).unwrap().state, DeliveryState::Retry { at } if at > world.stamp().plus(15 * SECOND))
    );

    world.script(|_| OK);
    world.advance(15 * SECOND).await;
    world.until("its timeout", |world| world.recorded(slow).len() == 1).await;
    world.advance(6 * SECOND).await;
    world.until("its end", |world| world.row(slow).is_none()).await;
    assert_eq!(world.attempts(), [(slow, 1), (quick, 1), (slow, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_success_leaves_no_row() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::After(Duration::from_secs(3), 200));
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the call", |world| world.attempts().len() == 1).await;
    world.advance(SLOW).await;
    world.until("the row", |world| world.row(position).is_some()).await;
    world.advance(3 * SECOND).await;
    world.until("the end", |world| world.row(position).is_none()).await;
    world.advance(60 * SECOND).await;
    world.barrier().await;
    assert_eq!(world.attempts(), [(position, 1)]);
}

#[tokio::test(start_paused = true)]
async fn one_slow_endpoint_delays_nobody_else() {
    let mut world = World::new(2).await;
    world.script(|call| if call.endpoint == "/0" { Answer::Hang } else { OK });
    world.start(0, Settings { max_in_flight: 2, ..raw() });
    let other = world.start(1, raw());
    for _ in 0..20 {
        world.publish("a").await;
    }
    world.until("the other's", |_| other.counts().delivered == 20).await;
    let slow = world.calls().iter().filter(|call| call.endpoint == "/0").count();
    assert_eq!(slow, 2, "no more at once than its limit");
}

#[tokio::test(start_paused = true)]
async fn new_events_are_not_starved_by_retries() {
    let mut world = World::new(1).await;
    world.script(|call| if call.key == "bad" { Answer::Status(500) } else { OK });
    world.start(0, Settings { max_in_flight: 2, ..raw() });
    for _ in 0..40 {
        world.publish("bad").await;
    }
    world.until("all rows", |world| world.attempts().len() == 40).await;
    world.advance(10 * SECOND).await;
    let good = world.publish("good").await;
    world.until("the new one", |world| world.delivered().contains(&good)).await;
}

/// One slow attempt ends every 2.5 s; the other three have been under way for longer than a second.
#[tokio::test(start_paused = true)]
async fn retries_are_not_starved_by_slow_first_attempts() {
    let mut world = World::new(1).await;
    world.script(|call| match (call.key.as_str(), call.position) {
        ("bad", _) if call.attempt == 1 => Answer::Status(500),
        ("bad", _) => OK,
        (_, first @ 2..=5) => Answer::After(Duration::from_millis(2_500) * (first as u32 - 1), 200),
        _ => Answer::After(10 * SECOND, 200),
    });
    world.start(0, Settings { max_in_flight: 4, ..raw() });
    let bad = world.publish("bad").await;
    world.until("its failure", |world| world.recorded(bad).len() == 1).await;
    for _ in 0..40 {
        world.publish("slow").await;
    }
    for _ in 0..14 {
        world.advance(SECOND).await;
        world.barrier().await;
    }
    assert!(world.delivered().contains(&bad), "{:?}", world.attempts());
    assert!(world.delivered().len() < 30, "the backlog was there all the time");
}

#[tokio::test(start_paused = true)]
async fn a_full_store_begins_nothing_and_loses_nothing() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    world.memory.fail_next_commit(CommitFault::Full);
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::WaitingForStore).await;
    assert_eq!(world.attempts(), []);
    world.advance(2 * SECOND).await;
    world.until("the cursor", |world| world.done_to() == position).await;
    assert_eq!(world.attempts(), [(position, 1)]);
    world.until_state(&handle, WorkerState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_found_no_space_is_noted_later() {
    let mut world = World::new(1).await;
    let memory = world.memory.clone();
    world.script(move |_| {
        memory.fail_next_commit(CommitFault::Full);
        OK
    });
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until_state(&handle, WorkerState::WaitingForStore).await;
    assert_eq!(world.recorded(position), []);
    world.advance(2 * SECOND).await;
    world.until("the cursor", |world| world.done_to() == position).await;
    assert_eq!((world.attempts(), world.recorded(position).len()), (vec![(position, 1)], 1));
}

#[tokio::test(start_paused = true)]
async fn a_latched_store_ends_the_worker_and_a_restart_goes_on() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    world.memory.fail_next_commit(CommitFault::Io);
    let handle = world.start(0, raw());
    world.until("the end", |_| matches!(handle.state(), WorkerState::Failed(_))).await;
    assert_eq!(world.attempts(), []);
    world.crash().await;
    world.start(0, raw());
    world.until("the delivery", |world| world.delivered() == [position]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_a_dead_letter_and_not_dispatched() {
    let mut world = World::new(1).await;
    let old = world.publish("a").await;
    world.advance(8 * 24 * HOUR).await;
    let young = world.publish("a").await;
    let handle = world.start(0, raw());
    world.until("the young one", |world| world.done_to() == young).await;
    assert_eq!(world.attempts(), [(young, 1)]);
    assert_eq!(world.dead_reason(old), "older than 7 days before its first attempt");
    assert_eq!(handle.counts().dead, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_nearly_too_old_is_delivered() {
    let limit = 7 * 24 * HOUR;
    // The clock goes on a little before the worker looks.
    for (age, is_dead) in [(limit - 5 * SECOND, false), (limit + SECOND / 1_000, true)] {
        let mut world = World::new(1).await;
        let old = world.publish("a").await;
        world.clock_forward(age);
        world.start(0, raw());
        world.until("the end", |world| world.done_to() == old).await;
        assert_eq!(world.is_dead(old), is_dead, "{age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempts_row_is_due_when_it_must_have_ended() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Hang);
    world.start(0, Settings { timeout: 10 * SECOND, ..raw() });
    let position = world.publish("a").await;
    world.until("the call", |world| world.attempts().len() == 1).await;
    let call = world.stamp();
    world.advance(SLOW).await;
    world.until("the row", |world| world.row(position).is_some()).await;
    let row = world.row(position).unwrap();
    let DeliveryState::Retry { at } = row.state else { panic!("{row:?}") };
    let lease = at.since(call);
    assert!(lease <= 15 * SECOND && lease > 14 * SECOND, "timeout and margin: {lease:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rendered_is_a_dead_letter_and_blocks_nothing() {
    let mut world = World::new(1).await;
    world.start(0, raw());
    let damaged = world.publish_with("a", |event| event.exchange_mut().unwrap().request = "{}".into()).await;
    let whole = world.publish("a").await;
    world.until("both", |world| world.done_to() == whole).await;
    assert_eq!(world.attempts(), [(whole, 1)]);
    assert!(world.dead_reason(damaged).contains("do not read"), "{}", world.dead_reason(damaged));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_is_tried_again() {
    let mut world = World::new(1).await;
    world.script(|call| if call.attempt == 1 { Answer::Panic } else { OK });
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the row", |world| world.row(position).is_some()).await;
    world.advance(6 * SECOND).await;
    world.until("the delivery", |world| world.delivered() == [position]).await;
    assert_eq!(handle.counts().of(AttemptResult::Failed(crate::sink::Failure::Internal)), 1);
}

impl World {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// On the store's clock.
    fn stamp(&self) -> event::Stamp {
        self.writer.clock().now()
    }
}
