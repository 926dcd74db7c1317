//! Endpoints that do not want what they are owed.

use std::net::SocketAddr;

use serde_json::json;
use testkit::receiver::{Mood, Receiver};
use testkit::server::{Server, Then, answer};

use super::*;

const RAW: &str = "raw_message_delivery: true, confirm: skip";

/// Milliseconds of the day in `2012-04-25T21:49:25.719Z`.
fn millis(time: &Value) -> u64 {
    let text = time.as_str().expect("a time");
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().expect("digits");
    ((number(11..13) * 60 + number(14..16)) * 60 + number(17..19)) * 1_000 + number(20..23)
}

/// From one time to a later one, over midnight too.
fn between(from: &Value, to: &Value) -> u64 {
    const DAY: u64 = 86_400_000;
    (millis(to) + DAY - millis(from)) % DAY
}

/// A scene whose receiver is a script.
fn scene_before(server: &Server, subscription: &str) -> Scene {
    let yaml = Profiles { subscription, ..Profiles::default() }.yaml();
    Scene::start(PROGRAM, &yaml.replace("{receiver}", &format!("http://{}/hook", server.address())))
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[test]
fn every_attempt_is_recorded_and_the_next_comes_when_it_was_said_to() {
    let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = log.clone();
    let server = Server::start(any(), move |request, stream| {
        let mut received = kept.lock().unwrap();
        received.push(request.clone());
        let (status, body) =
            if received.len() == 1 { (500, &b"come back later"[..]) } else { (200, &b"thanks"[..]) };
        answer(stream, status, &[], body)?;
        Ok(Then::KeepOpen)
    });
    let server = server.expect("a free port");
    let scene = scene_before(&server, "confirm: skip");
    put(&scene);
    let failed = delivery(&scene, "attempt 1", |delivery| attempts(delivery) == 1);
    let first = &failed["attempts"][0];
    assert_eq!(failed["state"], "waiting", "{failed}");
    // Each is what the wall clock says of the same moment of the store's clock, to the millisecond.
    let rounding = between(&first["next_at"], &failed["next_attempt_at"]);
    assert!(rounding.min(86_400_000 - rounding) <= 2, "{failed}");
    assert_eq!(
        (&first["number"], &first["status"], &first["answer"]),
        (&json!(1), &json!(500), &json!("come back later"))
    );
    assert_eq!(first["error"], "answered 500");
    assert!(first["took_ms"].as_f64().is_some_and(|took| took > 0.0), "{first}");
    let wait = between(&first["at"], &first["next_at"]);
    assert!(
        (4_500..=6_500).contains(&wait),
        "the second try is 5 s after the first, give or take a tenth: {wait} ms"
    );

    let delivered = delivery(&scene, "attempt 2", |delivery| attempts(delivery) == 2);
    let second = &delivered["attempts"][1];
    assert_eq!((&delivered["state"], &second["number"]), (&json!("delivered"), &json!(2)), "{delivered}");
    assert_eq!((&second["status"], &second["answer"]), (&json!(200), &json!("thanks")));
    assert!(second.get("error").is_none() && second.get("next_at").is_none(), "{second}");
    let late = between(&first["next_at"], &second["at"]);
    assert!(late < 2_000, "attempt 2 was {late} ms late");

    let received = log.lock().unwrap().clone();
    let numbers: Vec<_> =
        received.iter().map(|request| request.header("x-retrohook-attempt").unwrap()).collect();
    assert_eq!(numbers, ["1", "2"]);
    assert_eq!(
        received[0].body, received[1].body,
        "id, time and signature are those of the event, not of the attempt"
    );
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Receiver::start();
    let location = elsewhere.url("/stolen");
    let server = Server::start(any(), move |_, stream| {
        answer(stream, 302, &[("location", &location)], b"")?;
        Ok(Then::KeepOpen)
    });
    let server = server.expect("a free port");
    let scene = scene_before(&server, RAW);
    put(&scene);
    let failed = delivery(&scene, "attempt 1", |delivery| attempts(delivery) == 1);
    assert_eq!(failed["attempts"][0]["status"], 302);
    assert_eq!(failed["attempts"][0]["error"], "answered 302; redirects are not followed");
    assert_eq!((&failed["state"], elsewhere.received().len()), (&json!("waiting"), 0));
}

#[test]
fn an_endpoint_that_answers_410_loses_that_delivery_to_the_dead_letters_and_no_other() {
    for subscription in [
        RAW,
        "confirm: skip, fifo: true",
        "format: standard-webhooks, secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
    ] {
        let mut scene = Scene::prepare(PROGRAM, &Profiles { subscription, ..Profiles::default() }.yaml());
        scene.receiver.set(Mood::Answers(410));
        scene.start_gateway();
        put(&scene);
        // Attempts are read before rows: the end may be seen a moment before what it ended with.
        let dead = delivery(&scene, "the end of the delivery", |delivery| {
            delivery["state"] == "dead" && delivery["attempts"][0].is_object()
        });
        assert_eq!(dead["reason"], "the endpoint answered 410: it is gone");
        assert_eq!(dead["attempts"][0]["status"], 410);
        scene.receiver.set(Mood::Answers(200));
        put(&scene);
        scene.receiver.wait_for(2);
        scene.take_gateway().terminate();
        scene.start_gateway();
        put(&scene);
        let messages = scene.receiver.wait_for(3);
        let id = messages[0].header("x-retrohook-event-id").expect("an id");
        let path = format!("/retrohook/events/{id}/deliveries/{}/redeliver", dead["subscription"]);
        let answer = scene.admin().post(&path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let again = scene.receiver.wait_for(4).remove(3);
        assert_eq!(again.header("x-retrohook-event-id"), Some(id));
    }
}

#[test]
fn one_slow_endpoint_never_delays_another() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = Server::start(any(), move |_, stream| {
        // Until the sender is gone.
        let _ = released.lock().unwrap().recv();
        answer(stream, 200, &[], b"")?;
        Ok(Then::KeepOpen)
    });
    let server = server.expect("a free port");
    let quick = Receiver::start();
    let another = format!("protocol: http, endpoint: \"{}\", {RAW}", quick.url("/quick"));
    let yaml =
        with_another(RAW, &another).replace("{receiver}", &format!("http://{}/hook", server.address()));
    let scene = Scene::start(PROGRAM, &yaml);
    for _ in 0..30 {
        put(&scene);
    }
    quick.wait_for(30);
    let admin = scene.admin();
    for event in admin.events() {
        let event = admin.event(event["id"].as_str().unwrap());
        let of = |endpoint: &str| {
            let deliveries = event["deliveries"].as_array().unwrap();
            deliveries
                .iter()
                .find(|delivery| delivery["endpoint"].as_str().unwrap().ends_with(endpoint))
                .unwrap()
                .clone()
        };
        assert_eq!(attempts(&of("/hook")), 0, "the slow one has answered nothing yet: {event}");
        let late = wait::until("the record of the quick one", || {
            let event = admin.event(event["id"].as_str().unwrap());
            let deliveries = event["deliveries"].as_array().unwrap();
            let quick = deliveries
                .iter()
                .find(|delivery| delivery["endpoint"].as_str().unwrap().ends_with("/quick"))?;
            let at = quick["attempts"][0].get("at")?;
            Some(between(&event["recorded_at"], at))
        });
        assert!(late < 2_000, "{late} ms from the event to the attempt");
    }
    drop(release);
    delivery(&scene, "the slow one", |delivery| delivery["state"] == "delivered" && attempts(delivery) == 1);
}

#[test]
fn a_loopback_endpoint_needs_a_flag_and_the_attempt_names_it() {
    let mut scene = Scene::prepare(PROGRAM, &Profiles::default().yaml());
    scene.setup.flags.retain(|flag| flag != "--allow-private-endpoints");
    scene.start_gateway();
    put(&scene);
    let blocked = delivery(&scene, "attempt 1", |delivery| attempts(delivery) == 1);
    let error = blocked["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.contains("loopback") && error.contains("--allow-endpoints"), "{error}");
    assert_eq!(scene.receiver.received().len(), 0);

    scene.take_gateway().terminate();
    scene.setup.flags.push("--allow-endpoints=127.0.0.1/32".into());
    scene.start_gateway();
    let message = scene.receiver.wait_for(1).remove(0);
    assert_eq!(message.header("x-retrohook-attempt"), Some("2"));
}

#[test]
fn an_outage_ends_with_everything_delivered() {
    let mut scene = scene(RAW);
    scene.receiver.go_away();
    for _ in 0..5 {
        put(&scene);
    }
    let failed = delivery(&scene, "attempt 1", |delivery| attempts(delivery) == 1);
    let error = failed["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.contains("could not connect"), "{error}");
    assert!(failed["attempts"][0].get("status").is_none(), "{failed}");
    scene.receiver.come_back();
    assert_eq!(scene.told(5).len(), 5);
    wait::until("nothing to wait", || {
        let series = r#"retrohook_subscription_waiting{topic="profile-changes",subscription="1"}"#;
        (scene.admin().metric(series) == Some(0.0)).then_some(())
    });
}

#[test]
fn a_delivery_is_sent_again_when_somebody_asks() {
    let scene = scene(RAW);
    put(&scene);
    let first = scene.receiver.wait_for(1).remove(0);
    let delivered = delivery(&scene, "its record", |delivery| attempts(delivery) == 1);
    let id = first.header("x-retrohook-event-id").unwrap();
    let path = format!("/retrohook/events/{id}/deliveries/{}/redeliver", delivered["subscription"]);
    let answer = scene.admin().post(&path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let again = scene.receiver.wait_for(2).remove(1);
    assert_eq!((again.header("x-retrohook-event-id"), &again.body), (Some(id), &first.body));
    delivery(&scene, "both attempts on record", |delivery| attempts(delivery) == 2);
}
