//! The store's clock as the writer keeps it, under wall clocks that are set and starts that follow each other.

use super::*;

fn to_queue() -> Desired {
    let subscription = DesiredSubscription {
        topic: "t".into(),
        name: None,
        protocol: Protocol::Sqs,
        endpoint: "worker".into(),
        confirm_with: None,
        uuid: uuid::Uuid::nil(),
    };
    Desired { subscriptions: vec![subscription], ..Desired::default() }
}

#[test]
fn a_wall_clock_that_is_set_deletes_nothing_and_is_counted() {
    const DAY: Duration = Duration::from_secs(86_400);
    let world = World::new();
    world.writer.transact(|tx| tx.sync_entities(&to_queue(), SAMPLE_TIME)).wait().unwrap();
    world.settle(1, "a").wait().unwrap();
    for wall in
        [SAMPLE_TIME.plus(15 * DAY), SAMPLE_TIME, SAMPLE_TIME.minus(20 * DAY), SAMPLE_TIME.plus(400 * DAY)]
    {
        world.clock.set(wall);
        tidy(&world);
        let failures = world.failures();
        wait_until("a commit that tidies", || world.commits() > failures);
        assert_eq!(world.in_log(), [sample_id(1)]);
    }
    wait_until("the jumps are seen", || world.writer.clock().jumps().count == 4);
    assert_eq!(world.writer.clock().jumps().moved, 400.0 * 86_400.0);
    assert!(world.writer.stats().expired_messages().is_empty());
    // What passes is time.
    world.clock.pass(15 * DAY);
    tidy(&world);
    wait_until("the message's end", || world.in_log().is_empty());
    // It is counted a moment after its commit.
    wait_until("its count", || world.writer.stats().expired_messages() == [("worker".to_owned(), 1)].into());
}

#[test]
fn the_clock_is_kept_with_what_a_commit_changes_once_a_minute_and_at_the_end() {
    let mut world = World::new();
    let began = SAMPLE_TIME.as_micros();
    let kept =
        |world: &World| world.store.kept_clock().map(|record| (record.stamp.as_micros() - began) / 1_000);
    let nothing = |world: &World| world.writer.transact(|_| Ok(())).wait().unwrap();
    let pass = |world: &World, millis: u64| world.clock.pass(Duration::from_millis(millis));
    assert_eq!(kept(&world), None);
    nothing(&world);
    assert_eq!(kept(&world), Some(0), "the first commit");
    pass(&world, 59_000);
    nothing(&world);
    assert_eq!(kept(&world), Some(0));
    pass(&world, 1_000);
    nothing(&world);
    assert_eq!(kept(&world), Some(60_000));
    let value = |world: &World| world.writer.transact(|tx| tx.put_value("name", b"value")).wait().unwrap();
    pass(&world, 999);
    value(&world);
    assert_eq!(kept(&world), Some(60_000), "nothing that ages");
    pass(&world, 1);
    value(&world);
    assert_eq!(kept(&world), Some(61_000));
    pass(&world, 1);
    world.writer.transact(|tx| tx.sync_entities(&to_queue(), SAMPLE_TIME)).wait().unwrap();
    assert_eq!(kept(&world), Some(61_001), "what ages");
    pass(&world, 2);
    world.settle(1, "a").wait().unwrap();
    assert_eq!(kept(&world), Some(61_003), "by the event itself");
    pass(&world, 7_000);
    world.stop();
    assert_eq!(kept(&world), Some(68_003));
}

#[test]
fn a_wall_clock_that_was_set_before_a_crash_is_no_time_off() {
    let world = World::new();
    world.writer.transact(|_| Ok(())).wait().unwrap();
    let wall = SAMPLE_TIME.plus(Duration::from_secs(15 * 86_400));
    world.clock.set(wall);
    tidy(&world);
    wait_until("the record", || world.store.kept_clock().is_some_and(|record| record.wall == wall));
}

#[test]
fn a_start_that_adds_an_hour_takes_nothing_from_a_queue() {
    const MINUTE: Duration = Duration::from_secs(60);
    let to_queue = || Desired { message_retention: [("worker".to_owned(), MINUTE)].into(), ..to_queue() };
    let mut world = World::new();
    world.writer.transact(move |tx| tx.sync_entities(&to_queue(), SAMPLE_TIME)).wait().unwrap();
    world.settle(1, "a").wait().unwrap();
    world.clock.pass(MINUTE / 2);
    // However often: a wall clock that is days ahead at every start adds an hour each time, a day in all.
    for n in 1..30 {
        world.stop();
        let wall = SAMPLE_TIME.plus(Duration::from_secs(n * 86_400));
        world = World::over(world.store.clone(), wall, Retention::default());
    }
    tidy(&world);
    let failures = world.failures();
    wait_until("a commit that tidies", || world.commits() > failures);
    assert_eq!(world.in_log(), [sample_id(1)]);
    assert!(world.writer.stats().expired_messages().is_empty());
    let since = world.reader.event(sample_id(1)).unwrap().unwrap().stamp;
    assert_eq!(world.writer.clock().now().since(since), crate::clock::MAX_GAPS + MINUTE / 2);
    assert_eq!(world.writer.clock().lived_since(since), MINUTE / 2);
    world.clock.pass(MINUTE / 2);
    tidy(&world);
    wait_until("the message's end", || {
        world.writer.stats().expired_messages() == [("worker".to_owned(), 1)].into()
    });
}
