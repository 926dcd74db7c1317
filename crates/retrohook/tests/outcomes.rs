//! What becomes of a matching request: every row of the outcome table, through the real binary, with the log and the receiver's own
//! record held against each other.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, net::Shutdown};

use serde_json::{Value, json};
use testkit::client::{self, Answer, Client};
use testkit::scene::{Profiles, Scene, Told};
use testkit::server::{self, Server, Then};
use testkit::upstream::Upstream;
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// How a client leaves.
type Leave = fn(Client) -> io::Result<()>;

/// The two ways in which a client can leave.
const LEAVE: [(&str, Leave); 2] = [("FIN", Client::fin), ("RST", Client::rst)];

fn start(profiles: Profiles<'_>) -> Scene {
    Scene::start(RETROHOOK, &profiles.yaml())
}

/// One more event than before, and what it says.
#[track_caller]
fn next(scene: &Scene, so_far: &mut usize) -> Told {
    *so_far += 1;
    scene.told(*so_far).pop().expect("at least one")
}

/// A request that succeeds: whatever was to come of earlier ones has come by then. There must be `count` events before it.
#[track_caller]
fn nothing_but(scene: &Scene, count: usize) {
    assert_eq!(scene.put("?last").expect("an answer").status, 200);
    let told = scene.told(count + 1);
    assert!(told[count].uri().ends_with("?last"), "{:#}", told[count].event);
}

#[test]
fn the_upstreams_status_decides() {
    let scene = start(Profiles::default());
    let mut so_far = 0;
    let rows = [
        (200, true),
        (301, false),
        (201, true),
        (404, false),
        (204, true),
        (400, false),
        (500, false),
        (299, true),
        (503, false),
        (302, false),
    ];
    for (status, succeeds) in rows {
        let query = format!("?status={status}");
        assert_eq!(scene.put(&query).expect("an answer").status, status);
        if succeeds {
            let told = next(&scene, &mut so_far);
            assert_eq!((told.outcome(), told.reason()), ("succeeded", None), "{query}");
            assert!(told.uri().ends_with(&query), "{query}: {}", told.uri());
            assert_eq!(told.message.json()["response"]["status"], status, "{query}");
            assert_eq!(told.message.header("x-retrohook-outcome"), Some("succeeded"));
        }
    }
    nothing_but(&scene, so_far);
    assert_eq!(scene.upstream.executed().len(), rows.len() + 1, "each was forwarded, and once");
}

#[test]
fn a_rules_own_statuses_take_the_place_of_2xx() {
    let scene = start(Profiles { rule: "statuses: [303, 404]", ..Profiles::default() });
    for status in [200, 204, 303, 500, 404] {
        assert_eq!(scene.put(&format!("?status={status}")).expect("an answer").status, status);
    }
    let told = scene.told(2);
    let statuses: Vec<_> =
        told.iter().map(|told| told.message.json()["response"]["status"].clone()).collect();
    assert_eq!(statuses, [303, 404]);
    assert!(told.iter().all(|told| told.outcome() == "succeeded"));
}

#[test]
fn a_head_that_said_success_stands_whatever_becomes_of_the_body() {
    let scene = start(Profiles::default());
    assert_eq!(scene.put("?script=chunked").expect("an answer").text(), "hello");
    assert_eq!(scene.told(1)[0].outcome(), "succeeded");

    let broken = scene.put("?script=half");
    assert!(broken.is_err(), "the client must see that the body broke off: {broken:?}");
    assert_eq!(scene.told(2)[1].outcome(), "succeeded");

    // An answer without an end is settled while it streams.
    let mut streaming = scene.put_and_wait_for_upstream("?script=stream");
    assert_eq!(scene.told(3)[2].outcome(), "succeeded");
    streaming.write(b" ").expect("the connection is still open");

    for (count, (way, leave)) in (4..).zip(LEAVE) {
        leave(scene.put_and_wait_for_upstream("?script=stream")).expect(way);
        assert_eq!(scene.told(count)[count - 1].outcome(), "succeeded", "{way}");
    }
}

