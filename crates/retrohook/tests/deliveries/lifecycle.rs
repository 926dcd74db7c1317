//! A subscription's life: over restarts, out of the file and back, and its end.

use testkit::client;
use testkit::receiver::Receiver;

use super::*;

/// Messages of this type that came.
fn of_type(receiver: &Receiver, kind: &str) -> Vec<Request> {
    let is_of_type = |request: &Request| request.header("x-amz-sns-message-type") == Some(kind);
    receiver.received().into_iter().filter(is_of_type).collect()
}

fn confirmations(receiver: &Receiver) -> usize {
    of_type(receiver, "SubscriptionConfirmation").len()
}

fn ids(messages: &[Request]) -> Vec<&str> {
    messages.iter().map(|message| message.header("x-retrohook-event-id").expect("an id")).collect()
}

#[test]
fn a_restart_neither_confirms_again_nor_moves_the_cursor() {
    let mut scene = scene("");
    put(&scene);
    put(&scene);
    let before = scene.receiver.wait_for(2);
    for _ in 0..2 {
        // In order and not in order.
        scene.take_gateway().terminate();
        scene.start_gateway();
        scene.kill_and_restart();
    }
    put(&scene);
    let messages = scene.receiver.wait_for(3);
    let told = scene.told(3);
    assert_eq!(messages.len(), 3, "what was delivered is not delivered again");
    assert_eq!(ids(&messages)[2], told[2].event["id"]);
    assert_eq!(confirmations(&scene.receiver), 1);
    let arn = |message: &Request| message.header("x-amz-sns-subscription-arn").map(str::to_owned);
    assert_eq!(arn(&messages[2]), arn(&before[0]));
    let file = |message: &Request| {
        message.json()["SigningCertURL"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(file(&messages[2]), file(&before[0]), "the key is the same");
    let said = ask("verify_sns.py", serde_json::json!({}), &messages[2..]);
    assert!(said.ok, "{}", said.text);
}

#[test]
fn who_is_in_the_file_again_gets_what_it_was_owed_and_is_not_asked_again() {
    let other = Receiver::start();
    let another = format!("protocol: http, endpoint: \"{}\", confirm: skip", other.url("/other"));
    let mut scene = Scene::start(PROGRAM, &with_another("", &another));
    let both = scene.setup.config.clone();
    put(&scene);
    scene.receiver.wait_for(1);
    scene.receiver.go_away();
    put(&scene);
    other.wait_for(2);

    scene.take_gateway().terminate();
    let line = both.lines().find(|line| line.contains("/hook")).expect("its line").to_owned();
    scene.setup.config = both.replace(&format!("{line}\n"), "");
    scene.start_gateway();
    scene.gateway().wait_until_it_says("no longer in the configuration");
    scene.receiver.come_back();
    put(&scene);
    other.wait_for(3);
    assert_eq!(scene.receiver.messages().len(), 1, "it is out of the file");

    scene.take_gateway().terminate();
    scene.setup.config = both;
    scene.start_gateway();
    put(&scene);
    let messages = scene.receiver.wait_for(4);
    let events = scene.admin().wait_for_events(4);
    let mut received = ids(&messages);
    received.sort_unstable();
    let mut owed: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    owed.sort_unstable();
    assert_eq!(received, owed, "before, during and after it was out");
    assert_eq!(confirmations(&scene.receiver), 1);
    assert_eq!(confirmations(&other), 0);
}

#[test]
fn the_unsubscribe_link_ends_it_and_who_enables_it_gets_what_it_missed() {
    let other = Receiver::start();
    let another = format!("protocol: http, endpoint: \"{}\", confirm: skip", other.url("/other"));
    let mut scene = Scene::start(PROGRAM, &with_another("", &another));
    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    let link = message.json()["UnsubscribeURL"].as_str().unwrap().to_owned();
    let answer = client::get(&link).expect("the hub answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("<UnsubscribeResponse"), "{}", answer.text());
    put(&scene);
    other.wait_for(2);
    scene.kill_and_restart();
    put(&scene);
    other.wait_for(3);
    assert_eq!(scene.receiver.messages().len(), 1, "it is unsubscribed");
    assert_eq!(confirmations(&scene.receiver), 1, "and not asked again");
    let events = scene.admin().wait_for_events(3);
    wait::until("the records", || {
        let after = events[1..].iter().all(|event| states(&scene, event) == ["disabled", "delivered"]);
        (after && states(&scene, &events[0]) == ["delivered", "delivered"]).then_some(())
    });

    let number =
        scene.admin().event(events[0]["id"].as_str().unwrap())["deliveries"][0]["subscription"].clone();
    for _ in 0..2 {
        let answer = scene.admin().post(&format!("/retrohook/subscriptions/{number}/enable"));
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("confirmed")), "{}", answer.text());
    }
    let messages = scene.receiver.wait_for(3);
    let mut missed = ids(&messages[1..]);
    missed.sort_unstable();
    assert_eq!(missed, [&events[1]["id"], &events[2]["id"]]);
    wait::until("the log to tell", || {
        let output = scene.gateway().output();
        (output.contains("a subscription's state has changed")
            && output.contains("topic=\"profile-changes\""))
        .then_some(())
    });
    scene.take_gateway().terminate();
    scene.start_gateway();
    put(&scene);
    assert_eq!(scene.receiver.wait_for(4).len(), 4, "it is durable");
    assert_eq!(scene.admin().post("/retrohook/subscriptions/99/enable").status, 404);
}

#[test]
fn who_unsubscribes_is_told_how_to_undo_it() {
    let scene = scene("");
    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    let link = message.json()["UnsubscribeURL"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(client::get(&link).expect("the hub answers").status, 200);
    }
    let told = wait::until("the message of the end", || {
        of_type(&scene.receiver, "UnsubscribeConfirmation").into_iter().next()
    });
    let said = ask("verify_sns.py", json!({}), std::slice::from_ref(&told));
    assert!(said.ok, "{}", said.text);
    let said = ask("verify_sns.py", json!({}), &[forged(&told, "deactivate", "deactivatf")]);
    assert!(!said.ok, "a changed one verified: {}", said.text);
    put(&scene);
    let undo = told.json()["SubscribeURL"].as_str().unwrap().to_owned();
    assert_eq!(client::get(&undo).expect("the hub answers").status, 200);
    put(&scene);
    scene.receiver.wait_for(3);
    scene.told(3);
    assert_eq!(confirmations(&scene.receiver), 1);
    assert_eq!(of_type(&scene.receiver, "UnsubscribeConfirmation").len(), 1, "an end is told once");
}

#[test]
fn who_unsubscribed_and_is_written_into_the_file_again_is_asked_again() {
    let mut scene = scene("");
    let whole = scene.setup.config.clone();
    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    let unsubscribe = message.json()["UnsubscribeURL"].as_str().unwrap().to_owned();
    assert_eq!(client::get(&unsubscribe).expect("the hub answers").status, 200);
    let line = whole.lines().find(|line| line.contains("/hook")).expect("its line").to_owned();
    let restart = |scene: &mut Scene, config: &str| {
        scene.take_gateway().terminate();
        config.clone_into(&mut scene.setup.config);
        scene.start_gateway();
    };
    restart(&mut scene, &whole);
    put(&scene);
    assert_eq!(confirmations(&scene.receiver), 1, "a restart alone asks nobody");
    restart(&mut scene, &whole.replace(&line, "  []").replace("subscriptions:\n  []", "subscriptions: []"));
    restart(&mut scene, &whole);
    put(&scene);
    let messages = scene.receiver.wait_for(3);
    assert_eq!(messages.len(), 3, "what it missed, too");
    assert_eq!(confirmations(&scene.receiver), 2, "it began as a new one");
    // The old link belongs to the old declaration.
    let (_, query) = unsubscribe.split_once("/?").expect("a query");
    let again = format!("http://{}/?{query}", scene.gateway().address("hub"));
    assert_eq!(client::get(&again).expect("the hub answers").status, 200);
    put(&scene);
    scene.receiver.wait_for(4);
}

#[test]
fn a_new_subscription_is_owed_what_comes_after_it() {
    let later = Receiver::start();
    let mut scene = scene("confirm: skip");
    put(&scene);
    scene.receiver.wait_for(1);
    scene.take_gateway().terminate();
    let line = format!("  - {{ protocol: http, endpoint: \"{}\", confirm: skip }}\n", later.url("/later"));
    scene.setup.config.push_str(&line);
    scene.start_gateway();
    put(&scene);
    let messages = later.wait_for(1);
    let events = scene.admin().wait_for_events(2);
    assert_eq!(ids(&messages), [events[1]["id"].as_str().unwrap()]);
    wait::until("the second event at both", || {
        (states(&scene, &events[1]) == ["delivered", "delivered"]).then_some(())
    });
    assert_eq!(states(&scene, &events[0]), ["delivered"], "the first is not owed to the new one");
    assert_eq!(later.messages().len(), 1);
}

/// The states of an event's deliveries, in the order of the subscriptions.
fn states(scene: &Scene, event: &Value) -> Vec<String> {
    let event = scene.admin().event(event["id"].as_str().expect("an id"));
    let deliveries = event["deliveries"].as_array().expect("a list");
    deliveries.iter().map(|delivery| delivery["state"].as_str().expect("a state").to_owned()).collect()
}
