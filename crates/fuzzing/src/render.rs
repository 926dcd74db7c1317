//! Rendering of `kong-0.8` and `cloudevents` from facts of any exchange.
//!
//! Read as: flags (a byte each: cloudevents, an answer, unknown, overlapped, bodies), numbers, then lines with the request's parts, its
//! headers (`name: value`, up to another line), and the answer's. What must hold: the message is one JSON object in which the facts
//! stand as they were; every attribute has a value; a CloudEvent has what its specification demands.

use std::cell::OnceCell;

use event::envelope::{Format, attributes, render};
use event::facts::{AnswerFacts, BodyEncoding, CapturedBody, Latencies, RequestFacts, RuleFacts, Text};
use event::{
    Content, Event, EventId, Exchange, NewEvent, Outcome, Position, Timestamp, TopicId, UnknownReason,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::input::Input;

/// Kong reads no more header lines.
const KONG_LINES: usize = 100;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let cloudevents = input.yes();
    let has_answer = input.yes();
    let outcome = match input.byte() {
        flag if flag & 1 == 0 => Outcome::Succeeded,
        flag => Outcome::Unknown(UnknownReason::ALL[usize::from(flag >> 1) % UnknownReason::ALL.len()]),
    };
    let overlapped = input.yes();
    let position = Position((input.number() >> 1) as i64);
    let recorded_at = Timestamp::from_micros(input.number());
    let api = OnceCell::new();
    let request = request(&mut input, &api, if cloudevents { Format::CloudEvents } else { Format::Kong08 });
    let key = input.line();
    let answer = has_answer.then(|| answer(&mut input));
    let json =
        |facts: serde_json::Result<String>| -> std::sync::Arc<str> { facts.expect("facts are JSON").into() };
    let body = NewEvent {
        id: EventId::from_bytes(*b"0123456789abcdef"),
        topic: TopicId(1),
        key: key.into(),
        recorded_at,
        content: Content::Exchange(Exchange {
            outcome,
            overlapped,
            request: json(serde_json::to_string(&request)),
            answer: answer.as_ref().map(|answer| json(serde_json::to_string(answer))),
        }),
    };
    let event = Event { position, stamp: event::Stamp::default(), body };
    let rendered = render(&event).expect("facts that read can be rendered");
    let attributes = attributes(&event, &rendered.source);
    for (name, attribute) in &attributes {
        assert!(!attribute.value.is_empty(), "SNS and SQS refuse an attribute without a value: {name}");
    }
    assert_eq!(attributes["retrohook_outcome"].value, outcome.as_str());
    assert_eq!(attributes.contains_key("retrohook_overlapped"), overlapped);
    assert_eq!(attributes.contains_key("retrohook_key"), !event.body.key.is_empty());
    let message: Value = serde_json::from_str(&rendered.message).expect("JSON");
    match cloudevents {
        true => is_a_cloud_event(&message, &event, &request, answer.as_ref()),
        false => is_kongs(&message, &request, answer.as_ref()),
    }
}

fn request<'a>(input: &mut Input<'_>, api: &'a OnceCell<Box<RawValue>>, format: Format) -> RequestFacts<'a> {
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let name = format!("{}/publish-sns", or(input.line(), "profiles"));
    RequestFacts {
        // Neither is ever empty: the configuration's check sees to it.
        rule: RuleFacts { name, format, event_type: or(input.line(), "profiles.put") },
        method: input.line().into(),
        scheme: "http".into(),
        host: input.line().into(),
        port: u16::from(input.byte()),
        uri: input.line().into(),
        service_path: input.line().into(),
        upstream_uri: input.line().into(),
        query_truncated: false,
        headers_truncated: false,
        upstream_host: None,
        head_size: input.number(),
        client_ip: input.line().into(),
        started_at: Timestamp::from_micros(input.number()),
        headers: texts(input.pairs()),
        authenticated_entity: None,
        api: api.get_or_init(|| api_of(&input.line())),
    }
}

