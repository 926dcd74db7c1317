//! The borrowed and the owned form of the facts are one.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::*;
use crate::envelope::Format;
use crate::redaction::Redaction;

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
    let entity = AuthenticatedEntity {
        id: Uuid::from_u128(1),
        consumer_id: Uuid::from_u128(2),
        username: Some("ann".into()),
        custom_id: None,
    };
    let redaction = Redaction::of_secrets();
    let kept = HeadersView::new(&headers, &redaction);
    let view = RequestView {
        rule: &rule,
        method: "PUT",
        scheme: "http",
        host: "api.example.com",
        port: 8000,
        uri: "/profiles/7?x=1",
        service_path: "/profiles/7",
        upstream_uri: "/v1/profiles/7?x=1",
        query_truncated: false,
        upstream_host: "profiles.internal:8080",
        headers: &kept,
        headers_truncated: false,
        head_size: 79,
        client_ip: "10.0.0.1",
        started_at: Timestamp::from_millis(1),
        authenticated_entity: Some(&entity),
        api: &api,
    };
    let written = serde_json::to_string(&view).unwrap();
    let read: RequestFacts<'_> = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
    assert!(!written.contains("secret"));
    assert!(!written.contains("truncated"), "what is whole does not say so");
    let cut = RequestView { query_truncated: true, headers_truncated: true, ..view };
    let cut = serde_json::to_string(&cut).unwrap();
    let again: RequestFacts<'_> = serde_json::from_str(&cut).unwrap();
    assert!(again.query_truncated && again.headers_truncated);
    assert_eq!(serde_json::to_string(&again).unwrap(), cut);
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
    let (headers, redaction) = (HeaderMap::new(), Redaction::default());
    let kept = HeadersView::new(&headers, &redaction);
    let view = AnswerView {
        status: Some(200),
        headers: &kept,
        headers_truncated: true,
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

/// The headers that facts keep, `name=length of the value`, and whether they say that some are missing.
fn kept(lines: &[(&str, usize)], redaction: &Redaction) -> (Vec<String>, bool) {
    let mut headers = HeaderMap::new();
    for (name, length) in lines {
        let value = HeaderValue::from_str(&"v".repeat(*length)).unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), value);
    }
    let view = HeadersView::new(&headers, redaction);
    let pairs: Vec<(String, String)> = serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap();
    let kept = pairs.iter().map(|(name, value)| format!("{name}={}", value.len())).collect();
    (kept, view.is_truncated())
}

#[test]
fn headers_have_sixteen_kib_and_the_largest_go_first() {
    let none = Redaction::default();
    let of = |lines: &[(&str, usize)]| kept(lines, &none);
    // Names count, too.
    let (all, some) = (MAX_HEADERS - 2, MAX_HEADERS - 1);
    assert_eq!(of(&[("aa", all)]), (vec![format!("aa={all}")], false));
    assert_eq!(of(&[("aa", some)]), (vec![], true));
    assert_eq!(
        of(&[("a", 10), ("b", 12_000), ("c", 5), ("d", 4_000), ("e", 500)]),
        (vec!["a=10".into(), "c=5".into(), "d=4000".into(), "e=500".into()], true),
        "the largest one alone is enough"
    );
    assert_eq!(
        of(&[("a", 6_000), ("b", 6_000), ("c", 6_000), ("d", 1)]),
        (vec!["a=6000".into(), "b=6000".into(), "d=1".into()], true),
        "of equal ones the last goes"
    );
    assert_eq!(
        of(&[("a", 9_000), ("b", 9_000), ("c", 9_000), ("d", 9_000)]),
        (vec!["a=9000".into()], true),
        "as many as it takes"
    );
    // Several lines of a name are lines.
    assert_eq!(of(&[("x", 100), ("x", 16_300), ("x", 50)]), (vec!["x=100".into(), "x=50".into()], true));
}

#[test]
fn what_is_redacted_takes_no_room() {
    let lines = [("cookie", 60_000), ("a", MAX_HEADERS - "cookieREDACTED".len() - 1)];
    let (names, truncated) = kept(&lines, &Redaction::of_secrets());
    assert_eq!((names.len(), truncated), (2, false));
    assert!(kept(&lines, &Redaction::default()).1);
}

#[test]
fn headers_are_measured_as_they_are_kept() {
    let mut headers = HeaderMap::new();
    // As text, each of these bytes is two.
    headers.insert("a", HeaderValue::from_bytes(&[0xe9; MAX_HEADERS / 2]).unwrap());
    assert!(HeadersView::new(&headers, &Redaction::default()).is_truncated());
    headers.insert("a", HeaderValue::from_bytes(&[0xe9; MAX_HEADERS / 2 - 1]).unwrap());
    assert!(!HeadersView::new(&headers, &Redaction::default()).is_truncated());
    // The worst that redaction can do to headers that are not looked at.
    let value = "&sig=x".repeat(super::headers::SURELY_FITS / 6 - 1);
    headers.insert("a", HeaderValue::from_str(&value).unwrap());
    let json = serde_json::to_string(&HeadersView::new(&headers, &Redaction::of_secrets())).unwrap();
    assert!(json.len() < MAX_HEADERS && json.contains("sig=REDACTED"), "{}", json.len());
}

#[test]
fn a_header_with_a_url_has_no_secret_of_its_query() {
    let mut headers = HeaderMap::new();
    headers.insert("referer", HeaderValue::from_static("http://a.b/?token=s&x=1"));
    headers.insert("location", HeaderValue::from_bytes(b"/caf\xe9?sig=s").unwrap());
    let json = serde_json::to_string(&HeadersView::new(&headers, &Redaction::of_secrets())).unwrap();
    assert_eq!(json, r#"[["referer","http://a.b/?token=REDACTED&x=1"],["location","/café?sig=REDACTED"]]"#);
}

#[test]
fn a_query_has_sixteen_kib_and_the_last_arguments_go_first() {
    let of = |uri: &str| {
        let borrowed = bounded(uri.into());
        assert_eq!(borrowed, bounded(uri.to_owned().into()));
        (borrowed.0.into_owned(), borrowed.1)
    };
    let long = "v".repeat(MAX_QUERY - 2);
    for whole in ["/a", "/a?", "/a?b=1", &format!("/a?b={long}"), &format!("/{long}{long}")] {
        assert_eq!(of(whole), (whole.to_owned(), false));
    }
    assert_eq!(of(&format!("/a?bb={long}")), ("/a".into(), true));
    assert_eq!(of(&format!("/a?x=1&bb={long}")), ("/a?x=1".into(), true));
    assert_eq!(
        of(&format!("/a?b={long}&")),
        (format!("/a?b={long}"), true),
        "an argument that just fits stays"
    );
    assert_eq!(of(&format!("/a?b={long}&c=1&d=2")), (format!("/a?b={long}"), true));
    assert_eq!(of(&format!("/a?b=1&c=2&{long}")), ("/a?b=1&c=2".into(), true));
}
