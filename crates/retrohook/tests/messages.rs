//! From a request to its message: which requests match, and what subscribers read.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::client::{self, Answer};
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

fn start(profiles: Profiles<'_>) -> Scene {
    Scene::start(RETROHOOK, &profiles.yaml())
}

fn millis_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock behind 1970");
    u64::try_from(since.as_millis()).expect("a clock of this age")
}

#[test]
fn a_put_of_the_profile_makes_exactly_one_message_of_kong_0_8() {
    let scene = start(Profiles::default());
    let proxy = scene.gateway().proxy();
    let target = "/mockbin/profile?a=1&a=2&name=Ada+L%2E&flag";
    let headers = [
        ("Host", "API.example.com:8000"),
        ("Content-Type", "application/json"),
        ("Authorization", "Basic c2VjcmV0"),
        ("X-Tag", "one"),
        ("X-Tag", "two"),
    ];
    let body = br#"{"name":"Ada"}"#;
    let before = millis_now();
    let answer = client::send(proxy, "PUT", target, &headers, body).expect("an answer");
    let after = millis_now();
    assert_eq!(answer.status, 200);

    let told = scene.told(1).remove(0);
    let message = told.message.json();
    assert_eq!(told.message.method, "POST");
    assert_eq!(told.message.target, "/hook");
    let sent = client::request("PUT", target, &headers, body);
    assert_eq!(
        message["request"],
        json!({
            "method": "PUT",
            "uri": target,
            "request_uri": format!("http://api.example.com:{}{target}", proxy.port()),
            "querystring": { "a": ["1", "2"], "name": "Ada L.", "flag": true },
            "size": sent.len().to_string(),
            "headers": {
                "host": "API.example.com:8000",
                "content-type": "application/json",
                "authorization": "REDACTED",
                "x-tag": ["one", "two"],
                "content-length": body.len().to_string(),
            },
        })
    );
    check_response(&message["response"], &answer);
    check_surroundings(&scene, &message);
    let started_at = message["started_at"].as_u64().expect("milliseconds");
    assert!((before..=after).contains(&started_at), "{before} <= {started_at} <= {after}");
    assert_eq!(scene.upstream.executed().len(), 1);
    assert_eq!(scene.upstream.executed()[0].target, "/profile?a=1&a=2&name=Ada+L%2E&flag");
}

/// Status, headers and size of what the client got; the size is a text in 0.8.
#[track_caller]
fn check_response(response: &Value, answer: &Answer) {
    assert_eq!(response["status"], 200);
    let keys: Vec<_> = response.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["status", "size", "headers"]);
    let headers = response["headers"].as_object().expect("an object");
    for (name, value) in headers {
        assert_eq!(answer.header(name), value.as_str(), "{name}");
    }
    let missing: Vec<_> = answer.headers.iter().filter(|(name, _)| !headers.contains_key(name)).collect();
    assert!(
        missing.iter().all(|(name, _)| name == "date"),
        "only the server's own date may be missing: {missing:?}"
    );
    for expected in [
        "x-upstream",
        "content-type",
        "content-length",
        "via",
        "x-kong-upstream-latency",
        "x-kong-proxy-latency",
    ] {
        assert!(headers.contains_key(expected), "{expected} in {headers:?}");
    }
    let lines: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let wire = "HTTP/1.1 200 Scripted\r\n".len() + lines + "\r\n".len() + answer.body.len();
    assert_eq!(response["size"], wire.to_string(), "every byte that the client was sent");
}

#[track_caller]
fn check_surroundings(scene: &Scene, message: &Value) {
    let keys: Vec<_> = message.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["request", "response", "latencies", "api", "client_ip", "started_at"],
        "and nothing else"
    );
    assert_eq!(message["client_ip"], "127.0.0.1");
    let latencies = message["latencies"].as_object().expect("an object");
    let names: Vec<_> = latencies.keys().map(String::as_str).collect();
    assert_eq!(names, ["kong", "proxy", "request"]);
    assert!(
        latencies
            .values()
            .all(|latency| latency.as_i64().is_some_and(|millis| (0..10_000).contains(&millis)))
    );
    let api = &message["api"];
    assert!(api["id"].as_str().is_some_and(|id| id.len() == 36), "{api}");
    assert!(api["created_at"].is_u64(), "{api}");
    assert_eq!(api["name"], "mockbin");
    assert_eq!(api["upstream_url"], format!("http://{}", scene.upstream.address()));
    assert_eq!(api["request_path"], "/mockbin");
    assert_eq!(api["strip_request_path"], true);
    assert_eq!(api["preserve_host"], false);
    assert_eq!(api.get("request_host"), None, "what is absent has no key");
}

