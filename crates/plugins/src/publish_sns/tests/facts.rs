//! What an event says of its exchange: the text that was matched, the facts, captured bodies, redaction.

use std::sync::Arc;

use bytes::Bytes;
use event::Fate;
use event::facts::{AnswerFacts, BodyEncoding, CapturedBody, RequestFacts, Text};
use event::redaction::CredentialNames;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use pipeline::{Forward, Joint, Wants};
use serde_json::{Value, json};

use super::super::rule::default_type;
use super::bench::{Bench, answer, block_on, context};

/// The facts of the one event that comes of a `PUT` with these headers and bodies.
fn facts(
    options: Value,
    headers: &HeaderMap,
    bodies: (&[&'static str], &[&'static str]),
) -> (RequestFacts<'static>, AnswerFacts<'static>) {
    let bench = Bench::new(options);
    let mut watch = bench.watch_of(headers, |_| {}).unwrap();
    block_on(watch.intend(&mut Joint::alone()).unwrap()).unwrap();
    for chunk in bodies.0 {
        watch.request_body(&Bytes::from_static(chunk.as_bytes()));
    }
    for chunk in bodies.1 {
        watch.response_body(&Bytes::from_static(chunk.as_bytes()));
    }
    assert!(watch.settle(Fate::Answered { status: 200 }, &answer(headers)).is_none());
    let events = bench.events();
    assert_eq!(events.len(), 1);
    // The facts borrow from it.
    let exchange = events.leak()[0].body.exchange().unwrap();
    (exchange.request().unwrap(), exchange.answer().unwrap().unwrap())
}

fn text(content: &str, truncated: bool, size: u64) -> Option<CapturedBody> {
    Some(CapturedBody { content: content.into(), encoding: BodyEncoding::Utf8, truncated, size })
}

#[test]
fn the_default_type_is_one_that_standard_webhooks_allow() {
    for (owner, method, expected) in [
        ("profiles", "PUT", "profiles.put"),
        ("my-profiles", "PUT", "my_profiles.put"),
        ("org.example.profiles_v2", "POST", "org.example.profiles_v2.post"),
        ("profiles~\u{e9}", "M-SEARCH", "profiles__.m_search"),
        (".a..b.", "PUT", "_.a._.b._.put"),
        ("", "A.B", "_.a_b"),
    ] {
        assert_eq!(default_type(owner, method), expected, "{owner:?}");
    }
}

#[test]
fn the_facts_say_what_was_asked_and_answered() {
    let (request, answer) = facts(json!({}), &HeaderMap::new(), (&[], &[]));
    let expected = json!({
        "rule": {"name": "users/publish-sns", "format": "kong-0.8", "event_type": "users.put"},
        "method": "PUT", "scheme": "http", "host": "localhost", "port": 8000,
        "uri": "/v1/profiles/7?x=1", "service_path": "/profiles/7", "upstream_uri": "/api/profiles/7?x=1",
        "upstream_host": "users.internal:8080", "headers": [], "head_size": 99, "client_ip": "127.0.0.1", "started_at": 1_700_000_000_000_000_u64,
        "api": {"name": "users"},
    });
    assert_eq!(serde_json::to_value(request).unwrap(), expected);
    let expected = json!({
        "status": 200, "headers": [], "request_body_size": 2, "size": 120,
        "latencies": {"kong": 1, "proxy": 2, "request": 4},
    });
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
}

/// Services repeat what they are asked: in a redirect, in a header of their own.
#[test]
fn a_credential_that_the_answer_repeats_is_left_out_of_the_event() {
    let bench = Bench::new(json!({ "capture": { "redact": "none" } }));
    let names =
        CredentialNames { headers: vec![HeaderName::from_static("x-door")], arguments: vec!["door".into()] };
    let mut context = context();
    context.carried.names.push(Arc::new(names));
    let mut headers = HeaderMap::new();
    headers.insert("x-door", HeaderValue::from_static("hunter2"));
    headers.insert("location", HeaderValue::from_static("/elsewhere?a=1&door=hunter2"));
    headers.insert("x-token", HeaderValue::from_static("open"));
    let mut watch = bench.watch_of(&headers, |forward| forward.context = &context).unwrap();
    block_on(watch.intend(&mut Joint::alone()).unwrap()).unwrap();
    assert!(watch.settle(Fate::Answered { status: 200 }, &answer(&headers)).is_none());
    let events = bench.events();
    let exchange = events[0].body.exchange().unwrap();
    for facts in [&exchange.request, exchange.answer.as_ref().unwrap()] {
        assert!(!facts.contains("hunter2") && facts.contains("/elsewhere?a=1&door=REDACTED"), "{facts}");
        assert!(facts.contains("open"), "the rule leaves nothing out: {facts}");
    }
}

