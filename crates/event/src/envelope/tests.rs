//! Both envelopes, field by field.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::facts::{BodyEncoding, CapturedBody, Latencies, RuleFacts, Text};
use crate::{EventId, Exchange, Message, NewEvent, Outcome, Position, Timestamp, TopicId, UnknownReason};

const API: &str =
    r#"{"name":"orders","upstream_url":"http://orders.internal:8080/","request_path":"/orders"}"#;

type Lines = Vec<(Text<'static>, Text<'static>)>;

fn lines(headers: &[(&'static str, &'static str)]) -> Lines {
    headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn api() -> &'static RawValue {
    serde_json::from_str(API).unwrap()
}

/// The request of the dossier's example (kong.md F.1).
fn request() -> RequestFacts<'static> {
    RequestFacts {
        rule: RuleFacts {
            name: "orders/publish-sns".into(),
            format: Format::Kong08,
            event_type: "orders.post".into(),
        },
        method: "POST".into(),
        scheme: "http".into(),
        host: "api.example.com".into(),
        port: 8000,
        uri: "/orders".into(),
        service_path: "/".into(),
        upstream_uri: "/".into(),
        query_truncated: false,
        headers_truncated: false,
        upstream_host: Some("orders.internal:8080".into()),
        headers: lines(&[("host", "api.example.com"), ("content-type", "application/json")]),
        head_size: 100,
        client_ip: "10.0.0.1".into(),
        started_at: Timestamp::from_micros(1_458_036_000_123_999),
        authenticated_entity: None,
        api: api(),
    }
}

fn answer() -> AnswerFacts<'static> {
    AnswerFacts {
        status: Some(201),
        headers: lines(&[("content-type", "application/json"), ("via", "retrohook")]),
        headers_truncated: false,
        request_body_size: 43,
        size: 312,
        latencies: Latencies { kong: 1, proxy: 10, request: 12 },
        request_body: None,
        response_body: None,
    }
}

fn body(content: &str) -> CapturedBody {
    let size = content.len() as u64;
    CapturedBody { content: content.into(), encoding: BodyEncoding::Utf8, truncated: false, size }
}

fn event(request: &RequestFacts<'_>, answer: Option<&AnswerFacts<'_>>) -> Event {
    let json = |text: serde_json::Result<String>| -> Arc<str> { text.unwrap().into() };
    Event {
        position: Position(42),
        stamp: crate::Stamp::default(),
        body: NewEvent {
            id: EventId::v7(Timestamp::from_millis(0x0123_4567_89ab), [0xff; 10]),
            topic: TopicId(1),
            key: "orders/".into(),
            recorded_at: Timestamp::from_millis(1_458_036_000_135),
            content: Content::Exchange(Exchange {
                outcome: Outcome::Succeeded,
                overlapped: false,
                request: json(serde_json::to_string(request)),
                answer: answer.map(|answer| json(serde_json::to_string(answer))),
            }),
        },
    }
}

fn exchange(event: &mut Event) -> &mut Exchange {
    event.body.exchange_mut().unwrap()
}

fn unknown_after_restart(request: &RequestFacts<'_>) -> Event {
    let mut event = event(request, None);
    exchange(&mut event).outcome = Outcome::Unknown(UnknownReason::GatewayRestarted);
    event
}

fn message(event: &Event) -> String {
    render(event).unwrap().message
}

fn parsed(event: &Event) -> Value {
    serde_json::from_str(&message(event)).unwrap()
}

