//! `cloudevents`: one CloudEvents 1.0 JSON object in structured mode.
//!
//! | attribute | from |
//! |---|---|
//! | `id` | the event's id |
//! | `source` | `//<host>/<owner>`: the host that the client asked (the address, if it named none), and the service or route that the rule stands on |
//! | `type` | the rule's `event_type` |
//! | `subject` | the service path |
//! | `time` | the publish time: when the outcome was settled |
//! | `partitionkey` | the ordering key |
//! | `sequence` | the position in the log, 19 digits: the extension wants texts that sort |
//! | `outcome`, `reason`, `overlapped` | ours; `reason` only for an unknown outcome, `overlapped` only if true |
//!
//! `data` has the neutral facts. After a restart it has no `response` and no `latencies`. Characters that a CloudEvents string may not
//! hold are percent-encoded.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use super::multi::{self, Multi};
use super::request_size;
use crate::facts::{AnswerFacts, AuthenticatedEntity, CapturedBody, Latencies, RequestFacts, is_false};
use crate::{Event, EventId, Exchange};

#[derive(Serialize)]
struct Message<'a> {
    specversion: &'static str,
    id: EventId,
    source: String,
    r#type: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    partitionkey: Cow<'a, str>,
    sequence: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlapped: Option<bool>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    request: Request<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latencies: Option<Latencies>,
}

#[derive(Serialize)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    uri: &'a str,
    upstream_uri: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    query_truncated: bool,
    scheme: &'a str,
    host: &'a str,
    port: u16,
    headers: Multi<'a, &'a str>,
    #[serde(skip_serializing_if = "is_false")]
    headers_truncated: bool,
    size: u64,
    client_ip: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated_entity: Option<&'a AuthenticatedEntity>,
    /// Milliseconds since the epoch, as in `kong-0.8`.
    started_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a CapturedBody>,
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    headers: Multi<'a, &'a str>,
    #[serde(skip_serializing_if = "is_false")]
    headers_truncated: bool,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a CapturedBody>,
}

pub(super) fn message(
    event: &Event,
    exchange: &Exchange,
    request: &RequestFacts<'_>,
    answer: Option<&AnswerFacts<'_>>,
) -> serde_json::Result<String> {
    let body = &event.body;
    serde_json::to_string(&Message {
        specversion: "1.0",
        id: body.id,
        source: source(request),
        r#type: allowed(&request.rule.event_type),
        subject: allowed(&request.service_path),
        time: rfc_3339(body.recorded_at),
        datacontenttype: "application/json",
        partitionkey: allowed(&body.key),
        sequence: format!("{:019}", event.position.0),
        outcome: exchange.outcome.as_str(),
        reason: exchange.outcome.reason().map(|reason| reason.as_str()),
        overlapped: exchange.overlapped.then_some(true),
        data: data(request, answer),
    })
}

fn data<'a>(request: &'a RequestFacts<'_>, answer: Option<&'a AnswerFacts<'_>>) -> Data<'a> {
    Data {
        request: Request {
            method: &request.method,
            path: &request.service_path,
            uri: &request.uri,
            upstream_uri: &request.upstream_uri,
            query_truncated: request.query_truncated,
            scheme: &request.scheme,
            host: &request.host,
            port: request.port,
            headers: multi::headers(&request.headers, usize::MAX),
            headers_truncated: request.headers_truncated,
            size: request_size(request, answer),
            client_ip: &request.client_ip,
            authenticated_entity: request.authenticated_entity.as_ref(),
            started_at: request.started_at.as_millis(),
            body: answer.and_then(|answer| answer.request_body.as_ref()),
        },
        response: answer.map(|answer| Response {
            status: answer.status,
            headers: multi::headers(&answer.headers, usize::MAX),
            headers_truncated: answer.headers_truncated,
            size: answer.size,
            body: answer.response_body.as_ref(),
        }),
        latencies: answer.map(|answer| answer.latencies),
    }
}

/// The rule's name is `<owner>/<plug-in>`.
fn source(request: &RequestFacts<'_>) -> String {
    let name = &request.rule.name;
    let owner = name.rsplit_once('/').map_or(name.as_str(), |(owner, _)| owner);
    let mut source = String::with_capacity(3 + request.host.len() + owner.len());
    if !request.host.is_empty() {
        source.push_str("//");
        encode(&mut source, &request.host, |c| c.is_ascii_alphanumeric() || "-._~[]:".contains(c));
    }
    source.push('/');
    encode(&mut source, owner, |c| c.is_ascii_alphanumeric() || "-._~".contains(c));
    source
}

/// `None` for a time that RFC 3339 cannot write (after the year 9999).
fn rfc_3339(time: crate::Timestamp) -> Option<String> {
    let mut text = String::with_capacity(24);
    write!(text, "{time}").ok()?;
    Some(text)
}

/// The text as a CloudEvents string: controls and non-characters are percent-encoded.
fn allowed(text: &str) -> Cow<'_, str> {
    let fits =
        |c: char| !c.is_control() && !matches!(c, '\u{fdd0}'..='\u{fdef}') && c as u32 & 0xfffe != 0xfffe;
    if text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    encode(&mut encoded, text, fits);
    Cow::Owned(encoded)
}

/// Appends `text`, with what does not fit as percent-encoded UTF-8.
fn encode(to: &mut String, text: &str, fits: impl Fn(char) -> bool) {
    for c in text.chars() {
        if fits(c) {
            to.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            // Writing into a string never fails.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}
