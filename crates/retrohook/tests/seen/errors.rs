//! Every error of the admin port is one JSON object that says what is wrong and what to do.

use testkit::client::{self, Answer, Client};
use testkit::process::{Process, Setup};

use super::RETROHOOK;

const HOST: (&str, &str) = ("host", "localhost");

fn node() -> Process {
    Setup::new(RETROHOOK, "_format_version: \"3.0\"").start()
}

#[track_caller]
fn is_an_error(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "{what}: {kind}");
    let error = answer.json();
    for member in ["message", "hint"] {
        let text = error[member].as_str().unwrap_or_default();
        assert!(text.len() > 10 && !text.contains("deserialize"), "{what}: {member} of {error}");
    }
}

#[test]
fn whatever_is_wrong_with_a_request_the_answer_says_it_in_one_object() {
    let node = node();
    let cases = [
        ("GET", "/nothing", 404),
        ("GET", "/retrohook/nothing", 404),
        ("POST", "/status", 405),
        ("DELETE", "/retrohook/events", 405),
        ("OPTIONS", "/metrics", 405),
        ("GET", "/retrohook/reload", 405),
        ("GET", "/retrohook/events?limit=many", 400),
        ("GET", "/retrohook/events?limit=-1", 400),
        ("GET", "/retrohook/events?before=x", 400),
        ("GET", "/retrohook/events?nothing=1", 400),
        ("GET", "/retrohook/events/x", 400),
        ("GET", "/retrohook/events/%FF", 400),
        ("GET", "/retrohook/events/00000000-0000-7000-8000-000000000000", 404),
        ("GET", "/retrohook/subscriptions?state=odd", 400),
        ("GET", "/retrohook/subscriptions/one", 400),
        ("GET", "/retrohook/subscriptions/99999999999999999999", 400),
        ("GET", "/retrohook/subscriptions/7", 404),
        ("POST", "/retrohook/subscriptions/7/enable", 404),
        ("GET", "/retrohook/dead-letters?subscription=x", 400),
        ("POST", "/retrohook/dead-letters/x/redrive", 400),
        ("POST", "/retrohook/dead-letters/1/x/redrive", 400),
        ("POST", "/retrohook/events/x/deliveries/1/redeliver", 400),
        ("GET", "/config?origin=nobody", 400),
        ("POST", "/config?check_hash=perhaps", 400),
    ];
    for (method, target, status) in cases {
        let answer = client::send(node.address("admin"), method, target, &[HOST], b"").expect("an answer");
        is_an_error(&answer, status, &format!("{method} {target}"));
    }
}

#[test]
fn a_page_of_no_entries_or_of_too_many_is_refused() {
    let node = node();
    for list in ["events", "subscriptions", "dead-letters"] {
        for limit in ["0", "501", "1000000"] {
            let answer = node.admin().get(&format!("/retrohook/{list}?limit={limit}"));
            is_an_error(&answer, 400, list);
            assert!(answer.text().contains("1 to 500"), "{}", answer.text());
        }
        for limit in ["1", "500"] {
            assert_eq!(node.admin().get(&format!("/retrohook/{list}?limit={limit}")).status, 200);
        }
    }
}

#[test]
fn bodies_that_are_wrong_or_too_large_are_refused_in_the_same_way() {
    let node = node();
    let post = |kind: &str, body: &[u8]| {
        client::send(node.address("admin"), "POST", "/config", &[HOST, ("content-type", kind)], body)
            .expect("an answer")
    };
    for (kind, body) in [
        ("application/json", &b"{"[..]),
        ("application/json", b"[1]"),
        ("application/json", b"\"text\""),
        ("text/yaml", b"services: ["),
        ("text/yaml", b"\xff"),
        ("application/x-www-form-urlencoded", b"x=1"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
    ] {
        is_an_error(&post(kind, body), 400, kind);
    }
    let mut client = Client::connect(node.address("admin")).expect("it listens");
    // The answer comes before the body, of which nothing is sent.
    client
        .write(b"POST /config HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n")
        .expect("it reads");
    is_an_error(&client.answer().expect("an answer"), 413, "too large");
}

#[test]
fn heads_that_cannot_be_read_are_answered_with_an_object_too() {
    let node = node();
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x-many: 1\r\n".repeat(200));
    for (head, status) in [
        ("GET / HTTP/9.9\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost localhost\r\n\r\n", 400),
        (many.as_str(), 431),
    ] {
        let mut client = Client::connect(node.address("admin")).expect("it listens");
        client.write(head.as_bytes()).expect("it reads");
        let answer = client.answer().expect("an answer");
        is_an_error(&answer, status, &head[..20.min(head.len())]);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let mut client = Client::connect(node.address("admin")).expect("it listens");
    assert_eq!(client.send("GET", "/status", &[HOST], b"").expect("an answer").status, 200);
    client.write(b"BAD\r\n\r\n").expect("it reads");
    is_an_error(&client.answer().expect("an answer"), 400, "after a good one");
    for header in [("host", "evil.example.com"), ("origin", "https://evil.example.com")] {
        let headers = if header.0 == "host" { vec![header] } else { vec![HOST, header] };
        let answer = client::send(node.address("admin"), "GET", "/status", &headers, b"").expect("an answer");
        let status = if header.0 == "host" { 421 } else { 403 };
        is_an_error(&answer, status, header.0);
    }
}

#[test]
fn a_refused_reload_has_a_hint_beside_its_problems() {
    let setup = Setup::new(RETROHOOK, "_format_version: \"3.0\"");
    let node = setup.start();
    std::fs::write(setup.config_file(), "services: [").expect("a file");
    let answer = node.admin().post("/retrohook/reload");
    is_an_error(&answer, 400, "reload");
    assert_eq!(answer.json()["problems"][0]["line"], 1, "{}", answer.text());
}
