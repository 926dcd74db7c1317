//! A hub over the in-memory store, for tests.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use delivery::drain::{DrainSignal, drain};
use delivery::signing::SnsKey;
use delivery::wire::cache::Messages;
use event::timestamp::Clock;
use event::{EventId, NewEvent, Timestamp};
use storage::backend::Opened;
use storage::entities::{Desired, DesiredSubscription, Entities, Protocol, Subscription, SubscriptionId};
use storage::memory::{Memory, SAMPLE_TIME, sample_event};
use storage::retention::Retention;
use storage::{Feed, Writer, writer};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Config, Deps, Hub, Names, QueueSettings, Settings};

/// The topic that the sample events go to.
pub const TOPIC: &str = "profile-changes";
/// A queue whose messages are in envelopes.
pub const QUEUE: &str = "profile-worker";
/// A queue whose messages are raw.
pub const RAW_QUEUE: &str = "profile-raw";
/// A queue that is subscribed to nothing.
pub const EMPTY_QUEUE: &str = "nothing";
/// The token of the webhook's pending subscription.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The address in messages.
pub const HUB_URL: &str = "https://hub.example.com";
/// The account of all names.
pub const ACCOUNT: &str = "000000000000";
/// The region of all names.
pub const REGION: &str = "us-east-1";

/// Making a key takes long; all tests share one.
static KEY: LazyLock<Arc<SnsKey>> =
    LazyLock::new(|| Arc::new(SnsKey::generate().expect("a key can be made")));

/// Clocks that only tests move: the wall clock and the uptime.
pub struct HandClock(Mutex<(Timestamp, Duration)>);

impl HandClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((SAMPLE_TIME, Duration::ZERO))))
    }

    /// Time passes.
    pub fn advance(&self, by: Duration) {
        let mut clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *clocks = (clocks.0.plus(by), clocks.1 + by);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = wall;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn uptime(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// A hub with a topic, three queues and a pending webhook, and what tests reach behind it.
pub struct World {
    /// The hub.
    pub hub: Hub,
    /// Its store.
    pub memory: Memory,
    /// Its time.
    pub clock: Arc<HandClock>,
    /// What the store knows.
    pub entities: Entities,
    /// Its signing key.
    pub key: watch::Sender<Option<Arc<SnsKey>>>,
    /// Ends its long polls.
    pub drain: DrainSignal,
    /// What it works with.
    pub deps: Deps,
    max_long_polls: usize,
}

impl World {
    /// With the defaults and a signing key.
    pub async fn new() -> Self {
        Self::with_max_long_polls(crate::settings::MAX_LONG_POLLS).await
    }

    /// With another limit on long polls.
    pub async fn with_max_long_polls(max_long_polls: usize) -> Self {
        Self::with(max_long_polls, Retention::default()).await
    }

    /// With other limits of the store.
    pub async fn with_retention(retention: Retention) -> Self {
        Self::with(crate::settings::MAX_LONG_POLLS, retention).await
    }

    async fn with(max_long_polls: usize, retention: Retention) -> Self {
        let memory = Memory::default();
        let Opened { backend, reader, .. } = memory.open();
        let (feed, clock) = (Feed::default(), HandClock::new());
        let vitals = storage::vital::vitals().0;
        let config = writer::Config { backend, feed: feed.clone(), clock: clock.clone(), retention, vitals };
        let (writer, _) = Writer::spawn(config).expect("a thread can be started");
        let wanted = desired();
        let entities = writer
            .transact(move |tx| tx.sync_entities(&wanted, SAMPLE_TIME))
            .await
            .expect("the in-memory store takes entities");
        let (key, sns_key) = watch::channel(Some(KEY.clone()));
        let (signal, drain) = drain();
        let messages = Messages::default();
        let deps = Deps { writer, reader, feed, clock: clock.clone(), messages, sns_key, drain };
        let hub = build(&entities, max_long_polls, deps.clone()).await;
        Self { hub, memory, clock, entities, key, drain: signal, deps, max_long_polls }
    }

    /// Another hub over the same store, as after a restart.
    pub async fn restarted(&self) -> Hub {
        build(&self.entities, self.max_long_polls, self.deps.clone()).await
    }

    /// Publishes sample event `n` to [`TOPIC`].
    pub async fn publish(&self, n: u8) -> EventId {
        let event = NewEvent { topic: self.entities.topics[0].id, ..sample_event(n) };
        let id = event.id;
        self.deps.writer.publish(event).await.expect("the in-memory store takes events");
        id
    }

    /// The subscription with this endpoint.
    pub fn subscription(&self, endpoint: &str) -> SubscriptionId {
        self.find(endpoint).0
    }

    /// The ARN of the subscription with this endpoint.
    pub fn subscription_arn(&self, endpoint: &str) -> String {
        self.hub.names().subscription_arn(TOPIC, self.find(endpoint).1).to_string()
    }

    fn find(&self, endpoint: &str) -> (SubscriptionId, Uuid) {
        let found = self.entities.subscriptions.iter().find(|known| known.endpoint == endpoint);
        found.map(|known| (known.id, known.uuid)).expect("the endpoint is subscribed")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.deps.writer.stop();
    }
}

/// The endpoint of the pending webhook.
pub const WEBHOOK: &str = "http://localhost:9100/expire";

/// What the world's configuration declares.
pub fn desired() -> Desired {
    let subscription = |n: u128, protocol, endpoint: &str, token: Option<&str>| DesiredSubscription {
        topic: TOPIC.into(),
        name: None,
        protocol,
        endpoint: endpoint.into(),
        confirm_with: token.map(Into::into),
        uuid: Uuid::from_u128(n),
    };
    Desired {
        topics: vec![TOPIC.into()],
        queues: vec![QUEUE.into(), RAW_QUEUE.into(), EMPTY_QUEUE.into()],
        subscriptions: vec![
            subscription(1, Protocol::Sqs, QUEUE, None),
            subscription(2, Protocol::Sqs, RAW_QUEUE, None),
            subscription(3, Protocol::Http, WEBHOOK, Some(TOKEN)),
        ],
        ..Desired::default()
    }
}

async fn build(entities: &Entities, max_long_polls: usize, deps: Deps) -> Hub {
    let is_raw = |known: &&Subscription| known.endpoint == RAW_QUEUE;
    let raw = entities.subscriptions.iter().filter(is_raw).map(|known| known.id).collect();
    let settings = QueueSettings {
        visibility: Duration::from_secs(60),
        retention: Duration::from_secs(600),
        ..QueueSettings::default()
    };
    let config = Config {
        names: Names { region: REGION.into(), account: ACCOUNT.into() },
        hub_url: HUB_URL.into(),
        max_long_polls,
    };
    let queues = HashMap::from([(RAW_QUEUE.into(), settings)]);
    let settings = Settings { queues, raw, ..Settings::default() };
    Hub::build(config, settings, entities, deps).await.expect("a hub can be built")
}
