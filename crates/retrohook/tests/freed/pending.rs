//! Subscriptions that get nothing: those that nobody confirmed, and those that an operator disabled.

use testkit::client;
use testkit::server::Request;

use super::*;

/// What the receiver got of this kind.
fn of_kind(scene: &Scene, kind: &str) -> Vec<Request> {
    let is_meant = |request: &Request| request.header("x-amz-sns-message-type") == Some(kind);
    scene.receiver.received().into_iter().filter(is_meant).collect()
}

#[track_caller]
fn wait_for_requests(scene: &Scene, count: usize) -> Vec<Request> {
    wait::until(&format!("{count} requests to confirm"), || {
        let asked = of_kind(scene, "SubscriptionConfirmation");
        (asked.len() >= count).then_some(asked)
    })
}

#[track_caller]
fn subscription(scene: &Scene) -> Value {
    ok(&scene.admin().get("/retrohook/subscriptions/1"))
}

/// The endpoint has taken the request to confirm, and does not visit its link; it is owed two events.
#[track_caller]
fn pending() -> Scene {
    let mut scene =
        Scene::prepare(RETROHOOK, &Profiles { subscription: "name: expire", ..Profiles::default() }.yaml());
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    wait_for_requests(&scene, 1);
    put(&scene, &["1", "2"]);
    wait::until("its answer", || (subscription(&scene)["last_attempt"]["status"] == 200).then_some(()));
    assert_eq!(subscription(&scene)["state"], "pending");
    scene
}

#[test]
fn an_operator_sees_the_link_of_a_pending_subscription_and_confirms_it() {
    let scene = pending();
    let admin = scene.admin();
    let shown = subscription(&scene);
    let link = shown["subscribe_url"].as_str().expect("a link").to_owned();
    let sent = wait_for_requests(&scene, 1)[0].json();
    assert_eq!(sent["SubscribeURL"], link.as_str(), "that of the message");
    let token = sent["Token"].as_str().expect("a token");
    for elsewhere in ["/retrohook/subscriptions", "/metrics", "/status", "/config"] {
        assert!(!admin.get(elsewhere).text().contains(token), "{elsewhere} has the token");
    }
    let confirm = self::link(&shown, "confirm");
    for _ in 0..2 {
        assert_eq!(ok(&admin.post(&confirm))["state"], "confirmed", "asking twice is no error");
    }
    scene.told(2);
    assert!(!scene.gateway().output().contains(token), "the token is in no log line");
    let shown = subscription(&scene);
    assert!(shown.get("subscribe_url").is_none() && shown["links"].get("confirm").is_none(), "{shown:#}");
    assert_eq!(client::get(&link).expect("the hub answers").status, 200, "a late visit is no error");
    let (message, _) = refused(&admin.post("/retrohook/subscriptions/1/resend-confirmation"), 409);
    assert!(message.contains("`expire`") && message.contains("is confirmed"), "{message}");
}

#[test]
fn whoever_follows_the_link_that_is_shown_confirms_the_subscription() {
    let scene = pending();
    let link = subscription(&scene)["subscribe_url"].as_str().expect("a link").to_owned();
    assert_eq!(client::get(&link).expect("the hub answers").status, 200);
    scene.told(2);
}

/// By itself the node asks again after ten seconds, and then after a minute.
#[test]
fn an_endpoint_is_asked_again_at_once_as_often_as_an_operator_wants() {
    let scene = pending();
    let resend = link(&subscription(&scene), "resend_confirmation");
    for count in 2..6 {
        let answer = ok(&scene.admin().post(&resend));
        assert_eq!(answer["state"], "pending", "{answer}");
        let asked = wait_for_requests(&scene, count);
        assert_eq!(asked[0].body, asked[count - 1].body, "the same request");
    }
    scene.receiver.set_confirms(true);
    ok(&scene.admin().post(&resend));
    scene.told(2);
}

