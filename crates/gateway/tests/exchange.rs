//! The outcome protocol as the gateway keeps it for any watch: real sockets, a scripted upstream and a watch that keeps a record.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::outcome::{SuccessStatuses, decide};
use event::timestamp::Clock;
use event::{Decision, Fate, Timestamp, UnknownReason};
use gateway::destination::Destinations;
use gateway::front::Front;
use gateway::gateway::Config;
use gateway::limits::Limits;
use gateway::listeners::Listener;
use gateway::router::Router;
use gateway::service::Service;
use gateway::table::{PathPattern, Route};
use gateway::{Gateway, Running, Snapshot};
use http::HeaderValue;
use pipeline::context::Scheme;
use pipeline::kind::Priority;
use pipeline::{
    Answer, Chains, Forward, Hold, Instance, Joint, NotKept, Plugin, Record, RouteFacts, Scope, Watch,
};
use storage::{StoreError, vital};
use testkit::client::{self, Client};
use testkit::upstream::Upstream;
use testkit::wait;
use uuid::Uuid;

/// How long a drain may take.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(600);

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// What happened to one watch, in order.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Intended(String),
    Settled(Fate, Option<u16>),
}

#[derive(Default)]
struct Notes(Mutex<Vec<Seen>>);

impl Notes {
    fn push(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }

    fn fates(&self) -> Vec<(Fate, Option<u16>)> {
        let settled = |seen: &Seen| match seen {
            Seen::Settled(fate, status) => Some((*fate, *status)),
            Seen::Intended(_) => None,
        };
        self.0.lock().unwrap().iter().filter_map(settled).collect()
    }

    #[track_caller]
    fn wait_for_fate(&self) -> (Fate, Option<u16>) {
        wait::until("a settled watch", || self.fates().first().copied())
    }
}

/// Watches every PUT; `x-probe: refuse` refuses the intent, `x-probe: hold-fails` fails the hold.
struct Probe(Arc<Notes>);

impl Record for Probe {
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        let header = forward.headers.get("x-probe").map(|value| value.to_str().unwrap().to_owned());
        (forward.method == "PUT").then(|| {
            let path = forward.service_path.to_owned();
            Box::new(ProbeWatch { record: self.0.clone(), path, header: header.unwrap_or_default() })
                as Box<dyn Watch>
        })
    }
}

struct ProbeWatch {
    record: Arc<Notes>,
    path: String,
    header: String,
}

impl Watch for ProbeWatch {
    fn intend(&mut self, _: &mut Joint) -> Option<Hold> {
        self.record.push(Seen::Intended(self.path.clone()));
        (self.header == "refuse").then(|| Box::pin(async { Err(NotKept::new(StoreError::Closed)) }) as Hold)
    }

    fn may_hold(&self) -> bool {
        self.header == "hold-fails"
    }

    fn decision(&self, fate: Fate) -> Decision {
        decide(fate, &SuccessStatuses::Any2xx, true)
    }

