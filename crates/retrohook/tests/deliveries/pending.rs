//! A subscription that nobody confirmed: the file, the operator and the endpoint can each still do it.

use testkit::client;
use testkit::server::Request;

use super::*;

const SECRET: &str = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";

/// Requests to confirm that came.
fn confirmations(scene: &Scene) -> Vec<Request> {
    let kind =
        |request: &Request| request.header("x-amz-sns-message-type") == Some("SubscriptionConfirmation");
    scene.receiver.received().into_iter().filter(kind).collect()
}

/// The endpoint took the request to confirm and does not visit its link; it is owed two events.
#[track_caller]
fn pending() -> Scene {
    let scene = Scene::prepare(PROGRAM, &Profiles { subscription: "", ..Profiles::default() }.yaml());
    scene.receiver.set_confirms(false);
    let mut scene = scene;
    scene.start_gateway();
    wait::until("the request to confirm", || (!confirmations(&scene).is_empty()).then_some(()));
    put(&scene);
    put(&scene);
    scene.admin().wait_for_events(2);
    wait::until("its answer", || {
        let known = subscription(&scene);
        (known["last_attempt"]["status"] == 200).then_some(())
    });
    assert_eq!(subscription(&scene)["state"], "pending");
    assert_eq!(subscription(&scene)["worker"]["state"], "pending");
    scene
}

#[track_caller]
fn subscription(scene: &Scene) -> Value {
    let answer = scene.admin().get("/retrohook/subscriptions/1");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Stops the gateway, and starts it with other words for the subscription.
#[track_caller]
fn restart_with(scene: &mut Scene, subscription: &str) {
    scene.take_gateway().terminate();
    let (before, line) = scene.setup.config.trim_end().rsplit_once('\n').expect("lines");
    let (whose, _) = line.split_once("/hook\"").expect("the subscription is the last line");
    scene.setup.config = format!("{before}\n{whose}/hook\", {subscription} }}\n");
    scene.start_gateway();
}

#[test]
fn the_file_confirms_it_by_leaving_out_the_handshake() {
    for settings in [
        "confirm: skip".to_owned(),
        "raw_message_delivery: true, confirm: skip".to_owned(),
        format!("format: standard-webhooks, secret: {SECRET}"),
    ] {
        let mut scene = pending();
        restart_with(&mut scene, &settings);
        scene.gateway().wait_until_it_says("a pending subscription is confirmed");
        let asked = confirmations(&scene).len();
        put(&scene);
        scene.told(3);
        assert_eq!(subscription(&scene)["state"], "confirmed", "{settings}");
        // The file may ask for a handshake again: what is confirmed stays so.
        restart_with(&mut scene, "raw_message_delivery: true");
        put(&scene);
        scene.told(4);
        assert_eq!(confirmations(&scene).len(), asked, "{settings}: it is not asked any more");
    }
}

#[test]
fn the_operator_confirms_it_for_good() {
    let mut scene = pending();
    let link = subscription(&scene)["links"]["enable"].as_str().expect("a link").to_owned();
    let answer = scene.admin().post(&link);
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("confirmed")), "{}", answer.text());
    scene.told(2);
    let asked = confirmations(&scene);
    let late = asked[0].json()["SubscribeURL"].as_str().expect("a link").to_owned();
    assert_eq!(client::get(&late).expect("the hub answers").status, 200, "a late visit is no error");
    scene.take_gateway().terminate();
    scene.start_gateway();
    put(&scene);
    scene.told(3);
    assert_eq!(confirmations(&scene).len(), asked.len(), "a restart asks nobody again");
}

#[test]
fn an_endpoint_that_did_not_visit_its_link_is_asked_again() {
    let scene = pending();
    scene.receiver.set_confirms(true);
    scene.told(2);
    let asked = confirmations(&scene);
    assert!(asked.len() > 1, "in the life of one process");
    assert_eq!(asked[0].body, asked[1].body, "the same request");
}

#[test]
fn who_unsubscribed_is_not_brought_back_by_the_file() {
    let mut scene = scene("");
    put(&scene);
    let leave = scene.receiver.wait_for(1)[0].json()["UnsubscribeURL"].as_str().expect("a link").to_owned();
    assert_eq!(client::get(&leave).expect("the hub answers").status, 200);
    for settings in ["confirm: skip".to_owned(), format!("format: standard-webhooks, secret: {SECRET}")] {
        restart_with(&mut scene, &settings);
        put(&scene);
        let known = subscription(&scene);
        assert_eq!((&known["state"], &known["worker"]["state"]), (&json!("disabled"), &json!("disabled")));
    }
    let link = subscription(&scene)["links"]["enable"].as_str().expect("a link").to_owned();
    assert_eq!(scene.admin().post(&link).status, 200);
    assert_eq!(scene.receiver.wait_for(3).len(), 3, "the operator's word is enough");
}
