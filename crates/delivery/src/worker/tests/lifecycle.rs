//! Handshake, end, drain and what may be asked of a worker.

use std::time::Duration;

use storage::entities::SubscriptionState;

use super::world::fifo;
use super::*;
use crate::signing::SnsKey;
use crate::wire::WireFormat;
use crate::worker::recovery::ROWS_AT_ONCE;

fn pending() -> SubscriptionState {
    SubscriptionState::Pending { token: "tok".into() }
}

#[tokio::test(start_paused = true)]
async fn a_pending_endpoint_gets_nothing_but_the_handshake_and_then_all_it_owns() {
    let mut world = World::with_token(1, Some("tok")).await;
    assert_eq!(world.subscription(0).state, pending());
    let handle = world.start(0, Settings::default());
    let owned = world.publish("a").await;
    world.until_state(&handle, WorkerState::WaitingForKey).await;
    assert_eq!(world.calls().len(), 0);

    let mut answers = vec![OK, Answer::Status(500)];
    world.script(move |_| answers.pop().unwrap_or(OK));
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    world.until("the request to confirm", |world| world.calls().len() == 1).await;
    assert_eq!(world.calls()[0].headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
    let body: serde_json::Value = serde_json::from_slice(&world.calls()[0].body).unwrap();
    assert_eq!(body["Token"], "tok");
    world.barrier().await;
    world.advance(6 * SECOND).await;
    world.until("its repetition", |world| world.calls().len() == 2).await;
    assert_eq!(world.calls()[0].body, world.calls()[1].body);
    world.barrier().await;
    world.advance(9 * SECOND).await;
    world.barrier().await;
    assert_eq!(world.calls().len(), 2, "it has taken the request");
    assert_eq!(handle.state(), WorkerState::Pending);
    assert_eq!(handle.redeliver(Position(owned)).await, Err(RedeliverError::NotDelivering));

    world.states[0].send_replace(SubscriptionState::Confirmed);
    world.until("what it owns", |world| world.delivered().contains(&owned)).await;
    assert_eq!(world.calls()[2].headers["x-amz-sns-message-type"], "Notification");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_took_the_request_and_did_not_visit_is_asked_again_over_days() {
    let world = World::with_token(1, Some("tok")).await;
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    let handle = world.start(0, Settings::default());
    world.until("the request to confirm", |world| world.calls().len() == 1).await;
    world.barrier().await;
    let waits = [10, 60, 600, 3_600, 6 * 3_600, 24 * 3_600, 24 * 3_600, 24 * 3_600].map(Duration::from_secs);
    for (wait, calls) in waits.into_iter().zip(1..) {
        world.advance(wait * 9 / 10).await;
        world.barrier().await;
        assert_eq!(world.calls().len(), calls, "not before {wait:?}");
        world.advance(wait / 10).await;
        world.until("the next", |world| world.calls().len() == calls + 1).await;
        world.barrier().await;
    }
    let calls = world.calls();
    assert!(calls.iter().all(|call| call.body == calls[0].body), "the same request");
    assert_eq!(handle.state(), WorkerState::Pending);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_for_days_is_asked_again_whatever_the_wall_clock_says() {
    let world = World::with_token(1, Some("tok")).await;
    world.script(|_| Answer::Status(500));
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    let handle = world.start(0, Settings::default());
    world.until("the request to confirm", |world| world.calls().len() == 1).await;
    world.barrier().await;
    // A jump of the wall clock gives nothing up.
    world.clock_forward(30 * 24 * HOUR);
    world.advance(6 * SECOND).await;
    world.until("the second", |world| world.calls().len() == 2).await;
    world.barrier().await;
    world.advance(34 * SECOND).await;
    world.until("the third", |world| world.calls().len() == 3).await;
    for _ in 0..100 {
        world.advance(HOUR).await;
        world.barrier().await;
    }
    let after_days = world.calls().len();
    assert!((35..60).contains(&after_days), "{after_days}");
    for _ in 0..48 {
        world.advance(HOUR).await;
        world.barrier().await;
    }
    assert!(world.calls().len() > after_days, "it is not given up");
    assert_eq!(handle.state(), WorkerState::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_confirmed_by_hand_is_not_asked() {
    let mut world = World::with_token(1, Some("tok")).await;
    let handle = world.start(0, Settings { confirmation: Confirmation::ByHand, ..raw() });
    let owned = world.publish("a").await;
    world.until_state(&handle, WorkerState::Pending).await;
    world.advance(HOUR).await;
    world.barrier().await;
    assert_eq!(world.calls().len(), 0);
    world.states[0].send_replace(SubscriptionState::Confirmed);
    world.until("what it owns", |world| world.delivered() == [owned]).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_at_the_handshake_is_asked_no_more_and_may_still_confirm() {
    let mut world = World::with_token(1, Some("tok")).await;
    let owned = world.publish("a").await;
    world.script(|call| if call.position == 0 { Answer::Status(410) } else { OK });
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    let handle = world.start(0, Settings::default());
    world.until("the request to confirm", |world| world.calls().len() == 1).await;
    world.barrier().await;
    world.advance(4 * 24 * HOUR).await;
    world.barrier().await;
    assert_eq!((world.calls().len(), handle.state()), (1, WorkerState::Pending));
    assert_eq!(world.subscription(0).state, pending());
    world.states[0].send_replace(SubscriptionState::Confirmed);
    world.until("what it owns", |world| world.delivered() == [owned]).await;
}

#[tokio::test(start_paused = true)]
async fn one_signature_serves_all_subscribers_of_an_event() {
    let mut world = World::new(2).await;
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    for index in 0..2 {
        world.start(index, Settings { format: WireFormat::Sns, ..Settings::default() });
    }
    world.publish("a").await;
    world.until("both", |world| world.delivered().len() == 2).await;
    let signatures: Vec<_> = world
        .calls()
        .iter()
        .map(|call| serde_json::from_slice::<serde_json::Value>(&call.body).unwrap()["Signature"].clone())
        .collect();
    assert!(signatures[0].is_string());
    assert_eq!(signatures[0], signatures[1]);
}

#[tokio::test(start_paused = true)]
async fn gone_is_a_dead_letter_and_nothing_else_ends() {
    for settings in [raw(), fifo()] {
        let mut world = World::new(1).await;
        world.script(|call| if call.position == 1 { Answer::Status(410) } else { OK });
        let handle = world.start(0, settings);
        let gone = world.publish("a").await;
        let follower = world.publish("a").await;
        world.until("the follower", |world| world.delivered() == [follower]).await;
        let later = world.publish("a").await;
        world.until("what comes later", |world| world.delivered() == [follower, later]).await;
        assert_eq!(world.dead_reason(gone), "the endpoint answered 410: it is gone");
        assert_eq!((handle.state(), handle.counts().dead), (WorkerState::Running, 1));
        assert_eq!(world.subscription(0).state, SubscriptionState::Confirmed);
        world.script(|_| OK);
        handle.redeliver(Position(gone)).await.unwrap();
        world.until("it, sent again", |world| world.delivered() == [follower, later, gone]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn enabled_again_a_subscription_gets_what_it_is_still_owed() {
    for settings in [raw(), fifo()] {
        let keeps_order = settings.order == Order::Fifo;
        let mut world = World::new(1).await;
        world.script(|call| match call.key.as_str() {
            "bad" => Answer::Status(500),
            "slow" => Answer::Hang,
            _ => OK,
        });
        let handle = world.start(0, settings);
        let bad = [world.publish("bad").await, world.publish("bad").await];
        let (good, slow) = (world.publish("good").await, world.publish("slow").await);
        let rows = |world: &World| bad.iter().all(|bad| world.row(*bad).is_some());
        world.until("the failures", |world| rows(world) && world.recorded(good).len() == 1).await;
        world.disable(0).await;
        // What is under way ends first.
        world.advance(20 * SECOND).await;
        world.until_state(&handle, WorkerState::Disabled).await;
        assert_eq!(world.delivered(), [good]);
        let missed = world.publish("good").await;
        world.script(|_| OK);
        world.advance(HOUR).await;
        world.barrier().await;
        assert_eq!(world.delivered(), [good], "nothing goes out while it is disabled");
        assert_eq!(handle.redeliver(Position(good)).await, Err(RedeliverError::NotDelivering));

        world.enable(0).await;
        world.until("all", |world| world.delivered().len() == 5).await;
        let mut delivered = world.delivered();
        let place = |position| delivered.iter().position(|other| *other == position);
        assert!(!keeps_order || place(bad[0]) < place(bad[1]), "{delivered:?}");
        delivered.sort_unstable();
        assert_eq!(delivered, [bad[0], bad[1], good, slow, missed], "each once");
        world.until("the cursor", |world| world.done_to() == missed).await;
        let next = world.publish("bad").await;
        world.until("what comes after", |world| world.delivered().last() == Some(&next)).await;
        assert_eq!(handle.state(), WorkerState::Running);
    }
}

/// Kinds and tokens of all calls that are no notifications.
fn handshakes(world: &World) -> Vec<(String, String)> {
    let is_handshake = |kind: &String| kind.ends_with("Confirmation");
    let of = |call: &super::world::Call| {
        let kind = call.headers.get("x-amz-sns-message-type")?.to_str().ok()?.to_owned();
        let body: serde_json::Value = serde_json::from_slice(&call.body).ok()?;
        Some((kind, body["Token"].as_str().unwrap_or_default().to_owned()))
    };
    world.calls().iter().filter_map(of).filter(|(kind, _)| is_handshake(kind)).collect()
}

#[tokio::test(start_paused = true)]
async fn who_unsubscribes_is_told_once_how_to_undo_it() {
    for format in [WireFormat::Sns, WireFormat::SnsRaw] {
        let mut world = World::new(1).await;
        world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
        let settings = Settings { format, ..Settings::default() };
        let handle = world.start(0, settings.clone());
        world.until_state(&handle, WorkerState::Running).await;
        let mut failures = 1;
        world.script(move |_| {
            failures -= 1;
            if failures == 0 { Answer::Status(500) } else { OK }
        });
        let disabled = SubscriptionState::Disabled { token: Some("back".into()) };
        world.states[0].send_replace(disabled.clone());
        let told = ("UnsubscribeConfirmation".to_owned(), "back".to_owned());
        world.until("the message", |world| handshakes(world) == [told.clone()]).await;
        world.barrier().await;
        world.advance(6 * SECOND).await;
        world.until("its repetition", |world| handshakes(world).len() == 2).await;
        assert_eq!(world.calls()[0].body, world.calls()[1].body);
        world.barrier().await;
        world.advance(HOUR).await;
        world.barrier().await;
        assert_eq!((handshakes(&world).len(), handle.state()), (2, WorkerState::Disabled));

        world.states[0].send_replace(SubscriptionState::Confirmed);
        let missed = world.publish("a").await;
        world.until("what it missed", |world| world.delivered().contains(&missed)).await;
        world.states[0].send_replace(disabled);
        world.until("the next end", |world| handshakes(world).len() == 3).await;
        world.crash().await;
        let handle = world.start(0, settings);
        world.until_state(&handle, WorkerState::Disabled).await;
        world.barrier().await;
        assert_eq!(handshakes(&world).len(), 3, "a start tells nobody again");
    }
}

#[tokio::test(start_paused = true)]
async fn standard_webhooks_know_no_end() {
    let world = World::new(1).await;
    world.sns_key.send_replace(Some(Arc::new(SnsKey::generate().unwrap())));
    let format = WireFormat::StandardWebhooks(Vec::new());
    let handle = world.start(0, Settings { format, ..Settings::default() });
    world.until_state(&handle, WorkerState::Running).await;
    world.states[0].send_replace(SubscriptionState::Disabled { token: Some("back".into()) });
    world.until_state(&handle, WorkerState::Disabled).await;
    world.barrier().await;
    assert_eq!(world.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_was_disabled_before_the_start_is_enabled_again() {
    let mut world = World::new(1).await;
    world.disable(0).await;
    let missed = world.publish("a").await;
    world.crash().await;
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::Disabled).await;
    world.enable(0).await;
    world.until("what it missed", |world| world.delivered() == [missed]).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_the_worker_of_a_disabled_subscription() {
    let world = World::new(1).await;
    world.disable(0).await;
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::Disabled).await;
    world.deliveries.drain(Instant::now() + SECOND).await;
    assert_eq!(handle.state(), WorkerState::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_was_unsubscribed_gets_nothing_more() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::Running).await;
    world.states[0].send_replace(SubscriptionState::Disabled { token: None });
    world.until_state(&handle, WorkerState::Disabled).await;
    world.publish("a").await;
    world.barrier().await;
    assert_eq!(world.attempts(), []);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_retries_does_not_hide_the_end_of_the_subscription() {
    const EVENTS: usize = 300;
    let mut world = World::new(1).await;
    for _ in 0..EVENTS {
        world.publish("a").await;
    }
    world.script(|_| Answer::Status(500));
    let handle = world.start(0, Settings { max_in_flight: 8, ..raw() });
    world.until("all first attempts", |world| world.attempts().len() == EVENTS).await;
    let (state, mut calls) = (world.states[0].clone(), 0);
    world.script(move |_| {
        calls += 1;
        if calls == 20 {
            state.send_replace(SubscriptionState::Disabled { token: None });
        }
        Answer::Status(500)
    });
    world.advance(60 * SECOND).await;
    world.until_state(&handle, WorkerState::Disabled).await;
    let retries = world.attempts().len() - EVENTS;
    assert!(retries < EVENTS / 2, "{retries} retries");
}

/// The clock stands still but for what completions gather for: whoever waited for the endpoint would wait in vain.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_subscription_waits_for_no_endpoint() {
    let mut world = World::new(2).await;
    world.script(|_| Answer::Hang);
    world.start(0, raw());
    let other = world.start(1, raw());
    world.publish("a").await;
    world.until("both calls", |world| world.attempts().len() == 2).await;
    let (ids, began) = ([world.subscriptions[0].id], Instant::now());
    {
        let ended = world.deliveries.end(&ids);
        tokio::pin!(ended);
        while futures_pending(&mut ended).await {
            world.barrier().await;
            assert!(began.elapsed() < SECOND, "it waits for an endpoint that never answers");
        }
    }
    assert!(world.deliveries.handle(ids[0]).is_none());
    assert_eq!(other.state(), WorkerState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_is_under_way_and_begins_nothing() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::After(Duration::from_millis(800), 200));
    let handle = world.start(0, Settings { max_in_flight: 1, ..raw() });
    let begun = world.publish("a").await;
    let waiting = world.publish("a").await;
    world.until("the call", |world| world.attempts().len() == 1).await;
    let deadline = Instant::now() + 10 * SECOND;
    {
        let draining = world.deliveries.drain(deadline);
        tokio::pin!(draining);
        assert!(futures_pending(&mut draining).await);
        world.advance(SECOND).await;
        draining.await;
    }
    assert_eq!(handle.state(), WorkerState::Drained);
    assert_eq!((world.attempts(), world.done_to()), (vec![(begun, 1)], begun));
    world.crash().await;
    world.script(|_| OK);
    world.start(0, raw());
    world.until("the other", |world| world.delivered() == [begun, waiting]).await;
    assert_eq!(world.attempts(), [(begun, 1), (waiting, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline_and_the_rest_is_repeated() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Hang);
    world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the call", |world| world.attempts().len() == 1).await;
    {
        let draining = world.deliveries.drain(Instant::now() + SECOND / 2);
        tokio::pin!(draining);
        assert!(futures_pending(&mut draining).await);
        world.advance(SECOND).await;
        draining.await;
    }
    world.crash().await;
    world.script(|_| OK);
    world.start(0, raw());
    world.until("the repetition", |world| world.delivered() == [position]).await;
    assert_eq!(world.attempts(), [(position, 1), (position, 2)]);
}

/// Whether it is still pending after everything had its turn.
pub(super) async fn futures_pending(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    for _ in 0..100 {
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx)))
                .await;
        if polled.is_ready() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

#[tokio::test(start_paused = true)]
async fn sends_again_what_was_delivered_or_is_dead() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the delivery", |world| world.done_to() == position).await;
    handle.redeliver(Position(position)).await.unwrap();
    world.until("the second", |world| world.attempts() == [(position, 1), (position, 2)]).await;
    world.until("its end", |world| world.row(position).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_can_be_sent_again_however_old_it_is() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(500));
    let handle = world.start(0, raw());
    let dead = world.publish("b").await;
    world.until("the failure", |world| world.row(dead).is_some()).await;
    world.advance(8 * 24 * HOUR).await;
    world.until("its death", |world| world.is_dead(dead)).await;
    assert_eq!(world.dead_reason(dead), "older than 7 days before attempt 2");
    handle.redeliver(Position(dead)).await.unwrap();
    world.until("its failure", |world| world.recorded(dead).len() == 2).await;
    assert!(!world.is_dead(dead), "its policy begins anew");
    world.script(|_| OK);
    world.advance(45 * SECOND).await;
    world.until("the delivery", |world| world.delivered() == [dead]).await;
    world.until("its end", |world| world.row(dead).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn sends_again_at_once_what_waits_for_a_retry() {
    let mut world = World::new(1).await;
    world.script(|call| Answer::Status(if call.attempt == 1 { 500 } else { 200 }));
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the row", |world| world.row(position).is_some()).await;
    handle.redeliver(Position(position)).await.unwrap();
    world.until("the delivery", |world| world.delivered() == [position]).await;
    assert_eq!(world.attempts(), [(position, 1), (position, 2)]);
}

#[tokio::test(start_paused = true)]
async fn refuses_to_send_again_what_is_under_way_or_not_there() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Hang);
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the call", |world| world.attempts().len() == 1).await;
    assert_eq!(handle.redeliver(Position(position)).await, Err(RedeliverError::UnderWay));
    assert_eq!(handle.redeliver(Position(99)).await, Err(RedeliverError::NoSuchEvent));
    // Of another topic: before the worker has dispatched what comes after it, and then.
    let foreign = world.publish_with("a", |event| event.topic = event::TopicId(99)).await;
    assert_eq!(handle.redeliver(Position(foreign)).await, Err(RedeliverError::NoSuchEvent));
    world.publish("b").await;
    world.until("the next call", |world| world.attempts().len() == 2).await;
    assert_eq!(handle.redeliver(Position(foreign)).await, Err(RedeliverError::NoSuchEvent));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_redriven_together_and_each_once() {
    for settings in [raw(), fifo()] {
        let mut world = World::new(1).await;
        world.script(|_| Answer::Status(410));
        let handle = world.start(0, settings);
        let mut dead = Vec::new();
        for key in ["a", "a", "b"] {
            dead.push(world.publish(key).await);
        }
        world.until("the deaths", |world| dead.iter().all(|position| world.is_dead(*position))).await;
        world.script(|call| if call.position == 1 { Answer::Status(410) } else { OK });
        let until = world.stamp();
        world.advance(SECOND).await;
        let redriven = handle.redrive(Redrive { after: None, until, reason: None }).await.unwrap();
        assert_eq!(redriven, Redriven { count: 3, next: None });
        world.until("the deliveries", |world| world.delivered().len() == 2).await;
        world.until("the death", |world| world.is_dead(dead[0]) && world.recorded(dead[0]).len() == 2).await;
        assert!(world.row(dead[1]).is_none() && world.row(dead[2]).is_none());
        let again = handle.redrive(Redrive { after: None, until, reason: None }).await.unwrap();
        assert_eq!(again.count, 0, "what died since was not meant");
    }
}

#[tokio::test(start_paused = true)]
async fn many_dead_letters_are_redriven_in_parts() {
    let count = ROWS_AT_ONCE + 5;
    let mut world = World::new(1).await;
    let (id, now, world_time) = (world.subscriptions[0].id, world.stamp(), world.now());
    let mut positions = Vec::new();
    for _ in 0..count {
        positions.push(world.publish("a").await);
    }
    let rows = positions.clone();
    let kill = move |tx: &mut dyn storage::Tx| {
        for position in &rows {
            tx.put_delivery(&storage::delivery::Delivery {
                id: storage::delivery::DeliveryId { subscription: id, position: Position(*position) },
                key: "a".into(),
                state: DeliveryState::Dead { reason: "told to".into(), at: now, died_at: world_time },
                attempts: 1,
                since: now,
                anew_after: 0,
            })?;
        }
        let last = Position(*rows.last().unwrap_or(&0));
        tx.advance_cursor(id, storage::entities::Cursor { dispatched_to: last, done_to: last })
    };
    world.writer.transact(kill).await.unwrap();
    let handle = world.start(0, fifo());
    let first = handle.redrive(Redrive { after: None, until: now, reason: None }).await.unwrap();
    assert_eq!(first.count, ROWS_AT_ONCE as u64);
    let second = handle.redrive(Redrive { after: first.next, until: now, reason: None }).await.unwrap();
    assert_eq!(second, Redriven { count: 5, next: None });
    world.until("all", |world| world.delivered() == positions).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_tells_how_its_last_attempt_ended() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    assert_eq!(handle.last_attempt(), None);
    world.script(|_| Answer::Status(503));
    let position = world.publish("a").await;
    world.until("the failure", |_| handle.last_attempt().is_some()).await;
    let last = handle.last_attempt().unwrap();
    assert_eq!((last.position, last.number, last.status), (Some(Position(position)), 1, Some(503)));
    assert_eq!(last.error.as_deref(), Some("answered 503"));
    world.script(|_| OK);
    world.advance(6 * SECOND).await;
    world.until("the success", |_| handle.last_attempt().is_some_and(|last| last.error.is_none())).await;
}