#[test]
fn type_and_format_are_those_of_the_rule() {
    let options = json!({"format": "cloudevents", "event_type": "com.example.changed"});
    let (request, _) = facts(options, &HeaderMap::new(), (&[], &[]));
    let expected =
        json!({"name": "users/publish-sns", "format": "cloudevents", "event_type": "com.example.changed"});
    assert_eq!(serde_json::to_value(request.rule).unwrap(), expected);
}

#[test]
fn the_matcher_sees_the_text_that_match_on_names() {
    type Change = fn(&mut Forward<'_>);
    let unchanged: Change = |_| {};
    let delete: Change = |forward| forward.method = &Method::DELETE;
    let get: Change = |forward| forward.method = &Method::GET;
    // The gateway normalises the paths before it asks; the raw target stays what the client wrote.
    let escaped: Change = |forward| forward.uri = "/v1/%70rofiles/7";
    let doubled: Change = |forward| forward.uri = "/v1//profiles/./7?x=1";
    let cases = [
        ("service_path", "^/profiles/7$", unchanged, true),
        ("service_path", "^/profiles/7$", escaped, true),
        ("service_path", "^/profiles/7$", doubled, true),
        ("service_path", "^/v1/", unchanged, false),
        ("service_path", "x=1", unchanged, false),
        ("service_path", "^/profiles/7$", delete, false),
        ("service_path", "^/profiles/7$", get, false),
        ("request_path", "^/v1/profiles/7$", unchanged, true),
        ("request_path", "^/v1/profiles/7$", escaped, true),
        ("request_path", "^/v1/profiles/7$", doubled, true),
        ("request_path", "^/profiles/7$", unchanged, false),
        ("request_uri", r"^/v1/profiles/7\?x=1$", unchanged, true),
        ("request_uri", "profiles/7", escaped, true),
        ("request_uri", "^/v1/%70rofiles/7", escaped, true),
        ("request_uri", r"^/v1/profiles/7\?x=1$", doubled, true),
        ("request_uri", "^/v1//profiles", doubled, true),
    ];
    for (match_on, matcher, change, expected) in cases {
        let routes = json!([{"method": "PUT", "matcher": matcher}]);
        let bench = Bench::new(json!({"match_on": match_on, "routes": routes}));
        let headers = HeaderMap::new();
        let watch = bench.watch_of(&headers, |forward| change(forward));
        assert_eq!(watch.is_some(), expected, "{match_on} {matcher}");
    }
}

#[test]
fn the_key_uses_the_groups_of_the_text_that_was_matched() {
    let bench = Bench::new(json!({"key": "p-{1}-{header:x-tenant}"}));
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("acme"));
    let routes = json!([{"method": "PUT", "matcher": "(x=.)"}]);
    let raw = Bench::new(json!({"key": "{1}", "match_on": "request_uri", "routes": routes}));
    for (bench, expected) in [(bench, "p-7-acme"), (raw, "x=1")] {
        let mut watch = bench.watch_of(&headers, |_| {});
        block_on(watch.as_mut().unwrap().intend(&mut Joint::alone()).unwrap()).unwrap();
        drop(watch);
        assert_eq!(&*bench.events()[0].body.key, expected);
    }
}

#[test]
fn bodies_are_wanted_and_kept_only_when_asked_for() {
    let chunks: (&[&str], &[&str]) = (&["{\"a\"", ":1}"], &["o", "k"]);
    let cases = [
        (json!({}), false, false),
        (json!({"request_body": true}), true, false),
        (json!({"response_body": true}), false, true),
        (json!({"request_body": true, "response_body": true}), true, true),
    ];
    for (capture, request, response) in cases {
        let options = json!({"capture": capture});
        let wants = Bench::new(options.clone()).watch().wants();
        assert_eq!(wants, Wants { request_body: request, response_body: response });
        let (_, answer) = facts(options, &HeaderMap::new(), chunks);
        assert_eq!(answer.request_body, if request { text("{\"a\":1}", false, 7) } else { None });
        assert_eq!(answer.response_body, if response { text("ok", false, 2) } else { None });
    }
}

