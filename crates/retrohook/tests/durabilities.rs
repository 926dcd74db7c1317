//! What each durability promises: who waits for what, and what a crash leaves.

use testkit::scene::{Profiles, Scene};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

fn start(durability: &str) -> Scene {
    let rule = format!("durability: {durability}");
    Scene::start(RETROHOOK, &Profiles { rule: &rule, ..Profiles::default() }.yaml())
}

/// Answers in every shape: with a length, in chunks, without a body.
const SHAPES: [&str; 3] = ["", "?script=chunked", "?status=204"];

/// Whoever has a whole answer finds its event in the log at once.
fn holds_the_answer(durability: &str) {
    let scene = start(durability);
    let admin = scene.admin();
    for (count, query) in (1..=24).zip(SHAPES.iter().cycle()) {
        assert!(scene.put(query).expect("an answer").status < 300);
        // No waiting here: that is what is tested.
        let events = admin.events();
        assert_eq!(events.len(), count, "{durability}: the answer to {query} was there before its event");
        assert_eq!(events[count - 1]["outcome"], "succeeded");
    }
    assert_eq!(scene.put("?status=404").expect("an answer").status, 404);
    assert_eq!(scene.put("?script=reset").expect("an answer").status, 502);
    let told = scene.told(25);
    assert_eq!((told[24].outcome(), told[24].reason()), ("unknown", Some("upstream_reset")));
}

#[test]
fn strict_holds_the_answer_until_its_event_stands() {
    holds_the_answer("strict");
}

#[test]
fn outcome_holds_the_answer_until_its_event_stands() {
    holds_the_answer("outcome");
}

/// All that an HTTP/1.0 client is sent.
fn old_client(scene: &Scene, query: &str) -> String {
    let mut client = scene.client();
    let head = format!("PUT /mockbin/profile{query} HTTP/1.0\r\nhost: test.example.com\r\n\r\n");
    client.write(head.as_bytes()).expect("the proxy reads");
    String::from_utf8(client.rest().expect("the connection is closed")).expect("text")
}

#[test]
fn an_http_1_0_client_is_sent_a_length_where_its_answer_is_held() {
    for durability in ["strict", "outcome"] {
        let scene = start(durability);
        let answer = old_client(&scene, "?framing=chunked");
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-length: 13\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n{\"done\":true}"), "{answer}");
        let told = scene.told(1);
        assert_eq!(told[0].event["response"]["status"], 200);
    }
    let scene = start("intent");
    let answer = old_client(&scene, "?framing=chunked");
    assert!(!answer.contains("content-length") && answer.ends_with("{\"done\":true}"), "{answer}");
}

#[test]
fn an_answer_that_streams_to_an_http_1_0_client_begins_when_its_event_stands() {
    let scene = start("strict");
    let mut client = scene.client();
    let head = "PUT /mockbin/profile?script=stream HTTP/1.0\r\nhost: test.example.com\r\n\r\n";
    client.write(head.as_bytes()).expect("the proxy reads");
    assert_eq!(client.answer().expect("a head").status, 200);
    // No waiting here: that is what is tested.
    let events = scene.admin().events();
    assert_eq!(events.len(), 1, "its head was there before its event");
    assert_eq!(events[0]["outcome"], "succeeded");
    client.until("tickticktick").expect("it streams on");
}

/// Every answer makes its event, sooner or later.
fn tells_all(durability: &str) {
    let scene = start(durability);
    for query in SHAPES.iter().cycle().take(24) {
        assert!(scene.put(query).expect("an answer").status < 300);
    }
    assert_eq!(scene.put("?status=404").expect("an answer").status, 404);
    let told = scene.told(24);
    assert!(told.iter().all(|told| told.outcome() == "succeeded"), "{durability}");
}

#[test]
fn intent_tells_all() {
    tells_all("intent");
}

#[test]
fn memory_tells_all() {
    tells_all("memory");
}

/// What is left of a request that was under way when the gateway was killed.
fn after_a_crash(durability: &str) -> Vec<Option<String>> {
    let mut scene = start(durability);
    let open = scene.put_and_wait_for_upstream("?script=wait");
    let intents = scene.admin().open_intents();
    scene.kill_and_restart();
    drop(open);
    scene.upstream.release();
    assert_eq!(scene.put("?last").expect("an answer").status, 200);
    let events = scene.told(1 + usize::try_from(intents).expect("few"));
    events.iter().map(|told| told.reason().map(str::to_owned)).collect()
}

#[test]
fn an_intent_outlives_a_crash() {
    for durability in ["intent", "strict"] {
        assert_eq!(after_a_crash(durability), [Some("gateway_restarted".to_owned()), None], "{durability}");
    }
}

#[test]
fn without_an_intent_a_crash_leaves_nothing() {
    for durability in ["outcome", "memory"] {
        assert_eq!(after_a_crash(durability), [None], "{durability}");
    }
}
