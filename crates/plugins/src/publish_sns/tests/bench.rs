//! A plug-in over an in-memory store, and exchanges to put before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::facts::Latencies;
use event::timestamp::Clock;
use event::{Event, EventId, Timestamp, TopicId};
use http::{HeaderMap, Method};
use pipeline::context::{Carried, Inbound, PluginData, Scheme};
use pipeline::record::{EventIds, Turn};
use pipeline::{
    Answer, BuildContext, Context, Forward, Hold, Joint, NotKept, PluginKind, Record, RouteFacts, Services,
    Watch,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use storage::backend::Reader;
use storage::memory::Memory;
use storage::retention::Retention;
use storage::writer::Config;
use storage::{Feed, StoreError, Writer};
use uuid::Uuid;

use crate::publish_sns::Kind;

pub const TOPIC: TopicId = TopicId(7);
/// What the clock of the bench always shows.
pub const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub const ID: EventId = EventId::from_bytes([7; 16]);
pub const INSTANCE: Uuid = Uuid::from_bytes([9; 16]);

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

pub struct Bench {
    pub memory: Memory,
    pub writer: Writer,
    reader: Arc<dyn Reader>,
    rule: Arc<dyn Record>,
    context: Context,
    route: RouteFacts,
}

impl Bench {
    /// A rule for `PUT /profiles/…` with further options.
    pub fn new(options: Value) -> Self {
        Self::with_retention(options, Retention::default())
    }

    pub fn with_retention(options: Value, retention: Retention) -> Self {
        let memory = Memory::default();
        let opened = memory.open();
        let config = Config {
            backend: opened.backend,
            feed: Feed::default(),
            clock: Arc::new(Stopped),
            retention,
            vitals: storage::vital::vitals().0,
        };
        let (writer, _) = Writer::spawn(config).unwrap();
        let context = BuildContext {
            instance: uuid::Uuid::from_u128(1),
            owner: "users".into(),
            services: Services::default().with(writer.clone()),
            clock: Arc::new(Stopped),
            topics: Arc::new(HashMap::from([("changes".to_owned(), TOPIC)])),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            hubs: Vec::new(),
        };
        let mut rule = json!({"topic_arn": "changes", "routes": [
            {"method": "PUT", "matcher": "^/profiles/([^/]+)$"},
            {"method": "PUT", "matcher": "/(profiles)/"},
            {"method": "DELETE", "matcher": "^/profiles/([^/]+)$"},
        ]});
        for (name, value) in options.as_object().unwrap() {
            rule[name] = value.clone();
        }
        let route = RouteFacts {
            service: "users".into(),
            route: "main".into(),
            api: RawValue::from_string(r#"{"name":"users"}"#.into()).unwrap(),
        };
        let rule = Kind.build(&rule, &context).unwrap().record.unwrap();
        Self { memory, writer, reader: opened.reader, rule, context: self::context(), route }
    }

    /// What the plug-in says of `PUT /profiles/7` after `change`.
    pub fn watch_of<'a>(
        &'a self,
        headers: &'a HeaderMap,
        change: impl FnOnce(&mut Forward<'a>),
    ) -> Option<Box<dyn Watch>> {
        let mut forward = Forward {
            context: &self.context,
            ids: EventIds::new(ID, INSTANCE, Turn::First),
            client_ip: "127.0.0.1",
            method: &Method::PUT,
            host: "localhost",
            uri: "/v1/profiles/7?x=1",
            request_path: "/v1/profiles/7",
            service_path: "/profiles/7",
            others: &[],
            as_spelt: &[],
            upstream_uri: "/api/profiles/7?x=1",
            upstream_host: "users.internal:8080",
            headers,
            head_size: 99,
            route: &self.route,
        };
        change(&mut forward);
        self.rule.watch(&forward)
    }

    /// The watch of `PUT /profiles/7`.
    pub fn watch(&self) -> Box<dyn Watch> {
        self.watch_of(&HeaderMap::new(), |_| {}).expect("it matches")
    }

    /// A watch whose head may have been sent.
    pub fn forwarded(&self) -> Box<dyn Watch> {
        let mut watch = self.watch();
        if let Some(hold) = watch.intend(&mut Joint::alone()) {
            block_on(hold).unwrap();
        }
        watch
    }

    /// The log, oldest first, once everything handed to the writer so far has been written.
    pub fn events(&self) -> Vec<Event> {
        self.flush();
        let mut events = self.reader.events_before(None, 100, usize::MAX).unwrap().events;
        events.reverse();
        events
    }

    /// The open intents in the store, likewise.
    pub fn open_intents(&self) -> u64 {
        self.flush();
        self.reader.stats().unwrap().open_intents
    }

    fn flush(&self) {
        self.writer.transact(|_| Ok(())).wait().unwrap();
    }
}

/// That of a request with the id [`ID`], now.
pub fn context() -> Context {
    let inbound = Inbound {
        scheme: Scheme::Http,
        version: http::Version::HTTP_11,
        peer: ([127, 0, 0, 1], 40_000).into(),
        local: ([127, 0, 0, 1], 8000).into(),
    };
    Context {
        id: ID,
        started_at: NOW,
        started: Instant::now(),
        inbound,
        client: inbound.peer.ip(),
        accept: None,
        route: None,
        consumer: None,
        credential: None,
        carried: Carried::default(),
        data: PluginData::default(),
    }
}

/// What the store said of what it did not keep.
pub fn reason(refused: Result<(), NotKept>) -> StoreError {
    refused.unwrap_err().reason().downcast_ref::<StoreError>().expect("the store's own word").clone()
}

/// An answer of 200 without headers.
pub fn answer(headers: &HeaderMap) -> Answer<'_> {
    Answer {
        status: Some(200),
        headers,
        request_body_size: 2,
        size: 120,
        latencies: Latencies { kong: 1, proxy: 2, request: 4 },
        now: NOW.plus(Duration::from_millis(4)),
    }
}

/// Waits for a hold; a store that never answers fails the test.
pub fn block_on(hold: Hold) -> Result<(), NotKept> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), hold).await.expect("an answer") })
}

/// Whether a hold is still waiting.
pub fn waits(hold: &mut Hold) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    hold.as_mut().poll(&mut context).is_pending()
}
