//! What the hub is told: for the life of the process, and by each generation of the configuration.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use storage::entities::SubscriptionId;
use storage::retention::Retention;

use crate::Names;

/// The default of [`Config::max_long_polls`].
pub const MAX_LONG_POLLS: usize = 1_024;

/// What the hub is built with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Account and region.
    pub names: Names,
    /// The address in messages (`--hub-url`), without a slash at its end.
    pub hub_url: String,
    /// Receives that may wait at the same time; one more is refused, once the queue turned out to be empty.
    pub max_long_polls: usize,
}

/// What one generation of the configuration says of queues and their subscriptions, and the store does not keep.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// By name; a queue that is not named here has the defaults.
    pub queues: HashMap<String, QueueSettings>,
    /// Subscriptions of queues that want the message without the SNS envelope.
    pub raw: HashSet<SubscriptionId>,
}

/// What a receive takes where it does not say otherwise.
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
    /// SQS's own; but messages are owed, so they are kept for as long as SQS can.
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            receive_wait: Duration::ZERO,
            retention: Retention::default().queue_message,
        }
    }
}
