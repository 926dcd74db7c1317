//! The roles that plug-ins play, as the gateway keeps them for any plug-in: real sockets, a scripted upstream, and plug-ins that write down
//! what they are asked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::Timestamp;
use event::timestamp::Clock;
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
use pipeline::{Chains, Instance, Plugin, RouteFacts, Scope};
use storage::vital;
use testkit::client::{self, Client};
use testkit::upstream::Upstream;
use testkit::wait;
use uuid::Uuid;

mod access;
mod bodies;
mod observe;
mod record;
mod respond;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// What plug-ins were asked, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn push(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    /// All so far; from now on only what comes.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    #[track_caller]
    fn wait_for(&self, count: usize) -> Vec<String> {
        let all = || Some(self.0.lock().unwrap().clone()).filter(|notes| notes.len() >= count);
        wait::until(&format!("{count} notes"), all);
        self.take()
    }
}

/// An instance of a kind; the higher its priority, the earlier its turn. Its id is made of its priority.
fn instance(kind: &'static str, priority: i32, plugin: Plugin) -> Instance {
    Instance { id: id_of(priority), kind, priority: Priority(priority), plugin }
}

fn id_of(priority: i32) -> Uuid {
    Uuid::from_u128(priority as u128)
}

/// A gateway of one core with one route, `/mockbin`, whose path is stripped.
struct World {
    upstream: Upstream,
    proxy: SocketAddr,
    running: Option<Running>,
}

impl World {
    fn start(instances: Vec<Instance>) -> Self {
        Self::scoped(instances.into_iter().map(|instance| (Scope::default(), instance)).collect())
    }

    fn scoped(instances: Vec<(Scope, Instance)>) -> Self {
        let upstream = Upstream::start();
        let address = upstream.address();
        Self::to(address, upstream, &instances)
    }

    /// With one instance for all, and other limits than usual.
    fn limited(limits: Limits, instance: Instance) -> Self {
        let upstream = Upstream::start();
        let address = upstream.address();
        Self::build(address, upstream, &[(Scope::default(), instance)], limits)
    }

    fn to(address: SocketAddr, upstream: Upstream, instances: &[(Scope, Instance)]) -> Self {
        Self::build(address, upstream, instances, Limits::default())
    }

    /// The instances of no scope are for requests without a route, too.
    fn build(
        address: SocketAddr,
        upstream: Upstream,
        instances: &[(Scope, Instance)],
        limits: Limits,
    ) -> Self {
        let service = Arc::new(Service {
            name: "profiles".into(),
            destination: Destinations::default().get(&address.ip().to_string(), address.port()),
            host_header: HeaderValue::from_str(&address.to_string()).unwrap(),
            path: "/".into(),
            connect_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
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
            chains: Chains::choose(instances),
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
            workers: 1,
            limits,
            names: dialing::Names::system(),
            front: Front::default(),
        };
        let global = |of: &&(Scope, Instance)| of.0 == Scope::default();
        let unrouted: Vec<_> = instances.iter().filter(global).cloned().collect();
        let router = Router::new(vec![route]).unwrap().with_unrouted(Chains::choose(&unrouted));
        let first = Arc::new(Snapshot::new(1, router));
        let gateway = Gateway::bind(config).unwrap();
        let running = gateway.start(first, Arc::new(WallClock), &vital::vitals().0).unwrap();
        Self { upstream, proxy: running.address("proxy").unwrap(), running: Some(running) }
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> io::Result<client::Answer> {
        client::send(self.proxy, method, target, headers, b"{}")
    }

    fn connect(&self) -> Client {
        Client::connect(self.proxy).unwrap()
    }

    fn join(&mut self) {
        self.running.take().unwrap().join(Duration::from_secs(5)).unwrap();
    }
}
