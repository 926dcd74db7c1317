//! The listeners beside the data path: who may ask, how many, over what, and how they end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::client::{self, Answer, Client};
use testkit::process::{Process, Setup};
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A pending subscription, so that there is a link to confirm it, and a queue.
const CONFIG: &str = r#"_format_version: "3.0"
topics:
- name: profile-changes
  subscriptions:
  - { protocol: http, endpoint: "{receiver}" }
  - { protocol: sqs, endpoint: worker }
queues: [{ name: worker }]
"#;

fn start(flags: &[&str]) -> Process {
    let mut setup = Setup::new(RETROHOOK, CONFIG.replace("{receiver}", "http://127.0.0.1:9/"));
    setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    setup.start()
}

#[track_caller]
fn ask(address: SocketAddr, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    client::send(address, method, target, headers, body.as_bytes()).expect("an answer")
}

/// What the JSON protocol of SQS sends.
const SQS: (&str, &str) = ("x-amz-target", "AmazonSQS.ReceiveMessage");
const RECEIVE: &str = r#"{"QueueUrl":"worker"}"#;

#[test]
fn names_of_other_sites_are_misdirected() {
    let gateway = start(&[
        "--hub-public-listen=127.0.0.1:0",
        "--hub-url=https://hooks.example.com",
        "--allow-host=.example.org",
    ]);
    let (admin, hub, public) =
        (gateway.address("admin"), gateway.address("hub"), gateway.address("hub-public"));
    for host in [
        "127.0.0.1:8001",
        "localhost",
        "rh.localhost:1",
        "retrohook:8001",
        "hooks.example.com",
        "gw.example.org",
        "[::1]",
    ] {
        assert_eq!(ask(admin, "GET /status", &[("host", host)], "").status, 200, "{host}");
        assert_eq!(ask(hub, "POST /", &[("host", host), SQS], RECEIVE).status, 200, "{host}");
    }
    let evil = ("host", "rebound.example.net:8001");
    let refused = ask(admin, "POST /retrohook/subscriptions/1/enable", &[evil], "");
    assert_eq!(refused.status, 421);
    let hint = refused.json()["hint"].as_str().unwrap_or_default().to_owned();
    assert!(hint.contains("--allow-host rebound.example.net"), "{hint}");
    let refused = ask(hub, "POST /", &[evil, SQS], RECEIVE);
    assert_eq!(refused.status, 421);
    assert!(
        refused.json()["message"].as_str().is_some_and(|text| text.contains("--allow-host")),
        "{}",
        refused.text()
    );
    let refused = ask(hub, "GET /?Action=Unsubscribe", &[evil], "");
    assert_eq!(refused.status, 421);
    assert!(refused.text().contains("<Code>MisdirectedRequest</Code>"), "{}", refused.text());
    // Endpoints elsewhere know it by whatever name they were given.
    assert_eq!(ask(public, "GET /", &[evil], "").status, 404);
    // HTTP/1.0 without a Host.
    let mut old = Client::connect(admin).expect("it accepts");
    old.write(b"GET /status HTTP/1.0\r\n\r\n").expect("it reads");
    assert_eq!(old.answer().expect("an answer").status, 200);
}

