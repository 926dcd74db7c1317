//! How the gateway and the deliveries reach others: names that move, hang, or have an address that is dead; receivers that answer as they
//! like; connections that have a limit. Names are those of an `/etc/hosts` and a `resolv.conf` of the gateway's own.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::scene::{Profiles, Scene};
use testkit::server::{Server, Then, answer};
use testkit::{tools, wait};

const PROGRAM: &str = env!("CARGO_BIN_EXE_retrohook");

/// The gateway's own view of names: files in place of `/etc/hosts` and `/etc/resolv.conf`.
struct OwnNames {
    folder: PathBuf,
}

impl OwnNames {
    fn new(scene: &mut Scene, hosts: &str, resolv: &str) -> Self {
        let folder = scene.setup.data.path().join("etc");
        std::fs::create_dir(&folder).expect("a folder");
        let own = Self { folder };
        own.set_hosts(hosts);
        std::fs::write(own.folder.join("resolv.conf"), resolv).expect("it can be written");
        let unshare = tools::find("UNSHARE", "unshare").to_string_lossy().into_owned();
        let etc = own.folder.display();
        let mount = format!(
            "mount --bind '{etc}/hosts' /etc/hosts && mount --bind '{etc}/resolv.conf' /etc/resolv.conf && exec \"$0\" \"$@\""
        );
        scene.setup.wrapper = vec![unshare, "-Urm".into(), "sh".into(), "-c".into(), mount];
        own
    }

    /// Written in place: what is mounted is the file, not its name.
    fn set_hosts(&self, lines: &str) {
        std::fs::write(self.folder.join("hosts"), format!("127.0.0.1 localhost\n{lines}")).expect("written");
    }
}

/// A server that answers every request with 200 and counts them.
struct Counting {
    server: Server,
    requests: Arc<AtomicUsize>,
}

impl Counting {
    fn start(address: SocketAddr) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let server = Server::start(address, move |_, stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            answer(stream, 200, &[], b"{}")?;
            Ok(Then::KeepOpen)
        });
        Self { server: server.expect("a free port"), requests }
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn local(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], port))
}