#[test]
fn other_requests_make_none() {
    let scene = start(Profiles::default());
    let rows = [
        ("GET", "/mockbin/profile", 200),
        ("POST", "/mockbin/profile", 200),
        ("PATCH", "/mockbin/profile", 200),
        ("DELETE", "/mockbin/profile", 200),
        ("PUT", "/mockbin/profiles", 200),
        ("PUT", "/mockbin/profile/7", 200),
        ("PUT", "/mockbin/my/profile", 200),
        ("PUT", "/mockbin/Profile", 200),
        ("PUT", "/mockbin/mockbin/profile", 200),
        ("PUT", "/mockbin", 200),
        ("PUT", "/profile", 404),
        ("PUT", "/mockbin/profile?status=404", 404),
        ("PUT", "/mockbin/profile?status=500", 500),
    ];
    for (method, target, status) in rows {
        assert_eq!(scene.send(method, target).expect("an answer").status, status, "{method} {target}");
    }
    assert_eq!(scene.put("?last").expect("an answer").status, 200);
    assert!(scene.told(1)[0].uri().ends_with("?last"));
}

#[test]
fn a_rule_on_a_route_is_for_that_route_and_in_the_place_of_its_services() {
    let rule = |matcher: &str| {
        format!(
            r#"{{ name: publish-sns, config: {{ topic_arn: profile-changes, routes: [{{ method: PUT, matcher: "{matcher}" }}] }} }}"#
        )
    };
    let config = format!(
        r#"_format_version: "3.0"
services:
- name: mockbin
  url: "http://{{upstream}}"
  routes:
  - {{ name: of-its-own, paths: [/mockbin], plugins: [{}] }}
  - {{ name: plain, paths: [/plain] }}
  plugins: [{}]
topics:
- name: profile-changes
  subscriptions:
  - {{ protocol: http, endpoint: "{{receiver}}", raw_message_delivery: true, confirm: skip }}
"#,
        rule("^/profile$"),
        rule("^/other$")
    );
    let scene = Scene::start(RETROHOOK, &config);
    for target in ["/mockbin/profile?1", "/mockbin/other", "/plain/profile", "/plain/other?2"] {
        assert_eq!(scene.send("PUT", target).expect("an answer").status, 200, "{target}");
    }
    let mut told: Vec<String> = scene.told(2).iter().map(|told| told.uri().to_owned()).collect();
    told.sort();
    assert_eq!(told, ["/mockbin/profile?1", "/plain/other?2"]);
}

#[test]
fn no_spelling_dodges_the_rule() {
    let scene = start(Profiles::default());
    let spellings = [
        "/mockbin/%70rofile",
        "/mockbin//profile",
        "/mockbin/./profile",
        "/mockbin/x/../profile",
        "/%6dockbin/profile",
        "//mockbin/profile",
        "/mockbin/%2e/profile",
        "/./mockbin/%70%72%6F%66%69%6c%65",
        "/mockbin/profile?path=/other",
    ];
    for target in spellings {
        assert_eq!(scene.send("PUT", target).expect("an answer").status, 200, "{target}");
    }
    let told = scene.told(spellings.len());
    let uris: Vec<_> = told.iter().map(|told| told.uri()).collect();
    assert_eq!(uris, spellings, "each makes its event, with the target as the client wrote it");
    let keys: Vec<_> = told.iter().map(|told| told.event["key"].as_str().expect("a key")).collect();
    assert!(keys.iter().all(|key| *key == "mockbin/profile"), "one resource, one key: {keys:?}");
}

