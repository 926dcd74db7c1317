//! Standard Webhooks 1.0.0: three headers and an object with type, timestamp and data.

use bytes::Bytes;
use event::envelope::Format;
use event::{Timestamp, message};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::{Form, Message, ascii, headers_with};
use crate::signing::Secret;

const USER_AGENT: &str = concat!("Retrohook/", env!("CARGO_PKG_VERSION"));

/// The body: a CloudEvents message as it is, any other as the `data` of an object.
pub fn body(message: &Message, form: &Form) -> Bytes {
    match message.format() {
        Some(Format::CloudEvents) => form.text().clone(),
        Some(Format::Kong08) | None => message.wrapped(form).clone(),
    }
}

/// `{"type": …, "timestamp": <of the event>, "data": <the message>}`.
pub(super) fn wrap(message: &Message, text: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.len() + 128);
    body.extend_from_slice(b"{\"type\":");
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(&mut body, message.event_type());
    let timestamp = message.event().body.recorded_at;
    body.extend_from_slice(format!(",\"timestamp\":\"{timestamp}\",\"data\":").as_bytes());
    write_data(&mut body, message, text);
    body.push(b'}');
    body
}

fn write_data(body: &mut Vec<u8>, message: &Message, text: &[u8]) {
    // A message that a rule rendered is JSON already.
    if message.format().is_some() {
        return body.extend_from_slice(text);
    }
    let text = String::from_utf8_lossy(text);
    if message::is_json(&text) {
        return body.extend_from_slice(text.as_bytes());
    }
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(body, &*text);
}

/// The headers, signed with every secret. `now` is the time of this attempt.
pub fn headers(message: &Message, body: &[u8], secrets: &[Secret], now: Timestamp) -> HeaderMap {
    let mut headers = headers_with(message.format().unwrap_or_default().content_type(), USER_AGENT);
    let id = message.event().body.id.to_string();
    let timestamp = now.as_secs().to_string();
    let mut signature = String::with_capacity(48 * secrets.len());
    for secret in secrets {
        if !signature.is_empty() {
            signature.push(' ');
        }
        secret.sign_into(&id, &timestamp, body, &mut signature);
    }
    let name = HeaderName::from_static;
    headers.insert(name("webhook-id"), ascii(id));
    headers.insert(name("webhook-timestamp"), HeaderValue::from(now.as_secs()));
    if !signature.is_empty() {
        headers.insert(name("webhook-signature"), ascii(signature));
    }
    headers
}
