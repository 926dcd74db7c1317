//! Parts of the deliveries that die, by panics at named points: each is noticed, named, and started again where that is possible.

use serde_json::{Value, json};
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// The usual arrangement; at a point something happens, as the crate `fail` reads it.
#[track_caller]
fn failing(points: &str, subscription: &str) -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles { subscription, ..Profiles::default() }.yaml());
    scene.setup.env.push(("FAILPOINTS".into(), points.into()));
    scene.start_gateway();
    scene
}

const RAW: &str = "raw_message_delivery: true, confirm: skip";

#[track_caller]
fn put(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

/// What `/status` says of a part that is degraded, when it is.
#[track_caller]
fn degraded(scene: &Scene, part: &str, expected: u16) -> String {
    wait::until(&format!("{part} to be degraded"), || {
        let (code, status) = scene.admin().status();
        let all = status["retrohook"]["degraded"].as_array().expect("a list").clone();
        let found =
            all.into_iter().find(|one| one["part"].as_str().is_some_and(|one| one.starts_with(part)))?;
        assert_eq!(code, expected, "{status}");
        assert_eq!(scene.admin().get("/status/ready").status, 200, "readiness does not change");
        found["cause"].as_str().map(str::to_owned)
    })
}

#[track_caller]
fn well(scene: &Scene) {
    wait::until("all to be well", || {
        let (code, status) = scene.admin().status();
        let none = code == 200 && status["retrohook"]["degraded"] == json!([]);
        (none && scene.admin().metric("retrohook_degraded") == Some(0.0)).then_some(())
    });
}

#[track_caller]
fn worker(scene: &Scene) -> Value {
    scene.admin().get("/retrohook/subscriptions/1").json()["worker"].clone()
}

/// Waits until the receiver has every event of the log.
#[track_caller]
fn all_arrive(scene: &Scene, count: usize) {
    let events = scene.admin().wait_for_events(count);
    wait::until("every event to arrive", || {
        let messages = scene.receiver.messages();
        let arrived = |event: &Value| {
            messages.iter().any(|message| message.header("x-retrohook-event-id") == event["id"].as_str())
        };
        events.iter().all(arrived).then_some(())
    });
}

#[test]
fn a_worker_that_panics_is_named_and_started_again_and_loses_nothing() {
    // Between the cursor's commit and the calls, and between an answer and its record.
    for (point, repeated) in [("cursor-durable", 0), ("attempt-done", 3)] {
        let scene = failing(&format!("{point}=3*panic"), RAW);
        for _ in 0..5 {
            put(&scene);
        }
        let cause = degraded(&scene, "subscription 1", 200);
        assert!(cause.contains("is started again") && cause.contains("a panic: failpoint"), "{cause}");
        let series = r#"retrohook_worker_degraded{subscription="1"}"#;
        let during = wait::until("the worker's own word", || {
            let during = worker(&scene);
            (during["state"] == "restarting" && scene.admin().metric(series) == Some(1.0)).then_some(during)
        });
        assert!(during["trouble"].as_str().is_some_and(|text| text.contains("panic")), "{during}");
        put(&scene);
        all_arrive(&scene, 6);
        // Until then there are attempts, and another one may panic.
        wait::until("each to be noted", || {
            let known = scene.admin().get("/retrohook/subscriptions/1").json();
            (known["unread"] == 0 && known["retrying"] == 0).then_some(())
        });
        well(&scene);
        let after = wait::until("it to run", || {
            let after = worker(&scene);
            (after["state"] == "running").then_some(after)
        });
        assert_eq!(after.get("trouble"), None, "{after}");
        // Of several attempts at once more than one may panic in one life.
        let restarts = after["restarts"].as_u64().expect("a number");
        assert!((1..=3).contains(&restarts), "{after}");
        let series = r#"retrohook_worker_restarts_total{subscription="1"}"#;
        assert_eq!(scene.admin().metric(series), Some(restarts as f64));
        let messages = scene.receiver.messages().len();
        assert!(messages <= 6 + repeated * 6, "{messages} messages of 6 events");
        scene.gateway().wait_until_it_says("the worker ended: it is started again after a wait");
        assert!(scene_stops(scene), "and it drains as ever");
    }
}

fn scene_stops(mut scene: Scene) -> bool {
    scene.take_gateway().terminate().success()
}

#[test]
fn a_worker_that_keeps_dying_does_not_keep_the_node_from_stopping() {
    let scene = failing("cursor-durable=panic", RAW);
    put(&scene);
    degraded(&scene, "subscription 1", 200);
    let answer = scene.admin().post("/retrohook/dead-letters/1/redrive");
    assert_eq!(answer.status, 409, "what is asked of it is refused meanwhile: {}", answer.text());
    assert!(scene_stops(scene));
}

#[test]
fn the_end_of_the_deliveries_thread_is_said_and_loses_nothing() {
    let mut scene = failing("deliveries=panic", RAW);
    let cause = degraded(&scene, "deliveries", 503);
    assert!(cause.contains("restart"), "{cause}");
    for _ in 0..3 {
        put(&scene);
    }
    scene.admin().wait_for_events(3);
    assert_eq!(worker(&scene)["state"], "failed");
    scene.gateway().wait_until_it_says("the thread of the deliveries has ended");
    assert!(scene.take_gateway().terminate().success());
    scene.setup.env.clear();
    scene.start_gateway();
    scene.told(3);
    well(&scene);
}

#[test]
fn a_signing_key_that_cannot_be_made_is_said_and_tried_again() {
    let scene = failing("signing-key=3*panic", "");
    put(&scene);
    let cause = degraded(&scene, "signing key", 200);
    assert!(cause.contains("it is tried again") && cause.contains("panic"), "{cause}");
    assert_eq!(worker(&scene)["state"], "waiting_for_key");
    assert_eq!(scene.receiver.received().len(), 0);
    scene.told(1);
    well(&scene);
    scene.gateway().wait_until_it_says("there is a signing key now");
}

#[test]
fn a_request_to_confirm_that_breaks_off_is_made_again() {
    let scene = failing("handshake=1*panic", "");
    put(&scene);
    scene.told(1);
    let known = scene.admin().get("/retrohook/subscriptions/1").json();
    assert_eq!(known["worker"]["restarts"], 0, "{known}");
    scene.gateway().wait_until_it_says("the task of an attempt ended unexpectedly");
}

#[test]
fn wake_ups_that_die_cost_nothing_but_time() {
    let scene = failing("wake-ups=panic", RAW);
    for _ in 0..3 {
        put(&scene);
    }
    scene.told(3);
}
