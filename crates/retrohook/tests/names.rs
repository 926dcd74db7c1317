//! Subscriptions with names: what they are owed follows them to a new endpoint, through stops and kills.

use serde_json::{Value, json};
use testkit::client;
use testkit::receiver::{Mood, Receiver};
use testkit::scene::{Profiles, Scene};
use testkit::server::Request;
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const SECRET: &str = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";

/// A scene whose subscription has these settings.
#[track_caller]
fn scene(subscription: &str) -> Scene {
    Scene::start(RETROHOOK, &Profiles { subscription, ..Profiles::default() }.yaml())
}

/// Puts the profile `count` times, one after the other.
#[track_caller]
fn put(scene: &Scene, count: usize) {
    for _ in 0..count {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
}

/// Writes other words into the configuration for the next start.
#[track_caller]
fn edit(scene: &mut Scene, before: &str, now: &str) {
    assert!(scene.setup.config.contains(before), "no `{before}` in {}", scene.setup.config);
    scene.setup.config = scene.setup.config.replace(before, now);
}

/// The only subscription that there is.
#[track_caller]
fn only(scene: &Scene) -> Value {
    let list = scene.admin().get("/retrohook/subscriptions").json();
    let all = list["subscriptions"].as_array().expect("a list");
    assert_eq!((all.len(), &all[0]["subscription"]), (1, &json!(1)), "{list:#}");
    all[0].clone()
}

/// The ids of so many events, in the order of the log.
#[track_caller]
fn logged(scene: &Scene, count: usize) -> Vec<String> {
    let events = scene.admin().wait_for_events(count);
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

/// Waits until the receiver got these events, and no others.
#[track_caller]
fn wait_for(receiver: &Receiver, ids: &[String]) {
    wait::until("the backlog", || (receiver.events().len() >= ids.len()).then_some(()));
    assert_eq!(receiver.events(), ids);
}

/// SNS's requests to confirm that a receiver got.
fn confirmations(receiver: &Receiver) -> Vec<Request> {
    let kind =
        |request: &Request| request.header("x-amz-sns-message-type") == Some("SubscriptionConfirmation");
    receiver.received().into_iter().filter(kind).collect()
}

/// Visits the link of the last request to confirm, at the hub that runs now.
#[track_caller]
fn visit(scene: &Scene, receiver: &Receiver) -> u16 {
    let asked = confirmations(receiver).pop().expect("it was asked to confirm").json();
    let link = asked["SubscribeURL"].as_str().expect("a link");
    let (_, query) = link.split_once('?').expect("a query");
    client::get(&format!("http://{}/?{query}", scene.gateway().address("hub"))).expect("an answer").status
}

#[test]
fn the_backlog_follows_the_name_to_another_endpoint_in_order_through_kills() {
    let mut scene = scene("name: expire, fifo: true, raw_message_delivery: true, confirm: skip");
    put(&scene, 1);
    scene.receiver.wait_for(1);
    // One that fails and waits for its retry, and two behind it.
    scene.receiver.set(Mood::Answers(500));
    put(&scene, 3);
    wait::until("all to be set aside", || {
        let known = only(&scene);
        (known["retrying"] == 1 && known["behind"] == 2).then_some(())
    });
    let owed = logged(&scene, 4)[1..].to_vec();
    scene.take_gateway().kill();
    scene.receiver.set(Mood::Answers(200));
    let before = scene.receiver.received().len();

    // The new endpoint is not well at first, and the gateway is killed while it tries.
    let other = Receiver::start();
    other.set(Mood::Answers(500));
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    edit(&mut scene, &old, &new);
    scene.start_gateway();
    let output = scene.gateway().output();
    assert!(
        output.contains("a subscription has another endpoint") && output.contains("name=\"expire\""),
        "{output}"
    );
    let known = only(&scene);
    assert_eq!((&known["name"], &known["endpoint"]), (&json!("expire"), &json!(new)));
    assert_eq!((&known["state"], &known["topic"]), (&json!("confirmed"), &json!("profile-changes")));
    other.wait_for(1);
    scene.take_gateway().kill();
    other.set(Mood::Answers(200));
    scene.start_gateway();
    wait_for(&other, &owed);
    put(&scene, 1);
    wait_for(&other, &logged(&scene, 5)[1..]);
    assert_eq!(scene.receiver.received().len(), before, "the old endpoint gets nothing more");
    wait::until("nothing to be owed", || {
        let known = only(&scene);
        (known["unread"] == 0 && known["retrying"] == 0 && known["behind"] == 0).then_some(())
    });
}

#[test]
fn dead_letters_follow_the_name_too() {
    let mut scene = scene("name: expire, raw_message_delivery: true, confirm: skip");
    scene.receiver.set(Mood::Answers(410));
    put(&scene, 1);
    wait::until("the dead letter", || (only(&scene)["dead_letters"] == 1).then_some(()));
    scene.take_gateway().terminate();
    let other = Receiver::start();
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    edit(&mut scene, &old, &new);
    scene.start_gateway();
    let list = scene.admin().get("/retrohook/dead-letters").json();
    let dead = &list["dead_letters"][0];
    assert_eq!((&dead["name"], &dead["endpoint"]), (&json!("expire"), &json!(new)), "{list:#}");
    let answer = scene.admin().post("/retrohook/dead-letters/1/redrive");
    assert_eq!(answer.json()["redriven"], 1, "{}", answer.text());
    wait_for(&other, &logged(&scene, 1));
}

#[test]
fn another_origin_has_to_confirm_and_gets_all_of_it_then() {
    let mut scene = scene("name: expire, fifo: true");
    put(&scene, 1);
    scene.receiver.wait_for(1);
    scene.receiver.go_away();
    put(&scene, 2);
    let owed = logged(&scene, 3)[1..].to_vec();
    scene.take_gateway().kill();
    scene.receiver.come_back();
    let before = scene.receiver.received().len();

    let other = Receiver::start();
    other.set_confirms(false);
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    edit(&mut scene, &old, &new);
    scene.start_gateway();
    let output = scene.gateway().output();
    assert!(
        output.contains("waits until its new endpoint confirms: everything that it is owed is kept"),
        "{output}"
    );
    wait::until("the request to confirm", || (!confirmations(&other).is_empty()).then_some(()));
    // Whoever had the endpoint before has no say in it.
    assert_ne!(visit(&scene, &scene.receiver), 200, "the link of the old endpoint");
    // A start does not ask with another token.
    scene.take_gateway().kill();
    scene.start_gateway();
    wait::until("it to be asked again", || (confirmations(&other).len() >= 2).then_some(()));
    let tokens = confirmations(&other).iter().map(|asked| asked.json()["Token"].clone()).collect::<Vec<_>>();
    assert_eq!(tokens[0], tokens[1]);
    let known = only(&scene);
    assert_eq!((&known["state"], &known["name"]), (&json!("pending"), &json!("expire")), "{known:#}");
    assert_eq!(other.messages().len(), 0, "nothing before it has confirmed");
    assert_eq!(visit(&scene, &other), 200);
    wait_for(&other, &owed);
    assert_eq!(only(&scene)["state"], "confirmed");
    assert_eq!(scene.receiver.received().len(), before, "the old endpoint gets nothing more");

    // Another path of the same origin.
    let asked = confirmations(&other).len();
    scene.take_gateway().terminate();
    edit(&mut scene, &new, &other.url("/third"));
    scene.start_gateway();
    put(&scene, 1);
    wait_for(&other, &logged(&scene, 4)[1..]);
    assert_eq!(other.messages().last().map(|message| &*message.target), Some("/third"));
    assert_eq!(confirmations(&other).len(), asked, "it is not asked again");
}

#[test]
fn another_origin_is_not_asked_where_there_is_no_handshake() {
    for settings in ["confirm: skip".to_owned(), format!("format: standard-webhooks, secret: {SECRET}")] {
        let mut scene = scene(&format!("name: expire, {settings}"));
        put(&scene, 1);
        scene.receiver.wait_for(1);
        scene.receiver.go_away();
        put(&scene, 2);
        let owed = logged(&scene, 3)[1..].to_vec();
        scene.take_gateway().terminate();
        scene.receiver.come_back();
        let other = Receiver::start();
        let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
        edit(&mut scene, &old, &new);
        scene.start_gateway();
        assert_eq!(only(&scene)["state"], "confirmed", "{settings}");
        wait::until("the backlog", || (other.messages().len() >= owed.len()).then_some(()));
        let (mut ids, mut owed) = (other.events(), owed);
        ids.sort();
        owed.sort();
        assert_eq!(ids, owed, "{settings}");
        assert_eq!(confirmations(&other).len(), 0, "{settings}");
        assert_eq!(scene.receiver.messages().len(), 1, "{settings}");
    }
}

#[test]
fn a_name_that_is_given_changed_or_taken_away_costs_nothing() {
    let settings = "raw_message_delivery: true, confirm: skip";
    let mut scene = scene(settings);
    put(&scene, 2);
    let mut count = 2;
    scene.told(count);
    let mut before = settings.to_owned();
    for name in ["name: expire", "name: other", "_comment: none"] {
        // Each time with one event that is still owed.
        scene.receiver.go_away();
        put(&scene, 1);
        scene.admin().wait_for_events(count + 1);
        scene.take_gateway().terminate();
        scene.receiver.come_back();
        let now = format!("{name}, {settings}");
        edit(&mut scene, &before, &now);
        before = now;
        scene.start_gateway();
        count += 1;
        // Each event came once.
        scene.told(count);
        let known = only(&scene);
        let expected = name.strip_prefix("name: ").map_or(Value::Null, Value::from);
        assert_eq!((&known["name"], &known["state"]), (&expected, &json!("confirmed")), "{known:#}");
    }
}

#[test]
fn a_name_is_shown_wherever_a_subscription_is() {
    let scene = scene("name: expire, raw_message_delivery: true, confirm: skip");
    let series = format!(
        "retrohook_subscription_info{{topic=\"profile-changes\",subscription=\"1\",protocol=\"http\",endpoint=\"{}\",name=\"expire\"}}",
        scene.receiver.url("/hook")
    );
    assert_eq!(scene.admin().metric(&series), Some(1.0), "{series}");
    scene.receiver.set(Mood::Answers(410));
    put(&scene, 1);
    let line = wait::until("the line about the dead letter", || {
        let output = scene.gateway().output();
        output.lines().find(|line| line.contains("dead letter")).map(str::to_owned)
    });
    assert!(line.contains("delivery{subscription=1 name=\"expire\" topic=\"profile-changes\""), "{line}");
    let event = scene.admin().event(&logged(&scene, 1)[0]);
    assert_eq!(event["deliveries"][0]["name"], "expire", "{event:#}");
}
