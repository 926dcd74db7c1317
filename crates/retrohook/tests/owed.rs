//! What the admin port tells of who is owed what: subscriptions, dead letters, messages; and sending dead letters again.

use serde_json::{Value, json};
use testkit::admin::Admin;
use testkit::aws;
use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A webhook with a secret in its query, one that nobody confirms, a queue, and one of another topic.
fn scene() -> Scene {
    let yaml = Profiles::default().yaml().replace("{receiver}", "{receiver}?key=secret");
    let more = r#"
  - { protocol: http, endpoint: "http://127.0.0.1:9/never", fifo: true }
  - { protocol: sqs, endpoint: worker }
- name: other
  subscriptions: [{ protocol: http, endpoint: "http://127.0.0.1:9/other", format: standard-webhooks, secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0 }]
queues: [{ name: worker }]
"#;
    Scene::start(RETROHOOK, &format!("{}{more}", yaml.trim_end()))
}

#[track_caller]
fn get(admin: Admin, path: &str) -> Value {
    let answer = admin.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert!(!answer.text().contains("secret"), "{path}: {}", answer.text());
    answer.json()
}

#[track_caller]
fn numbers(admin: Admin, query: &str) -> Vec<i64> {
    let list = get(admin, &format!("/retrohook/subscriptions{query}"));
    let all = list["subscriptions"].as_array().expect("a list").iter();
    all.map(|one| one["subscription"].as_i64().expect("a number")).collect()
}

#[track_caller]
fn put(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

#[test]
fn subscriptions_tell_their_state_and_what_they_are_owed() {
    let scene = scene();
    let admin = scene.admin();
    put(&scene);
    scene.receiver.wait_for(1);
    scene.receiver.set(Mood::Answers(500));
    put(&scene);
    let first = wait::until("the failure on record", || {
        let first = get(admin, "/retrohook/subscriptions/1");
        let is_noted = first["retrying"] == 1 && first["cursor"]["done_to"] == 2;
        (is_noted && first["last_attempt"]["status"] == 500).then_some(first)
    });
    for (member, value) in [
        ("topic", json!("profile-changes")),
        ("protocol", json!("http")),
        ("endpoint", json!(scene.receiver.url("/hook?..."))),
        ("format", json!("sns")),
        ("raw_message_delivery", json!(true)),
        ("fifo", json!(false)),
        ("state", json!("confirmed")),
        ("unread", json!(0)),
        ("behind", json!(0)),
        ("dead_letters", json!(0)),
        ("cursor", json!({ "dispatched_to": 2, "done_to": 2 })),
    ] {
        assert_eq!(first[member], value, "{member} in {first:#}");
    }
    let last = &first["last_attempt"];
    assert_eq!((&last["sequence"], &last["number"]), (&json!(2), &json!(1)), "{last}");
    assert_eq!(last["error"], "answered 500");
    assert!(first["oldest_pending_seconds"].as_f64().is_some_and(|age| age > 0.0 && age < 60.0), "{first:#}");

    let second = wait::until("the request to confirm in vain", || {
        let second = get(admin, "/retrohook/subscriptions/2");
        second["last_attempt"]["error"].is_string().then_some(second)
    });
    assert_eq!(
        (&second["state"], &second["unread"], &second["fifo"]),
        (&json!("pending"), &json!(2), &json!(true))
    );
    assert_eq!(second["endpoint"], "http://127.0.0.1:9/never");
    let queue = get(admin, "/retrohook/subscriptions/3");
    assert_eq!(
        (&queue["endpoint"], &queue["messages"]["visible"]),
        (&json!("worker"), &json!(2)),
        "{queue:#}"
    );
    assert!(queue.get("cursor").is_none(), "{queue:#}");
    assert_eq!(get(admin, "/retrohook/subscriptions/4")["format"], "standard-webhooks");
}

#[test]
fn the_list_of_subscriptions_has_filters_and_pages() {
    let mut scene = scene();
    let admin = scene.admin();
    assert_eq!(numbers(admin, ""), [1, 2, 3, 4]);
    assert_eq!(numbers(admin, "?state=pending"), [2]);
    assert_eq!(numbers(admin, "?topic=other"), [4]);
    assert_eq!(numbers(admin, "?topic=other&state=disabled"), [0; 0]);
    assert_eq!(numbers(admin, "?limit=2"), [1, 2]);
    let page = get(admin, "/retrohook/subscriptions?limit=3");
    assert_eq!(numbers(admin, &format!("?limit=3&after={}", page["next_after"])), [4]);
    assert!(get(admin, "/retrohook/subscriptions?limit=4").get("next_after").is_none());
    for (path, status) in [
        ("/retrohook/subscriptions?state=gone", 400),
        ("/retrohook/subscriptions?colour=red", 400),
        ("/retrohook/subscriptions/99", 404),
        ("/retrohook/subscriptions/x", 400),
    ] {
        assert_eq!(admin.get(path).status, status, "{path}");
    }
    for (path, said) in [
        ("/retrohook/subscriptions?limit=many", "`limit` is not a whole number"),
        ("/retrohook/dead-letters?subscription=99999999999999999999", "`subscription` is too large"),
        ("/retrohook/events?before=", "`before` has no number"),
        ("/retrohook/subscriptions/x", "a number in the path is not a whole number"),
    ] {
        let answer = admin.get(path);
        assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(said)), "{path}");
    }
    scene.take_gateway().terminate();
    let whole = scene.setup.config.clone();
    scene.setup.config = whole.lines().filter(|line| !line.contains("/never")).collect::<Vec<_>>().join("\n");
    scene.start_gateway();
    let admin = scene.admin();
    assert_eq!(numbers(admin, "?state=removed"), [2]);
    assert!(get(admin, "/retrohook/subscriptions/2")["removed_at"].is_string());
    assert_eq!(numbers(admin, "?state=pending"), [0; 0]);
}

