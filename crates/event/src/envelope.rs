//! Envelopes: the SNS `Message` that a rule's `format` renders from the log's neutral facts, and the attributes beside it.
//!
//! An event is rendered once, on the delivery side, whatever the number of its subscribers. The facts name the format, so a rule
//! that changes it changes the events that come after, never those in the log. A message that somebody published has no rule: it is
//! rendered as it was given, text and attributes. The attributes of an exchange are the same for every format:
//!
//! | attribute | type | when |
//! |---|---|---|
//! | `retrohook_outcome` | String | always: `succeeded` or `unknown` |
//! | `retrohook_event_id` | String | always: the UUID with hyphens |
//! | `retrohook_rule` | String | always: `<service or route>/<plug-in>` |
//! | `retrohook_key` | String | unless the key is empty, which SNS and SQS refuse |
//! | `retrohook_sequence` | Number | always: the position in the log |
//! | `retrohook_reason` | String | for an unknown outcome |
//! | `retrohook_overlapped` | String | `true`, if the request overlapped with another of its key |
//!
//! What they say is never written into the body of `kong-0.8`: consumers of 2016 find there what Kong wrote.

use serde::{Deserialize, Serialize};

use crate::attributes::{AttributeValue, MessageAttributes};
use crate::facts::{AnswerFacts, RequestFacts, RuleFacts};
use crate::message::Details;
use crate::{Content, Event};

mod cloudevents;
mod kong08;
mod multi;

/// The shape of an event's message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Kong 0.8's `basic` serialiser: what consumers of the 2016 plug-in parse.
    #[default]
    #[serde(rename = "kong-0.8")]
    Kong08,
    /// A CloudEvents 1.0 JSON object (structured mode).
    #[serde(rename = "cloudevents")]
    CloudEvents,
}

impl Format {
    /// The media type of the message where it travels raw.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Kong08 => "application/json",
            Self::CloudEvents => "application/cloudevents+json; charset=UTF-8",
        }
    }
}

/// An event as its subscribers get it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The SNS `Message`: of an exchange one JSON object, else any text.
    pub message: String,
    /// What else is known of it.
    pub source: Source,
}

/// Where a rendered event comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An exchange; what its rule says of it.
    Rule(RuleFacts),
    /// A message; what stands beside its text.
    Message(Details),
}

/// Why an event cannot be rendered. No retry mends it: the record itself is damaged, or from a version that this one does not know.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The request's facts do not read.
    #[error("the request's facts of event {id} do not read")]
    Request {
        /// The event.
        id: crate::EventId,
        /// The parser's words.
        #[source]
        source: serde_json::Error,
    },
    /// The answer's facts do not read.
    #[error("the answer's facts of event {id} do not read")]
    Answer {
        /// The event.
        id: crate::EventId,
        /// The parser's words.
        #[source]
        source: serde_json::Error,
    },
    /// What stands beside a message's text does not read.
    #[error("what is stored beside the text of message {id} cannot be read")]
    Details {
        /// The event.
        id: crate::EventId,
        /// The parser's words.
        #[source]
        source: serde_json::Error,
    },
    /// The message could not be written.
    #[error("the message of event {id} could not be written")]
    Write {
        /// The event.
        id: crate::EventId,
        /// The serialiser's words.
        #[source]
        source: serde_json::Error,
    },
}

/// Renders an event: an exchange in the format that its rule asked for, a message as it was given.
///
/// # Errors
/// If the record is damaged or foreign.
pub fn render(event: &Event) -> Result<Rendered, RenderError> {
    let id = event.body.id;
    let exchange = match &event.body.content {
        Content::Exchange(exchange) => exchange,
        Content::Message(message) => {
            let details = message.details().map_err(|source| RenderError::Details { id, source })?;
            return Ok(Rendered { message: (*message.text).to_owned(), source: Source::Message(details) });
        }
    };
    let request = exchange.request().map_err(|source| RenderError::Request { id, source })?;
    let answer = exchange.answer().map_err(|source| RenderError::Answer { id, source })?;
    let message = match request.rule.format {
        Format::Kong08 => kong08::message(&request, answer.as_ref()),
        Format::CloudEvents => cloudevents::message(event, exchange, &request, answer.as_ref()),
    };
    let message = message.map_err(|source| RenderError::Write { id, source })?;
    Ok(Rendered { message, source: Source::Rule(request.rule) })
}

/// The message attributes of an event: those of the table above for an exchange, those that it was published with for a message.
pub fn attributes(event: &Event, source: &Source) -> MessageAttributes {
    match source {
        Source::Rule(rule) => of_exchange(event, rule),
        Source::Message(details) => details.attributes.clone(),
    }
}

fn of_exchange(event: &Event, rule: &RuleFacts) -> MessageAttributes {
    let (body, outcome) = (&event.body, event.body.outcome());
    let mut attributes = MessageAttributes::new();
    let mut put = |name: &str, value| attributes.insert(name.to_owned(), value);
    put("retrohook_outcome", AttributeValue::string(outcome.as_str()));
    put("retrohook_event_id", AttributeValue::string(body.id.to_string()));
    put("retrohook_rule", AttributeValue::string(rule.name.as_str()));
    if !body.key.is_empty() {
        put("retrohook_key", AttributeValue::string(&*body.key));
    }
    put("retrohook_sequence", AttributeValue::number(event.position));
    if let Some(reason) = outcome.reason() {
        put("retrohook_reason", AttributeValue::string(reason.as_str()));
    }
    if body.exchange().is_some_and(|exchange| exchange.overlapped) {
        put("retrohook_overlapped", AttributeValue::string("true"));
    }
    attributes
}

/// The request's bytes: its head, and of its body what was read, as far as the answer's facts tell.
fn request_size(request: &RequestFacts<'_>, answer: Option<&AnswerFacts<'_>>) -> u64 {
    request.head_size.saturating_add(answer.map_or(0, |answer| answer.request_body_size))
}

#[cfg(test)]
mod tests;