#[test]
fn pages_of_other_sites_are_refused_and_clients_that_are_no_browsers_are_not() {
    let gateway = start(&["--allow-origin=https://admin.example.com", "--hub-public-listen=127.0.0.1:0"]);
    let (admin, hub, public) =
        (gateway.address("admin"), gateway.address("hub"), gateway.address("hub-public"));
    let host = ("host", "localhost:8001");
    let enable = "POST /retrohook/subscriptions/1/enable";
    for foreign in [
        ("origin", "https://evil.example.net"),
        ("origin", "http://localhost:3000"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let refused = ask(admin, enable, &[host, foreign], "");
        assert_eq!(refused.status, 403, "{foreign:?}");
        assert!(refused.json()["hint"].as_str().is_some_and(|hint| hint.contains("--allow-origin")));
        // A form of plain text needs no consent of ours.
        let headers = [host, foreign, SQS, ("content-type", "text/plain")];
        assert_eq!(ask(hub, "POST /", &headers, RECEIVE).status, 403, "{foreign:?}");
        assert_eq!(ask(public, "POST /?Action=Unsubscribe", &[host, foreign], "").status, 403, "{foreign:?}");
    }
    assert_eq!(gateway.admin().get("/retrohook/subscriptions/1").json()["state"], "pending");
    for own in [
        &[host, ("origin", "https://localhost:8001")][..],
        &[host, ("origin", "https://admin.example.com"), ("sec-fetch-site", "cross-site")],
        &[host, ("sec-fetch-site", "same-origin")],
        // As undici sends it, the client in Node, and with it the AWS SDK and kongfig.
        &[host, ("sec-fetch-mode", "cors"), ("user-agent", "node"), ("accept-language", "*")],
    ] {
        assert_eq!(ask(admin, "GET /status", own, "").status, 200, "{own:?}");
        assert_eq!(ask(hub, "POST /", &[own, &[SQS]].concat(), RECEIVE).status, 200, "{own:?}");
    }
    // The links of SNS are followed from mails; this one has no such token.
    let link = "GET /?Action=ConfirmSubscription&Token=x&TopicArn=arn:aws:sns:us-east-1:000000000000:profile-changes";
    for address in [hub, public] {
        let followed = ask(address, link, &[host, ("sec-fetch-site", "cross-site")], "");
        assert_eq!(followed.status, 400, "{}", followed.text());
    }
    assert_eq!(ask(admin, enable, &[host], "").status, 200);
}

#[test]
fn every_answer_is_kept_by_nobody_and_shown_in_no_frame() {
    let gateway = start(&["--hub-public-listen=127.0.0.1:0"]);
    for listener in ["admin", "hub", "hub-public"] {
        for (request, host) in
            [("GET /status", "localhost"), ("GET /nothing", "localhost"), ("GET /", "evil.example.net")]
        {
            let answer = ask(gateway.address(listener), request, &[("host", host)], "");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{listener} {request} {}", answer.status);
            }
        }
    }
}

#[test]
fn only_get_and_post_follow_the_links_of_messages() {
    let scene = Scene::start(RETROHOOK, &Profiles { subscription: "", ..Profiles::default() }.yaml());
    scene.receiver.set_confirms(false);
    let state =
        || scene.admin().get("/retrohook/subscriptions/1").json()["state"].as_str().map(str::to_owned);
    let asked = wait::until("the handshake", || scene.receiver.received().first().cloned());
    let confirm = Link::new(asked.json()["SubscribeURL"].as_str().expect("a link"));
    confirm.is_refused_to_others();
    assert_eq!(state().as_deref(), Some("pending"));
    assert_eq!(confirm.send("GET").status, 200);
    assert_eq!(state().as_deref(), Some("confirmed"));

    assert_eq!(scene.put("").expect("an answer").status, 200);
    let message = scene.receiver.wait_for(1).remove(0);
    let leave = Link::new(message.json()["UnsubscribeURL"].as_str().expect("a link"));
    leave.is_refused_to_others();
    assert_eq!(state().as_deref(), Some("confirmed"));
    assert_eq!(leave.send("POST").status, 200);
    assert_eq!(state().as_deref(), Some("disabled"));
}

/// A link out of a message.
struct Link {
    address: SocketAddr,
    target: String,
}

impl Link {
    fn new(url: &str) -> Self {
        let (authority, target) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
        Self { address: authority.parse().expect("an address"), target: format!("/{target}") }
    }

    #[track_caller]
    fn send(&self, method: &str) -> Answer {
        send_head(self.address, method, &self.target, &[("host", "localhost")])
    }

