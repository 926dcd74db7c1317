//! Our own entities: topics, subscriptions and queues.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where events are published.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Topic {
    /// Its name: 1 to 256 letters, digits, hyphens and underscores.
    pub(crate) name: String,
    /// Who hears of each event.
    #[serde(default)]
    subscriptions: Vec<Subscription>,
    /// A remark.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
}

/// Who hears of each event of a topic. It is the same one as long as its name stays the same; one without a name, as long as topic, protocol
/// and endpoint do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Subscription {
    /// The topic; not in a subscription that is under one.
    #[serde(default)]
    pub(crate) topic: Option<String>,
    /// Its name, unique in its topic: 1 to 256 letters, digits, hyphens and underscores. Under a name it keeps what it is owed when its
    /// endpoint changes.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// How the endpoint is reached.
    pub(crate) protocol: SubscriptionProtocol,
    /// A URL, or for `sqs` the name of a queue.
    pub(crate) endpoint: String,
    /// Send the message alone, without SNS's envelope.
    #[serde(default)]
    pub(crate) raw_message_delivery: Option<bool>,
    /// The shape of a delivery.
    #[serde(default)]
    pub(crate) format: Option<Format>,
    /// The key that signs deliveries, `whsec_…` or `{vault://env/NAME}`; for `standard-webhooks`.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub(crate) secret: Option<SecretText>,
    /// Several keys while one takes the place of another; a delivery carries a signature of each.
    #[serde(default)]
    pub(crate) secrets: Option<Vec<SecretText>>,
    /// Whether the endpoint must answer SNS's handshake before it is delivered to.
    #[serde(default)]
    pub(crate) confirm: Option<Confirm>,
    /// Keep the order of events that have the same key.
    #[serde(default)]
    pub(crate) fifo: Option<bool>,
    /// For a whole attempt, in milliseconds; 15000 if there is none.
    #[serde(default)]
    #[schemars(range(min = 100, max = 60000))]
    pub(crate) timeout: Option<u32>,
    /// Deliveries under way at the same time; 256 if there is none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 256))]
    pub(crate) max_in_flight: Option<u16>,
    /// A remark.
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

/// The shape of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// As SNS delivers.
    Sns,
    /// As standardwebhooks.com says, signed with `secret`.
    StandardWebhooks,
}

/// Whether an endpoint must answer SNS's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confirm {
    /// It must.
    Required,
    /// The file's author vouches for the endpoint.
    Skip,
}

/// A secret as it is written, or a reference to one. Never printed.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("writeOnly" = true))]
pub(crate) struct SecretText(pub(crate) String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
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
    /// How long a message is kept that nobody receives and deletes, in seconds. What goes is counted and said in a log line.
    #[serde(default = "fortnight")]
    #[schemars(range(min = 60, max = 1209600))]
    pub(crate) message_retention_period: u32,
    /// A remark.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
}

fn half_minute() -> u32 {
    30
}

fn fortnight() -> u32 {
    1_209_600
}
