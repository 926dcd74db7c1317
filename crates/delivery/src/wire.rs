//! What an endpoint receives: the body and the headers of a delivery, in the subscription's format.
//!
//! | format | body | signature |
//! |---|---|---|
//! | [`WireFormat::Sns`] | SNS's JSON envelope around the message | RSA, in the envelope |
//! | [`WireFormat::SnsRaw`] | the message | none |
//! | [`WireFormat::StandardWebhooks`] | `{"type", "timestamp", "data": <the message>}`; a CloudEvents message as it is | `webhook-signature` |
//!
//! The message of an exchange is what its rule's `format` makes of it; one that somebody published is its text. If the text is not a JSON object
//! or array, the `data` of Standard Webhooks is a string.
//!
//! Every delivery, raw ones too, carries `x-retrohook-outcome`, `x-retrohook-event-id`, `x-retrohook-sequence`, `x-retrohook-attempt`
//! and, where the key is ASCII without control characters, `x-retrohook-key`.

pub mod cache;
pub mod envelope;
pub mod message;
pub mod sns;
pub mod standard_webhooks;

use bytes::Bytes;
use event::{Event, Timestamp};
use http::header::{CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use storage::entities::Protocol;

pub use message::{Form, Message};

use crate::signing::{Secret, SnsKeyError};
use crate::sink::{Content, Job};

/// How a subscription wants its deliveries.
#[derive(Clone, Debug)]
pub enum WireFormat {
    /// SNS's envelope.
    Sns,
    /// SNS's raw delivery.
    SnsRaw,
    /// Standard Webhooks, signed with every one of the secrets: two of them while they are rotated, none for no signature.
    StandardWebhooks(Vec<Secret>),
}

/// A request without its endpoint.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What is needed of a subscription to make its deliveries.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// How it wants its deliveries.
    pub format: WireFormat,
    /// The `Content-Type` of its notifications in SNS's form, raw or not, if it is not SNS's own.
    pub content_type: Option<HeaderValue>,
    /// Its protocol: a structured message may have a text for it.
    pub protocol: Protocol,
    /// The names in its deliveries.
    pub names: sns::Names,
}

impl Recipient {
    /// The request for a job, signed as the format requires.
    ///
    /// # Errors
    /// If there is no key to sign with.
    pub async fn request(&self, job: Job) -> Result<Outgoing, SnsKeyError> {
        let Job { content, at, sns_key } = job;
        match content {
            Content::Event { message, number } => {
                let signed = if self.wants_sns_signature() {
                    let key = sns_key.ok_or(SnsKeyError::Generate)?;
                    Some(message.signed(self.protocol, &self.names, &key).await?)
                } else {
                    None
                };
                Ok(self.notification(&message, number, at, signed))
            }
            Content::Confirmation(confirmation) => {
                let key = sns_key.ok_or(SnsKeyError::Generate)?;
                let text = confirmation.string_to_sign(&self.names);
                let signed = sns::sign(&self.names, text, key).await?;
                Ok(confirmation.request(&self.names, &signed))
            }
        }
    }

    /// Whether a notification needs [`sns::Signed`].
    pub fn wants_sns_signature(&self) -> bool {
        matches!(self.format, WireFormat::Sns)
    }

    /// An event's delivery. `now` is the time of this attempt, its `attempt`th; `signed` is there if
    /// [`Self::wants_sns_signature`].
    pub fn notification(
        &self,
        message: &Message,
        attempt: u32,
        now: Timestamp,
        signed: Option<&sns::Signed>,
    ) -> Outgoing {
        let form = message.form(self.protocol);
        let (mut headers, body) = match &self.format {
            WireFormat::Sns => {
                let headers = self.sns_headers(message, sns::Delivery::Envelope);
                (headers, Bytes::from(sns::notification(&self.names, message, form.text(), signed)))
            }
            WireFormat::SnsRaw => {
                let headers = self.sns_headers(message, sns::Delivery::Raw);
                (headers, form.text().clone())
            }
            WireFormat::StandardWebhooks(secrets) => {
                let body = standard_webhooks::body(message, form);
                (standard_webhooks::headers(message, &body, secrets, now), body)
            }
        };
        add_retrohook_headers(&mut headers, message.event(), attempt);
        Outgoing { headers, body }
    }

    fn sns_headers(&self, message: &Message, delivery: sns::Delivery) -> HeaderMap {
        let mut headers = sns::headers(&self.names, message, delivery);
        if let Some(content_type) = &self.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        headers
    }
}

fn add_retrohook_headers(headers: &mut HeaderMap, event: &Event, attempt: u32) {
    let name = HeaderName::from_static;
    let outcome = HeaderValue::from_static(event.body.outcome().as_str());
    headers.insert(name("x-retrohook-outcome"), outcome);
    headers.insert(name("x-retrohook-event-id"), ascii(event.body.id));
    headers.insert(name("x-retrohook-sequence"), HeaderValue::from(event.position.0));
    headers.insert(name("x-retrohook-attempt"), HeaderValue::from(attempt));
    let key = HeaderValue::from_str(&event.body.key).ok();
    if let Some(key) = key.filter(|key| key.as_bytes().is_ascii()) {
        headers.insert(name("x-retrohook-key"), key);
    }
}

/// A new map with the two headers that every request has.
fn headers_with(content_type: &'static str, agent: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers
}

/// A header value from something in ASCII: ids, ARNs, numbers. Anything else gives an empty value.
fn ascii(value: impl ToString) -> HeaderValue {
    HeaderValue::try_from(value.to_string()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