fn as_cloudevent(request: RequestFacts<'_>) -> RequestFacts<'_> {
    let rule = RuleFacts { format: Format::CloudEvents, ..request.rule };
    RequestFacts { rule, ..request }
}

#[test]
fn kong_08_is_the_example_of_the_dossier_in_a_fixed_order() {
    let expected = concat!(
        r#"{"request":{"method":"POST","uri":"/orders","request_uri":"http://api.example.com:8000/orders","#,
        r#""querystring":{},"size":"143","#,
        r#""headers":{"host":"api.example.com","content-type":"application/json"}},"#,
        r#""response":{"status":201,"size":"312","#,
        r#""headers":{"content-type":"application/json","via":"retrohook"}},"#,
        r#""latencies":{"kong":1,"proxy":10,"request":12},"#,
        r#""api":{"name":"orders","upstream_url":"http://orders.internal:8080/","request_path":"/orders"},"#,
        r#""client_ip":"10.0.0.1","started_at":1458036000123}"#
    );
    assert_eq!(message(&event(&request(), Some(&answer()))), expected);
}

#[test]
fn kong_08_reads_the_query_as_nginx_does() {
    let cases = [
        ("/o", json!({})),
        ("/o?", json!({})),
        ("/o?a=1&b=2", json!({"a": "1", "b": "2"})),
        ("/o?a=1&b&a=2&a", json!({"a": ["1", "2", true], "b": true})),
        ("/o?a=&=x&&b=", json!({"a": "", "b": ""})),
        ("/o?n%61me=caf%C3%A9+%2B%26&x=%zz%4", json!({"name": "café +&", "x": "%zz%4"})),
        ("/o?latin=%E9", json!({"latin": "é"})),
        ("/o?a=b=c?d", json!({"a": "b=c?d"})),
    ];
    for (uri, expected) in cases {
        let request = RequestFacts { uri: uri.into(), ..request() };
        let message = parsed(&event(&request, Some(&answer())));
        assert_eq!(message["request"]["querystring"], expected, "{uri}");
        assert_eq!(message["request"]["uri"], uri);
        assert_eq!(message["request"]["request_uri"], format!("http://api.example.com:8000{uri}"));
    }
}

#[test]
fn kong_08_takes_a_hundred_arguments_and_a_hundred_headers() {
    let query: Vec<String> = (0..101).map(|n| format!("q{n}={n}")).collect();
    let headers = (0..101).map(|n| (format!("x-{n}").into(), n.to_string().into())).collect();
    let request = RequestFacts { uri: format!("/o?{}", query.join("&")).into(), headers, ..request() };
    let message = parsed(&event(&request, Some(&answer())));
    for (object, last, beyond) in [("querystring", "q99", "q100"), ("headers", "x-99", "x-100")] {
        let object = &message["request"][object];
        assert_eq!(object.as_object().unwrap().len(), 100);
        assert_eq!(object[last], "99");
        assert_eq!(object.get(beyond), None);
    }
}

#[test]
fn header_names_are_lower_case_and_repeats_are_arrays() {
    let headers = lines(&[("X-Tag", "1"), ("accept", "*/*"), ("x-tag", "2"), ("x-latin", "café")]);
    let request = RequestFacts { headers: headers.clone(), ..request() };
    let answer = AnswerFacts { headers, ..answer() };
    let expected = json!({"x-tag": ["1", "2"], "accept": "*/*", "x-latin": "café"});
    let kong = parsed(&event(&request, Some(&answer)));
    assert_eq!(kong["request"]["headers"], expected);
    assert_eq!(kong["response"]["headers"], expected);
    let cloudevent = parsed(&event(&as_cloudevent(request), Some(&answer)));
    assert_eq!(cloudevent["data"]["request"]["headers"], expected);
    assert_eq!(cloudevent["data"]["response"]["headers"], expected);
}

#[test]
fn a_header_value_that_is_not_utf_8_is_read_as_latin_1() {
    use http::header::{HeaderMap, HeaderValue};
    let mut headers = HeaderMap::new();
    headers.insert("x-latin", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    let redaction = crate::redaction::Redaction::default();
    let view = crate::facts::HeadersView::new(&headers, &redaction);
    let written = serde_json::to_string(&view).unwrap();
    let request = RequestFacts { headers: serde_json::from_str(&written).unwrap(), ..request() };
    assert_eq!(parsed(&event(&request, Some(&answer())))["request"]["headers"], json!({"x-latin": "café"}));
}

#[test]
fn kong_08_has_what_the_client_was_told_when_the_outcome_is_unknown() {
    let mut told = event(&request(), Some(&AnswerFacts { status: Some(504), ..answer() }));
    exchange(&mut told).outcome = Outcome::Unknown(UnknownReason::UpstreamTimeout);
    assert_eq!(parsed(&told)["response"]["status"], 504);

    let nothing = AnswerFacts { status: None, headers: Vec::new(), size: 0, ..answer() };
    let mut untold = event(&request(), Some(&nothing));
    exchange(&mut untold).outcome = Outcome::Unknown(UnknownReason::UpstreamReset);
    assert_eq!(parsed(&untold)["response"], json!({"size": "0", "headers": {}}));
}

#[test]
fn kong_08_after_a_restart_has_empty_objects_for_what_nobody_knows() {
    let message = parsed(&unknown_after_restart(&request()));
    assert_eq!(message["response"], json!({}));
    assert_eq!(message["latencies"], json!({}));
    assert_eq!(message["request"]["size"], "100");
    assert_eq!(message["started_at"], 1_458_036_000_123_u64);
}

#[test]
fn who_was_recognised_stands_in_both_formats_and_nobody_in_none() {
    let (id, consumer_id) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let entity =
        crate::facts::AuthenticatedEntity { id, consumer_id, username: Some("ann".into()), custom_id: None };
    let known = RequestFacts { authenticated_entity: Some(entity), ..request() };
    let expected = json!({"id": id, "consumer_id": consumer_id, "username": "ann"});
    assert_eq!(parsed(&event(&known, Some(&answer())))["authenticated_entity"], expected);
    let rule = RuleFacts { format: Format::CloudEvents, ..known.rule.clone() };
    let cloud = parsed(&event(&RequestFacts { rule, ..known }, Some(&answer())));
    assert_eq!(cloud["data"]["request"]["authenticated_entity"], expected);
    assert!(parsed(&event(&request(), Some(&answer()))).get("authenticated_entity").is_none());
}

#[test]
fn bodies_appear_only_when_they_were_captured() {
    let captured =
        AnswerFacts { request_body: Some(body("{}")), response_body: Some(body("ok")), ..answer() };
    let expected = json!({"content": "{}", "encoding": "utf8", "truncated": false, "size": 2});
    let kong = parsed(&event(&request(), Some(&captured)));
    assert_eq!(kong["request"]["body"], expected);
    assert_eq!(kong["response"]["body"]["content"], "ok");
    let cloudevent = parsed(&event(&as_cloudevent(request()), Some(&captured)));
    assert_eq!(cloudevent["data"]["request"]["body"], expected);
    assert_eq!(cloudevent["data"]["response"]["body"]["content"], "ok");
    for request in [request(), as_cloudevent(request())] {
        assert!(!message(&event(&request, Some(&answer()))).contains("\"body\""));
    }
}

#[test]
fn cloudevents_has_the_required_attributes_and_neutral_data() {
    let request = as_cloudevent(RequestFacts { service_path: "/orders/7".into(), ..request() });
    let message = parsed(&event(&request, Some(&answer())));
    let expected = json!({
        "specversion": "1.0",
        "id": "01234567-89ab-7fff-bfff-ffffffffffff",
        "source": "//api.example.com/orders",
        "type": "orders.post",
        "subject": "/orders/7",
        "time": "2016-03-15T10:00:00.135Z",
        "datacontenttype": "application/json",
        "partitionkey": "orders/",
        "sequence": "0000000000000000042",
        "outcome": "succeeded",
        "data": {
            "request": {
                "method": "POST",
                "path": "/orders/7",
                "uri": "/orders",
                "upstream_uri": "/",
                "scheme": "http",
                "host": "api.example.com",
                "port": 8000,
                "headers": {"host": "api.example.com", "content-type": "application/json"},
                "size": 143,
                "client_ip": "10.0.0.1",
                "started_at": 1_458_036_000_123_u64,
            },
            "response": {
                "status": 201,
                "headers": {"content-type": "application/json", "via": "retrohook"},
                "size": 312,
            },
            "latencies": {"kong": 1, "proxy": 10, "request": 12},
        },
    });
    assert_eq!(message, expected);
}

#[test]
fn cloudevents_after_a_restart_says_so() {
    let mut event = unknown_after_restart(&as_cloudevent(request()));
    exchange(&mut event).overlapped = true;
    let message = parsed(&event);
    assert_eq!(message["outcome"], "unknown");
    assert_eq!(message["reason"], "gateway_restarted");
    assert_eq!(message["overlapped"], true);
    assert_eq!(message["data"].get("response"), None);
    assert_eq!(message["data"].get("latencies"), None);
    assert_eq!(message["data"]["request"]["size"], 100);
}

#[test]
fn cloudevents_strings_hold_nothing_that_the_specification_forbids() {
    let mut request = as_cloudevent(request());
    request.host = "ex ample".into();
    request.rule.name = "my orders/ä/publish-sns".into();
    request.service_path = "/a\u{0}b\u{85}c\u{ffff}😀".into();
    let mut event = event(&request, Some(&answer()));
    event.body.key = "".into();
    let message = parsed(&event);
    assert_eq!(message["source"], "//ex%20ample/my%20orders%2F%C3%A4");
    assert_eq!(message["subject"], "/a%00b%C2%85c%EF%BF%BF😀");
    assert_eq!(message.get("partitionkey"), None);
    request.host = "".into();
    assert_eq!(parsed(&self::event(&request, None))["source"], "/my%20orders%2F%C3%A4");
}

#[test]
fn cloudevents_knows_each_non_character_and_its_neighbours() {
    for (path, expected) in [
        ("\u{fdcf}\u{fdf0}", "\u{fdcf}\u{fdf0}"),
        ("\u{fdd0}", "%EF%B7%90"),
        ("\u{fdef}", "%EF%B7%AF"),
        ("\u{fffd}", "\u{fffd}"),
        ("\u{fffe}", "%EF%BF%BE"),
        ("\u{1fffd}\u{20000}", "\u{1fffd}\u{20000}"),
        ("\u{1ffff}", "%F0%9F%BF%BF"),
        (" \u{7f}\u{a0}", " %7F\u{a0}"),
    ] {
        let request = as_cloudevent(RequestFacts { service_path: path.into(), ..request() });
        assert_eq!(parsed(&event(&request, None))["subject"], expected);
    }
}

#[test]
fn the_media_type_is_that_of_the_format() {
    assert_eq!(Format::Kong08.content_type(), "application/json");
    assert_eq!(Format::CloudEvents.content_type(), "application/cloudevents+json; charset=UTF-8");
    assert_eq!(Format::default(), Format::Kong08);
}

#[test]
fn a_time_that_cannot_be_written_is_left_out() {
    let mut event = event(&as_cloudevent(request()), None);
    event.body.recorded_at = Timestamp::from_micros(u64::MAX);
    assert_eq!(parsed(&event).get("time"), None);
}

#[test]
fn cloudevents_sequences_sort_as_texts() {
    let sequence = |position| {
        let mut event = event(&as_cloudevent(request()), None);
        event.position = Position(position);
        parsed(&event)["sequence"].as_str().unwrap().to_owned()
    };
    assert!(sequence(9) < sequence(10));
    assert!(sequence(10) < sequence(i64::MAX));
}

#[test]
fn attributes_are_the_same_for_every_format() {
    let names = |event: &Event| -> Vec<(String, String, String)> {
        let attributes = attributes(event, &render(event).unwrap().source);
        attributes.into_iter().map(|(name, value)| (name, value.data_type, value.value)).collect()
    };
    let owned = |rows: &[(&str, &str, &str)]| -> Vec<(String, String, String)> {
        rows.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
    };
    let id = "01234567-89ab-7fff-bfff-ffffffffffff";
    for request in [request(), as_cloudevent(request())] {
        let mut event = event(&request, Some(&answer()));
        assert_eq!(
            names(&event),
            owned(&[
                ("retrohook_event_id", "String", id),
                ("retrohook_key", "String", "orders/"),
                ("retrohook_outcome", "String", "succeeded"),
                ("retrohook_rule", "String", "orders/publish-sns"),
                ("retrohook_sequence", "Number", "42"),
            ])
        );
        exchange(&mut event).outcome = Outcome::Unknown(UnknownReason::BoundReached);
        exchange(&mut event).overlapped = true;
        event.body.key = "".into();
        assert_eq!(
            names(&event),
            owned(&[
                ("retrohook_event_id", "String", id),
                ("retrohook_outcome", "String", "unknown"),
                ("retrohook_overlapped", "String", "true"),
                ("retrohook_reason", "String", "bound_reached"),
                ("retrohook_rule", "String", "orders/publish-sns"),
                ("retrohook_sequence", "Number", "42"),
            ])
        );
    }
}

#[test]
fn what_was_left_out_is_said_in_both_formats() {
    let cut = RequestFacts { query_truncated: true, headers_truncated: true, ..request() };
    let cut_answer = AnswerFacts { headers_truncated: true, ..answer() };
    let said = |request: RequestFacts<'_>, answer: AnswerFacts<'_>| {
        let kong = parsed(&event(&request, Some(&answer)));
        let cloud = parsed(&event(&as_cloudevent(request), Some(&answer)))["data"].clone();
        [kong, cloud].map(|message| {
            let flag = |of: &str, name: &str| message[of].get(name).cloned();
            [
                flag("request", "query_truncated"),
                flag("request", "headers_truncated"),
                flag("response", "headers_truncated"),
            ]
        })
    };
    let (yes, no) = (Some(json!(true)), None);
    assert_eq!(
        said(cut, cut_answer),
        [[yes.clone(), yes.clone(), yes.clone()], [yes.clone(), yes.clone(), yes]]
    );
    assert_eq!(
        said(request(), answer()),
        [[no.clone(), no.clone(), no.clone()], [no.clone(), no.clone(), no]]
    );
}

#[test]
fn kong_08_does_not_change_with_outcome_or_overlap() {
    let mut event = event(&request(), Some(&answer()));
    let before = message(&event);
    exchange(&mut event).outcome = Outcome::Unknown(UnknownReason::UpstreamTimeout);
    exchange(&mut event).overlapped = true;
    assert_eq!(message(&event), before);
}

#[test]
fn a_damaged_record_is_an_error_that_names_the_event() {
    let mut event = event(&request(), Some(&answer()));
    exchange(&mut event).answer = Some("{}".into());
    let error = render(&event).unwrap_err();
    assert!(matches!(error, RenderError::Answer { .. }));
    assert!(error.to_string().contains("01234567-89ab-7fff-bfff-ffffffffffff"));
    exchange(&mut event).request = "no JSON".into();
    assert!(matches!(render(&event).unwrap_err(), RenderError::Request { .. }));
}

#[test]
fn a_message_is_rendered_as_it_was_given() {
    let attributes = MessageAttributes::from([("n".to_owned(), AttributeValue::number(7))]);
    let details =
        Details { subject: Some("Hi".into()), attributes: attributes.clone(), ..Details::default() };
    let mut published = event(&request(), None);
    published.body.content = Content::Message(Message::new("any <text>", &details));
    let rendered = render(&published).unwrap();
    assert_eq!(rendered, Rendered { message: "any <text>".into(), source: Source::Message(details) });
    assert_eq!(super::attributes(&published, &rendered.source), attributes, "none of ours beside them");
    published.body.content = Content::Message(Message { text: "x".into(), details: Some("{".into()) });
    let error = render(&published).unwrap_err();
    assert!(matches!(error, RenderError::Details { .. }));
    assert!(error.to_string().contains("01234567-89ab-7fff-bfff-ffffffffffff"));
}

fn any_headers() -> impl Strategy<Value = Lines> {
    let text = || any::<String>().prop_map(Text::from);
    proptest::collection::vec((text(), text()), 0..6)
}

fn any_body() -> impl Strategy<Value = Option<CapturedBody>> {
    proptest::option::of(any::<String>().prop_map(|content| body(&content)))
}

prop_compose! {
    fn any_request()(
        texts in proptest::array::uniform8(any::<String>()),
        headers in any_headers(),
        query in "[a-c%+&=?]{0,40}",
        cloudevents in any::<bool>(),
        port in any::<u16>(),
        head_size in any::<u64>(),
        started_at in any::<u64>(),
        (query_truncated, headers_truncated) in any::<(bool, bool)>(),
    ) -> RequestFacts<'static> {
        let [name, event_type, method, scheme, host, uri, service_path, upstream_uri] = texts;
        let format = if cloudevents { Format::CloudEvents } else { Format::Kong08 };
        RequestFacts {
            rule: RuleFacts { name, format, event_type },
            method: method.into(), scheme: scheme.into(), host: host.into(), port,
            uri: format!("{uri}?{query}").into(),
            service_path: service_path.into(), upstream_uri: upstream_uri.into(), upstream_host: None, headers, head_size,
            query_truncated, headers_truncated,
            client_ip: "::1".into(),
            started_at: Timestamp::from_micros(started_at),
            authenticated_entity: None,
            api: api(),
        }
    }
}

prop_compose! {
    fn any_answer()(
        status in any::<Option<u16>>(),
        headers in any_headers(),
        sizes in any::<(u64, u64)>(),
        (kong, proxy, request) in any::<(i64, i64, i64)>(),
        request_body in any_body(),
        response_body in any_body(),
    ) -> AnswerFacts<'static> {
        AnswerFacts {
            status, headers, headers_truncated: false,
            request_body_size: sizes.0,
            size: sizes.1,
            latencies: Latencies { kong, proxy, request },
            request_body, response_body,
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_facts_render_to_a_json_object(
        request in any_request(),
        answer in proptest::option::of(any_answer()),
        key in any::<String>(),
        (position, recorded_at, overlapped) in any::<(i64, u64, bool)>(),
    ) {
        let mut event = event(&request, answer.as_ref());
        event.position = Position(position);
        event.body.key = key.into();
        event.body.recorded_at = Timestamp::from_micros(recorded_at);
        exchange(&mut event).overlapped = overlapped;
        let message = parsed(&event);
        prop_assert!(message.is_object());
        let (at, value) = match request.rule.format {
            Format::Kong08 => (&message["request"]["uri"], &request.uri),
            Format::CloudEvents => (&message["data"]["request"]["uri"], &request.uri),
        };
        prop_assert_eq!(at, &**value);
    }
}
