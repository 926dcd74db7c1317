//! What the gateway passes on and when it gives up, of requests that nobody watches and of those that somebody does: real sockets, and
//! upstreams that misbehave byte by byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use event::outcome::{SuccessStatuses, decide};
use event::timestamp::Clock;
use event::{Decision, Fate, Timestamp};
use gateway::destination::Destinations;
use gateway::front::Front;
use gateway::gateway::Config;
use gateway::limits::Limits;
use gateway::listeners::Listener;
use gateway::router::Router;
use gateway::service::Service;
use gateway::table::Route;
use gateway::{Gateway, Running, Snapshot};
use http::HeaderValue;
use pipeline::context::Scheme;
use pipeline::kind::Priority;
use pipeline::{Answer, Chains, Forward, Hold, Instance, Joint, Plugin, Record, RouteFacts, Scope, Watch};
use storage::vital;
use testkit::client::{self, Client};
use testkit::server::{Server, Then, answer};
use testkit::upstream::Upstream;
use testkit::wait::{self, pause};
use uuid::Uuid;

mod pool;
mod slow;
mod stop;
mod swap;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// Watches every PUT, and keeps nothing.
struct Puts;

impl Record for Puts {
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        (forward.method == "PUT").then(|| Box::new(PutWatch) as Box<dyn Watch>)
    }
}

struct PutWatch;

impl Watch for PutWatch {
    fn intend(&mut self, _: &mut Joint) -> Option<Hold> {
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

/// The chains of a route with one recorder.
fn recorded_by(recorder: impl Record) -> Chains {
    let plugin = Plugin { record: Some(Arc::new(recorder)), ..Plugin::default() };
    let instance = Instance { id: Uuid::nil(), kind: "probe", priority: Priority(1), plugin };
    Chains::choose(&[(Scope::default(), instance)])
}

const LOCALHOST: &str = "127.0.0.1";
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A service with patience; a test shortens what it is about.
fn service(host: &str, port: u16) -> Service {
    service_among(&Destinations::default(), host, port)
}

/// One whose connections another one to the same address may use, if it is among the same destinations.
fn service_among(destinations: &Destinations, host: &str, port: u16) -> Service {
    Service {
        name: "service".into(),
        destination: destinations.get(host, port),
        host_header: HeaderValue::from_static("service.test"),
        path: "/".into(),
        connect_timeout: Duration::from_secs(30),
        write_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(30),
        condition: Default::default(),
    }
}

/// Where the gateway takes requests.
fn proxy(running: &Running) -> SocketAddr {
    running.address("proxy").unwrap()
}

fn config() -> Config {
    let names = dialing::Names::system();
    Config {
        listeners: vec![Listener { name: "proxy", address: ANY, scheme: Scheme::Http }],
        workers: 1,
        limits: Limits::default(),
        names,
        front: Front::default(),
    }
}

/// A gateway of one core in front of one service.
fn gateway(config: Config, service: Service) -> Running {
    start(config, service, true)
}

fn start(config: Config, service: Service, request_buffering: bool) -> Running {
    let first = snapshot(1, service, request_buffering);
    Gateway::bind(config).unwrap().start(first, Arc::new(WallClock), &vital::vitals().0).unwrap()
}

/// All requests go to one service.
fn snapshot(generation: u64, service: Service, request_buffering: bool) -> Arc<Snapshot> {
    let route = Route {
        name: "all".into(),
        hosts: vec![],
        paths: vec![],
        methods: vec![],
        regex_priority: 0,
        strip_path: false,
        path_handling: entities::PathHandling::V0,
        path_forwarding: entities::PathForwarding::Raw,
        preserve_host: false,
        rewrites: Default::default(),
        request_buffering,
        https_only: None,
        service: Some(Arc::new(service).into()),
        chains: recorded_by(Puts),
        facts: RouteFacts {
            service: "service".into(),
            route: "all".into(),
            api: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        },
        number: Default::default(),
    };
    Arc::new(Snapshot::new(generation, Router::new(vec![route]).unwrap()))
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
            let answer = client::send(proxy(&running), method, "/chat", headers, b"").unwrap();
            assert_eq!(answer.status, 502, "{method} {headers:?}");
            assert_eq!(answer.header("upgrade"), None);
        }
    }
}

/// An upstream of which a test decides every read and write. It serves one connection with `serve`, which is handed what came behind the
/// head with it.
fn upstream_of_bytes<T: Send + 'static>(
    serve: impl FnOnce(TcpStream, usize) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).unwrap();
            assert_ne!(read, 0, "the head breaks off");
            head.extend_from_slice(&piece[..read]);
        };
        serve(stream, head.len() - end)
    });
    (address, serving)
}

