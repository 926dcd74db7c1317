//! Reads that fail: all are tried again, and what is damaged for good is set aside.

use super::damage::{Damage, TRIES, events_after};
use super::world::fifo;
use super::*;

fn damaged() -> StoreError {
    StoreError::Damaged("disk image is malformed".into())
}

fn io() -> StoreError {
    StoreError::io("read", std::io::Error::other("input/output error"))
}

/// Lets the worker try again as often as it wants within this time.
async fn pass(world: &World, seconds: u32) {
    for _ in 0..seconds * 4 {
        world.advance(SECOND / 4).await;
        world.barrier().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_of_a_read_ends_the_worker() {
    for error in [damaged(), io(), StoreError::Stalled(SECOND)] {
        let mut world = World::new(1).await;
        let position = world.publish("a").await;
        for _ in 0..3 {
            world.faults.fail_next(error.clone());
        }
        let handle = world.start(0, raw());
        world.until_state(&handle, WorkerState::WaitingForStore).await;
        let trouble = handle.trouble().expect("it is said why");
        assert!(trouble.starts_with("it waits for the store and asks again: the store"), "{trouble}");
        assert_eq!(handle.redeliver(Position(position)).await, Err(RedeliverError::NotDelivering));
        pass(&world, 3).await;
        world.until("the delivery", |world| world.done_to() == position).await;
        assert_eq!((handle.state(), handle.trouble()), (WorkerState::Running, None));
        assert_eq!((handle.counts().set_aside, handle.counts().restarts), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_reads_beyond_its_deadline() {
    let world = World::new(1).await;
    for _ in 0..1_000 {
        world.faults.fail_next(io());
    }
    let handle = world.start(0, raw());
    world.until_state(&handle, WorkerState::WaitingForStore).await;
    let began = Instant::now();
    let drained = world.deliveries.drain(began + SECOND / 2);
    tokio::pin!(drained);
    loop {
        tokio::select! {
            biased;
            () = &mut drained => break,
            () = world.advance(SECOND / 10) => world.barrier().await,
        }
    }
    assert!(handle.state().is_final(), "{:?}", handle.state());
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn damage_is_believed_only_when_it_stays() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    let handle = world.start(0, raw());
    world.until("the delivery", |world| world.done_to() == position).await;
    world.script(|_| Answer::Status(500));
    let retried = world.publish("b").await;
    world.until("the failure", |world| world.recorded(retried).len() == 1).await;
    for _ in 0..TRIES {
        world.faults.fail_next(damaged());
    }
    world.script(|_| OK);
    world.advance(6 * SECOND).await;
    pass(&world, 8).await;
    world.until("the retry", |world| world.row(retried).is_none()).await;
    assert_eq!((world.faults.left(), handle.counts().set_aside), (0, 0));
    assert_eq!(world.delivered(), [position, retried]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_event_of_the_log_is_a_dead_letter_and_holds_nothing_up() {
    for settings in [raw(), fifo()] {
        let mut world = World::new(1).await;
        let mut positions = Vec::new();
        for _ in 0..4 {
            positions.push(world.publish("a").await);
        }
        world.faults.damage(Position(positions[1]));
        world.feed.start_after(Position(positions[3]));
        let handle = world.start(0, settings);
        pass(&world, 8).await;
        world.until("the rest", |world| world.done_to() == positions[3]).await;
        assert_eq!(world.delivered(), [positions[0], positions[2], positions[3]]);
        let reason = world.dead_reason(positions[1]);
        assert_eq!(reason, format!("the store cannot read its event: a test damaged event {}", positions[1]));
        assert_eq!((handle.counts().set_aside, handle.counts().dead), (1, 1));
        assert_eq!((handle.state(), handle.trouble()), (WorkerState::Running, None));
        let next = world.publish("a").await;
        world.until("what comes after", |world| world.done_to() == next).await;
        assert_eq!(handle.counts().set_aside, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_event_of_a_row_is_a_dead_letter_and_its_followers_go_on() {
    let mut world = World::new(1).await;
    world.script(|call| if call.attempt == 1 { Answer::Status(500) } else { OK });
    let handle = world.start(0, fifo());
    let head = world.publish("a").await;
    world.until("the failure", |world| world.recorded(head).len() == 1).await;
    let followers = [world.publish("a").await, world.publish("a").await];
    world.until("their rows", |world| world.row(followers[1]).is_some()).await;
    world.script(|_| OK);
    world.faults.damage(Position(head));
    world.faults.damage(Position(followers[0]));
    world.advance(6 * SECOND).await;
    pass(&world, 16).await;
    world.until("the last", |world| world.delivered() == [followers[1]]).await;
    assert!(world.is_dead(head) && world.is_dead(followers[0]));
    assert_eq!(handle.counts().set_aside, 2);
    let again = handle.redeliver(Position(head));
    tokio::pin!(again);
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut again => break answer,
            () = world.advance(SECOND) => world.barrier().await,
        }
    };
    assert_eq!(answer, Err(RedeliverError::Unreadable));
}

/// A row in the way of a start, of the retries that are due, or of the next of a key.
#[tokio::test(start_paused = true)]
async fn a_damaged_row_is_a_dead_letter_and_the_others_go_on() {
    for settings in [raw(), fifo()] {
        for damaged in 0..4 {
            let mut world = World::new(1).await;
            let mut positions = Vec::new();
            for _ in 0..4 {
                positions.push(world.publish("a").await);
            }
            let is_fifo = settings.order == Order::Fifo;
            let at = world.stamp();
            let state =
                |n| if is_fifo && n > 0 { DeliveryState::Behind } else { DeliveryState::Retry { at } };
            world.leave_rows(positions.iter().zip(0..).map(|(one, n)| (*one, state(n), 1)).collect()).await;
            world.faults.damage_row(Position(positions[damaged]));
            let handle = world.start(0, settings.clone());
            pass(&world, 16).await;
            world.until("the others", |world| world.delivered().len() == 3).await;
            let broken = positions.remove(damaged);
            let mut delivered = world.delivered();
            if !is_fifo {
                delivered.sort_unstable();
            }
            assert_eq!(delivered, positions);
            let reason = world.dead_reason(broken);
            assert_eq!(
                reason,
                format!("the store cannot read its row: a test damaged the row of event {broken}")
            );
            assert_eq!(world.row(broken).unwrap().key, "a", "its event still says it");
            assert_eq!((handle.counts().set_aside, handle.counts().dead), (1, 1));
            assert_eq!((handle.state(), handle.trouble()), (WorkerState::Running, None));
            world.faults.mend_rows();
            handle.redeliver(Position(broken)).await.unwrap();
            world.until("it again", |world| world.delivered().last() == Some(&broken)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_damaged_while_it_waits_is_a_dead_letter_and_the_others_go_on() {
    for settings in [raw(), fifo()] {
        for is_head in [true, false] {
            let mut world = World::new(1).await;
            world.script(|call| if call.key == "a" && call.attempt == 1 { Answer::Status(500) } else { OK });
            let handle = world.start(0, settings.clone());
            let head = world.publish("a").await;
            world.until("the failure", |world| world.recorded(head).len() == 1).await;
            let follower = world.publish("a").await;
            world.until("its row", |world| world.row(follower).is_some()).await;
            world.script(|_| OK);
            let (broken, whole) = if is_head { (head, follower) } else { (follower, head) };
            world.faults.damage_row(Position(broken));
            pass(&world, 20).await;
            world.until("the other", |world| world.delivered() == [whole]).await;
            world.until("the dead letter", |world| world.is_dead(broken)).await;
            assert_eq!((handle.counts().set_aside, handle.state()), (1, WorkerState::Running));
            let next = world.publish("a").await;
            world.until("a free key", |world| world.delivered() == [whole, next]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_row_is_written_anew_by_whoever_asks_for_it_again() {
    let mut world = World::new(1).await;
    let handle = world.start(0, raw());
    let position = world.publish("a").await;
    world.until("the delivery", |world| world.done_to() == position).await;
    let at = world.stamp().plus(HOUR);
    world.leave_rows(vec![(position, DeliveryState::Retry { at }, 1)]).await;
    world.faults.damage_row(Position(position));
    let again = handle.redeliver(Position(position));
    tokio::pin!(again);
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut again => break answer,
            () = world.advance(SECOND / 4) => world.barrier().await,
        }
    };
    assert_eq!(answer, Ok(()));
    assert!(
        matches!(world.row(position).map(|row| row.state), Some(DeliveryState::Retry { at: now }) if now < at)
    );
}

#[tokio::test(start_paused = true)]
async fn a_damaged_event_that_was_under_way_is_a_dead_letter_after_a_crash() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Hang);
    world.start(0, raw());
    let both = [world.publish("a").await, world.publish("b").await];
    world.until("the calls", |world| world.attempts().len() == 2).await;
    world.crash().await;
    world.faults.damage(Position(both[0]));
    world.script(|_| OK);
    world.start(0, raw());
    pass(&world, 8).await;
    world.until("the other", |world| world.delivered() == [both[1]]).await;
    assert!(world.is_dead(both[0]), "{}", world.dead_reason(both[0]));
    assert_eq!(world.done_to(), both[1]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_panics_is_tried_again() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    // Panics in a blocking task, once.
    let broken = std::sync::atomic::AtomicBool::new(true);
    let (mut worker, _signal) = world.worker(raw());
    let read = worker.read_around(move |reader, _| {
        assert!(!broken.swap(false, std::sync::atomic::Ordering::SeqCst), "once");
        reader.head()
    });
    tokio::pin!(read);
    let head = loop {
        tokio::select! {
            biased;
            head = &mut read => break head,
            () = world.advance(SECOND) => world.barrier().await,
        }
    };
    assert_eq!(head.unwrap(), Position(position));
}

/// Reads of rows fail until they are to be listed one by one, and that fails too.
fn damage_all_rows_once(world: &World) {
    for _ in 0..TRIES + 2 {
        world.faults.fail_next(damaged());
    }
}

#[tokio::test(start_paused = true)]
async fn retries_whose_rows_cannot_even_be_listed_wait_and_new_events_go_on() {
    let mut world = World::new(1).await;
    world.script(|_| Answer::Status(500));
    let handle = world.start(0, raw());
    let retried = world.publish("a").await;
    world.until("the failure", |world| world.recorded(retried).len() == 1).await;
    world.script(|_| OK);
    damage_all_rows_once(&world);
    let retries_wait = || handle.trouble().is_some_and(|trouble| trouble.starts_with("its retries wait"));
    pass(&world, 12).await;
    world.until("the trouble", |_| retries_wait()).await;
    assert_eq!((world.faults.left(), handle.state()), (0, WorkerState::Running));
    let new = world.publish("b").await;
    world.until("the new event", |world| world.done_to() == new).await;
    assert_eq!(world.delivered(), [new]);
    assert!(retries_wait(), "a commit that succeeds is no reason to say nothing");
    pass(&world, 60).await;
    world.until("the retry", |world| world.delivered() == [new, retried]).await;
    assert_eq!(handle.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_last_run_left_waits_too_when_it_cannot_be_listed() {
    let mut world = World::new(1).await;
    let position = world.publish("a").await;
    let at = world.stamp().plus(HOUR);
    world.leave_rows(vec![(position, DeliveryState::Retry { at }, 1)]).await;
    let handle = world.start(0, raw());
    damage_all_rows_once(&world);
    let retries_wait = || handle.trouble().is_some_and(|trouble| trouble.starts_with("its retries wait"));
    pass(&world, 6).await;
    world.until("the trouble", |_| retries_wait()).await;
    assert_eq!((handle.state(), world.attempts()), (WorkerState::Running, vec![]));
    pass(&world, 70).await;
    world.until("the retry", |world| world.delivered() == [position]).await;
    assert_eq!((handle.trouble(), handle.counts().set_aside), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn events_that_are_read_one_by_one_are_no_more_than_asked_for() {
    let mut world = World::new(1).await;
    let positions = [world.publish("a").await, world.publish("b").await, world.publish("c").await];
    world.faults.damage(Position(positions[0]));
    let size = world.reader.event_at(Position(positions[1])).unwrap().unwrap().body.bytes();
    let topic = world.subscriptions[0].topic;
    let deps = world.deps();
    let found = |limit| {
        let found =
            events_after(&deps.events, &*deps.reader, topic, Position(0), limit, Damage::IsSetAside).unwrap();
        found.iter().map(Result::is_ok).collect::<Vec<_>>()
    };
    assert_eq!(found((9, 9 * size)), [false, true, true]);
    assert_eq!(found((2, 9 * size)), [false, true]);
    assert_eq!(found((9, size)), [false, true], "as many bytes as may be");
    assert_eq!(found((9, size + 1)), [false, true, true]);
}