#[test]
fn a_start_warns_of_pending_subscriptions_and_says_what_they_lose_and_when() {
    let mut scene = pending();
    assert!(!scene.gateway().output().contains("a subscription is pending"), "a new one needs no warning");
    scene.take_gateway().terminate();
    scene.start_gateway();
    let output = scene.gateway().output();
    let line = output.lines().find(|line| line.contains("a subscription is pending")).expect("a warning");
    for part in [
        "WARN",
        "name=\"expire\"",
        "topic=\"profile-changes\"",
        &format!("endpoint=\"{}\"", scene.receiver.url("/hook")),
        "it is owed 2 events, and each is dropped for it 3 days after it was recorded, the first at 20",
        "POST /retrohook/subscriptions/1/confirm",
        "resend-confirmation",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn an_operator_disables_a_subscription_and_its_endpoint_hears_nothing_of_it() {
    let subscription = Profiles { subscription: "name: expire, confirm: skip", ..Profiles::default() };
    let mut scene = Scene::start(RETROHOOK, &subscription.yaml());
    put(&scene, &["1"]);
    scene.told(1);
    let admin = scene.admin();
    let disable = link(&self::subscription(&scene), "disable");
    let (message, _) = refused(&admin.post(&disable), 400);
    assert!(message.contains("`reason`"), "{message}");
    assert_eq!(ok(&admin.post(&format!("{disable}?reason=its%20owner%20is%20away")))["state"], "disabled");
    let (message, hint) = refused(&admin.post(&format!("{disable}?reason=again")), 409);
    assert!(message.contains("is disabled already"), "{message}");
    assert!(hint.contains("POST /retrohook/subscriptions/1/enable"), "{hint}");
    wait::until("its worker to rest", || {
        (self::subscription(&scene)["worker"]["state"] == "disabled").then_some(())
    });
    put(&scene, &["2"]);
    let (message, hint) = refused(&admin.post("/retrohook/subscriptions/1/retry"), 409);
    assert!(message.contains("is disabled") && hint.contains("/enable"), "{message}: {hint}");
    let (message, hint) = refused(&admin.post("/retrohook/subscriptions/1/confirm"), 409);
    assert!(message.contains("is disabled") && hint.contains("/enable"), "{message}: {hint}");
    let output = scene.gateway().output();
    let line = output.lines().find(|line| line.contains("an operator disabled a subscription"));
    let line = line.expect("a line");
    assert!(line.contains("name=\"expire\"") && line.contains("its owner is away"), "{line}");
    scene.take_gateway().terminate();
    scene.start_gateway();
    let (admin, shown) = (scene.admin(), self::subscription(&scene));
    assert_eq!(shown["state"], "disabled", "a start changes nothing");
    assert_eq!(shown["disabled_because"], "its owner is away");
    let output = scene.gateway().output();
    let line = output.lines().find(|line| line.contains("a subscription is disabled")).expect("a warning");
    assert!(line.contains("because=\"its owner is away\""), "{line}");
    assert_eq!(scene.receiver.messages().len(), 1);
    assert_eq!(of_kind(&scene, "UnsubscribeConfirmation").len(), 0, "its endpoint cannot undo it");
    ok(&admin.post(&link(&shown, "enable")));
    scene.told(2);
    assert!(self::subscription(&scene).get("disabled_because").is_none(), "that is over");
}

/// Housekeeping comes every few seconds. What was recorded four days ago is older than anybody keeps for a subscription that nobody confirmed.
#[test]
fn what_a_pending_subscription_loses_is_said_with_whose_it_was_and_how_much() {
    let mut scene = pending();
    scene.take_gateway().terminate();
    let database = testkit::process::database(&scene.setup.data_dir());
    let store = rusqlite::Connection::open(database).expect("the database opens");
    let days = 4 * 86_400_000_000_i64;
    store
        .execute_batch(&format!(
            "UPDATE events SET stamp = stamp - {days}, recorded_at = recorded_at - {days};
             UPDATE subscriptions SET created = created - {days}, created_at = created_at - {days};"
        ))
        .expect("times are set back");
    drop(store);
    scene.start_gateway();
    let line = wait::until("the line", || {
        let output = scene.gateway().output();
        output.lines().find(|line| line.contains("are gone for it")).map(str::to_owned)
    });
    let endpoint = format!("endpoint=\"{}\"", scene.receiver.url("/hook"));
    for part in ["subscription=1", "name=\"expire\"", "topic=\"profile-changes\"", &endpoint, "count=2"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}