    /// Link checkers and browsers send these without anybody's wish.
    #[track_caller]
    fn is_refused_to_others(&self) {
        for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"] {
            let refused = self.send(method);
            assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST")), "{method}");
        }
    }
}

#[test]
fn what_changes_something_takes_only_its_method() {
    let gateway = start(&["--hub-public-listen=127.0.0.1:0"]);
    let (admin, host) = (gateway.address("admin"), ("host", "localhost"));
    for listener in ["hub", "hub-public"] {
        let hub = gateway.address(listener);
        for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
            let refused = send_head(hub, method, "/000000000000/worker", &[host, SQS]);
            assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")), "{listener} {method}");
        }
        let refused = ask(hub, "POST /SimpleNotificationService-0.pem", &[host], "");
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
        assert!(refused.text().contains("<Code>MethodNotAllowed</Code>"), "{}", refused.text());
    }
    for (request, allowed) in [
        ("GET /retrohook/subscriptions/1/enable", "POST"),
        ("HEAD /retrohook/dead-letters/1/redrive", "POST"),
        ("OPTIONS /retrohook/dead-letters/1/1/redrive", "POST"),
        ("PUT /retrohook/events/x/deliveries/1/redeliver", "POST"),
        ("POST /status", "GET,HEAD"),
        ("DELETE /retrohook/events", "GET,HEAD"),
    ] {
        let (method, target) = request.split_once(' ').expect("both");
        let refused = send_head(admin, method, target, &[host]);
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allowed)), "{request}");
        if method != "HEAD" {
            assert!(refused.json()["hint"].is_string(), "{request}");
        }
    }
}

/// An answer without its body, which HEAD does not have.
#[track_caller]
fn send_head(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    let mut request = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    parse(&text)
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.parse().expect("a number"),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.as_bytes().to_vec(),
    }
}

