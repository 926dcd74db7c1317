//! A wall clock that somebody sets while the machine's uptime goes on: nothing of what is owed is deleted, killed or put off.
//!
//! The gateway runs under libfaketime, which is told by a file how far the wall clock is off. A jump counts as over when the gateway has
//! seen it and has committed a few times since, which housekeeping does every five seconds whatever else happens.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::receiver::Mood;
use testkit::scene::Scene;
use testkit::wall_clock::WallClock;
use testkit::{aws, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const PATIENCE: Duration = Duration::from_secs(60);
const DAY: f64 = 86_400.0;

/// A confirmed webhook, one that nobody confirms, and queues; what one of them would drop goes to another.
const CONFIG: &str = r#"_format_version: "3.0"
services:
- name: mockbin
  url: "http://{upstream}"
  routes: [{ name: mockbin, paths: [/mockbin], strip_path: true }]
  plugins:
  - name: publish-sns
    config: { topic_arn: profile-changes, durability: strict, routes: [{ method: PUT, matcher: "^/profile$" }] }
topics:
- name: profile-changes
  subscriptions:
  - { protocol: http, endpoint: "{receiver}", raw_message_delivery: true, confirm: skip }
  - { protocol: http, endpoint: "http://127.0.0.1:9/never" }
  - { protocol: sqs, endpoint: worker }
  - { protocol: sqs, endpoint: minute }
queues:
- { name: worker, visibility_timeout: 3 }
- { name: minute, message_retention_period: 60 }
- { name: short, message_retention_period: 60, redrive_policy: { dead_letter_queue: late, max_receive_count: 9 } }
- { name: late }
"#;

/// The arrangement, with a wall clock that can be set.
struct World {
    scene: Scene,
    clock: WallClock,
}

impl World {
    fn start(offset: &str) -> Self {
        let mut scene = Scene::prepare(RETROHOOK, CONFIG);
        let clock = WallClock::of(&mut scene.setup);
        clock.set(offset);
        scene.start_gateway();
        Self { scene, clock }
    }

    /// Sets the wall clock so far off the right time, and waits until it can have had its effect.
    #[track_caller]
    fn set(&self, offset: &str) {
        let before = self.jumps();
        self.clock.set(offset);
        wait::within(PATIENCE, "the jump to be seen", || (self.jumps() > before).then_some(()));
        self.housekeeping();
    }

    /// Waits for a round of housekeeping.
    #[track_caller]
    fn housekeeping(&self) {
        let commits = || self.metric("retrohook_commits_total") as u64;
        let before = commits();
        wait::within(PATIENCE, "housekeeping", || (commits() >= before + 2).then_some(()));
    }

    fn jumps(&self) -> u64 {
        self.clock_status()["jumps"].as_u64().expect("a number")
    }

    #[track_caller]
    fn clock_status(&self) -> Value {
        self.scene.admin().status().1["retrohook"]["clock"].clone()
    }

    #[track_caller]
    fn metric(&self, series: &str) -> f64 {
        self.scene.admin().metric(series).unwrap_or_else(|| panic!("no {series}"))
    }

    #[track_caller]
    fn subscription(&self, number: u32) -> Value {
        self.scene.admin().get(&format!("/retrohook/subscriptions/{number}")).json()
    }

    #[track_caller]
    fn put(&self) {
        assert_eq!(self.scene.put("").expect("an answer").status, 200);
    }

    /// One event whose delivery failed and waits for its retry.
    #[track_caller]
    fn put_in_vain(&self) {
        self.scene.receiver.set(Mood::Answers(500));
        self.put();
        wait::until("the retry", || (self.subscription(1)["retrying"] == 1).then_some(()));
    }

    #[track_caller]
    fn sqs(&self, action: &str, input: &Value) -> Value {
        let answer = aws::sqs(self.scene.gateway().address("hub"), action, input).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn url(&self, queue: &str) -> String {
        format!("http://{}/000000000000/{queue}", self.scene.gateway().address("hub"))
    }

    /// How many messages a receive gets.
    #[track_caller]
    fn receive(&self, queue: &str) -> usize {
        let answer =
            self.sqs("ReceiveMessage", &json!({ "QueueUrl": self.url(queue), "MaxNumberOfMessages": 10 }));
        answer["Messages"].as_array().map_or(0, Vec::len)
    }

    /// All that was owed after `count` events, of which none was delivered to the webhook, is still owed.
    #[track_caller]
    fn assert_nothing_lost(&self, count: usize) {
        let admin = self.scene.admin();
        assert_eq!(admin.events().len(), count);
        let webhook = self.subscription(1);
        assert_eq!(
            (&webhook["retrying"], &webhook["dead_letters"]),
            (&json!(count), &json!(0)),
            "{webhook:#}"
        );
        assert_eq!(self.subscription(2)["unread"], json!(count), "the pending subscription's backlog");
        // The minute of the other queue may be over while this test runs; its own test is below.
        let messages = &self.subscription(3)["messages"];
        let number = |field: &str| messages[field].as_u64().expect("a number");
        assert_eq!(number("visible") + number("in_flight"), count as u64, "{messages:#}");
        assert_eq!(self.metric(r#"retrohook_queue_expired_messages_total{queue="worker"}"#), 0.0);
    }
}

#[test]
fn a_wall_clock_that_jumps_forward_and_back_loses_nothing_and_is_said() {
    let world = World::start("+0");
    world.put_in_vain();
    for offset in ["+15d", "+0", "+4d", "+400d"] {
        world.set(offset);
        world.assert_nothing_lost(1);
    }
    let (code, status) = world.scene.admin().status();
    let clock = &status["retrohook"]["clock"];
    assert_eq!((code, &clock["jumps"]), (200, &json!(4)), "{status:#}");
    let moved = clock["moved_seconds"].as_f64().expect("a number");
    assert!((moved - 400.0 * DAY).abs() < 60.0, "{clock}");
    assert!((world.metric("retrohook_clock_moved_seconds") - moved).abs() < 60.0);
    assert_eq!(world.metric("retrohook_clock_jumps_total"), 4.0);
    let degraded = status["retrohook"]["degraded"].to_string();
    assert!(degraded.contains("wall clock") && degraded.contains("forward by 400 days"), "{degraded}");
    let output = world.scene.gateway().output();
    assert_eq!(output.matches("the wall clock was set").count(), 4, "{output}");
    assert!(output.contains("15 days"), "{output}");
    // Set right, it is no longer named, and all is delivered.
    world.set("+0");
    let degraded = world.scene.admin().status().1["retrohook"]["degraded"].to_string();
    assert!(!degraded.contains("wall clock"), "{degraded}");
    world.scene.receiver.set(Mood::Answers(204));
    // Its next retry may be minutes off by now.
    let event = world.scene.admin().events().remove(0);
    let id = event["id"].as_str().expect("an id");
    let again = world.scene.admin().post(&format!("/retrohook/events/{id}/deliveries/1/redeliver"));
    assert!(again.status < 300, "{}", again.text());
    wait::within(PATIENCE, "the delivery", || (world.subscription(1)["retrying"] == 0).then_some(()));
    assert_eq!(world.receive("worker"), 1);
}

#[test]
fn a_machine_that_boots_with_its_clock_behind_loses_nothing() {
    let mut world = World::start("+0");
    world.put_in_vain();
    world.scene.take_gateway().terminate();
    for offset in ["-20d", "+40d"] {
        world.clock.set(offset);
        world.scene.start_gateway();
        world.housekeeping();
        world.set("+0");
        // The minute of the queue that keeps messages no longer may be over by now; its own test is below.
        let webhook = world.subscription(1);
        assert_eq!((&webhook["retrying"], &webhook["dead_letters"]), (&json!(1), &json!(0)), "{webhook:#}");
        assert_eq!(world.subscription(2)["unread"], 1);
        assert_eq!(world.subscription(3)["messages"]["visible"], 1);
        assert_eq!(world.scene.admin().events().len(), 1);
        world.scene.take_gateway().kill();
    }
    world.clock.set("-20d");
    world.scene.start_gateway();
    let output = world.scene.gateway().output();
    assert!(
        output.contains("the wall clock is behind the time at which this store was last used"),
        "{output}"
    );
    world.scene.receiver.set(Mood::Answers(204));
    wait::within(PATIENCE, "the delivery", || (world.subscription(1)["retrying"] == 0).then_some(()));
}

#[test]
fn what_was_set_while_the_clock_was_ahead_is_due_in_its_own_time() {
    let world = World::start("+30d");
    world.put_in_vain();
    assert_eq!(world.receive("worker"), 1);
    assert_eq!(world.receive("worker"), 0, "hidden");
    world.set("+0");
    let age = world.subscription(1)["oldest_pending_seconds"].as_f64().expect("a number");
    assert!(age > 0.0 && age < 120.0, "{age}");
    let series = r#"retrohook_subscription_oldest_pending_seconds{topic="profile-changes",subscription="1"}"#;
    let age = world.metric(series);
    assert!(age > 0.0 && age < 120.0, "{age}");
    wait::within(PATIENCE, "the message to be visible again", || {
        (world.receive("worker") == 1).then_some(())
    });
    world.scene.receiver.set(Mood::Answers(204));
    wait::within(PATIENCE, "the delivery", || (world.subscription(1)["retrying"] == 0).then_some(()));
}

#[test]
fn retries_that_wait_are_due_at_a_start() {
    let mut world = World::start("+30d");
    world.put_in_vain();
    // The third failure is followed by a wait of two minutes, more than this test has.
    wait::within(PATIENCE, "a retry that is far off", || {
        let last = world.subscription(1)["last_attempt"]["number"].as_u64();
        (last >= Some(2)).then_some(())
    });
    world.scene.receiver.set(Mood::Answers(204));
    world.scene.take_gateway().kill();
    world.clock.set("+0");
    world.scene.start_gateway();
    wait::within(Duration::from_secs(20), "the delivery", || {
        (world.subscription(1)["retrying"] == 0).then_some(())
    });
}

/// A start adds up to an hour to the store's clock, because the wall clock says so. That alone takes nothing from anybody.
#[test]
fn an_hour_that_a_start_assumes_takes_nothing_and_what_passes_is_counted_and_said() {
    let mut world = World::start("+0");
    world.put();
    let asked = json!({ "QueueUrl": world.url("minute"), "AttributeNames": ["All"] });
    let attributes = world.sqs("GetQueueAttributes", &asked)["Attributes"].clone();
    assert_eq!(attributes["MessageRetentionPeriod"], "60", "{attributes}");
    let asked = json!({ "QueueUrl": world.url("worker"), "AttributeNames": ["MessageRetentionPeriod"] });
    assert_eq!(world.sqs("GetQueueAttributes", &asked)["Attributes"]["MessageRetentionPeriod"], "1209600");
    let visible = |world: &World| world.subscription(4)["messages"]["visible"].clone();
    world.sqs("SendMessage", &json!({ "QueueUrl": world.url("short"), "MessageBody": "old" }));
    for offset in ["+1h", "+30d"] {
        world.scene.take_gateway().kill();
        world.clock.set(offset);
        world.scene.start_gateway();
        world.housekeeping();
        assert_eq!(visible(&world), 1, "after a start at {offset}");
    }
    let series = r#"retrohook_queue_expired_messages_total{queue="minute"}"#;
    // A minute that passes is one.
    wait::within(2 * PATIENCE, "the message to go", || (world.metric(series) == 1.0).then_some(()));
    assert_eq!((world.receive("minute"), world.receive("worker")), (0, 1));
    let dead_lettered = r#"retrohook_queue_dead_lettered_messages_total{queue="short",dead_letter_queue="late",reason="message_retention_period"}"#;
    wait::within(PATIENCE, "the other message to move", || {
        (world.scene.admin().metric(dead_lettered) == Some(1.0)).then_some(())
    });
    assert_eq!((world.receive("short"), world.receive("late")), (0, 1));
    assert_eq!(world.metric(r#"retrohook_queue_expired_messages_total{queue="short"}"#), 0.0);
    let output = world.scene.gateway().output();
    let line = output.lines().find(|line| line.contains("message_retention_period"));
    let line = line.unwrap_or_else(|| panic!("no line in:\n{output}"));
    assert!(line.contains("minute") && line.contains("count=1"), "{line}");
}

/// No file says when its queue was made, or last got other settings: the node remembers it.
#[test]
fn a_queue_of_a_file_is_as_old_after_a_start_as_before() {
    let mut world = World::start("+0");
    let times = |world: &World| {
        let names = ["CreatedTimestamp", "LastModifiedTimestamp"];
        let asked = json!({ "QueueUrl": world.url("minute"), "AttributeNames": names });
        let attributes = world.sqs("GetQueueAttributes", &asked)["Attributes"].clone();
        names.map(|name| attributes[name].as_str().expect("seconds").parse::<u64>().expect("a number"))
    };
    let [created, modified] = times(&world);
    let restart = |world: &mut World, offset: &str| {
        world.scene.take_gateway().kill();
        world.clock.set(offset);
        world.scene.start_gateway();
    };
    restart(&mut world, "+2d");
    assert_eq!(times(&world), [created, modified]);
    world.scene.setup.config = world.scene.setup.config.replace("period: 60", "period: 61");
    restart(&mut world, "+4d");
    let [again, later] = times(&world);
    assert_eq!(again, created);
    assert!(later >= modified + 3 * 86_400, "{later} after {modified}");
    let config = world.scene.setup.config.replace("period: 61", "period: 62");
    world.scene.reload(&config);
    let [again, last] = times(&world);
    assert!(again == created && last >= later, "{last} after {later}");
}
