//! What the admin port tells: status, metrics, events with their deliveries, and sending one again.

use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::json;
use testkit::scene::{Profiles, Scene};
use testkit::{client, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

#[test]
fn the_admin_api_tells_what_it_has() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let admin = scene.admin();
    let index = admin.get("/").json();
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
    for path in ["/status", "/metrics", "/retrohook/events", "redeliver"] {
        assert!(
            index["paths"].as_object().expect("an object").keys().any(|known| known.contains(path)),
            "{path}"
        );
    }
    assert_eq!(scene.put("").expect("an answer").status, 200);
    scene.told(1);
    let (code, status) = admin.status();
    assert_eq!(code, 200);
    assert_eq!(status["database"]["reachable"], true);
    assert_eq!(status["server"]["total_requests"], 1);
    assert_eq!(status["retrohook"]["store"], "ready");
    assert_eq!(status["retrohook"]["version"], env!("CARGO_PKG_VERSION"));
    let missing = admin.get("/nothing");
    assert_eq!((missing.status, missing.json()["hint"].as_str()), (404, Some("GET / lists the paths")));
    let ready = admin.get("/status/ready");
    assert_eq!((ready.status, ready.json()), (200, json!({"message": "ready"})));
    assert_eq!(status["retrohook"]["draining"], false);
    assert_eq!(admin.post("/status").status, 405);
    let bad = admin.get("/retrohook/events?limit=many");
    assert_eq!(bad.status, 400);
    assert!(bad.json()["hint"].as_str().is_some_and(|hint| hint.contains("limit")));
}

#[test]
fn a_node_that_drains_says_so() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let mut open = scene.put_and_wait_for_upstream("?script=wait");
    let admin = scene.admin();
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::TERM);
    let ready = wait::until("the drain to be told", || {
        let ready = admin.get("/status/ready");
        (ready.status != 200).then_some(ready)
    });
    assert_eq!(ready.status, 503);
    assert!(ready.json()["message"].as_str().is_some_and(|text| text.contains("stops")), "{}", ready.text());
    // It still does its work: whoever restarts what is not well has to let it.
    let (code, status) = admin.status();
    assert_eq!(
        (code, &status["retrohook"]["draining"], &status["retrohook"]["store"]),
        (200, &json!(true), &json!("ready"))
    );
    assert!(status["retrohook"]["hint"].as_str().is_some_and(|hint| hint.contains("stops")), "{status}");
    scene.upstream.release();
    assert_eq!(open.answer().expect("the request under way ends well").status, 200);
    assert!(gateway.wait().success());
}

#[test]
fn hub_and_deliveries_drain_while_a_request_is_still_under_way() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let mut open = scene.put_and_wait_for_upstream("?script=wait");
    let (admin, hub) = (scene.admin(), scene.gateway().address("hub"));
    let worker = || admin.get("/retrohook/subscriptions/1").json()["worker"]["state"].clone();
    wait::until("the worker to run", || (worker() == "running").then_some(()));
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::TERM);
    wait::until("the worker to be drained", || (worker() == "drained").then_some(()));
    wait::until("the hub to be closed", || TcpStream::connect(hub).is_err().then_some(()));
    let (code, status) = admin.status();
    assert_eq!((code, status["retrohook"]["degraded"].clone()), (200, json!([])), "{status}");
    scene.upstream.release();
    assert_eq!(open.answer().expect("the request under way ends well").status, 200);
    assert!(gateway.wait().success());
    // Its outcome was written by a store that closed last.
    scene.start_gateway();
    assert_eq!(scene.told(1)[0].outcome(), "succeeded");
}

#[test]
fn a_page_of_large_events_ends_early_and_says_how_to_go_on() {
    const BODY: usize = 1 << 20;
    let rule =
        Profiles { rule: "capture: { request_body: true, max_bytes: 1048576 }", ..Profiles::default() };
    let scene = Scene::start(RETROHOOK, &rule.yaml());
    for _ in 0..10 {
        let answer = client::send(scene.gateway().proxy(), "PUT", "/mockbin/profile", &[], &vec![b'x'; BODY]);
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let admin = scene.admin();
    assert_eq!(admin.wait_for_events(10).len(), 10, "the pages together have all");
    let first = admin.get("/retrohook/events?limit=500");
    assert!(first.body.len() < 9 * BODY, "{} bytes", first.body.len());
    let page = first.json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(7));
    let next = &page["next_before"];
    let hint = page["hint"].as_str().expect("a hint");
    assert!(hint.contains("8 MiB") && hint.contains(&format!("before={next}")), "{hint}");
    let rest = admin.get(&format!("/retrohook/events?limit=500&before={next}")).json();
    assert_eq!(rest["events"].as_array().map(Vec::len), Some(3));
    assert_eq!((&rest["next_before"], &rest["hint"]), (&json!(null), &json!(null)), "this was all");
    // A page that its limit ends needs no excuse.
    let small = admin.get("/retrohook/events?limit=2").json();
    assert_eq!((small["next_before"].is_number(), &small["hint"]), (true, &json!(null)));
}

