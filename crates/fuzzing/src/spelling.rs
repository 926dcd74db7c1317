//! Spellings of a path: no path that a service executes as a rule's resource is forwarded without an event.
//!
//! Read as: a request target. The gateway has three routes to a service, `/`, `/api` (stripped) and `/public`, and a rule for the resources
//! `/settings` and `/profiles/<id>` on the first two. Whatever is forwarded goes to models of services. What must hold: if one of them
//! executes a resource, the request took a route with the rule and the rule watches it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use entities::PathHandling;
use event::timestamp::Clock;
use event::{EventId, Timestamp, TopicId};
use gateway::front::{self, AmbiguousPaths, Found};
use gateway::path::{service_path, upstream_path};
use gateway::router::Router;
use gateway::table::PathPattern;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use pipeline::context::{Carried, Inbound, PluginData, Scheme};
use pipeline::record::{EventIds, Turn};
use pipeline::{BuildContext, Context, Forward, Reading, Record, Services};
use serde_json::json;
use storage::memory::Memory;
use storage::retention::Retention;
use storage::{Feed, Writer};

use crate::route::route;

const PORT: u16 = 8000;
const ID: EventId = EventId::from_bytes([7; 16]);

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(target) = text.trim_end_matches('\n').parse::<PathAndQuery>() else { return };
    if !target.as_str().starts_with('/') {
        return;
    }
    WORLD.with(|world| world.get_or_init(World::new).forwards(&target));
}

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

struct World {
    router: Router,
    rule: Arc<dyn Record>,
}

impl World {
    fn new() -> Self {
        let routes = [("/", false), ("/api", true), ("/public", false)];
        let routes = routes
            .into_iter()
            .map(|(path, strip)| route(path.into(), vec![PathPattern::Prefix(path.into())], strip))
            .collect();
        Self { router: Router::new(routes).expect("three prefixes"), rule: rule() }
    }

    fn forwards(&self, target: &PathAndQuery) {
        let policy = AmbiguousPaths::Match;
        let found = front::find(&self.router, policy, &Method::PUT, None, PORT, target.path());
        let Ok(found) = found else { return };
        let Found { route, plain, spelt, .. } = &found;
        let spelt = spelt.as_deref();
        let (path, matched) = spelt.map_or((&*plain.path, plain.matched), |spelt| (spelt.path, spelt.cut));
        let sent = upstream_path(PathHandling::V0, "/", path, matched, route.strip_path);
        let executing = SERVICES.iter().find(|(_, reading)| is_resource(&reading(sent.as_bytes())));
        let Some((service, _)) = executing else { return };
        assert_ne!(route.name, "/public", "{service} executes a resource of another route: {target}");
        assert!(
            self.watches(target, &found, &sent),
            "{service} executes {sent} and no event comes of it: {target}"
        );
    }

    fn watches(&self, target: &PathAndQuery, found: &Found<'_, '_>, sent: &str) -> bool {
        let Found { route, plain, others, spelt, .. } = found;
        let stripped = |path: &str, matched| service_path(path, matched, route.strip_path).into_owned();
        let as_spelt = spelt.as_ref().map_or(&[][..], |spelt| &spelt.readings);
        let service_paths = [others.as_slice(), as_spelt]
            .map(|readings| readings.iter().map(|one| stripped(&one.path, one.matched)).collect::<Vec<_>>());
        let (others, as_spelt) = (paired(others, &service_paths[0]), paired(as_spelt, &service_paths[1]));
        let forward = Forward {
            context: &context(),
            ids: EventIds::new(ID, uuid::Uuid::nil(), Turn::First),
            client_ip: "127.0.0.1",
            method: &Method::PUT,
            host: "localhost",
            uri: target.as_str(),
            request_path: &plain.path,
            service_path: &stripped(&plain.path, plain.matched),
            others: &others,
            as_spelt: &as_spelt,
            upstream_uri: sent,
            upstream_host: "localhost",
            headers: &HeaderMap::new(),
            head_size: 0,
            route: &route.facts,
        };
        self.rule.watch(&forward).is_some()
    }
}

fn paired<'a>(readings: &'a [front::Reading<'_>], service_paths: &'a [String]) -> Vec<Reading<'a>> {
    let pairs = readings.iter().zip(service_paths);
    pairs.map(|(one, service_path)| Reading { request_path: &one.path, service_path }).collect()
}

fn context() -> Context {
    let inbound = Inbound {
        scheme: Scheme::Http,
        version: http::Version::HTTP_11,
        peer: ([127, 0, 0, 1], 40_000).into(),
        local: ([127, 0, 0, 1], PORT).into(),
    };
    Context {
        id: ID,
        started_at: Timestamp::from_millis(0),
        started: std::time::Instant::now(),
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

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn uptime(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

fn rule() -> Arc<dyn Record> {
    let clock = Arc::new(Stopped);
    let config = storage::writer::Config {
        backend: Memory::default().open().backend,
        feed: Feed::default(),
        clock: clock.clone(),
        retention: Retention::default(),
        vitals: storage::vital::vitals().0,
    };
    let (writer, _) = Writer::spawn(config).expect("a thread");
    let context = BuildContext {
        instance: uuid::Uuid::nil(),
        owner: "service".into(),
        services: Services::default().with(writer),
        clock,
        topics: Arc::new(HashMap::from([("changes".to_owned(), TopicId(1))])),
        region: "us-east-1".into(),
        account: "000000000000".into(),
        hubs: Vec::new(),
    };
    let config = json!({ "topic_arn": "changes", "routes": [
        { "method": "PUT", "matcher": "^/settings$" },
        { "method": "PUT", "matcher": "^/profiles/[^/]+$" },
    ]});
    let kinds = plugins::all();
    let kind = kinds.iter().find(|kind| kind.name() == "publish-sns").expect("it is there");
    kind.build(&config, &context).expect("a rule").record.expect("it records")
}

/// From the path that is sent to the one that a service routes by.
type Model = fn(&[u8]) -> Vec<u8>;

const SERVICES: [(&str, Model); 8] = [
    ("a service that takes the path as it stands", <[u8]>::to_vec),
    ("Express", |path| trimmed(path).to_vec()),
    ("Go", decode),
    ("PHP", |path| trimmed(&decode(path)).to_vec()),
    ("nginx", |path| removed(&decode(path), Empty::Merged)),
    ("RFC 3986", |path| removed(&decode(path), Empty::Kept)),
    ("posixpath", |path| trimmed(&removed(&slashes(&decode(path)), Empty::Merged)).to_vec()),
    ("a servlet", |path| removed(&decode(&bare(path)), Empty::Merged)),
];

fn is_resource(path: &[u8]) -> bool {
    let id = path.strip_prefix(b"/profiles/");
    path == b"/settings" || id.is_some_and(|id| !id.is_empty() && !id.contains(&b'/'))
}

fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    &path[..end]
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let is_hex = digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte =
            digits.filter(|_| first == b'%' && is_hex).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

fn slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn bare(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let bare = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    bare.collect::<Vec<_>>().join(&b'/')
}

/// What becomes of empty segments before dot segments are removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Merged,
    Kept,
}

fn removed(path: &[u8], empty: Empty) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/') {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            b"" if empty == Empty::Merged => {}
            _ => kept.push(segment),
        }
    }
    let mut path = Vec::new();
    for segment in kept {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    path
}