fn texts(pairs: Vec<(String, String)>) -> Vec<(Text<'static>, Text<'static>)> {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The configuration makes it from a value; half a surrogate, say, is not in any.
fn api_of(text: &str) -> Box<RawValue> {
    let value: Option<Value> = serde_json::from_str(text).ok();
    let json = value.and_then(|value| RawValue::from_string(value.to_string()).ok());
    json.unwrap_or_else(|| RawValue::NULL.to_owned())
}

fn answer(input: &mut Input<'_>) -> AnswerFacts<'static> {
    let captures = input.byte();
    let mut body = |bit: u8| {
        let content = input.line();
        (captures & bit != 0).then_some(CapturedBody {
            size: content.len() as u64,
            encoding: BodyEncoding::Utf8,
            truncated: captures & 4 != 0,
            content,
        })
    };
    let (request_body, response_body) = (body(1), body(2));
    AnswerFacts {
        status: Some(u16::from(input.byte()) + 200).filter(|_| captures & 8 == 0),
        request_body_size: input.number(),
        size: input.number(),
        latencies: Latencies { kong: input.number() as i64, proxy: -1, request: 5 },
        request_body,
        response_body,
        headers: texts(input.pairs()),
        headers_truncated: false,
    }
}

fn is_kongs(message: &Value, request: &RequestFacts<'_>, answer: Option<&AnswerFacts<'_>>) {
    let said = &message["request"];
    assert_eq!(said["uri"], *request.uri);
    assert_eq!(said["method"], *request.method);
    assert!(said["size"].as_str().is_some_and(|size| size.parse::<u64>().is_ok()), "sizes are texts");
    assert!(said["querystring"].is_object());
    has_headers(&said["headers"], &request.headers, KONG_LINES);
    assert_eq!(message["client_ip"], *request.client_ip);
    assert_eq!(message["started_at"], request.started_at.as_millis());
    let told = &message["response"];
    match answer {
        Some(answer) => {
            assert_eq!(told["status"].as_u64(), answer.status.map(u64::from));
            has_headers(&told["headers"], &answer.headers, KONG_LINES);
            assert_eq!(
                told["body"]["content"].as_str(),
                answer.response_body.as_ref().map(|body| &*body.content)
            );
        }
        None => assert_eq!((told, &message["latencies"]), (&serde_json::json!({}), &serde_json::json!({}))),
    }
}

/// Whether every header stands there with each of its values.
fn has_headers(said: &Value, headers: &[(Text<'_>, Text<'_>)], most: usize) {
    for (name, value) in headers.iter().take(most) {
        let found = match &said[name.to_ascii_lowercase()] {
            Value::Array(values) => values.iter().any(|one| *one == **value),
            one => *one == **value,
        };
        assert!(found, "{name:?}: {value:?} in {said}");
    }
}

fn is_a_cloud_event(
    message: &Value,
    event: &Event,
    request: &RequestFacts<'_>,
    answer: Option<&AnswerFacts<'_>>,
) {
    assert_eq!(message["specversion"], "1.0");
    assert_eq!(message["id"], event.body.id.to_string());
    for (name, value) in message.as_object().expect("an object").iter().filter(|(name, _)| *name != "data") {
        assert!(
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "{name}"
        );
        let Some(text) = value.as_str() else { continue };
        assert!(!text.is_empty(), "no attribute is empty: {name}");
        assert!(!text.chars().any(char::is_control), "{name}: {text:?}");
    }
    let source = message["source"].as_str().expect("a source");
    assert!(
        source.is_ascii() && source.starts_with('/') && !source.contains([' ', '"', '<', '>', '\\']),
        "{source}"
    );
    assert!(message["type"].is_string());
    assert_eq!(message["sequence"].as_str().map(str::len), Some(19), "sequences sort as texts");
    assert_eq!(message["reason"].as_str(), event.body.outcome().reason().map(UnknownReason::as_str));
    let data = &message["data"]["request"];
    assert_eq!(
        (&data["uri"], &data["path"]),
        (&Value::from(&*request.uri), &Value::from(&*request.service_path))
    );
    has_headers(&data["headers"], &request.headers, usize::MAX);
    let told = &message["data"]["response"];
    assert_eq!(told["status"].as_u64(), answer.and_then(|answer| answer.status).map(u64::from));
}
