//! Topics, queues and subscriptions change while the gateway runs: workers start, change and stop, and what is owed is kept.

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::receiver::{Mood, Receiver};
use testkit::scene::{Profiles, Scene};
use testkit::{aws, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const RAW: &str = "raw_message_delivery: true, confirm: skip";

/// A scene whose subscription has these settings.
#[track_caller]
fn scene(subscription: &str) -> Scene {
    Scene::start(RETROHOOK, &Profiles { subscription, ..Profiles::default() }.yaml())
}

/// Has the files read anew with other words in them: they are taken, and the next start reads them, too.
#[track_caller]
fn edit(scene: &mut Scene, before: &str, now: &str) -> String {
    assert!(scene.setup.config.contains(before), "no `{before}` in {}", scene.setup.config);
    scene.setup.config = scene.setup.config.replace(before, now);
    let printed = scene.reload(&scene.setup.config);
    assert!(
        printed.lines().any(|line| line.starts_with("reloaded: ") && line.contains("generation")),
        "{printed}"
    );
    assert!(!printed.contains("nothing changed"), "{printed}");
    printed
}

#[track_caller]
fn put(scene: &Scene, count: usize) {
    for _ in 0..count {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
}

/// All subscriptions, by number.
#[track_caller]
fn subscriptions(scene: &Scene) -> Vec<Value> {
    let list = scene.admin().get("/retrohook/subscriptions").json();
    list["subscriptions"].as_array().expect("a list").clone()
}

/// The ids of so many events, in the order of the log.
#[track_caller]
fn logged(scene: &Scene, count: usize) -> Vec<String> {
    let events = scene.admin().wait_for_events(count);
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

#[track_caller]
fn wait_for(receiver: &Receiver, ids: &[String]) {
    wait::until("the messages", || (receiver.events().len() >= ids.len()).then_some(()));
    let (mut came, mut ids) = (receiver.events(), ids.to_vec());
    came.sort();
    ids.sort();
    assert_eq!(came, ids);
}

/// What an action of SQS answers.
#[track_caller]
fn sqs(scene: &Scene, action: &str, queue: &str, mut call: Value) -> (u16, Value) {
    let hub = scene.gateway().address("hub");
    call["QueueUrl"] = format!("http://{hub}/000000000000/{queue}").into();
    let answer = aws::sqs(hub, action, &call).expect("an answer");
    (answer.status, answer.json())
}

#[test]
fn a_topic_a_rule_a_webhook_and_a_queue_are_added_in_one_reload() {
    let mut scene = scene(RAW);
    put(&scene, 1);
    scene.told(1);
    let other = Receiver::start();
    let (status, answer) = sqs(&scene, "ReceiveMessage", "jobs", json!({}));
    assert_eq!(status, 400, "{answer}");
    let with_orders = format!(
        "{}- name: orders\n  subscriptions:\n  - {{ protocol: http, endpoint: \"{}\", {RAW} }}\n  - {{ protocol: sqs, endpoint: jobs, raw_message_delivery: true }}\nqueues: [{{ name: jobs }}]\n",
        scene.setup.config,
        other.url("/orders"),
    );
    scene.setup.config = with_orders;
    let printed = edit(
        &mut scene,
        "services:\n",
        "services:\n- name: orders\n  url: \"http://127.0.0.1:9\"\n  connect_timeout: 500\n  routes: [{ name: orders, paths: [/orders] }]\n",
    );
    for words in
        ["topic `orders` is new", "queue `jobs` is new", "subscription of `orders` to sqs jobs is new"]
    {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    // The rule follows: its topic is there already.
    let upstream = scene.upstream.address().to_string();
    edit(
        &mut scene,
        "  url: \"http://127.0.0.1:9\"\n",
        &format!(
            "  url: \"http://{upstream}\"\n  plugins: [{{ name: publish-sns, config: {{ topic_arn: orders, routes: [{{ method: POST, matcher: \"^/\" }}] }} }}]\n"
        ),
    );
    assert_eq!(scene.send("POST", "/orders/1").expect("an answer").status, 200);
    let ids = logged(&scene, 2);
    wait_for(&other, &ids[1..]);
    let (_, received) = sqs(&scene, "ReceiveMessage", "jobs", json!({ "WaitTimeSeconds": 10 }));
    assert_eq!(received["Messages"].as_array().map(Vec::len), Some(1), "{received}");
    assert_eq!(subscriptions(&scene).len(), 3);
    // All of it is there after a kill.
    scene.kill_and_restart();
    assert_eq!(scene.send("POST", "/orders/2").expect("an answer").status, 200);
    wait_for(&other, &logged(&scene, 3)[1..]);
}

#[test]
fn the_backlog_follows_the_name_to_another_endpoint() {
    let mut scene = scene(&format!("name: expire, fifo: true, {RAW}"));
    put(&scene, 1);
    scene.receiver.wait_for(1);
    scene.receiver.set(Mood::Answers(500));
    put(&scene, 3);
    wait::until("all to be set aside", || {
        let known = &subscriptions(&scene)[0];
        (known["retrying"] == 1 && known["behind"] == 2).then_some(())
    });
    let other = Receiver::start();
    other.set(Mood::Answers(500));
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    let printed = edit(&mut scene, &old, &new);
    assert!(printed.contains("a subscription has another endpoint"), "{printed}");
    let before = scene.receiver.received().len();
    scene.receiver.set(Mood::Answers(200));
    let known = subscriptions(&scene);
    assert_eq!((known.len(), &known[0]["endpoint"]), (1, &json!(new)));
    assert_eq!(known[0]["worker"]["restarts"], 0, "{known:?}");
    // Killed while the new endpoint is not well.
    other.wait_for(1);
    scene.take_gateway().kill();
    other.set(Mood::Answers(200));
    scene.start_gateway();
    put(&scene, 1);
    let ids = logged(&scene, 5);
    wait::until("the backlog", || (other.events().len() >= 4).then_some(()));
    assert_eq!(other.events(), ids[1..], "in order");
    assert_eq!(scene.receiver.received().len(), before, "the old endpoint gets nothing more");
}

#[test]
fn one_that_is_taken_out_hears_nothing_more_and_put_back_gets_what_it_missed() {
    let mut scene = scene(RAW);
    let stays = Receiver::start();
    let line = format!("  - {{ protocol: http, endpoint: \"{}\", {RAW} }}\n", scene.receiver.url("/hook"));
    let two = format!("{line}  - {{ protocol: http, endpoint: \"{}\", {RAW} }}\n", stays.url("/stays"));
    edit(&mut scene, &line, &two);
    put(&scene, 1);
    let ids = logged(&scene, 1);
    wait_for(&stays, &ids);
    wait_for(&scene.receiver, &ids);

    let printed = edit(&mut scene, &line, "");
    assert!(
        printed.contains(
            "no longer in the configuration: it is owed nothing; what it misses from now on is kept for a day"
        ),
        "{printed}"
    );
    put(&scene, 2);
    let ids = logged(&scene, 3);
    wait_for(&stays, &ids);
    assert_eq!(scene.receiver.events(), ids[..1]);
    let removed = scene.admin().get("/retrohook/subscriptions?state=removed").json();
    assert_eq!(removed["subscriptions"].as_array().map(Vec::len), Some(1), "{removed}");

    edit(&mut scene, "  subscriptions:\n", &format!("  subscriptions:\n{line}"));
    wait_for(&scene.receiver, &ids);
    put(&scene, 1);
    let ids = logged(&scene, 4);
    wait_for(&scene.receiver, &ids);
    wait_for(&stays, &ids);
}

#[test]
fn a_queue_that_is_taken_out_and_put_back_gets_what_it_missed() {
    let mut scene = scene(RAW);
    let line = "  - { protocol: sqs, endpoint: jobs, raw_message_delivery: true }\n";
    scene.setup.config.push_str(line);
    edit(&mut scene, "topics:\n", "queues: [{ name: jobs }]\ntopics:\n");
    put(&scene, 1);
    edit(&mut scene, line, "");
    put(&scene, 2);
    edit(&mut scene, "  subscriptions:\n", &format!("  subscriptions:\n{line}"));
    put(&scene, 1);
    let (_, received) =
        sqs(&scene, "ReceiveMessage", "jobs", json!({ "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 }));
    assert_eq!(received["Messages"].as_array().map(Vec::len), Some(4), "{received}");
}

#[test]
fn settings_of_subscriptions_and_queues_change_and_nobody_else_feels_it() {
    let mut scene = scene(RAW);
    let stays = Receiver::start();
    stays.set(Mood::Slow(1_500));
    scene.setup.config.push_str(&format!(
        "  - {{ protocol: http, endpoint: \"{}\", {RAW} }}\n  - {{ protocol: sqs, endpoint: jobs, raw_message_delivery: true }}\nqueues: [{{ name: jobs }}]\n",
        stays.url("/stays")
    ));
    edit(&mut scene, "_format_version", "# more\n_format_version");
    put(&scene, 1);
    stays.wait_for(1);
    // While its attempt is under way the others change.
    edit(&mut scene, &format!("/hook\", {RAW}"), "/hook\", confirm: skip");
    edit(&mut scene, "{ name: jobs }", "{ name: jobs, visibility_timeout: 77 }");
    let (_, attributes) =
        sqs(&scene, "GetQueueAttributes", "jobs", json!({ "AttributeNames": ["VisibilityTimeout"] }));
    assert_eq!(attributes["Attributes"]["VisibilityTimeout"], "77", "{attributes}");
    put(&scene, 1);
    let enveloped = wait::until("a notification", || {
        scene.receiver.messages().into_iter().find(|message| message.json()["Type"] == "Notification")
    });
    assert_eq!(enveloped.header("x-amz-sns-message-type"), Some("Notification"));
    let ids = logged(&scene, 2);
    wait_for(&stays, &ids);
    wait::until("its attempts to be noted", || {
        (subscriptions(&scene).iter().all(|one| one["unread"] != 1 && one["retrying"] != 1)).then_some(())
    });
    assert_eq!(stays.messages().len(), 2, "its attempt was not cut off and made again");
}

#[test]
fn a_pending_subscription_is_confirmed_by_a_reload_that_asks_for_no_handshake() {
    let mut scene = Scene::prepare(
        RETROHOOK,
        &Profiles { subscription: "raw_message_delivery: true", ..Profiles::default() }.yaml(),
    );
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    put(&scene, 1);
    assert_eq!(subscriptions(&scene)[0]["state"], "pending");
    let printed = edit(&mut scene, "raw_message_delivery: true", RAW);
    assert!(printed.contains("a pending subscription is confirmed"), "{printed}");
    scene.told(1);
    assert_eq!(subscriptions(&scene)[0]["state"], "confirmed");
}

#[test]
fn the_outcome_of_a_request_under_way_comes_though_its_rule_and_topic_are_gone() {
    let mut scene = scene(RAW);
    let whole = scene.setup.config.clone();
    let mut client = scene.put_and_wait_for_upstream("?script=wait");
    let topics = whole.find("topics:").expect("they are there");
    let (services, _) = whole.split_at(topics);
    let start = services.find("    plugins: [{").expect("they are there");
    let end = services.find("}],\n    \n").expect("their end") + "}],\n".len();
    let without = format!("{}{}", &services[..start], &services[end..]);
    let printed = scene.reload(&without);
    assert!(printed.contains("topic `profile-changes` is gone"), "{printed}");
    scene.upstream.release();
    assert_eq!(client.answer().expect("an answer").status, 200);
    let event = scene.admin().wait_for_events(1).remove(0);
    assert_eq!(event["outcome"], "succeeded", "{event}");
    assert_eq!(scene.put("").expect("an answer").status, 200);
    assert_eq!(scene.admin().events().len(), 1, "there is no rule any more");
    assert_eq!(scene.receiver.messages().len(), 0);
    // Back in time, its subscription gets it.
    scene.setup.config = whole;
    scene.reload(&scene.setup.config);
    scene.told(1);
}

#[test]
fn killed_between_the_store_and_the_routes_the_next_start_has_all_of_it() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles { subscription: RAW, ..Profiles::default() }.yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "declared=1*return->pause".into()));
    scene.start_gateway();
    put(&scene, 1);
    scene.told(1);
    let other = Receiver::start();
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    let changed =
        scene.setup.config.replace(&old, &new).replace("matcher: \"^/profile$\"", "matcher: \"^/\"");
    std::fs::write(scene.setup.config_file(), &changed).expect("the file can be written");
    // The first action says that the point is reached, the second keeps the reload there.
    scene.gateway().signal(Signal::HUP);
    scene.gateway().wait_until_it_says("failpoint reached");
    put(&scene, 1);
    scene.setup.config = changed;
    scene.setup.env.clear();
    scene.kill_and_restart();
    assert_eq!(scene.send("PUT", "/mockbin/other").expect("an answer").status, 200);
    let ids = logged(&scene, 3);
    wait_for(&other, &ids[1..]);
    assert_eq!(scene.receiver.events(), ids[..1]);
}

#[test]
fn a_reload_that_broke_off_behind_the_store_is_made_good_by_the_next() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles { subscription: RAW, ..Profiles::default() }.yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "declared=1*return->1*panic->off".into()));
    scene.start_gateway();
    let first = scene.setup.config.clone();
    let other = Receiver::start();
    let printed = scene.reload(&first.replace(&scene.receiver.url("/hook"), &other.url("/other")));
    assert!(printed.contains("this is a bug in Retrohook"), "{printed}");
    // The files that it began with are not what the store has any more.
    let printed = scene.reload(&first);
    assert!(printed.contains("(generation 2, in "), "{printed}");
    put(&scene, 1);
    scene.told(1);
    assert_eq!(other.received().len(), 0);
}

#[test]
fn the_old_endpoint_is_never_asked_to_confirm_in_the_name_of_the_new_one() {
    let mut scene =
        Scene::prepare(RETROHOOK, &Profiles { subscription: "name: expire", ..Profiles::default() }.yaml());
    let other = Receiver::start();
    scene.receiver.set_confirms(false);
    other.set_confirms(false);
    scene.start_gateway();
    let tokens = |receiver: &Receiver| -> Vec<Value> {
        let all = receiver.received().into_iter().map(|request| request.json());
        all.filter(|told| told["Type"] == "SubscriptionConfirmation")
            .map(|told| told["Token"].clone())
            .collect()
    };
    wait::until("the first request to confirm", || (!tokens(&scene.receiver).is_empty()).then_some(()));
    let (old, new) = (scene.receiver.url("/hook"), other.url("/other"));
    edit(&mut scene, &old, &new);
    wait::until("the request to confirm", || (!tokens(&other).is_empty()).then_some(()));
    let (old, new) = (tokens(&scene.receiver), tokens(&other));
    assert!(old.iter().all(|token| !new.contains(token)), "{old:?} {new:?}");
    assert_eq!(subscriptions(&scene)[0]["state"], "pending");
}