#[test]
fn bodies_are_cut_and_redacted_before_they_are_stored() {
    let options = json!({"capture": {
        "request_body": true, "response_body": true, "max_bytes": 20, "redact_json": ["/pass"],
    }});
    let chunks: (&[&str], &[&str]) = (&["{\"pass\":", "\"s3cr3t\"}"], &["{\"pass\":\"s3cr3t\",\"more\":1}"]);
    let (_, answer) = facts(options, &HeaderMap::new(), chunks);
    assert_eq!(answer.request_body, text(r#"{"pass":"REDACTED"}"#, false, 17));
    assert_eq!(answer.response_body, text("", true, 26));
    let (_, answer) = facts(
        json!({"capture": {"request_body": true, "max_bytes": 4}}),
        &HeaderMap::new(),
        (&["abc", "def"], &[]),
    );
    assert_eq!(answer.request_body, text("abcd", true, 6));
}

/// `name=value` of each, as the request's and the answer's facts have them.
fn values(options: Value, headers: &HeaderMap) -> [String; 2] {
    let text = |headers: &[(Text<'_>, Text<'_>)]| {
        headers.iter().map(|(name, value)| [name, "=", value].concat()).collect::<Vec<_>>().join(" ")
    };
    let (request, answer) = facts(options, headers, (&[], &[]));
    [text(&request.headers), text(&answer.headers)]
}

#[test]
fn secret_headers_never_reach_the_facts() {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "cookie", "x-api-key", "x-tenant", "x-consumer-token"] {
        headers.insert(name, HeaderValue::from_static("s3cr3t"));
    }
    for (capture, expected) in [
        (json!({}), [true, true, true, false, false]),
        (json!({"redact": "none"}), [false; 5]),
        (json!({"redact_headers": ["X-Tenant"]}), [false, false, false, true, false]),
        (json!({"redact": "none", "redact_headers": ["X-Tenant"]}), [false, false, false, true, false]),
        (json!({"redact_headers": ["default", "X-Tenant"]}), [true, true, true, true, false]),
        (json!({"redact": "none", "redact_headers": ["default"]}), [true, true, true, false, false]),
        (json!({"redact_headers": []}), [false; 5]),
        (json!({"redact_query": []}), [true, true, true, false, false]),
    ] {
        let line = |(name, is_secret): (&HeaderName, bool)| {
            format!("{name}={}", if is_secret { "REDACTED" } else { "s3cr3t" })
        };
        let expected = headers.keys().zip(expected).map(line).collect::<Vec<_>>().join(" ");
        assert_eq!(values(json!({"capture": capture}), &headers), [expected.clone(), expected], "{capture}");
    }
}

#[test]
fn a_header_of_the_key_is_not_redacted_by_default() {
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-user", HeaderValue::from_static("ada"));
    headers.insert("x-auth", HeaderValue::from_static("s3cr3t"));
    let expected = "x-auth-user=ada x-auth=REDACTED".to_owned();
    assert_eq!(values(json!({"key": "{header:X-Auth-User}"}), &headers), [expected.clone(), expected]);
    let expected = "x-auth-user=REDACTED x-auth=REDACTED".to_owned();
    assert_eq!(values(json!({}), &headers), [expected.clone(), expected]);
}

/// What the request's facts say of its target, after a change of it.
fn targets(options: Value, uri: &'static str) -> [String; 2] {
    let bench = Bench::new(options);
    let headers = HeaderMap::new();
    let mut watch =
        bench.watch_of(&headers, |forward| (forward.uri, forward.upstream_uri) = (uri, uri)).unwrap();
    block_on(watch.intend(&mut Joint::alone()).unwrap()).unwrap();
    drop(watch);
    let events = bench.events();
    let request = events[0].body.exchange().unwrap().request().unwrap();
    [request.uri.to_string(), request.upstream_uri.to_string()]
}

#[test]
fn secrets_of_the_query_never_reach_the_facts() {
    let uri = "/v1/profiles/7?token=a&code=b&state=c&session=d";
    for (capture, expected) in [
        (json!({}), "/v1/profiles/7?token=REDACTED&code=REDACTED&state=c&session=d"),
        (json!({"redact": "none"}), uri),
        (json!({"redact_query": []}), uri),
        (json!({"redact_query": ["session"]}), "/v1/profiles/7?token=a&code=b&state=c&session=REDACTED"),
        (
            json!({"redact": "none", "redact_query": ["default", "session"]}),
            "/v1/profiles/7?token=REDACTED&code=REDACTED&state=c&session=REDACTED",
        ),
        (json!({"redact_headers": []}), "/v1/profiles/7?token=REDACTED&code=REDACTED&state=c&session=d"),
    ] {
        assert_eq!(targets(json!({"capture": capture}), uri), [expected, expected], "{capture}");
    }
}

#[test]
fn no_secret_gets_into_a_key_by_the_way() {
    let key = |options: Value, uri: &'static str| {
        let bench = Bench::new(options);
        let mut headers = HeaderMap::new();
        headers.insert("referer", HeaderValue::from_static("http://a.b/?token=s3cr3t"));
        let mut watch = bench.watch_of(&headers, |forward| forward.uri = uri).unwrap();
        block_on(watch.intend(&mut Joint::alone()).unwrap()).unwrap();
        drop(watch);
        bench.events()[0].body.key.to_string()
    };
    let routes = json!([{"method": "PUT", "matcher": "^/v1/(.*)$"}]);
    let options = json!({"key": "{1}", "match_on": "request_uri", "routes": routes});
    assert_eq!(key(options, "/v1/profiles/7?x=1&token=s3cr3t"), "profiles/7?x=1&token=REDACTED");
    assert_eq!(key(json!({"key": "{header:referer}"}), "/v1/profiles/7"), "http://a.b/?token=REDACTED");
}