#[track_caller]
fn ask_unix(path: &Path, request: &str, headers: &str) -> Answer {
    let mut stream = UnixStream::connect(path).expect("it accepts");
    let request = format!("{request} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    parse(&text)
}

#[test]
fn admin_and_hub_listen_on_unix_sockets() {
    let folder = tempfile::tempdir().expect("a folder");
    let (admin, hub) = (folder.path().join("admin.sock"), folder.path().join("hub.sock"));
    // What a process left that died.
    drop(UnixListener::bind(&admin).expect("a socket"));
    let flags =
        [format!("--admin-listen=unix:{}", admin.display()), format!("--hub-listen=unix:{}", hub.display())];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let gateway = start(&flags);
    assert_eq!(gateway.listeners()["admin"], format!("unix:{}", admin.display()));
    for path in [&admin, &hub] {
        let mode = std::fs::metadata(path).expect("its file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // No browser gets here, so the name does not matter.
    let status = ask_unix(&admin, "GET /status", "host: whatever.example.net\r\n");
    assert_eq!((status.status, &status.json()["retrohook"]["store"]), (200, &"ready".into()));
    let head = format!("host: localhost\r\n{}: AmazonSQS.ListQueues\r\ncontent-length: 2\r\n\r\n{{}}", SQS.0);
    assert_eq!(ask_unix(&hub, "POST /", &head).status, 200);

    let second = refused_start(&flags);
    assert!(
        second.contains("--admin-listen") && second.contains("another process listens there"),
        "{second}"
    );
    assert_eq!(ask_unix(&admin, "GET /status", "host: localhost\r\n").status, 200, "the first goes on");
    assert!(gateway.terminate().success());
    assert!(!admin.exists() && !hub.exists());

    let long = format!("--admin-listen=unix:/tmp/{}.sock", "x".repeat(120));
    assert!(refused_start(&[&long]).contains("107"));
    assert!(
        refused_start(&["--proxy-listen=unix:/tmp/proxy.sock"])
            .contains("--proxy-listen takes no Unix socket")
    );
}

/// All that a process says that does not start.
#[track_caller]
fn refused_start(flags: &[&str]) -> String {
    let mut setup = Setup::new(RETROHOOK, CONFIG.replace("{receiver}", "http://127.0.0.1:9/"));
    setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let mut process = setup.start_without_waiting();
    assert!(!process.wait().success());
    process.output()
}

#[test]
fn listeners_that_are_open_to_others_are_warned_of() {
    let gateway = start(&["--admin-listen=0.0.0.0:0", "--hub-listen=[::]:0"]);
    let output = gateway.output();
    for setting in ["--admin-listen", "--hub-listen"] {
        assert!(output.contains(&format!("warning: {setting} ")), "{output}");
    }
    assert!(output.contains("unix:/path/of/a.sock"), "{output}");
    assert!(output.contains("replace the whole configuration (POST /config)"), "{output}");
    assert!(output.contains("delete topics and queues"), "{output}");
    assert!(!start(&[]).output().contains("asks for no password"));
}

#[test]
fn half_a_request_does_not_hold_up_a_stop() {
    let mut setup = Setup::new(RETROHOOK, CONFIG.replace("{receiver}", "http://127.0.0.1:9/"));
    setup.flags.push("--drain-timeout=10m".into());
    let gateway = setup.start();
    let mut open = Vec::new();
    for listener in ["proxy", "admin", "hub"] {
        for half in [
            "",
            "GET /status HTTP/1.1\r\nho",
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf",
        ] {
            let mut client = Client::connect(gateway.address(listener)).expect("it accepts");
            client.write(half.as_bytes()).expect("it reads");
            open.push(client);
        }
    }
    assert!(gateway.terminate().success());
}

/// Opens idle connections, as many as a listener lets stay.
fn idle(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok();
    (0..count).filter_map(connect).collect()
}

#[test]
fn idle_connections_take_descriptors_from_nobody() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the hard limit is allowed");
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.wrapper = ["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    scene.start_gateway();
    let gateway = scene.gateway();
    gateway.wait_until_it_says("only 256 open files");
    let mut open = Vec::new();
    for listener in ["proxy", "admin", "hub"] {
        open.extend(idle(gateway.address(listener), 1_000));
    }
    assert!(open.len() > 2_000, "{}", open.len());
    assert_eq!(scene.admin().status().0, 200);
    assert_eq!(scene.put("").expect("an answer").status, 200);
    scene.told(1);
    // They come again and again, and the node goes on.
    for _ in 0..3 {
        for listener in ["proxy", "admin", "hub"] {
            open.extend(idle(gateway.address(listener), 100));
        }
        assert_eq!(scene.admin().status().0, 200);
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    let held = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).expect("its descriptors").count();
    assert!(held < 256, "{held}");
    assert!(!gateway.output().contains("cannot accept"), "{}", gateway.output());
}

#[test]
fn crowds_at_admin_and_hub_do_not_keep_an_operator_from_the_status() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    for _ in 0..20 {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    scene.told(20);
    let gateway = scene.gateway();
    let (mut asking, mut refused) = (Vec::new(), 0);
    let list = client::request("GET", "/retrohook/events?limit=500", &[("host", "localhost")], b"");
    let half = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\nhalf".to_vec();
    for _ in 0..200 {
        // Many questions in one go, and nobody who reads the answers.
        for (listener, bytes) in [("admin", list.repeat(100)), ("hub", half.clone())] {
            let mut client = Client::connect(gateway.address(listener)).expect("it accepts");
            client.write(&bytes).expect("it reads");
            asking.push(client);
        }
        assert_eq!(scene.admin().status().0, 200);
        assert_eq!(scene.admin().get("/status/ready").status, 200);
        refused += u16::from(scene.admin().get("/retrohook/events?limit=1").status == 503);
    }
    assert!(refused < 200, "others get their turn, too");
}
