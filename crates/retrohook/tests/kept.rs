//! What a reload says of what is owed: who is kept under another name, who is back, and what becomes of what those are owed that are gone.

use testkit::receiver::{Mood, Receiver};
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A webhook that is owed so many events, and gets none of them.
#[track_caller]
fn owed(subscription: &str, count: usize) -> Scene {
    let scene = Scene::start(RETROHOOK, &Profiles { subscription, ..Profiles::default() }.yaml());
    scene.receiver.set(Mood::Answers(500));
    for _ in 0..count {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    wait::until("all to be tried once", || {
        let one = scene.admin().get("/retrohook/subscriptions/1").json();
        (one["retrying"] == count as u64).then_some(())
    });
    scene
}

/// Has the files read anew with other words in them; what `retrohook reload` prints.
#[track_caller]
fn edit(scene: &mut Scene, before: &str, now: &str) -> String {
    assert!(scene.setup.config.contains(before), "no `{before}` in {}", scene.setup.config);
    scene.setup.config = scene.setup.config.replace(before, now);
    std::fs::write(scene.setup.config_file(), &scene.setup.config).expect("the file can be written");
    let mut command = std::process::Command::new(RETROHOOK);
    let admin = scene.gateway().address("admin").to_string();
    let output = command.args(["reload", "--admin", &admin]).output().expect("it starts");
    let (printed, complaints) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{printed}{complaints}");
    printed.replace(&scene.receiver.url("/hook"), "HOOK")
}

const RAW: &str = "raw_message_delivery: true, confirm: skip";

#[test]
fn a_name_that_is_given_changed_or_taken_away_is_said_and_not_that_somebody_is_new() {
    let mut scene = owed(RAW, 3);
    let named = format!("name: expire, {RAW}");
    let printed = edit(&mut scene, RAW, &named);
    let line = "subscription `expire` of `profile-changes` to http HOOK had no name, and is kept under this one: 3 events wait for it\n";
    assert!(printed.starts_with(&format!("{line}reloaded: ")), "{printed}");
    let printed = edit(&mut scene, "name: expire", "name: caches");
    let line = "subscription `caches` of `profile-changes` to http HOOK was called `expire`, and is kept under its new name: 3 events wait for it\n";
    assert!(printed.starts_with(&format!("{line}reloaded: ")), "{printed}");
    let printed = edit(&mut scene, "name: caches, ", "");
    let line = "subscription of `profile-changes` to http HOOK was called `caches`, and is kept without a name: 3 events wait for it\n";
    assert!(printed.starts_with(&format!("{line}reloaded: ")), "{printed}");
}

#[test]
fn whoever_is_taken_out_is_said_with_what_it_is_owed_and_so_is_its_return() {
    let mut scene = owed(RAW, 2);
    let line = scene.setup.config.lines().last().expect("a subscription").to_owned();
    let (with, without) = (format!("  subscriptions:\n{line}"), "  subscriptions: []");
    let printed = edit(&mut scene, &with, without);
    let gone = "subscription of `profile-changes` to http HOOK is gone: what it is still owed (2 waiting deliveries), and what it misses from now on, is dropped after a day, \
                unless it is declared again before that\n";
    assert!(printed.starts_with(gone), "{printed}");
    let warning = "a subscription is no longer in the configuration: what it is still owed (2 waiting deliveries), and what it misses from now on, is dropped after a day";
    wait::until("the log line", || {
        let output = scene.gateway().output();
        output
            .lines()
            .find(|line| line.contains(warning))
            .map(|line| assert!(line.contains("topic=\"profile-changes\""), "{line}"))
    });
    // A start says it again, as long as it is so.
    scene.take_gateway().terminate();
    scene.start_gateway();
    scene.gateway().wait_until_it_says(warning);

    let printed = edit(&mut scene, without, &with);
    let back = "subscription of `profile-changes` to http HOOK is back: 2 events wait for it\n";
    assert!(printed.starts_with(back), "{printed}");
}

#[test]
fn what_is_owed_a_day_after_somebody_was_taken_out_is_dropped_counted_and_said_once() {
    let mut scene = owed(&format!("name: expire, {RAW}"), 2);
    let line = scene.setup.config.lines().last().expect("a subscription").to_owned();
    edit(&mut scene, &format!("  subscriptions:\n{line}"), "  subscriptions: []");
    assert_eq!(scene.put("").expect("an answer").status, 200);
    wait::until("the third event", || (scene.admin().events().len() == 3).then_some(()));
    scene.take_gateway().terminate();
    let database = testkit::process::database(&scene.setup.data_dir());
    let database = rusqlite::Connection::open(database).expect("the database opens");
    // As if the day had passed.
    assert_eq!(database.execute("UPDATE subscriptions SET removed = 0 WHERE id = 1", []).expect("a row"), 1);
    drop(database);
    scene.start_gateway();
    let dropped = |reason: &str| {
        scene.admin().metric(&format!("retrohook_dropped_deliveries_total{{reason=\"{reason}\"}}"))
    };
    wait::until("the count", || (dropped("left_configuration") == Some(3.0)).then_some(()));
    assert_eq!(dropped("owner"), Some(0.0));
    assert_eq!(scene.admin().get("/retrohook/subscriptions/1").status, 404);
    let said = "what it was still owed is dropped: 1 unread event, 2 waiting deliveries";
    scene.gateway().wait_until_it_says(said);
    let output = scene.gateway().output();
    let lines: Vec<&str> = output.lines().filter(|line| line.contains("is dropped: ")).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in [said, "subscription=1", "name=\"expire\"", "topic=\"profile-changes\"", "WARN"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

#[test]
fn another_endpoint_is_said_with_what_goes_there() {
    let mut scene = owed(&format!("name: expire, {RAW}"), 2);
    let other = Receiver::start();
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    let printed = edit(&mut scene, &old, &new);
    let line = format!(
        "subscription `expire` of `profile-changes` to http {new} was to HOOK, and has another endpoint now: 2 events wait for it\n"
    );
    assert!(printed.starts_with(&line), "{printed}");
    wait::until("the backlog", || (other.events().len() == 2).then_some(()));
}

#[test]
fn queues_and_topics_that_were_there_before_are_back_and_not_new() {
    let (queue, topic) = ("- { protocol: sqs, endpoint: worker }", "queues: [{ name: worker }]\n");
    let config = Profiles { subscription: RAW, ..Profiles::default() }.yaml();
    let mut scene = Scene::start(RETROHOOK, &format!("{config}  {queue}\n- name: second\n{topic}"));
    for _ in 0..2 {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    scene.admin().wait_for_events(2);
    let all = format!("  {queue}\n- name: second\n{topic}");
    let printed = edit(&mut scene, &all, "");
    for line in [
        "topic `second` is gone\n",
        "queue `worker` is gone: 2 messages of it are kept, and can be received when it is declared again\n",
        "subscription of `profile-changes` to sqs worker is gone: its queue keeps the messages that it has; ",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
    let end = scene.setup.config.clone();
    let printed = edit(&mut scene, &end, &format!("{end}{all}"));
    for line in [
        "topic `second` is back\n",
        "queue `worker` is back, with 2 messages\n",
        "subscription of `profile-changes` to sqs worker is back: what its queue has missed is sent to it\n",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
}
