//! What the gateway passes on and when it gives up, of requests that nobody watches and of those that somebody does: real sockets, and
//! upstreams that misbehave byte by byte.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::outcome::{SuccessStatuses, decide};
use event::timestamp::Clock;
use event::{Decision, Fate, Timestamp};
use gateway::gateway::Config;
use gateway::router::Router;
use gateway::table::{Route, Service};
use gateway::{Gateway, Running};
use http::HeaderValue;
use pipeline::kind::Priority;
use pipeline::{Answer, Chain, Forward, Hold, Plugin, RouteFacts, Watch};
use testkit::client;
use testkit::server::{Server, Then, answer};

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64)
    }
}

/// Watches every PUT, and keeps nothing.
struct Puts;

impl Plugin for Puts {
    fn name(&self) -> &'static str {
        "puts"
    }

    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        (forward.method == "PUT").then(|| Box::new(PutWatch) as Box<dyn Watch>)
    }
}

struct PutWatch;

impl Watch for PutWatch {
    fn intend(&mut self) -> Option<Hold> {
        None
    }

    fn may_hold(&self) -> bool {
        false
    }

    fn decision(&self, fate: Fate) -> Decision {
        decide(fate, &SuccessStatuses::Any2xx, true)
    }

    fn resolve_after(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn store_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn settle(&mut self, _: Fate, _: &Answer<'_>) -> Option<Hold> {
        None
    }
}

const LOCALHOST: &str = "127.0.0.1";
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A service with patience; a test shortens what it is about.
fn service(host: &str, port: u16) -> Service {
    Service {
        name: "service".into(),
        host: host.into(),
        port,
        host_header: HeaderValue::from_static("service.test"),
        path: "/".into(),
        connect_timeout: Duration::from_secs(30),
        write_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(30),
    }
}

fn config() -> Config {
    Config { listen: ANY, workers: 1, drain_timeout: Duration::ZERO }
}

/// A gateway of one core in front of one service.
fn gateway(config: Config, service: Service) -> Running {
    let route = Route {
        name: "all".into(),
        hosts: vec![],
        paths: vec![],
        methods: vec![],
        regex_priority: 0,
        strip_path: false,
        preserve_host: false,
        service: Some(Arc::new(service)),
        chain: Chain::new(vec![(Priority(1), Arc::new(Puts))]),
        facts: RouteFacts {
            service: "service".into(),
            route: "all".into(),
            api: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        },
    };
    let router = Arc::new(Router::new(vec![route]).unwrap());
    Gateway::bind(config).unwrap().start(router, Arc::new(WallClock)).unwrap()
}

fn gateway_to(address: SocketAddr) -> Running {
    gateway(config(), service(LOCALHOST, address.port()))
}

const METHODS: [&str; 2] = ["GET", "PUT"];

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_no_valid_answer() {
    let upstream = Server::start(ANY, |request, stream| {
        if request.header("upgrade").is_some() || request.header("connection").is_some() {
            return answer(stream, 200, &[], b"it was asked for").map(|()| Then::KeepOpen);
        }
        stream.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )?;
        Ok(Then::KeepOpen)
    });
    let upstream = upstream.unwrap();
    let running = gateway_to(upstream.address());
    for method in METHODS {
        let asked = [("connection", "upgrade"), ("upgrade", "websocket")];
        for headers in [asked.as_slice(), &[]] {
            let answer = client::send(running.address(), method, "/chat", headers, b"").unwrap();
            assert_eq!(answer.status, 502, "{method} {headers:?}");
            assert_eq!(answer.header("upgrade"), None);
        }
    }
}