#[test]
fn cloudevents_say_the_same_in_their_form() {
    let scene = start(Profiles {
        rule: "format: cloudevents, event_type: com.example.profile",
        ..Profiles::default()
    });
    assert_eq!(scene.put("?x=1").expect("an answer").status, 200);
    assert_eq!(scene.put("?script=reset").expect("an answer").status, 502);
    let told = scene.told(2);
    let message = told[0].message.json();
    let expected = json!({
        "specversion": "1.0",
        "id": told[0].event["id"],
        "source": "//test.example.com/mockbin",
        "type": "com.example.profile",
        "subject": "/profile",
        "time": told[0].event["recorded_at"],
        "datacontenttype": "application/json",
        "partitionkey": "mockbin/profile",
        "sequence": format!("{:019}", told[0].event["sequence"].as_i64().expect("a number")),
        "outcome": "succeeded",
        "data": message["data"],
    });
    assert_eq!(message, expected);
    assert_eq!(message["data"]["request"]["uri"], "/mockbin/profile?x=1");
    assert_eq!(message["data"]["request"]["upstream_uri"], "/profile?x=1");
    assert_eq!(message["data"]["response"]["status"], 200);
    let unknown = told[1].message.json();
    assert_eq!((&unknown["outcome"], &unknown["reason"]), (&json!("unknown"), &json!("upstream_reset")));
}