    fn resolve_after(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn bound(&self) -> Duration {
        Duration::from_millis(1_500)
    }

    fn store_timeout(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn settle(&mut self, fate: Fate, answer: &Answer<'_>) -> Option<Hold> {
        self.record.push(Seen::Settled(fate, answer.status));
        (self.header == "hold-fails")
            .then(|| Box::pin(async { Err(NotKept::new(StoreError::Closed)) }) as Hold)
    }
}

/// The chains of a route with one recorder.
fn recorded_by(recorder: impl Record) -> Chains {
    let plugin = Plugin { record: Some(Arc::new(recorder)), ..Plugin::default() };
    let instance = Instance { id: Uuid::nil(), kind: "probe", priority: Priority(1), plugin };
    Chains::choose(&[(Scope::default(), instance)])
}

struct Bench {
    upstream: Upstream,
    record: Arc<Notes>,
    running: Option<Running>,
    proxy: SocketAddr,
}

impl Bench {
    fn start() -> Self {
        let upstream = Upstream::start();
        let address = upstream.address();
        Self::start_to(upstream, address)
    }

    fn start_to(upstream: Upstream, address: SocketAddr) -> Self {
        let record = Arc::new(Notes::default());
        let service = Arc::new(Service {
            name: "profiles".into(),
            destination: Destinations::default().get(&address.ip().to_string(), address.port()),
            host_header: HeaderValue::from_str(&address.to_string()).unwrap(),
            path: "/".into(),
            connect_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_millis(500),
            condition: Default::default(),
        });
        let route = Route {
            name: "all".into(),
            hosts: vec![],
            paths: vec![PathPattern::Prefix("/mockbin".into())],
            methods: vec![],
            regex_priority: 0,
            strip_path: true,
            path_handling: entities::PathHandling::V0,
            path_forwarding: entities::PathForwarding::Raw,
            preserve_host: false,
            rewrites: Default::default(),
            request_buffering: true,
            https_only: None,
            service: Some(service.into()),
            chains: recorded_by(Probe(record.clone())),
            facts: RouteFacts {
                service: "profiles".into(),
                route: "all".into(),
                api: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
            },
            number: Default::default(),
        };
        let config = Config {
            listeners: vec![Listener {
                name: "proxy",
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                scheme: Scheme::Http,
            }],
            workers: 2,
            limits: Limits::default(),
            names: dialing::Names::system(),
            front: Front::default(),
        };
        let gateway = Gateway::bind(config).unwrap();
        let first = Arc::new(Snapshot::new(1, Router::new(vec![route]).unwrap()));
        let running = gateway.start(first, Arc::new(WallClock), &vital::vitals().0).unwrap();
        Self { upstream, record, proxy: running.address("proxy").unwrap(), running: Some(running) }
    }

    fn put(&self, target: &str) -> io::Result<client::Answer> {
        client::send(self.proxy, "PUT", target, &[], b"{}")
    }

    fn drain(&mut self) {
        self.running.take().unwrap().join(DRAIN_TIMEOUT).unwrap();
    }
}

#[test]
fn a_success_is_settled_once_and_relayed_whole() {
    let bench = Bench::start();
    let answer = bench.put("/mockbin/profile?x=1").unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"done":true}"#));
    assert!(answer.header("x-kong-upstream-latency").is_some());
    assert_eq!(
        *bench.record.0.lock().unwrap(),
        [Seen::Intended("/profile".into()), Seen::Settled(Fate::Answered { status: 200 }, Some(200))]
    );
    let asked = &bench.upstream.executed()[0];
    assert_eq!((asked.target.as_str(), asked.body.as_slice()), ("/profile?x=1", b"{}".as_slice()));
    assert_eq!(asked.header("x-forwarded-path"), Some("/mockbin/profile"));
    assert_eq!(asked.header("x-forwarded-prefix"), Some("/mockbin"));
}

#[test]
fn what_is_not_watched_passes_and_keeps_its_connection() {
    let bench = Bench::start();
    let mut client = Client::connect(bench.proxy).unwrap();
    for _ in 0..3 {
        let answer = client.send("GET", "/mockbin/profile?script=chunked", &[], b"").unwrap();
        assert_eq!(answer.text(), "hello");
    }
    assert!(bench.record.fates().is_empty());
    assert_eq!(client.send("GET", "/other", &[], b"").unwrap().status, 404);
}

#[test]
fn failures_tell_their_fate() {
    let bench = Bench::start();
    let cases = [
        ("?status=404", 404, Fate::Answered { status: 404 }),
        ("?status=204", 204, Fate::Answered { status: 204 }),
        ("?script=reset", 502, Fate::Unanswered(UnknownReason::UpstreamReset)),
        ("?script=close", 502, Fate::Unanswered(UnknownReason::UpstreamReset)),
        ("?script=garbage", 502, Fate::Unanswered(UnknownReason::UpstreamInvalid)),
    ];
    for (query, status, fate) in cases {
        bench.record.0.lock().unwrap().clear();
        let answer = bench.put(&format!("/mockbin/x{query}")).unwrap();
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(bench.record.fates(), [(fate, Some(status))], "{query}");
    }
}

#[test]
fn a_body_that_breaks_behind_a_good_head_is_a_success_and_cut() {
    let bench = Bench::start();
    assert!(bench.put("/mockbin/x?script=half").is_err());
    assert_eq!(bench.record.wait_for_fate(), (Fate::Answered { status: 200 }, Some(200)));
}

#[test]
fn no_connection_is_no_event() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = Bench::start_to(Upstream::start(), free);
    let answer = bench.put("/mockbin/x").unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["message"], "An invalid response was received from the upstream server");
    assert_eq!(bench.record.fates(), [(Fate::NotSent, Some(502))]);
}

#[test]
fn a_timeout_is_told_and_outlasted() {
    let bench = Bench::start();
    let answer = bench.put("/mockbin/x?script=slow").unwrap();
    assert_eq!(answer.status, 504);
    assert_eq!(
        bench.record.wait_for_fate(),
        (Fate::Answered { status: 200 }, Some(200)),
        "it answered after all"
    );

    bench.record.0.lock().unwrap().clear();
    assert_eq!(bench.put("/mockbin/x?script=wait").unwrap().status, 504);
    let fate = Fate::Unanswered(UnknownReason::UpstreamTimeout);
    assert_eq!(bench.record.wait_for_fate(), (fate, Some(504)));
    bench.upstream.release();
}

