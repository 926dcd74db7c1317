//! What cannot be done gets a clear answer: which subscription it is about, why, and what to do; and a dry run changes nothing.

use testkit::receiver::Mood;

use super::*;

/// A webhook with dead letters, which `?dead` makes, and a queue.
#[track_caller]
fn scene() -> Scene {
    let yaml = Profiles {
        subscription: "name: expire, raw_message_delivery: true, confirm: skip",
        ..Profiles::default()
    };
    let more = "  - { protocol: sqs, endpoint: worker }\nqueues: [{ name: worker }]\n";
    Scene::start(RETROHOOK, &format!("{}{more}", yaml.yaml()))
}

/// All that can be asked for a subscription and its first event.
fn all_of(subscription: i64, event: &str) -> [String; 8] {
    [
        format!("/retrohook/subscriptions/{subscription}/confirm"),
        format!("/retrohook/subscriptions/{subscription}/resend-confirmation"),
        format!("/retrohook/subscriptions/{subscription}/retry"),
        format!("/retrohook/deliveries/{subscription}/1/retry"),
        format!("/retrohook/deliveries/{subscription}/1/give-up?reason=x"),
        format!("/retrohook/dead-letters/{subscription}/redrive"),
        format!("/retrohook/dead-letters/{subscription}/1/redrive"),
        format!("/retrohook/events/{event}/deliveries/{subscription}/redeliver"),
    ]
}

#[test]
fn a_wrong_number_a_queue_and_one_that_was_removed_each_have_their_own_answer() {
    let scene = scene();
    put(&scene, &["1"]);
    scene.receiver.wait_for(1);
    let admin = scene.admin();
    let event = admin.events()[0]["id"].as_str().expect("an id").to_owned();
    for path in all_of(99, &event) {
        let (message, hint) = refused(&admin.post(&path), 404);
        assert_eq!(message, "there is no subscription 99", "{path}");
        assert!(hint.contains("GET /retrohook/subscriptions"), "{path}: {hint}");
    }
    for path in all_of(2, &event).iter().skip(1) {
        let (message, hint) = refused(&admin.post(path), 400);
        let whose = "subscription 2 (of `profile-changes` to sqs worker) has a queue";
        assert!(message.starts_with(whose), "{path}: {message}");
        assert!(hint.contains("receive the messages from the queue `worker`"), "{path}: {hint}");
    }
    let line = scene.setup.config.lines().find(|line| line.contains("protocol: http")).expect("its line");
    scene.reload(&scene.setup.config.replace(&format!("{line}\n"), ""));
    assert_eq!(ok(&admin.get("/retrohook/subscriptions/1"))["state"], "removed");
    for path in all_of(1, &event).iter().chain([&"/retrohook/subscriptions/1/enable".to_owned()]) {
        let (message, hint) = refused(&admin.post(path), 409);
        let endpoint = scene.receiver.url("/hook");
        let whose =
            format!("subscription 1 (`expire` of `profile-changes` to http {endpoint}) was removed on 20");
        assert!(message.starts_with(&whose), "{path}: {message}");
        assert!(hint.contains("declare it again"), "{path}: {hint}");
    }
}

#[test]
fn an_event_of_another_topic_is_said_to_be_one() {
    let yaml = Profiles::default().yaml();
    let more = "- name: other\n  subscriptions:\n  - { protocol: http, endpoint: \"http://127.0.0.1:9/other\", confirm: skip }\n";
    let scene = Scene::start(RETROHOOK, &format!("{yaml}{more}"));
    put(&scene, &["1"]);
    let event = scene.admin().events()[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/retrohook/events/{event}/deliveries/2/redeliver");
    let (message, _) = refused(&scene.admin().post(&path), 404);
    assert!(
        message.starts_with("this event is of the topic `profile-changes`, and subscription 2 (of `other`"),
        "{message}"
    );
}

#[test]
fn a_redrive_says_before_how_many_it_would_send_and_can_be_of_a_reason() {
    let scene = scene();
    let admin = scene.admin();
    scene.receiver.set(Mood::Answers(410));
    put(&scene, &["1", "2"]);
    wait::until("the deaths", || (dead_letters(admin).len() == 2).then_some(()));
    scene.receiver.set(Mood::Answers(500));
    put(&scene, &["3"]);
    let waiting = deliveries(admin, "?state=waiting", 1).remove(0);
    ok(&admin.post(&format!("{}?reason=poison", link(&waiting, "give_up"))));
    scene.receiver.set(Mood::Answers(200));
    let redrive = "/retrohook/dead-letters/1/redrive";
    for (query, count) in [("", 3), ("&reason=410", 2), ("&reason=poison", 1), ("&reason=nothing", 0)] {
        let dry = ok(&admin.post(&format!("{redrive}?dry_run=true{query}")));
        assert_eq!(dry, json!({ "subscription": 1, "redriven": count, "dry_run": true }), "{query}");
    }
    assert_eq!(dead_letters(admin).len(), 3, "nothing has changed");
    assert_eq!(scene.receiver.messages().len(), 3);
    assert_eq!(
        ok(&admin.post(&format!("{redrive}?reason=410"))),
        json!({ "subscription": 1, "redriven": 2 })
    );
    scene.receiver.wait_for(5);
    let left = dead_letters(admin);
    assert_eq!((left.len(), &left[0]["reason"]), (1, &json!("given up by an operator: poison")));
    assert_eq!(ok(&admin.post(redrive))["redriven"], 1);
    scene.receiver.wait_for(6);
    for wrong in ["?dry_run=perhaps", "?since=1"] {
        let (_, hint) = refused(&admin.post(&format!("{redrive}{wrong}")), 400);
        assert!(hint.contains("`dry_run`"), "{wrong}: {hint}");
    }
}

#[test]
fn one_that_is_pending_is_said_to_be() {
    let yaml = Profiles { subscription: "", ..Profiles::default() }.yaml();
    let mut scene = Scene::prepare(RETROHOOK, &yaml);
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    put(&scene, &["1"]);
    let admin = scene.admin();
    wait::until("the worker to be pending", || {
        (ok(&admin.get("/retrohook/subscriptions/1"))["worker"]["state"] == "pending").then_some(())
    });
    for path in ["/retrohook/subscriptions/1/retry", "/retrohook/dead-letters/1/redrive?dry_run=true"] {
        let (message, hint) = refused(&admin.post(path), 409);
        assert!(message.contains("is pending: its endpoint has not confirmed"), "{message}");
        assert!(hint.contains("/retrohook/subscriptions/1/confirm"), "{hint}");
    }
}
