//! `kong-0.8`: what Kong 0.8's `basic` serialiser wrote and the 2016 plug-in published.
//!
//! Sizes are strings, `request_uri` is the whole URL with the port, names that repeat have arrays; order of keys is that of the
//! structs below. Where this differs from Kong, on purpose:
//! * `/` is not escaped as `\/` (lua-cjson's habit): to a JSON parser both are the same.
//! * `authenticated_entity` has the consumer's `username` and `custom_id` beside the two ids that it had. It is absent, as it was, for every request
//!   without a credential.
//! * Header values and query parameters that the rule redacts read `REDACTED`; 0.8 published them as they were.
//! * `headers_truncated` and `query_truncated` are ours. They appear, as `true`, only where something was left out.
//! * `request.body` and `response.body` are ours. They appear only when the rule asked for capture.
//! * What nobody knows is absent, never invented: after a restart `response` and `latencies` are `{}` and `request.size` is that of
//!   the head; `response` says what the client was told, also by the gateway itself, and its `status` is absent when it was nothing.
//!   The objects themselves are always there, so that `message.response.status` of a consumer finds nothing instead of failing.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::multi::{self, Multi};
use super::request_size;
use crate::facts::{AnswerFacts, AuthenticatedEntity, CapturedBody, Latencies, RequestFacts, is_false};
use crate::percent::decode;

/// Kong reads no more header lines and no more arguments than this.
const MAX_LINES: usize = 100;

#[derive(Serialize)]
struct Message<'a> {
    request: Request<'a>,
    response: Response<'a>,
    latencies: LatenciesOrEmpty,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated_entity: Option<&'a AuthenticatedEntity>,
    api: &'a RawValue,
    client_ip: &'a str,
    started_at: u64,
}

#[derive(Serialize)]
struct Request<'a> {
    method: &'a str,
    uri: &'a str,
    request_uri: String,
    querystring: Multi<'a, Argument<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    query_truncated: bool,
    size: String,
    headers: Multi<'a, &'a str>,
    #[serde(skip_serializing_if = "is_false")]
    headers_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a CapturedBody>,
}

/// All of it is absent after a restart.
#[derive(Default, Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Multi<'a, &'a str>>,
    #[serde(skip_serializing_if = "is_false")]
    headers_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a CapturedBody>,
}

/// Kong's three numbers, or `{}` when nobody took the time.
#[derive(Serialize)]
struct LatenciesOrEmpty {
    #[serde(flatten)]
    known: Option<Latencies>,
}

/// An argument's value: text, or `true` where the query has a name without `=`.
enum Argument<'a> {
    Value(Cow<'a, str>),
    NoValue,
}

impl Serialize for Argument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(text) => serializer.serialize_str(text),
            Self::NoValue => serializer.serialize_bool(true),
        }
    }
}

pub(super) fn message(
    request: &RequestFacts<'_>,
    answer: Option<&AnswerFacts<'_>>,
) -> serde_json::Result<String> {
    let RequestFacts { scheme, host, port, uri, .. } = request;
    let (scheme, host, uri): (&str, &str, &str) = (scheme, host, uri);
    serde_json::to_string(&Message {
        request: Request {
            method: &request.method,
            uri,
            request_uri: format!("{scheme}://{host}:{port}{uri}"),
            querystring: Multi(arguments(uri)),
            query_truncated: request.query_truncated,
            size: request_size(request, answer).to_string(),
            headers: multi::headers(&request.headers, MAX_LINES),
            headers_truncated: request.headers_truncated,
            body: answer.and_then(|answer| answer.request_body.as_ref()),
        },
        response: answer.map(response).unwrap_or_default(),
        latencies: LatenciesOrEmpty { known: answer.map(|answer| answer.latencies) },
        authenticated_entity: request.authenticated_entity.as_ref(),
        api: request.api,
        client_ip: &request.client_ip,
        started_at: request.started_at.as_millis(),
    })
}

fn response<'a>(answer: &'a AnswerFacts<'_>) -> Response<'a> {
    Response {
        status: answer.status,
        size: Some(answer.size.to_string()),
        headers: Some(multi::headers(&answer.headers, MAX_LINES)),
        headers_truncated: answer.headers_truncated,
        body: answer.response_body.as_ref(),
    }
}

/// The query's arguments as nginx's Lua reads them: `+` is a space, an argument with an empty name is left out.
fn arguments(uri: &str) -> Vec<(Cow<'_, str>, Argument<'_>)> {
    let Some((_, query)) = uri.split_once('?') else { return Vec::new() };
    let named = query.split('&').take(MAX_LINES).map(|argument| match argument.split_once('=') {
        Some((name, value)) => (decode(name), Argument::Value(decode(value))),
        None => (decode(argument), Argument::NoValue),
    });
    named.filter(|(name, _)| !name.is_empty()).collect()
}