#[test]
fn an_unanswered_request_is_unknown_with_its_reason() {
    let scene = start(Profiles {
        service: "read_timeout: 400",
        rule: "exchange_timeout: 900",
        ..Profiles::default()
    });
    let mut so_far = 0;
    let rows = [
        ("?script=reset", 502, "upstream_reset"),
        ("?script=close", 502, "upstream_reset"),
        ("?script=garbage", 502, "upstream_invalid"),
        ("?script=wait", 504, "upstream_timeout"),
    ];
    for (query, status, reason) in rows {
        let answer = scene.put(query).expect("an answer");
        assert_eq!(answer.status, status, "{query}");
        let told = next(&scene, &mut so_far);
        assert_eq!((told.outcome(), told.reason()), ("unknown", Some(reason)), "{query}");
        assert_eq!(told.message.header("x-retrohook-outcome"), Some("unknown"), "{query}");
        check_own_answer(&told.message.json()["response"], &answer);
    }
    scene.upstream.release();
    nothing_but(&scene, so_far);
    assert_eq!(scene.upstream.executed().len(), rows.len() + 1, "nothing was sent twice");
}

/// What the client was told by the gateway itself: every byte of it counts, and every header but the server's date is there.
#[track_caller]
fn check_own_answer(response: &Value, answer: &Answer) {
    assert_eq!(response["status"], answer.status);
    let reason = if answer.status == 502 { "Bad Gateway" } else { "Gateway Timeout" };
    let line = format!("HTTP/1.1 {} {reason}\r\n", answer.status).len();
    let lines: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let wire = line + lines + "\r\n".len() + answer.body.len();
    assert_eq!(response["size"], wire.to_string());
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "date") {
        assert_eq!(response["headers"][name], **value, "{name}");
    }
}

#[test]
fn an_answer_behind_a_504_is_still_heard() {
    let scene = start(Profiles { service: "read_timeout: 300", ..Profiles::default() });
    assert_eq!(scene.put("?script=slow").expect("an answer").status, 504);
    let told = scene.told(1);
    assert_eq!(told[0].outcome(), "succeeded");
    let response = &told[0].message.json()["response"];
    assert_eq!((&response["status"], &response["headers"]["x-upstream"]), (&json!(200), &json!("scripted")));
    let size: usize = response["size"].as_str().and_then(|size| size.parse().ok()).expect("a size");
    assert!((100..400).contains(&size), "the upstream's alone: {size}");
    assert_eq!(scene.put("?script=slow&status=404").expect("an answer").status, 504);
    nothing_but(&scene, 1);
}

#[test]
fn an_exchange_that_nobody_waits_for_is_bounded_in_time() {
    let scene = start(Profiles { rule: "exchange_timeout: 400", ..Profiles::default() });
    let client = scene.put_and_wait_for_upstream("?script=wait");
    client.fin().expect("it leaves");
    let told = scene.told(1);
    assert_eq!((told[0].outcome(), told[0].reason()), ("unknown", Some("bound_reached")));
    scene.upstream.release();
    nothing_but(&scene, 1);
}

/// As long as the client waits, what it is told in the end decides: whoever has a whole success has an event that says so.
#[test]
fn a_client_that_waits_beyond_the_bound_is_served_and_told_of() {
    for durability in ["intent", "strict"] {
        let rule = format!("exchange_timeout: 300, durability: {durability}");
        let scene = start(Profiles { rule: &rule, ..Profiles::default() });
        assert_eq!(scene.put("?script=slow").expect("an answer").status, 200, "{durability}");
        let told = scene.told(1);
        assert_eq!(told[0].outcome(), "succeeded", "{durability}");
        nothing_but(&scene, 1);
    }
}

#[test]
fn publish_unknown_false_keeps_unknown_outcomes_back() {
    let mut scene = start(Profiles { rule: "publish_unknown: false", ..Profiles::default() });
    for query in ["?script=reset", "?script=garbage"] {
        assert_eq!(scene.put(query).expect("an answer").status, 502);
    }
    nothing_but(&scene, 0);
    let _client = scene.put_and_wait_for_upstream("?script=wait");
    scene.kill_and_restart();
    scene.upstream.release();
    nothing_but(&scene, 1);
}

#[test]
fn what_was_never_sent_makes_no_event() {
    let free =
        TcpListener::bind("127.0.0.2:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let config = Profiles::default().yaml().replace("{upstream}", &free.to_string());
    let mut scene = Scene::start(RETROHOOK, &config);
    for _ in 0..3 {
        let answer = scene.put("").expect("an answer");
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json()["message"], "An invalid response was received from the upstream server");
    }
    scene.upstream = Upstream::start_on(free);
    nothing_but(&scene, 0);
    // The intents of those that were not sent are gone for good.
    scene.kill_and_restart();
    nothing_but(&scene, 1);
}