#[test]
fn metrics_have_every_name_and_count() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    for query in ["", "", "?status=404", "?script=reset"] {
        scene.put(query).expect("an answer");
    }
    assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 200);
    scene.told(3);
    let admin = scene.admin();
    let subscription = r#"{topic="profile-changes",subscription="1"}"#;
    wait::until("the deliveries to be counted", || {
        let ended = admin.metric(r#"retrohook_deliveries_total{subscription="1",end="delivered"}"#);
        (ended == Some(3.0)).then_some(())
    });
    let exact = [
        (r#"retrohook_requests_total{status="2xx"}"#, 3.0),
        (r#"retrohook_requests_total{status="4xx"}"#, 1.0),
        (r#"retrohook_requests_total{status="5xx"}"#, 1.0),
        ("retrohook_request_duration_seconds_count", 5.0),
        ("retrohook_matched_requests_total", 4.0),
        ("retrohook_refused_requests_total", 0.0),
        ("retrohook_open_intents", 0.0),
        (r#"retrohook_events_total{outcome="succeeded"}"#, 2.0),
        (r#"retrohook_events_total{outcome="unknown"}"#, 1.0),
        (r#"retrohook_attempts_total{subscription="1",result="success"}"#, 3.0),
        ("retrohook_failed_commits_total", 0.0),
        ("retrohook_latched", 0.0),
    ];
    for (series, value) in exact {
        assert_eq!(admin.metric(series), Some(value), "{series} in:\n{}", admin.get("/metrics").text());
    }
    // Every histogram ends with all values; Prometheus refuses one that does not.
    for (series, count) in [
        (
            r#"retrohook_request_duration_seconds_bucket{le="+Inf"}"#,
            "retrohook_request_duration_seconds_count",
        ),
        (r#"retrohook_commit_changes_bucket{le="+Inf"}"#, "retrohook_commit_changes_count"),
    ] {
        wait::until(series, || {
            (admin.metric(series).is_some() && admin.metric(series) == admin.metric(count)).then_some(())
        });
    }
    assert!(
        admin.metric(r#"retrohook_commit_changes_bucket{le="1.0"}"#) > Some(0.0),
        "one change is up to one"
    );
    let positive = [
        "retrohook_commits_total",
        "retrohook_commit_duration_seconds_count",
        "retrohook_commit_changes_count",
        "retrohook_commit_changes_sum",
        "retrohook_wal_bytes",
        "retrohook_store_bytes",
        "retrohook_store_used_bytes",
        "retrohook_store_limit_bytes",
        "retrohook_disk_free_bytes",
        "retrohook_connections_total",
        "retrohook_upstream_connections_total",
    ];
    for series in positive {
        assert!(admin.metric(series) > Some(0.0), "{series} in:\n{}", admin.get("/metrics").text());
    }
    for name in ["unread", "waiting", "dead", "oldest_pending_seconds"] {
        let series = format!("retrohook_subscription_{name}{subscription}");
        wait::until(&series, || (admin.metric(&series) == Some(0.0)).then_some(()));
    }
}

#[test]
fn metrics_tell_who_a_subscription_is_and_in_which_state() {
    let scene =
        Scene::start(RETROHOOK, &Profiles::default().yaml().replace("{receiver}", "{receiver}?key=secret"));
    let admin = scene.admin();
    let subscription = r#"{topic="profile-changes",subscription="1"}"#;
    let who = format!(
        r#"retrohook_subscription_info{{topic="profile-changes",subscription="1",protocol="http",endpoint="{}"}}"#,
        scene.receiver.url("/hook?...")
    );
    assert_eq!(admin.metric(&who), Some(1.0), "{who} in:\n{}", admin.get("/metrics").text());
    for (state, value) in [("pending", 0.0), ("confirmed", 1.0), ("disabled", 0.0)] {
        let series = format!(
            r#"retrohook_subscription_state{{topic="profile-changes",subscription="1",state="{state}"}}"#
        );
        assert_eq!(admin.metric(&series), Some(value), "{series}");
    }
    assert_eq!(admin.metric(&format!("retrohook_lapsed_deliveries_total{subscription}")), Some(0.0));
    assert!(!admin.get("/metrics").text().contains("secret"));
}

#[test]
fn a_delivery_is_sent_again_by_api() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let told = scene.told(1).remove(0);
    let admin = scene.admin();
    let id = told.event["id"].as_str().expect("an id");
    let delivery = |state: &str| {
        wait::until(state, || {
            let delivery = admin.event(id)["deliveries"][0].clone();
            (delivery["state"] == state).then_some(delivery)
        })
    };
    let number = delivery("delivered")["subscription"].clone();
    let path = format!("/retrohook/events/{id}/deliveries/{number}/redeliver");
    let answer = admin.post(&path);
    assert_eq!((answer.status, answer.json()["event"].as_str()), (200, Some(id)));
    let messages = scene.receiver.wait_for(2);
    assert_eq!(
        messages[1].header("x-retrohook-event-id"),
        Some(id),
        "receivers tell by the id that it is the same"
    );
    assert_eq!(messages[1].header("x-retrohook-attempt"), Some("2"));
    assert_eq!(messages[1].body, messages[0].body);
    let attempts = wait::until("both attempts to be recorded", || {
        let attempts = delivery("delivered")["attempts"].clone();
        (attempts.as_array().is_some_and(|attempts| attempts.len() == 2)).then_some(attempts)
    });
    for (attempt, number) in attempts.as_array().expect("a list").iter().zip(1..) {
        assert_eq!((&attempt["number"], &attempt["status"]), (&json!(number), &json!(200)));
        assert!(attempt["took_ms"].as_f64().is_some_and(|took| took > 0.0), "{attempt}");
        assert!(attempt["at"].is_string(), "{attempt}");
    }

    let other =
        id.replace(|digit: char| digit.is_ascii_hexdigit(), "0").replacen("0000-0000", "0000-7000", 1);
    for (path, status) in [
        (path.replace(id, &other), 404),
        (path.replace(id, "no-id"), 400),
        (path.replace(&format!("/{number}/"), "/99/"), 404),
    ] {
        let answer = admin.post(&path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.json()["hint"].is_string());
    }
    assert_eq!(scene.receiver.messages().len(), 2);
}
