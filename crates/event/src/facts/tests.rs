//! The borrowed and the owned form of the facts are one.

use http::header::{AUTHORIZATION, HeaderValue};

use super::*;
use crate::envelope::Format;

#[test]
fn what_a_view_writes_the_facts_read() {
    let rule = RuleFacts {
        name: "profiles/publish-sns".into(),
        format: Format::Kong08,
        event_type: "profile.updated".into(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-latin", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    headers.append("x-twice", HeaderValue::from_static("1"));
    headers.append("x-twice", HeaderValue::from_static("2"));
    let api = RawValue::from_string(r#"{"name":"profiles"}"#.into()).unwrap();
    let view = RequestView {
        rule: &rule,
        method: "PUT",
        scheme: "http",
        host: "api.example.com",
        port: 8000,
        uri: "/profiles/7?x=1",
        service_path: "/profiles/7",
        upstream_uri: "/v1/profiles/7?x=1",
        headers: HeadersView { headers: &headers, redact: &[AUTHORIZATION] },
        head_size: 79,
        client_ip: "10.0.0.1",
        started_at: Timestamp::from_millis(1),
        api: &api,
    };
    let written = serde_json::to_string(&view).unwrap();
    let read: RequestFacts<'_> = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
    assert!(!written.contains("secret"));
    let pair = |name: &'static str, value: &'static str| (Text::from(name), Text::from(value));
    assert_eq!(
        read.headers,
        [
            pair("x-latin", "café"),
            pair("authorization", REDACTED),
            pair("x-twice", "1"),
            pair("x-twice", "2")
        ]
    );
}

#[test]
fn an_answer_reads_back_too() {
    let body = CapturedBody { content: "{}".into(), encoding: BodyEncoding::Utf8, truncated: false, size: 2 };
    let view = AnswerView {
        status: Some(200),
        headers: HeadersView { headers: &HeaderMap::new(), redact: &[] },
        request_body_size: 2,
        size: 434,
        latencies: Latencies { kong: 1, proxy: 10, request: 12 },
        request_body: None,
        response_body: Some(&body),
    };
    let written = serde_json::to_string(&view).unwrap();
    let read: AnswerFacts<'_> = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}