#[test]
fn captured_bodies_are_capped_and_redacted() {
    let rule = r#"capture: { request_body: true, response_body: true, max_bytes: 64, redact_headers: [x-token], redact_json: [/password, /cards/*/number] }"#;
    let scene = start(Profiles { rule, ..Profiles::default() });
    let proxy = scene.gateway().proxy();
    let bodies: [&[u8]; 3] =
        [br#"{"password":"p","cards":[{"number":1},{"number":2}],"x":3}"#, &[0xff; 100], &[b'x'; 100]];
    for body in bodies {
        let headers = [("x-token", "secret"), ("authorization", "shown, because the list was replaced")];
        assert_eq!(
            client::send(proxy, "PUT", "/mockbin/profile", &headers, body).expect("an answer").status,
            200
        );
        assert_eq!(scene.upstream.executed().last().expect("one").body, body, "the upstream gets it whole");
    }
    let told = scene.told(3);
    let message = |index: usize| told[index].message.json();
    let captured = &message(0)["request"]["body"];
    let content: Value = serde_json::from_str(captured["content"].as_str().expect("text")).expect("JSON");
    let redacted = json!({ "password": "REDACTED", "cards": [{ "number": "REDACTED" }, { "number": "REDACTED" }], "x": 3 });
    assert_eq!(content, redacted);
    assert_eq!((&captured["encoding"], &captured["truncated"]), (&json!("utf8"), &json!(false)));
    assert_eq!(message(0)["response"]["body"]["content"], r#"{"done":true}"#);
    assert_eq!(message(0)["request"]["headers"]["x-token"], "REDACTED");
    assert_ne!(message(0)["request"]["headers"]["authorization"], "REDACTED");
    for index in [1, 2] {
        let body = &message(index)["request"]["body"];
        assert_eq!((&body["truncated"], &body["size"]), (&json!(true), &json!(100)), "{body}");
        assert_eq!(body["content"], "", "what cannot be looked through for secrets is not kept");
    }
}

#[test]
fn bodies_that_are_no_text_come_in_base64() {
    let scene =
        start(Profiles { rule: "capture: { request_body: true, max_bytes: 3 }", ..Profiles::default() });
    let proxy = scene.gateway().proxy();
    for body in [&[0xff_u8, 0xfe][..], b"text", b"txt"] {
        client::send(proxy, "PUT", "/mockbin/profile", &[], body).expect("an answer");
    }
    let told = scene.told(3);
    let body = |index: usize| told[index].message.json()["request"]["body"].clone();
    assert_eq!(body(0), json!({ "content": "//4=", "encoding": "base64", "truncated": false, "size": 2 }));
    assert_eq!(body(1), json!({ "content": "tex", "encoding": "utf8", "truncated": true, "size": 4 }));
    assert_eq!(body(2), json!({ "content": "txt", "encoding": "utf8", "truncated": false, "size": 3 }));
    assert_eq!(told[0].message.json()["response"].get("body"), None, "only what was asked for");
}

#[test]
fn requests_that_overlap_say_so() {
    let scene = start(Profiles::default());
    assert_eq!(scene.put("?alone").expect("an answer").status, 200);
    scene.told(1);
    let mut both =
        ["?script=wait&n=1", "?script=wait&n=2"].map(|query| scene.put_and_wait_for_upstream(query));
    scene.upstream.release();
    for client in &mut both {
        assert_eq!(client.answer().expect("an answer").status, 200);
    }
    scene.told(3);
    assert_eq!(scene.put("?alone_again").expect("an answer").status, 200);
    let overlapped: Vec<_> = scene.told(4).iter().map(|told| told.event["overlapped"].clone()).collect();
    assert_eq!(overlapped, [false, true, true, false]);
}

#[test]
fn an_sns_envelope_has_its_attributes() {
    let rule = r#"key: "{header:x-user}""#;
    let scene = start(Profiles { rule, subscription: "", ..Profiles::default() });
    let proxy = scene.gateway().proxy();
    for (user, query) in [("ada", ""), ("grace", "?script=reset")] {
        client::send(proxy, "PUT", &format!("/mockbin/profile{query}"), &[("x-user", user)], b"{}")
            .expect("an answer");
    }
    let told = scene.told(2);
    let confirmations = scene.receiver.received().len() - scene.receiver.messages().len();
    assert_eq!(confirmations, 1, "one handshake before the first message");
    for (told, user) in told.iter().zip(["ada", "grace"]) {
        let envelope = told.message.json();
        assert_eq!(envelope["Type"], "Notification");
        assert_eq!(envelope["MessageId"], told.event["id"]);
        assert_eq!(envelope["TopicArn"], "arn:aws:sns:us-east-1:000000000000:profile-changes");
        assert_eq!(envelope["SignatureVersion"], "2");
        let text = |value: &str| json!({ "Type": "String", "Value": value });
        let mut attributes = json!({
            "retrohook_outcome": text(told.outcome()),
            "retrohook_event_id": text(told.event["id"].as_str().expect("an id")),
            "retrohook_rule": text("mockbin/publish-sns"),
            "retrohook_key": text(user),
            "retrohook_sequence": { "Type": "Number", "Value": told.event["sequence"].to_string() },
        });
        if let Some(reason) = told.reason() {
            attributes["retrohook_reason"] = text(reason);
        }
        assert_eq!(envelope["MessageAttributes"], attributes);
        let message: Value = serde_json::from_str(envelope["Message"].as_str().expect("text")).expect("JSON");
        assert_eq!(message["request"]["headers"]["x-user"], user);
    }
    let sequence = |index: usize| told[index].event["sequence"].as_i64().expect("a number");
    assert!(sequence(0) < sequence(1));
}

#[test]
fn every_raw_delivery_names_its_event() {
    let scene = start(Profiles::default());
    for _ in 0..5 {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    let told = scene.told(5);
    let mut sequences = Vec::new();
    for told in &told {
        let header = |name: &str| told.message.header(name).map(str::to_owned);
        assert_eq!(header("x-retrohook-event-id").as_deref(), told.event["id"].as_str());
        assert_eq!(header("x-retrohook-outcome").as_deref(), Some("succeeded"));
        assert_eq!(header("x-retrohook-key").as_deref(), Some("mockbin/profile"));
        assert_eq!(header("x-retrohook-attempt").as_deref(), Some("1"));
        assert_eq!(header("x-retrohook-sequence"), Some(told.event["sequence"].to_string()));
        assert_eq!(header("x-amz-sns-message-id"), header("x-retrohook-event-id"));
        assert_eq!(header("x-amz-sns-rawdelivery").as_deref(), Some("true"));
        sequences.push(told.event["sequence"].as_i64().expect("a number"));
    }
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    wait::until("the deliveries to be noted", || {
        let event = scene.admin().event(told[4].event["id"].as_str().expect("an id"));
        (event["deliveries"][0]["state"] == "delivered").then_some(())
    });
}