/// More than all the buffers of two connections on a machine hold together, and several times over.
const LARGE: usize = 96 << 20;
/// What may be under way: the kernel's buffers of two connections, and the gateway's.
const UNDER_WAY: usize = LARGE / 2;
/// A side that cannot write for so long is held back.
const HELD_BACK: Duration = Duration::from_secs(1);

/// Writes until nothing goes any more; how much went.
fn write_until_held_back(stream: &mut TcpStream, size: usize) -> usize {
    stream.set_write_timeout(Some(HELD_BACK)).unwrap();
    let piece = [b'x'; 64 << 10];
    let mut written = 0;
    while written < size {
        match stream.write(&piece[..piece.len().min(size - written)]) {
            Ok(more) => written += more,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_write_timeout(None).unwrap();
    written
}

fn write_rest(stream: &mut TcpStream, mut left: usize) {
    let piece = [b'x'; 64 << 10];
    while left > 0 {
        left -= stream.write(&piece[..piece.len().min(left)]).unwrap();
    }
}

fn read_exactly(stream: &mut TcpStream, mut left: usize) {
    let mut piece = vec![0; 64 << 10];
    while left > 0 {
        let wanted = piece.len().min(left);
        let read = stream.read(&mut piece[..wanted]).unwrap();
        assert_ne!(read, 0, "{left} bytes are missing");
        left -= read;
    }
}

#[test]
fn a_client_is_held_back_while_the_upstream_does_not_read() {
    for method in METHODS {
        let (go_on, wait): (Sender<()>, Receiver<()>) = mpsc::channel();
        let (address, upstream) = upstream_of_bytes(move |mut stream, ahead| {
            wait.recv().unwrap();
            read_exactly(&mut stream, LARGE - ahead);
            answer(&mut stream, 200, &[], b"all of it").unwrap();
        });
        let running = gateway_to(address);
        let mut client = TcpStream::connect(proxy(&running)).unwrap();
        write!(client, "{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
        let written = write_until_held_back(&mut client, LARGE);
        assert!(written < UNDER_WAY, "{method}: {written} bytes were taken for an upstream that reads none");
        go_on.send(()).unwrap();
        write_rest(&mut client, LARGE - written);
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200", "{method}");
        upstream.join().unwrap();
    }
}

#[test]
fn an_upstream_is_held_back_while_the_client_does_not_read() {
    for method in METHODS {
        let (tell, told) = mpsc::channel();
        let (address, upstream) = upstream_of_bytes(move |mut stream, _| {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
            let written = write_until_held_back(&mut stream, LARGE);
            tell.send(written).unwrap();
            write_rest(&mut stream, LARGE - written);
        });
        let running = gateway_to(address);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client.write(&client::request(method, "/", &[], b"")).unwrap();
        let written = told.recv().unwrap();
        assert!(written < UNDER_WAY, "{method}: {written} bytes were taken for a client that reads none");
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, LARGE), "{method}");
        upstream.join().unwrap();
    }
}

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn an_upstream_that_takes_no_more_of_a_request_is_given_up() {
    for method in METHODS {
        let (end, wait): (Sender<()>, Receiver<()>) = mpsc::channel();
        // Holds the connection without reading until the test is over.
        let (address, upstream) = upstream_of_bytes(move |_stream, _| {
            let _ = wait.recv();
        });
        let patient = service(LOCALHOST, address.port());
        let running = gateway(config(), Service { write_timeout: SHORT, ..patient });
        let mut client = TcpStream::connect(proxy(&running)).unwrap();
        write!(client, "{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
        let mut writing = client.try_clone().unwrap();
        // The gateway stops reading: this ends with an error.
        let writer = std::thread::spawn(move || while writing.write(&[b'x'; 64 << 10]).is_ok() {});
        let mut status = [0; 12];
        let asked = Instant::now();
        client.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 504", "{method}");
        assert!(asked.elapsed() < Duration::from_secs(15), "{method}: it is the other timeout's turn");
        client.shutdown(std::net::Shutdown::Both).unwrap_or_default();
        writer.join().unwrap();
        drop(end);
        upstream.join().unwrap();
    }
}

#[test]
fn an_upstream_that_does_not_answer_is_given_up() {
    for method in METHODS {
        let upstream = Upstream::start();
        let patient = service(LOCALHOST, upstream.address().port());
        let running = gateway(config(), Service { read_timeout: SHORT, ..patient });
        let asked = Instant::now();
        let answer = client::send(proxy(&running), method, "/?script=wait", &[], b"").unwrap();
        assert_eq!(answer.status, 504, "{method}");
        assert_eq!(answer.json()["message"], "The upstream server is timing out");
        assert!(asked.elapsed() >= SHORT, "{method}: given up after {:?}", asked.elapsed());
        upstream.release();
    }
}

#[test]
fn a_name_that_does_not_resolve_is_told() {
    // No name has a label this long: nobody has to be asked.
    let running = gateway(config(), service(&"a".repeat(64), 80));
    for method in METHODS {
        let answer = client::send(proxy(&running), method, "/", &[], b"").unwrap();
        assert_eq!(answer.status, 503, "{method}");
        assert_eq!(answer.json()["message"], "name resolution failed");
    }
}

#[test]
fn connections_to_an_upstream_are_used_again() {
    let upstream = Upstream::start();
    let running = gateway_to(upstream.address());
    for query in ["", "?script=chunked", "?status=204", "?status=500"] {
        for method in METHODS {
            // Each client has a connection of its own: what is kept is the upstream's.
            client::send(proxy(&running), method, &format!("/{query}"), &[], b"").unwrap();
        }
    }
    let stats = &running.stats()[0];
    let counts = [&stats.connections, &stats.upstream_connections].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [8, 1]);
    assert_eq!(upstream.executed().len(), 8);
}

#[test]
fn an_answer_whose_body_stands_still_is_cut_and_a_slow_one_is_not() {
    for method in METHODS {
        let (end, wait): (Sender<()>, Receiver<()>) = mpsc::channel();
        let wait = Mutex::new(wait);
        let upstream = Server::start(ANY, move |request, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n")?;
            if request.target == "/still" {
                stream.write_all(b"half")?;
                let _ = wait.lock().unwrap().recv();
                return Ok(Then::Close);
            }
            // Longer than the timeout, and never without a byte for so long.
            for _ in 0..16 {
                pause(SHORT / 3);
                stream.write_all(b"x")?;
            }
            Ok(Then::KeepOpen)
        });
        let upstream = upstream.unwrap();
        let patient = service(LOCALHOST, upstream.address().port());
        let running = gateway(config(), Service { read_timeout: SHORT * 4, ..patient });
        let slow = client::send(proxy(&running), method, "/slow", &[], b"").unwrap();
        assert_eq!(slow.body, [b'x'; 16], "{method}");
        let asked = Instant::now();
        let cut = client::send(proxy(&running), method, "/still", &[], b"");
        assert!(cut.is_err(), "{method}: {cut:?}");
        assert!(asked.elapsed() >= SHORT * 4, "{method}: cut after {:?}", asked.elapsed());
        drop(end);
    }
}

