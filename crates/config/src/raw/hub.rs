//! The entities that Kong does not have: topics, subscriptions and queues.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A name that events are published to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Topic {
    /// Its name: 1 to 256 letters, digits, hyphens and underscores.
    pub(crate) name: String,
    /// The subscribers that get each event.
    #[serde(default)]
    subscriptions: Vec<Subscription>,
    /// A comment; ignored.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
}

/// An endpoint that gets each event of a topic. A subscription is the same one, with what it is owed, as long as its name stays the same;
/// without a name, as long as topic, protocol and endpoint stay the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Subscription {
    /// The topic. Leave it out if the subscription is written under its topic.
    #[serde(default)]
    pub(crate) topic: Option<String>,
    /// Its name, unique in its topic: 1 to 256 letters, digits, hyphens and underscores. A subscription with a name keeps what it is owed when
    /// its endpoint changes.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// How the endpoint is reached.
    pub(crate) protocol: SubscriptionProtocol,
    /// A URL, or for `sqs` the name of a queue.
    pub(crate) endpoint: String,
    /// Whether the message is sent alone, without SNS's envelope.
    #[serde(default)]
    pub(crate) raw_message_delivery: Option<bool>,
    /// The format of a delivery.
    #[serde(default)]
    pub(crate) format: Option<Format>,
    /// The `Content-Type` of deliveries in SNS's form, with or without envelope, like `application/json`; by default `text/plain;
    /// charset=UTF-8`, as SNS sends. A request to confirm always has SNS's.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// The version of the signature in SNS's envelopes and requests to confirm: 1 is RSA with SHA-1, which AWS's topics have by default; 2, the
    /// default here, is RSA with SHA-256.
    #[serde(default)]
    #[schemars(range(min = 1, max = 2))]
    pub(crate) signature_version: Option<u8>,
    /// The key that signs deliveries, `whsec_…` or `{vault://env/NAME}`; for `standard-webhooks`.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub(crate) secret: Option<SecretText>,
    /// Several keys, for the time in which one replaces another. A delivery has a signature by each.
    #[serde(default)]
    pub(crate) secrets: Option<Vec<SecretText>>,
    /// Whether the endpoint must confirm by SNS's handshake before it gets deliveries.
    #[serde(default)]
    pub(crate) confirm: Option<Confirm>,
    /// Whether events that have the same key are delivered in order.
    #[serde(default)]
    pub(crate) fifo: Option<bool>,
    /// The longest time for one attempt, in milliseconds; by default 15000.
    #[serde(default)]
    #[schemars(range(min = 100, max = 60000))]
    pub(crate) timeout: Option<u32>,
    /// The largest number of deliveries at the same time; by default 256.
    #[serde(default)]
    #[schemars(range(min = 1, max = 256))]
    pub(crate) max_in_flight: Option<u16>,
    /// A comment; ignored.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
}

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-not-yet-values" = ["email", "email-json", "sms", "lambda", "application", "firehose"]))]
pub(crate) enum SubscriptionProtocol {
    /// A webhook over plain HTTP.
    Http,
    /// A webhook over TLS.
    Https,
    /// A queue of this gateway.
    Sqs,
}

/// The format of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// As SNS delivers: its headers, and its envelope unless `raw_message_delivery` is set.
    Sns,
    /// As standardwebhooks.com says, signed with `secret`.
    StandardWebhooks,
}

/// Whether an endpoint must confirm by SNS's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confirm {
    /// It must confirm.
    Required,
    /// It gets deliveries at once, because whoever wrote the file knows that the endpoint wants them.
    Skip,
}

/// A secret, or a reference to one. It is never printed.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("writeOnly" = true))]
pub(crate) struct SecretText(pub(crate) String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// When a queue gives a message up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedrivePolicy {
    /// The queue that gets it, by its bare name.
    pub(crate) dead_letter_queue: String,
    /// How often a message is handed out before that.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_receive_count: u32,
}

/// A queue that workers receive from, as in SQS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Queue {
    /// Its name: 1 to 80 letters, digits, hyphens and underscores.
    pub(crate) name: String,
    /// How long a received message is hidden from other workers, in seconds.
    #[serde(default = "half_minute")]
    #[schemars(range(min = 0, max = 43200))]
    pub(crate) visibility_timeout: u32,
    /// How long a receive waits for a message, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 20))]
    pub(crate) receive_wait_time: u32,
    /// How long a message is kept if nobody receives and deletes it, in seconds. A message that is dropped is counted, and a log line says so.
    #[serde(default = "fortnight")]
    #[schemars(range(min = 60, max = 1209600))]
    pub(crate) message_retention_period: u32,
    /// A comment; ignored.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
    /// When the queue gives a message up: it is then another queue's. Without it, a message is handed out until it is deleted.
    #[serde(default)]
    pub(crate) redrive_policy: Option<RedrivePolicy>,
}

fn half_minute() -> u32 {
    30
}

fn fortnight() -> u32 {
    1_209_600
}
