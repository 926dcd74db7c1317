//! Envelopes: the SNS `Message` that a rule's `format` renders from the log's neutral facts.

use serde::{Deserialize, Serialize};

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
