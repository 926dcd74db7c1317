//! Our own entities: topics, subscriptions and queues.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ELSEWHERE, NotYet};

const TOPIC_ATTRIBUTE: &str = "topics have no attributes yet: remove the key";
const FIFO_TOPIC: &str =
    "remove the key; `fifo: true` on a subscription over http keeps the order within a key of events";
const FILTER: &str = "every subscription gets all events of its topic: remove the key, or give each kind of event a topic of its own";
const DEAD_LETTERS: &str = "remove the key: what cannot be delivered is kept as a dead letter and can be sent again, see GET /retrohook/dead-letters on the admin port";
const RETRIES: &str =
    "remove the key: a delivery is tried for three days; `timeout` and `max_in_flight` can be set";
const QUEUE_REDRIVE: &str = "remove the key: a message is handed out until it is deleted; its receive count is in ApproximateReceiveCount";
const FIFO_QUEUE: &str = "queues are standard ones: remove the key";
const QUEUE_ATTRIBUTE: &str = "queues have `visibility_timeout`, `receive_wait_time` and `message_retention_period` only: remove the key";

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
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    display_name: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    delivery_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    signature_version: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    tracing_config: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    kms_master_key_id: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    archive_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TOPIC_ATTRIBUTE))]
    data_protection_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_TOPIC))]
    fifo_topic: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_TOPIC))]
    content_based_deduplication: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_TOPIC))]
    fifo_throughput_scope: NotYet,
}

/// Who hears of each event of a topic. It is the same one as long as its name stays the same; one without a name, as long as topic, protocol
/// and endpoint do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Subscription {
    /// The topic; not in a subscription that stands under one.
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
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FILTER))]
    filter_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FILTER))]
    filter_policy_scope: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = DEAD_LETTERS))]
    redrive_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = RETRIES))]
    delivery_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = ELSEWHERE))]
    replay_policy: NotYet,
    /// SNS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = ELSEWHERE))]
    subscription_role_arn: NotYet,
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
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_REDRIVE))]
    redrive_policy: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_REDRIVE))]
    redrive_allow_policy: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_QUEUE))]
    fifo_queue: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_QUEUE))]
    content_based_deduplication: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_QUEUE))]
    deduplication_scope: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = FIFO_QUEUE))]
    fifo_throughput_limit: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_ATTRIBUTE))]
    delay_seconds: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_ATTRIBUTE))]
    maximum_message_size: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_ATTRIBUTE))]
    policy: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_ATTRIBUTE))]
    kms_master_key_id: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_ATTRIBUTE))]
    kms_data_key_reuse_period_seconds: NotYet,
    /// SQS's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = QUEUE_ATTRIBUTE))]
    sqs_managed_sse_enabled: NotYet,
}

fn half_minute() -> u32 {
    30
}

fn fortnight() -> u32 {
    1_209_600
}
