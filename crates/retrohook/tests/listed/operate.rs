//! `retrohook events`, `deliveries`, `subscriptions`, `dead-letters`: what they print, for people and as JSON, and how they end.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use testkit::receiver::Mood;
use testkit::scene::Profiles;
use testkit::wait;

use super::*;

fn command(scene: &Scene, words: &[&str]) -> Command {
    let mut command = Command::new(RETROHOOK);
    command.args(words).arg("--admin").arg(scene.gateway().address("admin").to_string());
    command
}

fn run(scene: &Scene, words: &[&str]) -> Output {
    command(scene, words).output().expect("the binary starts")
}

/// What a command prints that succeeds.
#[track_caller]
fn printed(scene: &Scene, words: &[&str]) -> String {
    let done = run(scene, words);
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

#[track_caller]
fn json_of(scene: &Scene, words: &[&str]) -> Value {
    let text = printed(scene, &[words, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
}

#[track_caller]
fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn tables_fit_a_terminal_and_json_is_what_the_api_answers() {
    let hook = hook();
    let scene = scene(&hook);
    for target in
        ["/profiles/a", "/profiles/averylongnameindeedforsomebodywhoisknownbyashorterone?bad", "/orders"]
    {
        put(&scene, target);
    }
    scene.admin().wait_for_events(3);
    let bad = "/profiles/averylongnameindeedforsomebodywhoisknownbyashorterone?bad";
    let (event, _) = delivery_of(&scene, bad, "waiting");
    let id = event["id"].as_str().expect("an id");
    let key = event["key"].as_str().expect("a key");

    let events = printed(&scene, &["events"]);
    fits(&events);
    assert!(events.starts_with("SEQ  RECORDED") && events.lines().count() == 4, "{events}");
    assert!(events.contains(id) && events.contains('…') && !events.contains(key), "{events}");
    assert!(printed(&scene, &["events", "--wide"]).contains(key));
    assert_eq!(json_of(&scene, &["events"]), scene.admin().get("/retrohook/events").json());
    let waiting = json_of(&scene, &["events", "list", "--delivery", "waiting", "--since", "1h"]);
    assert_eq!(
        (waiting["events"].as_array().map(Vec::len), &waiting["events"][0]["id"]),
        (Some(1), &event["id"])
    );
    assert_eq!(json_of(&scene, &["events", "show", id]), scene.admin().event(id));
    let shown = printed(&scene, &["events", "show", id]);
    fits(&shown);
    assert!(shown.contains("intent_at: ") && shown.contains("what: next_attempt"), "{shown}");

    let subscriptions = printed(&scene, &["subscriptions"]);
    fits(&subscriptions);
    assert!(subscriptions.contains("expire") && subscriptions.contains("pending"), "{subscriptions}");
    let pending = json_of(&scene, &["subscriptions", "--state", "pending"]);
    assert_eq!(pending["subscriptions"][0]["name"], "nobody");
    fits(&printed(&scene, &["subscriptions", "show", "1"]));
    assert_eq!(json_of(&scene, &["subscriptions", "show", "1"])["name"], "expire");
    let blocked = printed(&scene, &["subscriptions", "blocked-keys", "1"]);
    fits(&blocked);
    assert!(blocked.contains("answered 500"), "{blocked}");
    assert_eq!(json_of(&scene, &["subscriptions", "blocked-keys", "1"])["keys"][0]["key"], key);
    // A page that is not the last says beside the table how to go on.
    let first = run(&scene, &["events", "--limit", "1"]);
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    let before = said.trim().rsplit('\'').nth(1).expect("a place").to_owned();
    assert!(first.status.success() && said.contains("--before"), "{said}");
    let rest = printed(&scene, &["events", "--before", &before]);
    assert_eq!(rest.lines().count(), 3, "{rest}");
    let none = run(&scene, &["dead-letters"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
    assert_eq!(String::from_utf8_lossy(&none.stderr), "no dead letters\n");
    assert_eq!(String::from_utf8_lossy(&run(&scene, &["events", "open"]).stderr), "no open intents\n");
}

#[test]
fn what_the_node_refuses_is_printed_with_its_hint() {
    let hook = hook();
    let mut scene = scene(&hook);
    for (words, said) in [
        (&["events", "show", "nonsense"][..], "retrohook: `nonsense` is not an event id"),
        (&["events", "--topic", "nowhere"], "retrohook: there is no topic `nowhere`"),
        (&["subscriptions", "show", "99"], "retrohook: there is no subscription 99"),
    ] {
        let done = run(&scene, words);
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{words:?}");
        assert!(error.starts_with(said) && error.contains("\n  hint: "), "{words:?}: {error}");
    }
    for wrong in
        [&["events", "--outcome", "good"][..], &["events", "--limit", "501"], &["deliveries", "retry", "1"]]
    {
        assert_eq!(run(&scene, wrong).status.code(), Some(2), "{wrong:?}");
    }
    let mut left = command(&scene, &["events"]);
    scene.take_gateway().terminate();
    let done = left.output().expect("the binary starts");
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        done.status.code() == Some(1) && error.contains("no answer from") && error.contains("--admin"),
        "{error}"
    );
}

/// A command that goes on, and what it prints.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Following {
    fn start(scene: &Scene, words: &[&str]) -> Self {
        let mut child = command(scene, words).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    #[track_caller]
    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("one more line").expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn follow_prints_what_comes_and_ends_when_nobody_reads() {
    let hook = hook();
    let scene = scene(&hook);
    for target in ["/profiles/a?1", "/orders", "/profiles/a?2"] {
        put(&scene, target);
    }
    scene.admin().wait_for_events(3);
    let mut following =
        Following::start(&scene, &["events", "--follow", "--topic", "profile-changes", "--json"]);
    let uri = |event: Value| event["request"]["uri"].as_str().expect("a target").to_owned();
    assert_eq!([uri(following.next()), uri(following.next())], ["/profiles/a?1", "/profiles/a?2"]);
    for target in ["/profiles/a?3", "/orders", "/profiles/a?4"] {
        put(&scene, target);
    }
    assert_eq!([uri(following.next()), uri(following.next())], ["/profiles/a?3", "/profiles/a?4"]);
    // Whoever reads goes: the next event ends it, and that is no failure.
    let Following { child, lines } = &mut following;
    drop(std::mem::replace(
        lines,
        BufReader::new(Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.unwrap()).lines(),
    ));
    put(&scene, "/profiles/a?5");
    let status = wait::until("the command to end", || child.try_wait().expect("it can be asked"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn dead_letters_are_followed_and_sent_again() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.receiver.set(Mood::Answers(410));
    scene.start_gateway();
    let dead = |count: usize| {
        wait::until("the dead letters", || {
            let page = scene.admin().get("/retrohook/dead-letters").json();
            (page["dead_letters"].as_array().map(Vec::len) == Some(count)).then_some(page)
        })
    };
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let first = dead(1)["dead_letters"][0].clone();
    let mut following = Following::start(&scene, &["dead-letters", "-f", "--json"]);
    assert_eq!(following.next(), first);
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let second = following.next();
    assert!(second["sequence"].as_i64() > first["sequence"].as_i64(), "{second}");
    let table = printed(&scene, &["dead-letters"]);
    fits(&table);
    assert!(table.contains("SUB  SEQ  DIED") && table.contains("410"), "{table}");
    scene.receiver.set(Mood::Answers(200));
    let sequence = first["sequence"].to_string();
    let one = json_of(&scene, &["dead-letters", "redrive", "1", &sequence]);
    assert_eq!(one, json!({ "subscription": 1, "redriven": 1 }));
    assert!(printed(&scene, &["dead-letters", "redrive", "1"]).contains("redriven: 1"));
    dead(0);
    scene.receiver.wait_for(4);
    // Its deliveries are done, and one of them is sent once more.
    let id = first["event"].as_str().expect("an id");
    wait::until("the delivery to be done", || {
        (scene.admin().event(id)["deliveries"][0]["state"] == "delivered").then_some(())
    });
    assert_eq!(json_of(&scene, &["events", "redeliver", id, "1"])["state"], "due");
    scene.receiver.wait_for(5);
}

#[test]
fn deliveries_that_wait_are_tried_and_given_up() {
    let hook = hook();
    let scene = scene(&hook);
    put(&scene, "/profiles/a?bad");
    let (head, _) = delivery_of(&scene, "/profiles/a?bad", "waiting");
    put(&scene, "/profiles/a?2");
    delivery_of(&scene, "/profiles/a?2", "behind");
    let table = printed(&scene, &["deliveries", "--subscription", "1"]);
    fits(&table);
    assert!(table.starts_with("SUB  SEQ  STATE") && table.lines().count() == 3, "{table}");
    let behind = json_of(&scene, &["deliveries", "list", "--state", "behind"]);
    assert_eq!(
        (behind["deliveries"].as_array().map(Vec::len), &behind["deliveries"][0]["state"]),
        (Some(1), &json!("behind"))
    );
    let sequence = head["sequence"].to_string();
    let would = json_of(&scene, &["subscriptions", "retry", "1", "--since", "1h", "--dry-run"]);
    assert_eq!((&would["retried"], &would["dry_run"]), (&json!(2), &json!(true)), "{would}");
    assert_eq!(json_of(&scene, &["deliveries", "retry", "1", &sequence])["state"], "due");
    let id = head["id"].as_str().expect("an id");
    wait::until("the second attempt", || {
        let attempts = scene.admin().event(id)["deliveries"][0]["attempts"].as_array().map(Vec::len);
        (attempts == Some(2)).then_some(())
    });
    let refused = run(&scene, &["deliveries", "give-up", "1", &sequence]);
    assert_eq!(refused.status.code(), Some(2), "it needs a reason");
    printed(&scene, &["deliveries", "give-up", "1", &sequence, "--reason", "the receiver chokes on it"]);
    delivery_of(&scene, "/profiles/a?2", "delivered");
    let dead = json_of(&scene, &["dead-letters", "--reason", "chokes"]);
    assert_eq!(dead["dead_letters"][0]["event"], head["id"], "{dead}");
}

#[test]
fn subscriptions_are_confirmed_disabled_and_enabled() {
    let hook = hook();
    let scene = scene(&hook);
    let state = || json_of(&scene, &["subscriptions", "show", "2"])["state"].clone();
    printed(&scene, &["subscriptions", "resend-confirmation", "2"]);
    assert_eq!(state(), "pending");
    printed(&scene, &["subscriptions", "confirm", "2"]);
    assert_eq!(state(), "confirmed");
    printed(&scene, &["subscriptions", "disable", "2", "--reason", "it is repaired"]);
    assert_eq!(state(), "disabled");
    let enabled = json_of(&scene, &["subscriptions", "enable", "2"]);
    assert_eq!((&enabled["state"], state()), (&json!("confirmed"), json!("confirmed")), "{enabled}");
}