#[track_caller]
fn put(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

fn subscriptions(scene: &Scene) -> Vec<Value> {
    scene.admin().get("/retrohook/subscriptions").json()["subscriptions"].as_array().expect("a list").clone()
}

/// Some 45 s: as long as the life of a connection, and what is left of that of an answer.
#[test]
fn a_name_that_moves_is_followed_by_both_clients_within_a_minute() {
    let [old_service, old_endpoint] = [Counting::start(local(1, 0)), Counting::start(local(1, 0))];
    let moved = |old: &Counting| Counting::start(local(2, old.server.address().port()));
    let [new_service, new_endpoint] = [moved(&old_service), moved(&old_endpoint)];
    let yaml = Profiles::default().yaml();
    let yaml = yaml.replace("{upstream}", &format!("svc.test:{}", old_service.server.address().port()));
    let endpoint = format!("http://hook.test:{}/x", old_endpoint.server.address().port());
    let mut scene = Scene::prepare(PROGRAM, &yaml.replace("{receiver}", &endpoint));
    scene.setup.flags.push("--allow-endpoints=hook.test".into());
    let names = OwnNames::new(&mut scene, "127.0.0.1 svc.test hook.test\n", "");
    scene.start_gateway();
    // On one connection, so that it goes through one core and its pool.
    let mut client = scene.client();
    let mut go_on = || {
        client.send("PUT", "/mockbin/profile", &[], b"{}").expect("an answer");
        wait::pause(Duration::from_millis(100));
    };
    wait::until("the old servers", || {
        go_on();
        (old_service.count() > 5 && old_endpoint.count() > 5).then_some(())
    });
    assert_eq!((new_service.count(), new_endpoint.count()), (0, 0));
    names.set_hosts("127.0.0.2 svc.test hook.test\n");
    let followed = |old: &Counting, new: &Counting, before: &mut (usize, usize)| {
        let now = (old.count(), new.count());
        let is_followed = now.0 == before.0 && now.1 > before.1;
        *before = now;
        is_followed
    };
    let (mut service, mut endpoint) = (Default::default(), Default::default());
    // Several times in a row: no kept connection to the old address is left.
    let mut in_a_row = 0;
    wait::within(Duration::from_secs(65), "the new servers", || {
        go_on();
        go_on();
        let both = followed(&old_service, &new_service, &mut service)
            & followed(&old_endpoint, &new_endpoint, &mut endpoint);
        in_a_row = if both { in_a_row + 1 } else { 0 };
        (in_a_row > 10).then_some(())
    });
}

#[test]
fn the_second_address_is_tried_while_the_first_gives_no_answer() {
    let patient = Profiles { service: "connect_timeout: 20000", ..Profiles::default() };
    let mut scene = Scene::prepare(PROGRAM, &patient.yaml());
    let (service, endpoint) = (scene.upstream.address(), scene.receiver.url("/hook"));
    let port = endpoint.trim_end_matches("/hook").rsplit_once(':').expect("a port").1.to_owned();
    let _holes = [Hole::dig(service.port()), Hole::dig(port.parse().expect("a port"))];
    scene.setup.config = scene
        .setup
        .config
        .replace(&service.to_string(), &format!("dual.test:{}", service.port()))
        .replace(&endpoint, &format!("http://dual.test:{port}/hook"));
    scene.setup.flags.push("--allow-endpoints=dual.test".into());
    let _names = OwnNames::new(&mut scene, "::1 dual.test\n127.0.0.1 dual.test\n", "");
    scene.start_gateway();
    let began = Instant::now();
    put(&scene);
    scene.told(1);
    // Alone each would wait for half of its timeout: 10 s and 7.5 s.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// A listener on ::1 whose backlog is full: whoever connects gets no answer.
struct Hole {
    _listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl Hole {
    fn dig(port: u16) -> Self {
        let socket =
            || socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).expect("IPv6");
        let to = SocketAddr::from((Ipv6Addr::LOCALHOST, port)).into();
        let listener = socket();
        listener.bind(&to).expect("the port is free");
        listener.listen(0).expect("it listens");
        let mut queued = Vec::new();
        loop {
            let filling = socket();
            let is_full = filling.connect_timeout(&to, Duration::from_millis(200)).is_err();
            queued.push(filling);
            if is_full {
                return Self { _listener: listener, _queued: queued };
            }
            assert!(queued.len() < 50, "the backlog has no end");
        }
    }
}

/// Needs leave to bind port 53: `resolv.conf` knows no other.
#[test]
fn an_endpoint_whose_name_server_hangs_delays_no_other() {
    let _silent =
        UdpSocket::bind(local(9, 53)).expect("port 53 of 127.0.0.9, to be a name server that hangs");
    // It closes every connection, so that each delivery needs another.
    let server = Server::start(local(1, 0), |_, stream| {
        answer(stream, 200, &[("connection", "close")], b"")?;
        Ok(Then::Close)
    });
    let server = server.expect("a free port");
    let good = format!("http://good.test:{}/", server.address().port());
    let hanging: String =
        (0..40).map(|index| raw_subscription(&format!("http://hangs-{index}.example/"))).collect();
    let yaml = Profiles::default().yaml();
    let yaml = yaml.replace("  subscriptions:\n", &format!("  subscriptions:\n{hanging}"));
    let mut scene = Scene::prepare(PROGRAM, &yaml.replace("{receiver}", &good));
    scene.setup.flags.push("--allow-endpoints=good.test".into());
    let _names = OwnNames::new(&mut scene, "127.0.0.1 good.test\n", "nameserver 127.0.0.9\n");
    scene.start_gateway();
    for sequence in 1..=20 {
        put(&scene);
        // Less than the first name server's patience, which is 5 s.
        wait::within(Duration::from_secs(3), "the healthy endpoint to have its event", || {
            let listed =
                subscriptions(&scene).into_iter().find(|listed| listed["endpoint"] == good.as_str())?;
            let last = &listed["last_attempt"];
            (last["status"] == 200 && last["sequence"] == sequence).then_some(())
        });
    }
    let listed = subscriptions(&scene);
    let hanging = listed.iter().filter(|listed| listed["endpoint"] != good.as_str());
    assert_eq!(hanging.filter(|listed| listed["last_attempt"]["status"] == 200).count(), 0);
}

/// Nobody listens on port 53 of 127.0.0.8.
#[test]
fn a_service_without_an_address_is_said_in_the_log_with_its_cause() {
    let yaml = Profiles::default().yaml().replace("{upstream}", "svc.example:9");
    let mut scene = Scene::prepare(PROGRAM, &yaml);
    let _names = OwnNames::new(&mut scene, "", "nameserver 127.0.0.8\n");
    scene.start_gateway();
    let refused = scene.put("").expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text());
    wait::until("the log line", || {
        let output = scene.gateway().output();
        let line = output.lines().find(|line| line.contains("the name of a service has no addresses"))?;
        assert!(line.contains("svc.example") && line.contains("the name servers gave no answer"), "{line}");
        Some(())
    });
}

/// A subscription to raw messages, a line of the file.
fn raw_subscription(endpoint: &str) -> String {
    format!("  - {{ protocol: http, endpoint: \"{endpoint}\", raw_message_delivery: true, confirm: skip }}\n")
}

/// Answers of receivers that are successes by their first line.
const SLOPPY: [(&str, &[u8]); 11] = [
    ("space", b"HTTP/1.1 200 OK\r\nSecured by Some Firewall : x\r\nContent-Length: 0\r\n\r\n"),
    ("colon", b"HTTP/1.1 200 OK\r\nX-A : x\r\nContent-Length: 0\r\n\r\n"),
    ("no-colon", b"HTTP/1.1 200 OK\r\nPHP Warning in line 5\r\nContent-Length: 0\r\n\r\n"),
    ("no-reason", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    ("old", b"HTTP/1.0 200 OK\r\n\r\n"),
    ("fold", b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
    ("line-feeds", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("latin", b"HTTP/1.1 200 D\xe9j\xe0 vu\r\nContent-Length: 0\r\n\r\n"),
    ("twice", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
    ("both", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    ("zero", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
];

#[test]
fn a_receiver_has_succeeded_if_its_first_line_says_so() {
    let mut many = b"HTTP/1.1 200 OK\r\n".to_vec();
    (0..2_000).for_each(|index| many.extend_from_slice(format!("X-{index}: y\r\n").as_bytes()));
    many.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    let huge = [b"HTTP/1.1 200 OK\r\nX: ", &vec![b'y'; 70 << 10][..], b"\r\n\r\n"].concat();
    let mut answers: Vec<(String, Vec<u8>)> =
        SLOPPY.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    answers.push(("many".into(), many));
    answers.push(("huge".into(), huge));
    let known = answers.clone();
    let server = Server::start(local(1, 0), move |request, stream| {
        let (_, bytes) = known.iter().find(|(name, _)| request.target == format!("/{name}")).expect("known");
        stream.write_all(bytes)?;
        // What has no length ends with its connection.
        Ok(if request.target == "/old" { Then::Close } else { Then::KeepOpen })
    });
    let server = server.expect("a free port");
    let endpoints: String = answers
        .iter()
        .map(|(name, _)| raw_subscription(&format!("http://{}/{name}", server.address())))
        .collect();
    let scene = Scene::start(PROGRAM, &format!("{}{endpoints}", Profiles::default().yaml()));
    let is_huge = |listed: &Value| listed["endpoint"].as_str().is_some_and(|name| name.ends_with("/huge"));
    // The second goes to whoever kept its connection, and to whoever did not.
    for sequence in 1..=2 {
        put(&scene);
        let listed = wait::until("an attempt at each", || {
            let listed = subscriptions(&scene);
            let is_done = |one: &Value| is_huge(one) || one["last_attempt"]["sequence"] == sequence;
            (listed.iter().all(is_done) && listed.iter().all(|one| one["last_attempt"].is_object()))
                .then_some(listed)
        });
        for one in listed {
            let last = &one["last_attempt"];
            if is_huge(&one) {
                let error = last["error"].as_str().unwrap_or_default();
                assert!(error.contains("its head is larger than 64 KiB"), "{one}");
            } else {
                assert_eq!((&last["status"], &one["retrying"]), (&200.into(), &0.into()), "{one}");
            }
        }
    }
}

/// A receiver that accepts, reads and never answers.
struct Hung {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
}

impl Hung {
    fn start() -> Self {
        let listener = TcpListener::bind(local(1, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let open = Arc::new(AtomicUsize::new(0));
        let counted = open.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = counted.clone();
                counted.fetch_add(1, Ordering::SeqCst);
                let drained = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
                    let _ = drain(stream);
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
                drained.expect("a thread");
            }
        });
        Self { address, open }
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn drain(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4_096];
    while stream.read(&mut bytes)? > 0 {}
    Ok(())
}

#[test]
fn webhooks_that_never_answer_leave_descriptors_for_all_others() {
    let hung: Vec<Hung> = (0..5).map(|_| Hung::start()).collect();
    let endpoints: String =
        hung.iter().map(|hung| raw_subscription(&format!("http://{}/", hung.address))).collect();
    let mut scene = Scene::prepare(PROGRAM, &format!("{}{endpoints}", Profiles::default().yaml()));
    scene.setup.wrapper = vec!["sh".into(), "-c".into(), "ulimit -n 256 && exec \"$0\" \"$@\"".into()];
    scene.start_gateway();
    let mut client = scene.client();
    for _ in 0..400 {
        let answer = client.send("PUT", "/mockbin/profile", &[], b"{}").expect("an answer");
        assert_eq!(answer.status, 200);
    }
    scene.receiver.wait_for(400);
    let total = || hung.iter().map(Hung::open).sum::<usize>();
    wait::until("all hung ones to be called", || hung.iter().all(|hung| hung.open() > 0).then_some(()));
    assert!(total() <= 64, "a quarter of 256: {}", total());
    // What came after them goes its way: a request, a delivery, the operator's question.
    put(&scene);
    scene.receiver.wait_for(401);
    assert_eq!(scene.admin().status().0, 200);
    assert!(scene.admin().metric("retrohook_attempts_waiting").expect("it is there") > 0.0);
    assert_eq!(scene.admin().metric("retrohook_workers_waiting"), Some(0.0), "the bytes last");
    scene.gateway().wait_until_it_says("deliveries wait for a free connection");
}

#[test]
fn private_endpoints_do_not_include_link_local_ones() {
    let yaml = Profiles::default().yaml();
    let closed = ["http://169.254.1.1/x", "http://[::ffff:169.254.1.1]/x", "http://169.254.42.42/x"];
    let endpoints: String = closed.iter().map(|endpoint| raw_subscription(endpoint)).collect();
    let scene = Scene::start(PROGRAM, &format!("{yaml}{endpoints}"));
    put(&scene);
    let listed = wait::until("an attempt at each", || {
        let listed = subscriptions(&scene);
        listed.iter().all(|listed| listed["last_attempt"]["sequence"] == 1).then_some(listed)
    });
    let errors: Vec<_> =
        listed.iter().filter_map(|listed| listed["last_attempt"]["error"].as_str()).collect();
    assert_eq!(errors.len(), closed.len(), "{listed:#?}");
    assert_eq!(errors.iter().filter(|error| error.contains("a link-local one")).count(), 2, "{errors:?}");
    assert_eq!(errors.iter().filter(|error| error.contains("metadata")).count(), 1, "{errors:?}");
}