#[test]
fn an_answer_that_streams_on_is_settled_all_the_same() {
    let bench = Bench::start();
    let mut client = Client::connect(bench.proxy).unwrap();
    client.write(&client::request("PUT", "/mockbin/x?script=stream", &[], b"{}")).unwrap();
    assert_eq!(bench.record.wait_for_fate(), (Fate::Answered { status: 200 }, Some(200)));
}

#[test]
fn a_refused_intent_sends_nothing() {
    let bench = Bench::start();
    let answer = client::send(bench.proxy, "PUT", "/mockbin/x", &[("x-probe", "refuse")], b"{}").unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert!(bench.upstream.executed().is_empty());
    assert!(bench.record.fates().is_empty());
}

#[test]
fn an_answer_whose_hold_fails_is_never_whole() {
    let bench = Bench::start();
    for target in ["/mockbin/x", "/mockbin/x?script=chunked", "/mockbin/x?status=204"] {
        let cut = client::send(bench.proxy, "PUT", target, &[("x-probe", "hold-fails")], b"{}");
        assert!(cut.is_err(), "{target}: {cut:?}");
    }
}

#[test]
fn a_client_that_leaves_within_a_small_body_leaves_nothing() {
    let bench = Bench::start();
    for leave in [Client::fin, Client::rst] {
        let mut client = Client::connect(bench.proxy).unwrap();
        client.write(b"PUT /mockbin/x HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
        leave(client).unwrap();
    }
    // A later request proves that the earlier ones had their time.
    assert_eq!(bench.put("/mockbin/last").unwrap().status, 200);
    assert_eq!(bench.record.0.lock().unwrap()[0], Seen::Intended("/last".into()));
    assert_eq!(bench.upstream.executed().len(), 1);
}

#[test]
fn a_client_that_leaves_after_the_head_was_forwarded_changes_nothing() {
    for leave in [Client::fin, Client::rst] {
        let bench = Bench::start();
        let mut client = Client::connect(bench.proxy).unwrap();
        client.write(&client::request("PUT", "/mockbin/x?script=wait", &[], b"{}")).unwrap();
        wait::until("the upstream to be asked", || (!bench.upstream.executed().is_empty()).then_some(()));
        leave(client).unwrap();
        bench.upstream.release();
        assert_eq!(bench.record.wait_for_fate(), (Fate::Answered { status: 200 }, Some(200)));
    }
}

#[test]
fn a_large_body_that_breaks_off_is_unknown() {
    for leave in [Client::fin, Client::rst] {
        let bench = Bench::start();
        let mut client = Client::connect(bench.proxy).unwrap();
        client.write(b"PUT /mockbin/x HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n").unwrap();
        client.write(&[b'x'; 100_000]).unwrap();
        wait::until("the intent", || (!bench.record.0.lock().unwrap().is_empty()).then_some(()));
        leave(client).unwrap();
        let fate = Fate::Unanswered(UnknownReason::RequestBodyBroken);
        assert_eq!(bench.record.wait_for_fate().0, fate);
    }
}

#[test]
fn a_large_body_flows_whole() {
    let bench = Bench::start();
    let body: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
    let answer = client::send(bench.proxy, "PUT", "/mockbin/x", &[], &body).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(bench.upstream.executed()[0].body, body);
}

#[test]
fn the_drain_lets_requests_end_and_its_deadline_settles_the_rest() {
    let mut bench = Bench::start();
    let mut client = Client::connect(bench.proxy).unwrap();
    client.write(&client::request("PUT", "/mockbin/x?script=wait", &[], b"{}")).unwrap();
    wait::until("the upstream to be asked", || (!bench.upstream.executed().is_empty()).then_some(()));
    bench.running.as_ref().unwrap().drain(DRAIN_TIMEOUT);
    wait::until("the gateway to stop listening", || Client::connect(bench.proxy).err());
    bench.upstream.release();
    assert_eq!(client.answer().unwrap().status, 200);
    bench.drain();
    assert_eq!(bench.record.fates(), [(Fate::Answered { status: 200 }, Some(200))]);

    let mut bench = Bench::start();
    let mut client = Client::connect(bench.proxy).unwrap();
    client.write(&client::request("PUT", "/mockbin/x?script=wait", &[], b"{}")).unwrap();
    wait::until("the upstream to be asked", || (!bench.upstream.executed().is_empty()).then_some(()));
    bench.drain();
    let (fate, _) = bench.record.wait_for_fate();
    let expected = [UnknownReason::DrainDeadline, UnknownReason::UpstreamTimeout];
    assert!(matches!(fate, Fate::Unanswered(reason) if expected.contains(&reason)), "{fate:?}");
    bench.upstream.release();
}
