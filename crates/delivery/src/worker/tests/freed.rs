//! What an operator does to deliveries that are stuck: has them tried again, gives them up, has an endpoint asked to confirm.

use storage::entities::SubscriptionState;

use super::world::fifo;
use super::*;
use crate::signing::SnsKey;
use crate::worker::recovery::ROWS_AT_ONCE;

/// How long a delivery waits for its next attempt.
fn wait(world: &World, position: i64) -> Duration {
    match world.row(position).map(|row| row.state) {
        Some(DeliveryState::Retry { at }) => at.since(world.stamp()),
        other => panic!("it does not wait for its time: {other:?}"),
    }
}

/// Lets deliveries fail for half a day, and until none of them is due in the next minute.
async fn fail_for_hours(world: &World, positions: &[i64]) {
    for half_hours in 0..60 {
        world.advance(HOUR / 2).await;
        world.barrier().await;
        if half_hours > 20 && positions.iter().all(|position| wait(world, *position) > 60 * SECOND) {
            return;
        }
    }
    let waits: Vec<_> = positions.iter().map(|position| wait(world, *position)).collect();
    panic!("the waits have not grown: {waits:?}");
}

fn whole(until: i64) -> Retry {
    Retry { after: Position(0), until: Position(until) }
}

/// The endpoint takes its time to fail, so that the delivery has an age when it has: only the count of attempts says that this was the first
/// one after somebody asked for it again.
#[tokio::test(start_paused = true)]
async fn waits_begin_anew_however_slowly_the_endpoint_fails() {
    for how in ["retry", "retry all", "redeliver"] {
        let mut world = World::new(1).await;
        world.script(|_| Answer::Status(500));
        let handle = world.start(0, raw());
        let position = world.publish("a").await;
        world.until("the failure", |world| world.row(position).is_some()).await;
        fail_for_hours(&world, &[position]).await;
        let before = world.recorded(position).len();
        world.script(|_| Answer::Hang);
        match how {
            "retry" => handle.retry(Position(position)).await.unwrap(),
            "retry all" => {
                let retried = handle.retry_all(whole(position)).await.unwrap();
                assert_eq!(retried, Retried { count: 1, next: None });
            }
            _ => handle.redeliver(Position(position)).await.unwrap(),
        }
        for (number, seconds) in [(before + 1, 5.0), (before + 2, 30.0)] {
            world.until("the call", |world| world.attempts().len() == number).await;
            world.advance(15 * SECOND).await;
            world.until("its failure", |world| world.recorded(position).len() == number).await;
            let wait = wait(&world, position).as_secs_f64();
            assert!((seconds * 0.85..=seconds * 1.1).contains(&wait), "{how}, attempt {number}: {wait} s");
            world.advance(Duration::from_secs_f64(wait)).await;
        }
        assert_eq!(usize::try_from(world.row(position).unwrap().anew_after).unwrap(), before, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_under_way_is_the_first_of_the_waits_that_begin_anew() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(500));
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the failure", |world| world.row(position).is_some()).await;
    fail_for_hours(&world, &[position]).await;
    let before = world.recorded(position).len();
    world.script(|_| Answer::Hang);
    world.advance(3 * HOUR).await;
    world.until("the next call", |world| world.attempts().len() == before + 1).await;
    world.barrier().await;
    handle.retry(Position(position)).await.unwrap();
    assert_eq!(handle.retry_all(whole(position)).await, Ok(Retried { count: 1, next: None }));
    let row = world.row(position).unwrap();
    assert_eq!((row.attempts, row.anew_after), (before as u32 + 1, before as u32), "durable at once");
    assert_eq!(world.attempts().len(), before + 1, "no second one beside it");
    world.advance(15 * SECOND).await;
    world.until("its failure", |world| world.recorded(position).len() == before + 1).await;
    let wait = wait(&world, position);
    assert!(wait < 6 * SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_are_tried_again_in_parts_and_those_before_a_time_are_left() {
    for settings in [raw(), fifo()] {
        let is_fifo = settings.order == Order::Fifo;
        let mut world = World::new(1).await;
        world.script(|_| Answer::Status(500));
        let mut positions = Vec::new();
        for number in 0..6 {
            positions.push(world.publish(if number < 4 { "a" } else { "b" }).await);
        }
        let handle = world.start(0, settings);
        let is_tried = |world: &World, position: &i64| !world.recorded(*position).is_empty();
        let tried: Vec<i64> = if is_fifo { vec![positions[0], positions[4]] } else { positions.clone() };
        world.until("the failures", |world| tried.iter().all(|one| is_tried(world, one))).await;
        fail_for_hours(&world, &tried).await;
        world.script(|_| OK);
        let after = Retry { after: Position(positions[3]), until: Position(positions[5]) };
        assert_eq!(handle.retry_all(after).await, Ok(Retried { count: 2, next: None }));
        world.until("those since then", |world| world.delivered() == positions[4..]).await;
        let left: Vec<i64> = positions[..4].iter().copied().filter(|one| world.row(*one).is_some()).collect();
        assert_eq!(left, positions[..4], "those before are not touched");
        assert_eq!(handle.retry_all(whole(positions[5])).await, Ok(Retried { count: 4, next: None }));
        world.until("all", |world| world.delivered().len() == 6).await;
        if is_fifo {
            assert_eq!(world.delivered()[2..], positions[..4], "in their order");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_are_tried_again_in_parts() {
    let count = ROWS_AT_ONCE + 5;
    let mut world = World::new(1).await;
    let mut positions = Vec::new();
    for _ in 0..count {
        positions.push(world.publish("a").await);
    }
    let (last, later) = (positions[count - 1], world.stamp().plus(HOUR));
    let rows = positions.iter().map(|position| (*position, DeliveryState::Retry { at: later }, 9));
    world.leave_rows(rows.collect()).await;
    // What the last run left is tried at this start, too: none of it may be done before all of it is asked for.
    world.script(|_| Answer::Status(500));
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::Running).await;
    let first = handle.retry_all(whole(last)).await.unwrap();
    assert_eq!(first.count, ROWS_AT_ONCE as u64);
    let next = Retry { after: first.next.expect("there is more"), until: Position(last) };
    assert_eq!(handle.retry_all(next).await, Ok(Retried { count: 5, next: None }));
    world.script(|_| OK);
    for _ in 0..20 {
        world.advance(2 * SECOND).await;
        world.barrier().await;
    }
    world.until("all", |world| world.delivered().len() == count).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_given_up_lets_the_next_of_its_key_go_on() {
    let mut world = World::new(1).await;
    world.script(|call| if call.position == 1 { Answer::Status(500) } else { OK });
    let handle = world.start(0, fifo());
    let poison = world.publish("a").await;
    let (second, third) = (world.publish("a").await, world.publish("a").await);
    world.until("the failure", |world| world.recorded(poison).len() == 1).await;
    // A follower may be given up, too: then its head goes on waiting.
    handle.give_up(Position(second), "not wanted".into()).await.unwrap();
    assert_eq!(world.dead_reason(second), "not wanted", "durable when it is answered");
    world.barrier().await;
    assert_eq!(world.delivered(), [0; 0]);
    assert_eq!(handle.retry(Position(third)).await, Err(RedeliverError::Behind));
    handle.give_up(Position(poison), "poison".into()).await.unwrap();
    assert_eq!(world.dead_reason(poison), "poison");
    world.until("the next one", |world| world.delivered() == [third]).await;
    assert_eq!(handle.counts().dead, 2);
    for (position, error) in [
        (poison, RedeliverError::Dead),
        (third, RedeliverError::NotWaiting),
        (99, RedeliverError::NotWaiting),
    ] {
        world.until("its end", |world| world.row(third).is_none()).await;
        assert_eq!(handle.give_up(Position(position), "again".into()).await, Err(error), "{position}");
        assert_eq!(handle.retry(Position(position)).await, Err(error), "{position}");
    }
    assert_eq!(world.dead_reason(poison), "poison", "as it was");
    let fourth = world.publish("a").await;
    world.until("the key to be free", |world| world.delivered() == [third, fourth]).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_under_way_is_cut_off_when_its_delivery_is_given_up() {
    for settings in [raw(), fifo()] {
        for is_slow in [false, true] {
            let mut world = World::new(1).await;
            world.script(|call| if call.position == 1 { Answer::Hang } else { OK });
            let handle = world.start(0, settings.clone());
            let hung = world.publish("a").await;
            world.until("the call", |world| world.attempts().len() == 1).await;
            if is_slow {
                world.advance(2 * SECOND).await;
                world.until("its row", |world| world.row(hung).is_some()).await;
            }
            handle.give_up(Position(hung), "it hangs".into()).await.unwrap();
            assert_eq!(world.dead_reason(hung), "it hangs");
            let next = world.publish("a").await;
            world.until("the next", |world| world.delivered() == [next]).await;
            world.until("the cursor", |world| world.done_to() == next).await;
            world.advance(20 * SECOND).await;
            world.barrier().await;
            let recorded = world.recorded(hung);
            assert_eq!(recorded.len(), 1, "nothing more is heard of it: {recorded:?}");
            assert!(
                recorded[0].error.as_ref().is_some_and(|error| error.contains("cut off")),
                "{recorded:?}"
            );
            assert_eq!(world.dead_reason(hung), "it hangs");
            handle.redeliver(Position(hung)).await.unwrap();
            world.until("it, sent again", |world| world.attempts().last() == Some(&(hung, 2))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_subscription_can_be_rid_of_its_poison_and_goes_on_without_it() {
    let mut world = World::new(1).await;
    world.script(|call| if call.position == 1 { Answer::Status(500) } else { OK });
    let handle = world.start(0, fifo());
    let poison = world.publish("a").await;
    let next = world.publish("a").await;
    world.until("the rows", |world| world.row(next).is_some() && !world.recorded(poison).is_empty()).await;
    world.disable(0).await;
    world.until_state(&handle, WorkerState::Disabled).await;
    assert_eq!(handle.retry(Position(poison)).await, Err(RedeliverError::NotDelivering));
    assert_eq!(handle.retry_all(whole(next)).await, Err(RedeliverError::NotDelivering));
    handle.give_up(Position(poison), "poison".into()).await.unwrap();
    assert_eq!(world.dead_reason(poison), "poison");
    assert_eq!(world.delivered(), [0; 0]);
    world.enable(0).await;
    world.until("the next", |world| world.delivered() == [next]).await;
    assert_eq!(world.attempts().iter().filter(|(position, _)| *position == poison).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_asked_to_confirm_as_often_as_an_operator_wants() {
    for gone in [false, true] {
        let world = World::with_token(1, Some("tok")).await;
        if gone {
            world.script(|_| Answer::Status(410));
        }
        let handle = world.start(0, Settings::default());
        world.until_state(&handle, WorkerState::WaitingForKey).await;
        assert_eq!(handle.ask_to_confirm().await, Ok(()), "as soon as there is a key");
        world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
        world.until("the request", |world| world.calls().len() == 1).await;
        world.barrier().await;
        for calls in 2..5 {
            assert_eq!(handle.ask_to_confirm().await, Ok(()));
            world.until("the request", |world| world.calls().len() == calls).await;
            world.barrier().await;
        }
        world.script(|_| OK);
        world.advance(11 * SECOND).await;
        world.barrier().await;
        assert_eq!(world.calls().len(), if gone { 4 } else { 5 }, "its own waits begin anew");
        world.states[0].send_replace(SubscriptionState::Confirmed);
        world.until_state(&handle, WorkerState::Running).await;
        assert_eq!(handle.ask_to_confirm().await, Err(AskError::NotPending));
        world.states[0].send_replace(SubscriptionState::Disabled { token: None });
        world.until_state(&handle, WorkerState::Disabled).await;
        assert_eq!(handle.ask_to_confirm().await, Err(AskError::NotPending));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_confirmed_while_there_is_no_key_is_delivered_to_and_not_asked() {
    let mut world = World::with_token(1, Some("tok")).await;
    let handle = world.start(0, Settings::default());
    world.until_state(&handle, WorkerState::WaitingForKey).await;
    world.states[0].send_replace(SubscriptionState::Confirmed);
    world.barrier().await;
    let event = world.publish("a").await;
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    world.until("the event", |world| world.delivered() == [event]).await;
    assert_eq!(world.calls().len(), 1, "its endpoint was not asked");
}

#[tokio::test(start_paused = true)]
async fn who_is_confirmed_by_hand_cannot_be_asked() {
    let world = World::with_token(1, Some("tok")).await;
    let handle = world.start(0, Settings { confirmation: Confirmation::ByHand, ..raw() });
    world.until_state(&handle, WorkerState::Pending).await;
    assert_eq!(handle.ask_to_confirm().await, Err(AskError::ByHand));
}