/// A gateway in front of an upstream that answers all, with these limits.
fn limited(limits: Limits) -> (Upstream, Running) {
    let upstream = Upstream::start();
    let service = service(LOCALHOST, upstream.address().port());
    let running = gateway(Config { limits, ..config() }, service);
    (upstream, running)
}

#[test]
fn one_exchange_too_many_is_refused_until_another_ends() {
    let (upstream, running) = limited(Limits { exchanges: 2, ..Limits::default() });
    let mut open: Vec<_> = (1..=2)
        .map(|count| {
            let mut client = Client::connect(proxy(&running)).unwrap();
            client.write(&client::request("PUT", "/?script=wait", &[], b"")).unwrap();
            wait::until("the upstream to be asked", || (upstream.executed().len() == count).then_some(()));
            client
        })
        .collect();
    let refused = client::send(proxy(&running), "PUT", "/third", &[], b"").unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let message = "Too many exchanges are open; nothing was sent to the upstream server";
    assert_eq!(refused.json()["message"], message);
    assert_eq!(client::send(proxy(&running), "GET", "/unwatched", &[], b"").unwrap().status, 200);
    let asked: Vec<_> = upstream.executed().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/?script=wait", "/?script=wait", "/unwatched"]);

    upstream.release();
    for client in &mut open {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    assert_eq!(client::send(proxy(&running), "PUT", "/fourth", &[], b"").unwrap().status, 200);
}

#[test]
fn one_connection_too_many_takes_the_place_of_one_that_asks_nothing() {
    let (_upstream, running) = limited(Limits { connections: 1, ..Limits::default() });
    let mut first = Client::connect(proxy(&running)).unwrap();
    assert_eq!(first.send("GET", "/", &[], b"").unwrap().status, 200);
    let mut second = Client::connect(proxy(&running)).unwrap();
    assert_eq!(second.send("GET", "/", &[], b"").unwrap().status, 200);
    assert_eq!(first.rest().unwrap(), b"", "it asked nothing");
}

#[test]
fn one_connection_too_many_waits_while_the_others_are_answered() {
    let (upstream, running) = limited(Limits { connections: 1, ..Limits::default() });
    let mut first = Client::connect(proxy(&running)).unwrap();
    first.write(&client::request("GET", "/?script=wait", &[], b"")).unwrap();
    testkit::wait::until("the upstream to be asked", || (!upstream.executed().is_empty()).then_some(()));

    let mut second = TcpStream::connect(proxy(&running)).unwrap();
    second.write_all(&client::request("GET", "/", &[], b"")).unwrap();
    second.set_read_timeout(Some(SHORT)).unwrap();
    let waits = second.read(&mut [0]).unwrap_err();
    assert!(matches!(waits.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{waits}");
    upstream.release();
    assert_eq!(first.answer().unwrap().status, 200, "the first is served as before");

    second.set_read_timeout(None).unwrap();
    let mut status = [0; 12];
    second.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[test]
fn a_head_may_have_so_many_headers_and_bytes() {
    let (upstream, running) = limited(Limits { headers: 8, head_size: 8 << 10, ..Limits::default() });
    // `host` is one.
    let headers = |count: usize| vec![("x-one", "1"); count - 1];
    let long = |bytes: usize| format!("/{}", "x".repeat(bytes));
    let status = |target: &str, headers: &[(&str, &str)]| {
        client::send(proxy(&running), "GET", target, headers, b"").unwrap().status
    };
    assert_eq!(status("/", &headers(8)), 200);
    assert_eq!(status("/", &headers(9)), 431);
    assert_eq!(status(&long(7 << 10), &[]), 200);
    assert_eq!(status(&long(9 << 10), &[]), 431);
    assert_eq!(upstream.executed().len(), 2);
}

#[test]
fn a_head_that_does_not_come_whole_in_time_ends_its_connection() {
    let (upstream, running) = limited(Limits { head_timeout: SHORT, ..Limits::default() });
    let connect = || TcpStream::connect(proxy(&running)).unwrap();
    let started = Instant::now();

    let mut silent = connect();
    silent.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").unwrap();
    let mut trickling = connect();
    let mut writing = trickling.try_clone().unwrap();
    // Never silent for as long as the timeout: it is for the whole head.
    let trickler = std::thread::spawn(move || {
        let mut begun = writing.write_all(b"GET / HTTP/1.1\r\nx-long: ");
        while begun.is_ok() {
            pause(SHORT / 10);
            begun = writing.write_all(b"x");
        }
    });
    let mut idle = Client::connect(proxy(&running)).unwrap();
    assert_eq!(idle.send("GET", "/", &[], b"").unwrap().status, 200);

    for stream in [&mut silent, &mut trickling] {
        let mut told = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut told);
        assert!(!told.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&told));
    }
    assert_eq!(idle.rest().unwrap(), b"");
    trickler.join().unwrap();
    assert!((SHORT..SHORT * 50).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(upstream.executed().len(), 1);
}

#[test]
fn what_comes_in_has_the_scheme_and_the_port_of_its_listener() {
    let upstream = Upstream::start();
    // What is spoken there is data: TLS itself makes no difference to what a service is told.
    let listeners = [("plain", Scheme::Http), ("secure", Scheme::Https)].map(|(name, scheme)| Listener {
        name,
        address: ANY,
        scheme,
    });
    let config = Config { listeners: listeners.to_vec(), workers: 2, ..config() };
    let running = start(config, service(LOCALHOST, upstream.address().port()), true);
    for (name, scheme) in [("plain", "http"), ("secure", "https")] {
        let address = running.address(name).unwrap();
        assert_eq!(client::send(address, "GET", "/", &[], b"").unwrap().status, 200);
        let executed = upstream.executed();
        let asked = executed.last().unwrap();
        assert_eq!(asked.header("x-forwarded-proto"), Some(scheme));
        assert_eq!(asked.header("x-forwarded-port"), Some(address.port().to_string().as_str()));
    }
    assert_eq!(running.address("admin"), None);
    let taken = Listener { address: running.address("plain").unwrap(), ..listeners[0] };
    let again = Gateway::bind(Config { listeners: vec![listeners[1], taken], ..self::config() });
    assert_eq!(again.err().unwrap().listener, taken, "it says which one");
}
