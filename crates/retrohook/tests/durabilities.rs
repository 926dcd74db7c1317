//! What each durability promises: who waits for what, and what a crash leaves.

use std::io;
use std::net::TcpListener;

use testkit::client::Client;
use testkit::scene::{Profiles, Scene};
use testkit::upstream::Upstream;
use testkit::wait;

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

const DURABILITIES: [&str; 4] = ["intent", "strict", "outcome", "memory"];

/// How a client leaves.
type Leave = fn(Client) -> io::Result<()>;

/// The two ways in which a client can leave.
const LEAVE: [(&str, Leave); 2] = [("FIN", Client::fin), ("RST", Client::rst)];

#[test]
fn what_an_upstream_does_not_answer_is_told_in_every_durability() {
    std::thread::scope(|scope| {
        for durability in DURABILITIES {
            scope.spawn(move || an_upstream_does_not_answer(durability));
        }
    });
}

fn an_upstream_does_not_answer(durability: &str) {
    let rule = format!("durability: {durability}, exchange_timeout: 2500");
    let profiles = Profiles { service: "read_timeout: 400", rule: &rule, ..Profiles::default() };
    // An address of its own: on that of the gateways, one of their listeners might take the port.
    let nobody = TcpListener::bind("127.0.0.2:0").and_then(|listener| listener.local_addr());
    let nobody = nobody.expect("a free port");
    let mut scene = Scene::start(RETROHOOK, &profiles.yaml().replace("{upstream}", &nobody.to_string()));
    // Nothing was sent: there will be no event of it.
    assert_eq!(scene.put("?unsent").expect("an answer").status, 502, "{durability}");

    scene.upstream = Upstream::start_on(nobody);
    let rows = [
        ("?script=reset", 502, "upstream_reset"),
        ("?script=garbage", 502, "upstream_invalid"),
        ("?script=wait", 504, "upstream_timeout"),
    ];
    for (count, (query, status, reason)) in (1..).zip(rows) {
        assert_eq!(scene.put(query).expect("an answer").status, status, "{durability} {query}");
        let told = scene.told(count).remove(count - 1);
        assert!(told.uri().ends_with(query), "{durability} {query}: {}", told.uri());
        assert_eq!((told.outcome(), told.reason()), ("unknown", Some(reason)), "{durability} {query}");
    }
    assert_eq!(scene.put("?script=slow").expect("an answer").status, 504, "{durability}");
    assert_eq!(scene.told(4)[3].outcome(), "succeeded", "{durability}: it answered after all");
    scene.upstream.release();
    assert_eq!(scene.put("?last").expect("an answer").status, 200, "{durability}");
    assert!(scene.told(5)[4].uri().ends_with("?last"), "{durability}");
    assert_eq!(scene.upstream.executed().len(), 5, "{durability}: nothing was sent twice");
}

#[test]
fn what_a_client_breaks_off_is_told_in_every_durability() {
    std::thread::scope(|scope| {
        for durability in DURABILITIES {
            scope.spawn(move || a_client_breaks_off(durability));
        }
    });
}

fn a_client_breaks_off(durability: &str) {
    let scene = start(durability);
    // Each needs a connection of its own to the upstream, and none is kept.
    let asked = || scene.admin().metric("retrohook_upstream_connections_total").expect("the metric");
    for (count, (way, leave)) in (1..).zip(LEAVE) {
        let before = asked();
        let mut client = scene.client();
        let begun = b"PUT /mockbin/profile HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n";
        client.write(begun).expect("the proxy reads");
        client.write(&[b'x'; 100_000]).expect("the proxy reads");
        wait::until("the upstream to be asked", || (asked() > before).then_some(()));
        leave(client).expect(way);
        let told = scene.told(count).remove(count - 1);
        let expected = ("unknown", Some("request_body_broken"));
        assert_eq!((told.outcome(), told.reason()), expected, "{durability}, {way}");
    }
    assert!(scene.upstream.executed().is_empty(), "this upstream executes whole requests only");

    let clients = LEAVE
        .map(|(way, leave)| (way, leave, scene.put_and_wait_for_upstream(&format!("?script=wait&{way}"))));
    for (way, leave, client) in clients {
        leave(client).expect(way);
    }
    scene.upstream.release();
    let told = scene.told(4);
    assert!(told[2..].iter().all(|told| told.outcome() == "succeeded"), "{durability}: {told:#?}");
    assert_eq!(scene.put("?last").expect("an answer").status, 200, "{durability}");
    assert!(scene.told(5)[4].uri().ends_with("?last"), "{durability}");
}
