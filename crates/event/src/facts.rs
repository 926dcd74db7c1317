//! The neutral facts of an exchange, as the log stores them: JSON that does not depend on the rule's format.
//!
//! On the hot path the facts are written straight from the HTTP types ([`RequestView`], [`AnswerView`]: borrowed, one buffer); an
//! envelope reads them back ([`RequestFacts`], [`AnswerFacts`]), borrowed from the record where JSON escaped nothing. A test makes
//! sure that the two forms agree. Header values that are not UTF-8 are read as Latin-1.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Timestamp;

mod headers;
mod query;

pub use headers::{HeadersView, MAX_HEADERS};
pub use query::{MAX_QUERY, bounded};

/// What stands in the place of a redacted value, as in Kong.
pub const REDACTED: &str = "REDACTED";

/// What a rule says about the shape of its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFacts {
    /// `<service or route>/<plug-in>`, as it stands in the `rule` attribute.
    pub name: String,
    /// The envelope of the SNS `Message`.
    pub format: crate::envelope::Format,
    /// The CloudEvents `type`.
    pub event_type: String,
}

/// What the client asked and what was forwarded; borrowed from the exchange.
#[derive(Debug, Serialize)]
pub struct RequestView<'a> {
    /// The rule that matched.
    pub rule: &'a RuleFacts,
    /// Upper case.
    pub method: &'a str,
    /// `http` or `https`, of the listener.
    pub scheme: &'a str,
    /// Of the Host header: lower case, no port. The address that the client connected to if there was none (HTTP/1.0).
    pub host: &'a str,
    /// The listener's port.
    pub port: u16,
    /// The raw request target, with the query but for its secrets.
    pub uri: &'a str,
    /// The normalised path after `strip_path`, before the service's own path, in the reading that matched.
    pub service_path: &'a str,
    /// Path and query as sent to the upstream, but for the query's secrets.
    pub upstream_uri: &'a str,
    /// A query was longer than [`MAX_QUERY`] and is not there as a whole.
    #[serde(skip_serializing_if = "is_false")]
    pub query_truncated: bool,
    /// The Host as sent to the upstream.
    pub upstream_host: &'a str,
    /// The headers as sent to the upstream, in no order: with what plug-ins set, without what concerned the client's connection and without
    /// what the gateway itself sets. The Host is the client's.
    pub headers: &'a HeadersView<'a>,
    /// Some headers were left out: [`HeadersView::is_truncated`].
    #[serde(skip_serializing_if = "is_false")]
    pub headers_truncated: bool,
    /// Request line and headers, in bytes, as far as known; the body's bytes stand in the answer.
    pub head_size: u64,
    /// The peer's address.
    pub client_ip: &'a str,
    /// When its head had arrived.
    pub started_at: Timestamp,
    /// Whom the gateway has recognised, if anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated_entity: Option<&'a AuthenticatedEntity>,
    /// The 0.8 `api` object, made once from service and route.
    pub api: &'a RawValue,
}

/// [`RequestView`], read back from a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of RequestView")]
pub struct RequestFacts<'a> {
    pub rule: RuleFacts,
    #[serde(borrow)]
    pub method: Text<'a>,
    pub scheme: Text<'a>,
    pub host: Text<'a>,
    pub port: u16,
    pub uri: Text<'a>,
    pub service_path: Text<'a>,
    pub upstream_uri: Text<'a>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub query_truncated: bool,
    /// Absent in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_host: Option<Text<'a>>,
    pub headers: Vec<(Text<'a>, Text<'a>)>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub headers_truncated: bool,
    pub head_size: u64,
    pub client_ip: Text<'a>,
    pub started_at: Timestamp,
    /// Absent in records of older versions, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated_entity: Option<AuthenticatedEntity>,
    pub api: &'a RawValue,
}

/// Whom the gateway has recognised, and by which credential. Kong's two ids, and the consumer's names beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticatedEntity {
    /// The credential's id.
    pub id: Uuid,
    /// The consumer's id.
    pub consumer_id: Uuid,
    /// The consumer's name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The consumer's name elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
}

/// What came back; borrowed from the exchange.
#[derive(Debug, Serialize)]
pub struct AnswerView<'a> {
    /// The status that the client was told; absent if it was told nothing.
    pub status: Option<u16>,
    /// The headers sent to the client.
    pub headers: &'a HeadersView<'a>,
    /// Some headers were left out: [`HeadersView::is_truncated`].
    #[serde(skip_serializing_if = "is_false")]
    pub headers_truncated: bool,
    /// The request body, in bytes, as far as it was read.
    pub request_body_size: u64,
    /// The answer's head and body, in bytes, as far as they were sent.
    pub size: u64,
    /// Durations, in milliseconds.
    pub latencies: Latencies,
    /// If the rule captures it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<&'a CapturedBody>,
    /// If the rule captures it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<&'a CapturedBody>,
}

/// [`AnswerView`], read back from a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of AnswerView")]
pub struct AnswerFacts<'a> {
    pub status: Option<u16>,
    #[serde(borrow)]
    pub headers: Vec<(Text<'a>, Text<'a>)>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub headers_truncated: bool,
    pub request_body_size: u64,
    pub size: u64,
    pub latencies: Latencies,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<CapturedBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<CapturedBody>,
}

/// A text of a record: borrowed, unless JSON had to escape something in it. (A plain `Cow` would always be read as its owned form.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Text<'a> {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;

        impl<'de> Visitor<'de> for AnyText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(text.into())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(text.to_owned().into())
            }
        }

        deserializer.deserialize_str(AnyText)
    }
}

/// Kong's latencies, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// Spent in the gateway.
    pub kong: i64,
    /// Waiting for the upstream; -1 when it did not answer.
    pub proxy: i64,
    /// From the first byte of the request to the last of the answer.
    pub request: i64,
}

/// A body that a rule asked for, cut at the rule's cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedBody {
    /// The body's text, or its base64.
    pub content: String,
    /// How `content` is to be read.
    pub encoding: BodyEncoding,
    /// `content` is not the whole body.
    pub truncated: bool,
    /// The whole body's size, in bytes, as far as it was seen.
    pub size: u64,
}

/// How a captured body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// As it is.
    Utf8,
    /// Standard base64 with padding, of a body that is not UTF-8.
    Base64,
}

/// The bytes as UTF-8 where they are, else as Latin-1.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