#[track_caller]
fn dead_letters(admin: Admin, query: &str) -> Vec<Value> {
    get(admin, &format!("/retrohook/dead-letters{query}"))["dead_letters"].as_array().expect("a list").clone()
}

#[track_caller]
fn redrive(admin: Admin, path: &str) -> u64 {
    let answer = admin.post(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()["redriven"].as_u64().expect("a number")
}

#[test]
fn dead_letters_are_listed_and_redriven_one_or_all() {
    let scene = scene();
    let admin = scene.admin();
    scene.receiver.set(Mood::Answers(410));
    let count = 5;
    for _ in 0..count {
        put(&scene);
    }
    let dead = wait::until("the dead letters", || {
        let dead = dead_letters(admin, "");
        (dead.len() == count).then_some(dead)
    });
    let letter = &dead[0];
    assert_eq!((&letter["topic"], &letter["attempts"]), (&json!("profile-changes"), &json!(1)));
    assert_eq!(letter["reason"], "the endpoint answered 410: it is gone");
    let event = get(admin, letter["links"]["event"].as_str().expect("a link"));
    assert_eq!((&event["id"], &event["sequence"]), (&letter["event"], &letter["sequence"]));
    let whose = format!(
        r#"delivery{{subscription=1 topic="profile-changes" endpoint="{}"}}: dead letter"#,
        scene.receiver.url("/hook?...")
    );
    // One line a second, however many there are.
    let output = wait::until("the log to say whose they are", || {
        let output = scene.gateway().output();
        output.contains(&whose).then_some(output)
    });
    assert!(!output.contains("secret"), "{output}");
    assert_eq!(dead_letters(admin, "?subscription=1&reason=410").len(), count);
    assert_eq!(
        dead_letters(admin, "?subscription=2").len() + dead_letters(admin, "?reason=timeout").len(),
        0
    );
    assert_eq!(get(admin, "/retrohook/subscriptions/1")["dead_letters"], count);
    let mut paged = Vec::new();
    let mut path = "/retrohook/dead-letters?limit=2".to_owned();
    loop {
        let page = get(admin, &path);
        paged.extend(page["dead_letters"].as_array().expect("a list").clone());
        let Some(before) = page["next_before"].as_str() else { break };
        path = format!("/retrohook/dead-letters?limit=2&before={before}");
    }
    assert_eq!(paged, dead);

    let one = letter["links"]["redrive"].as_str().expect("a link");
    scene.receiver.set(Mood::Answers(200));
    assert_eq!(redrive(admin, one), 1);
    let again = scene.receiver.wait_for(count + 1).pop().expect("a message");
    assert_eq!(again.header("x-retrohook-event-id"), letter["event"].as_str());
    wait::until("its end", || (dead_letters(admin, "").len() == count - 1).then_some(()));
    assert_eq!(admin.post(one).status, 404, "it is dead no more");

    let all = "/retrohook/dead-letters/1/redrive";
    assert_eq!(redrive(admin, all), count as u64 - 1);
    scene.receiver.wait_for(2 * count);
    wait::until("their end", || dead_letters(admin, "").is_empty().then_some(()));
    assert_eq!(redrive(admin, all), 0);
    assert_eq!(admin.post("/retrohook/dead-letters/99/redrive").status, 404);
    assert_eq!(admin.post("/retrohook/dead-letters/2/redrive").status, 409, "it is pending");
    assert_eq!(admin.get("/retrohook/dead-letters?before=garbage").status, 400);
}

#[test]
fn a_queues_message_is_queued_then_received_then_deleted() {
    let scene = scene();
    put(&scene);
    let id = scene.admin().wait_for_events(1)[0]["id"].as_str().expect("an id").to_owned();
    let state = || {
        let event = scene.admin().event(&id);
        let deliveries = event["deliveries"].as_array().expect("a list").clone();
        let queue = deliveries.into_iter().find(|delivery| delivery["protocol"] == "sqs").expect("the queue");
        queue["state"].as_str().expect("a state").to_owned()
    };
    let hub = scene.gateway().address("hub");
    let sqs = |action: &str, mut call: Value| {
        call["QueueUrl"] = format!("http://{hub}/000000000000/worker").into();
        let answer = aws::sqs(hub, action, &call).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    assert_eq!(state(), "queued");
    let received = sqs("ReceiveMessage", json!({ "WaitTimeSeconds": 5 })).json();
    assert_eq!(state(), "received");
    let handle = received["Messages"][0]["ReceiptHandle"].clone();
    sqs("DeleteMessage", json!({ "ReceiptHandle": handle }));
    assert_eq!(state(), "deleted");
}
