//! The settings of the hub: those for the life of the process, and those of each generation of the configuration.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use delivery::signing::SignatureVersion;
use storage::entities::SubscriptionId;
use storage::retention::Retention;

use crate::Names;

/// The default of [`Config::max_long_polls`].
pub const MAX_LONG_POLLS: usize = 1_024;

/// The settings for the life of the process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Account and region.
    pub names: Names,
    /// The address in messages (`--hub-url`), without a slash at its end.
    pub hub_url: String,
    /// Receives that may wait at the same time; one more is refused if the queue is empty.
    pub max_long_polls: usize,
}

/// The settings of queues and their subscriptions in one generation of the configuration, which the store does not keep.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// By name; a queue that is not named here has the defaults.
    pub queues: HashMap<String, QueueSettings>,
    /// Subscriptions of queues that want the message without the SNS envelope.
    pub raw: HashSet<SubscriptionId>,
    /// By the name of the topic: how the envelopes in queues are signed, where that is not the default.
    pub signed: HashMap<String, SignatureVersion>,
}

/// The defaults of a queue for receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a received message is hidden.
    pub visibility: Duration,
    /// How long a receive waits for a message.
    pub receive_wait: Duration,
    /// How long a message is kept; the store does it.
    pub retention: Duration,
}

impl Default for QueueSettings {
    /// SQS's defaults, except that messages are owed, so they are kept for the longest time that SQS allows.
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            receive_wait: Duration::ZERO,
            retention: Retention::default().queue_message,
        }
    }
}