/// An upstream that closes each connection behind its first answer without saying so; the number of those that it has closed.
fn closing_upstream(executed: Arc<AtomicUsize>, closed: Arc<AtomicUsize>) -> Server {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(any, move |_, stream| {
        executed.fetch_add(1, Ordering::SeqCst);
        server::answer(stream, 200, &[], b"done")?;
        stream.shutdown(Shutdown::Both)?;
        closed.fetch_add(1, Ordering::SeqCst);
        Ok(Then::Close)
    });
    server.expect("a free port")
}

#[test]
fn a_stale_keep_alive_connection_is_replaced_without_a_trace() {
    let (executed, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let upstream = closing_upstream(executed.clone(), closed.clone());
    let config = Profiles::default().yaml().replace("{upstream}", &upstream.address().to_string());
    let scene = Scene::start(RETROHOOK, &config);
    let mut client = scene.client();
    for count in 1..=5 {
        let answer = client.send("PUT", "/mockbin/profile", &[], b"{}").expect("an answer");
        assert_eq!(answer.status, 200, "request {count}");
        wait::until("the upstream to close", || (closed.load(Ordering::SeqCst) >= count).then_some(()));
    }
    let told = scene.told(5);
    assert!(told.iter().all(|told| told.outcome() == "succeeded"), "{told:#?}");
    assert_eq!(executed.load(Ordering::SeqCst), 5);
}

#[test]
fn a_client_that_leaves_within_a_small_body_leaves_nothing() {
    let scene = start(Profiles::default());
    for (way, leave) in LEAVE {
        let bodies: [(&str, &[u8]); 3] = [
            ("content-length: 65536", b"half of it"),
            ("content-length: 10", b""),
            ("transfer-encoding: chunked", b"5\r\nhello\r\n"),
        ];
        for (framing, begun) in bodies {
            let matched = || scene.admin().metric("retrohook_matched_requests_total").expect("the metric");
            let before = matched();
            let mut client = scene.client();
            let head = format!("PUT /mockbin/profile?{way} HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
            client.write(head.as_bytes()).expect("the proxy reads");
            client.write(begun).expect("the proxy reads");
            wait::until("the proxy to see the request", || (matched() > before).then_some(()));
            leave(client).expect(way);
        }
    }
    nothing_but(&scene, 0);
    let executed = scene.upstream.executed();
    assert_eq!(executed.len(), 1, "the upstream was asked nothing but the last: {executed:#?}");
}

#[test]
fn a_client_that_leaves_a_forwarded_request_changes_nothing() {
    for (way, leave) in LEAVE {
        let rule = "exchange_timeout: 1500";
        let scene = start(Profiles { service: "read_timeout: 700", rule, ..Profiles::default() });
        // Nobody answers: unknown, and nobody was told a status.
        leave(scene.put_and_wait_for_upstream("?script=wait")).expect(way);
        let told = scene.told(1).remove(0);
        assert_eq!((told.outcome(), told.reason()), ("unknown", Some("upstream_timeout")), "{way}");
        assert_eq!(told.message.json()["response"].get("status"), None, "{way}");

        let clients = ["?script=wait&status=404", "?script=wait&status=201"]
            .map(|query| scene.put_and_wait_for_upstream(query));
        for client in clients {
            leave(client).expect(way);
        }
        scene.upstream.release();
        let told = scene.told(2).remove(1);
        assert_eq!(told.outcome(), "succeeded", "{way}");
        assert_eq!(told.message.json()["response"]["status"], 201, "{way}");
        nothing_but(&scene, 2);
    }
}

/// Sends the head of a body that is larger than what is read ahead, and 100 KB of it.
#[track_caller]
fn begin_large(scene: &Scene, framing: &str) -> Client {
    let open = || scene.admin().open_intents();
    let before = open();
    let mut client = scene.client();
    let head = format!("PUT /mockbin/profile HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
    client.write(head.as_bytes()).expect("the proxy reads");
    if framing.starts_with("transfer-encoding") {
        client.write(b"30d40\r\n").expect("the proxy reads");
    }
    client.write(&[b'x'; 100_000]).expect("the proxy reads");
    wait::until("the intent", || (open() > before).then_some(()));
    client
}

#[test]
fn a_large_body_that_breaks_off_is_unknown() {
    let scene = start(Profiles::default());
    let mut so_far = 0;
    for (way, leave) in LEAVE {
        for framing in ["content-length: 200000", "transfer-encoding: chunked"] {
            leave(begin_large(&scene, framing)).expect(way);
            let told = next(&scene, &mut so_far);
            assert_eq!(
                (told.outcome(), told.reason()),
                ("unknown", Some("request_body_broken")),
                "{way}, {framing}"
            );
        }
    }
    assert!(scene.upstream.executed().is_empty(), "this upstream executes whole requests only");
    nothing_but(&scene, so_far);
}

/// An intent that waited for a body would wait for its client: what breaks off then would leave no trace.
#[test]
fn an_intent_never_waits_for_a_body_that_is_captured() {
    for durability in ["intent", "strict"] {
        let rule = format!("durability: {durability}, capture: {{ request_body: true, max_bytes: 150000 }}");
        let scene = start(Profiles { rule: &rule, ..Profiles::default() });
        let mut so_far = 0;
        for framing in ["content-length: 200000", "transfer-encoding: chunked"] {
            // The intent stands when half of the body is here, less than what is captured.
            let mut client = begin_large(&scene, framing);
            assert!(scene.upstream.executed().len() == so_far, "{framing}: it is still being sent");
            client.write(&[b'y'; 100_000]).expect("the proxy reads");
            if framing.starts_with("transfer-encoding") {
                client.write(b"\r\n0\r\n\r\n").expect("the proxy reads");
            }
            assert_eq!(client.answer().expect("an answer").status, 200, "{framing}");
            let told = next(&scene, &mut so_far);
            let body = &told.message.json()["request"]["body"];
            let content = format!("{}{}", "x".repeat(100_000), "y".repeat(50_000));
            assert!(body["content"] == content, "{framing}: what came behind the intent is captured, too");
            assert_eq!((&body["truncated"], &body["size"]), (&json!(true), &json!(200_000)), "{framing}");
        }
        for (way, leave) in LEAVE {
            leave(begin_large(&scene, "content-length: 200000")).expect(way);
            let told = next(&scene, &mut so_far);
            let expected = ("unknown", Some("request_body_broken"));
            assert_eq!((told.outcome(), told.reason()), expected, "{durability}, {way}");
        }
        nothing_but(&scene, so_far);
    }
}

#[test]
fn a_large_body_flows_whole_and_its_client_may_leave() {
    let scene = start(Profiles::default());
    let body: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let answer =
        client::send(scene.gateway().proxy(), "PUT", "/mockbin/profile", &[], &body).expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(scene.upstream.executed()[0].body, body);
    assert_eq!(scene.told(1)[0].outcome(), "succeeded");

    let mut clients = Vec::new();
    for (_, leave) in LEAVE {
        let mut client = scene.client();
        client
            .write(&client::request("PUT", "/mockbin/profile?script=wait", &[], &body))
            .expect("the proxy reads");
        clients.push((client, leave));
    }
    wait::until("the upstream to be asked", || (scene.upstream.executed().len() == 3).then_some(()));
    for (client, leave) in clients {
        leave(client).expect("it leaves");
    }
    scene.upstream.release();
    assert!(scene.told(3).iter().all(|told| told.outcome() == "succeeded"));
}

#[test]
fn the_drain_deadline_makes_unknown() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.flags.push("--drain-timeout=1".into());
    scene.start_gateway();
    let _client = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    gateway.signal(rustix::process::Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.output());
    let said = "(--drain-timeout) cut off 1 request whose client got no whole answer, and 1 exchange that matched a rule";
    gateway.wait_until_it_says(said);
    drop(gateway);
    scene.start_gateway();
    let told = scene.told(1).remove(0);
    assert_eq!((told.outcome(), told.reason()), ("unknown", Some("drain_deadline")));
    scene.upstream.release();
    nothing_but(&scene, 1);
}

#[test]
fn a_gateway_that_died_finds_its_open_intents_again() {
    let mut scene = start(Profiles::default());
    assert_eq!(scene.put("?before").expect("an answer").status, 200);
    scene.told(1);
    let _clients: Vec<_> = (0..3).map(|_| scene.put_and_wait_for_upstream("?script=wait")).collect();
    scene.kill_and_restart();
    let told = scene.told(4);
    assert!(told[0].uri().ends_with("?before"), "what was settled stays as it was");
    assert_eq!(told[0].outcome(), "succeeded");
    for told in &told[1..] {
        assert_eq!((told.outcome(), told.reason()), ("unknown", Some("gateway_restarted")));
        let message = told.message.json();
        assert_eq!(message["response"], serde_json::json!({}), "nobody knows what was answered");
        assert_eq!(message["request"]["uri"], "/mockbin/profile?script=wait");
    }
    // A second start finds nothing more.
    scene.upstream.release();
    scene.kill_and_restart();
    nothing_but(&scene, 4);
}
