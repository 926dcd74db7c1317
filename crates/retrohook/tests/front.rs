//! What a request is taken for before it is routed, and what service and event learn of it: methods, names of headers, addresses, circles.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use testkit::client::{self, Client};
use testkit::process::Setup;
use testkit::scene::{Profiles, Scene};
use testkit::server::{Request, fill_until};
use testkit::upstream::Upstream;
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A service that reads no body: whatever follows a head is the next request to it. It keeps each request's first line.
struct Bodyless {
    address: SocketAddr,
    executed: Arc<Mutex<Vec<String>>>,
}

impl Bodyless {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let executed = Arc::new(Mutex::new(Vec::new()));
        let record = executed.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let record = record.clone();
                std::thread::spawn(move || serve_heads(stream, &record));
            }
        });
        Self { address, executed }
    }

    fn executed(&self) -> Vec<String> {
        self.executed.lock().expect("no panic").clone()
    }
}

fn serve_heads(mut stream: TcpStream, record: &Mutex<Vec<String>>) {
    let mut buffer = Vec::new();
    while fill_until(&mut stream, &mut buffer, b"\r\n\r\n").unwrap_or(false) {
        let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&buffer.drain(..end).collect::<Vec<u8>>()).into_owned();
        record.lock().expect("no panic").push(head.lines().next().unwrap_or_default().to_owned());
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

fn all_of_it(upstream: SocketAddr) -> String {
    format!(
        r#"_format_version: "3.0"
services:
- name: all
  url: http://{upstream}
  routes:
  - {{ name: all, paths: [/], strip_path: false }}
  plugins:
  - name: publish-sns
    config: {{ topic_arn: changes, routes: [{{ method: PUT, matcher: ^/profiles/ }}] }}
topics:
- name: changes
"#
    )
}

/// Sends bytes, and all that comes back until the gateway closes.
#[track_caller]
fn answers_to(proxy: SocketAddr, request: &str) -> String {
    let mut client = Client::connect(proxy).expect("the proxy accepts");
    // It may refuse before it has read all; then the rest is answered with a reset.
    let _ = client.write(request.as_bytes());
    String::from_utf8_lossy(&client.rest().unwrap_or_default()).into_owned()
}

#[test]
fn no_request_is_smuggled_in_the_body_of_connect_or_trace() {
    let upstream = Bodyless::start();
    let setup = Setup::new(RETROHOOK, all_of_it(upstream.address));
    let gateway = setup.start();
    let hidden = "PUT /profiles/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for line in [
        "CONNECT /profiles/1",
        "TRACE /profiles/1",
        "CONNECT a:80",
        "CONNECT http://a/profiles/1",
        "TRACE http://a/profiles/1",
    ] {
        let length = hidden.len();
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{hidden}{next}");
        let answers = answers_to(gateway.proxy(), &request);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{line}: {answers}");
        assert!(answers.starts_with("HTTP/1.1 405 "), "{line}: {answers}");
        assert!(answers.contains("\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{answers}");
        assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
    }
    assert_eq!(upstream.executed(), [""; 0]);
    // The upstream is one that the attack would have worked with.
    client::send(gateway.proxy(), "POST", "/plain", &[], hidden.as_bytes()).expect("an answer");
    assert_eq!(upstream.executed()[0], "POST /plain HTTP/1.1");
}

#[test]
fn a_method_that_a_service_might_fold_is_refused() {
    let upstream = Upstream::start();
    let setup = Setup::new(RETROHOOK, all_of_it(upstream.address()));
    let gateway = setup.start();
    for method in ["put", "Put", "pUT", "PUT1", "P.UT", "P!UT", "put~", "connect"] {
        let request = format!("{method} /profiles/1 HTTP/1.1\r\nHost: a\r\n\r\n");
        let answers = answers_to(gateway.proxy(), &request);
        assert!(answers.starts_with("HTTP/1.1 400 "), "{method}: {answers}");
    }
    assert!(upstream.executed().is_empty());
    for method in ["PUT", "M-SEARCH", "VERSION_CONTROL", "PURGE"] {
        let answer = client::send(gateway.proxy(), method, "/profiles/1", &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{method}");
    }
    assert_eq!(gateway.admin().wait_for_events(1).len(), 1);
}

#[test]
fn check_refuses_methods_that_the_gateway_refuses() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("gateway.yaml");
    let config = all_of_it(SocketAddr::from(([127, 0, 0, 1], 9)));
    let rule = |method: &str| config.replace("method: PUT", &format!("method: \"{method}\""));
    let route = |method: &str| config.replace("paths: [/]", &format!("paths: [/], methods: [\"{method}\"]"));
    let check = |config: String| {
        std::fs::write(&file, config).expect("it can be written");
        let done = Command::new(RETROHOOK).arg("check").arg(&file).output().expect("it runs");
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    for method in ["CONNECT", "trace", "P.UT", "PUT1"] {
        let (ok, problems) = check(rule(method));
        let expected = "this never matches: the gateway answers";
        assert!(!ok && problems.contains(expected), "{method}: {problems}");
    }
    for method in ["CONNECT", "TRACE"] {
        let (ok, problems) = check(route(method));
        assert!(!ok && problems.contains(&format!("`{method}` never matches")), "{method}: {problems}");
    }
    let (ok, problems) = check(route("put"));
    assert!(!ok && problems.contains("methods are upper case"), "{problems}");
    for config in [rule("put"), rule("M-SEARCH"), route("PURGE")] {
        let (ok, problems) = check(config);
        assert!(ok, "{problems}");
    }
}

/// What the service got of a `PUT` of the profile with these headers, and what the event says of it.
#[track_caller]
fn put_with(scene: &Scene, headers: &[(&str, &str)]) -> (Request, Value) {
    let before = scene.upstream.executed().len();
    let answer = client::send(scene.gateway().proxy(), "PUT", "/mockbin/profile", headers, b"{}");
    assert_eq!(answer.expect("an answer").status, 200);
    let event = scene.told(before + 1).pop().expect("an event");
    (scene.upstream.executed().pop().expect("it was asked"), event.event)
}

fn header<'e>(event: &'e Value, name: &str) -> Option<&'e str> {
    let headers = event["request"]["headers"].as_array().expect("a list");
    headers.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str())
}

#[test]
fn an_event_says_what_the_service_got() {
    let profiles = Profiles { rule: "key: \"{header:x-tenant}\"", ..Profiles::default() };
    let scene = Scene::start(RETROHOOK, &profiles.yaml());
    let (got, event) = put_with(
        &scene,
        &[
            ("Host", "API.example.com:81"),
            ("Connection", "keep-alive, X-Tenant"),
            ("X-Tenant", "acme"),
            ("X-Kept", "1"),
            ("TE", "trailers"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("X-Kong-Request-Id", "forged"),
            ("X-Real-IP", "6.6.6.6"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("Via", "1.1 forged"),
            ("X-Consumer-Username", "root"),
            ("X-Credential-Identifier", "root"),
            ("X-Authenticated-Groups", "root"),
        ],
    );
    // Nominated, so the service never saw it, so the event has no key of it.
    assert_eq!((got.header("x-tenant"), header(&event, "x-tenant")), (None, None));
    assert_eq!(event["key"], "mockbin/profile");
    for name in ["x-consumer-username", "x-credential-identifier", "x-authenticated-groups"] {
        assert_eq!((got.header(name), header(&event, name)), (None, None), "{name}");
    }
    // What the gateway says to the service is not what the client said.
    assert_ne!(got.header("x-kong-request-id"), Some("forged"));
    assert_eq!(got.header("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(got.header("x-forwarded-for"), Some("6.6.6.6, 127.0.0.1"));
    assert!(got.header("via").is_some_and(|via| via.starts_with("1.1 forged, 1.1 retrohook/")));
    let headers = event["request"]["headers"].as_array().expect("a list");
    let names: BTreeSet<_> = headers.iter().filter_map(|pair| pair[0].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["content-length", "host", "x-kept"]), "{event:#}");
    // The Host is the client's; the service's is a fact of its own.
    assert_eq!(header(&event, "host"), Some("API.example.com:81"));
    assert_eq!(event["request"]["upstream_host"], scene.upstream.address().to_string());
    assert_eq!(event["request"]["upstream_uri"], "/profile");
}

#[test]
fn an_underscore_forges_no_name() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let forged = [
        ("X_Real_IP", "6.6.6.6"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Forwarded_Proto", "https"),
        ("X_Kong_Request_Id", "forged"),
        ("X_Consumer_Username", "root"),
        ("X_Credential_Identifier", "root"),
        ("X_Authenticated_Userid", "root"),
        ("X_Retrohook_Hops", "0"),
        ("Content_Length", "100"),
        ("Transfer_Encoding", "chunked"),
        ("X_Tenant", "acme"),
    ];
    let (got, event) = put_with(&scene, &forged);
    let kept = |name: &str| name.contains('_').then_some(name.to_owned());
    let got: Vec<_> = got.headers.iter().filter_map(|(name, _)| kept(name)).collect();
    let headers = event["request"]["headers"].as_array().expect("a list");
    let said: Vec<_> = headers.iter().filter_map(|pair| kept(pair[0].as_str()?)).collect();
    assert_eq!((got, said), (vec!["x_tenant".to_owned()], vec!["x_tenant".to_owned()]));
}

#[test]
fn a_request_in_circles_ends_after_eight_passes() {
    // The port is only known once a first gateway had it.
    let setup = Setup::new(RETROHOOK, all_of_it(SocketAddr::from(([127, 0, 0, 1], 9))));
    let first = setup.start();
    let proxy = first.proxy();
    first.terminate();
    let mut setup = setup.again();
    setup.config = all_of_it(proxy);
    setup.flags.push(format!("--proxy-listen={proxy}"));
    let gateway = setup.start();
    let answer = client::send(proxy, "PUT", "/profiles/1", &[], b"{}").expect("an answer");
    assert_eq!(answer.status, 508, "{}", answer.text());
    let passes = gateway.admin().metric("retrohook_requests_total{status=\"5xx\"}").expect("a number");
    assert_eq!(passes as u64, 9, "eight went on, the ninth did not");
    wait::until("all intents to be settled", || (gateway.admin().open_intents() == 0).then_some(()));
    assert!(gateway.admin().events().is_empty(), "no success, no event");
}

#[test]
fn gateways_in_a_row_are_no_circle() {
    let upstream = Upstream::start();
    let last = Setup::new(RETROHOOK, all_of_it(upstream.address()));
    let last = (last.start(), last);
    let mut row = vec![last];
    for _ in 0..2 {
        let behind = row.last().expect("one").0.proxy();
        let setup = Setup::new(RETROHOOK, all_of_it(behind));
        row.push((setup.start(), setup));
    }
    let front = row.last().expect("one").0.proxy();
    assert_eq!(client::send(front, "PUT", "/profiles/1", &[], b"{}").expect("an answer").status, 200);
    let got = upstream.executed().pop().expect("it was asked");
    let hops = got.header("x-retrohook-hops").expect("they are counted");
    assert_eq!(hops.split(", ").filter(|entry| entry.ends_with(";1")).count(), 3, "{hops}");
    for (gateway, _) in &row {
        let event = gateway.admin().wait_for_events(1).remove(0);
        assert_eq!(header(&event, "x-retrohook-hops"), None, "{event:#}");
    }
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener_has_its_ipv4_address() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.flags.push("--proxy-listen=[::]:0".into());
    scene.start_gateway();
    let proxy = SocketAddr::from(([127, 0, 0, 1], scene.gateway().proxy().port()));
    let request = client::request("PUT", "/mockbin/profile", &[("X-Forwarded-For", "10.0.0.1")], b"{}");
    let mut client = Client::connect(proxy).expect("the proxy accepts");
    client.write(&request).expect("the proxy reads");
    assert_eq!(client.answer().expect("an answer").status, 200);
    let got = scene.upstream.executed().pop().expect("it was asked");
    assert_eq!(got.header("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(got.header("x-forwarded-for"), Some("10.0.0.1, 127.0.0.1"));
    let told = scene.told(1).remove(0);
    assert_eq!(told.event["request"]["client_ip"], "127.0.0.1");
    assert_eq!(told.message.json()["client_ip"], "127.0.0.1");
}

#[test]
fn a_service_is_told_the_port_by_which_its_client_came() {
    let told = |flags: &[&str], host: &str| {
        let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
        scene.setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        scene.start_gateway();
        let mut client = Client::connect(scene.gateway().proxy()).expect("the proxy accepts");
        let head = format!(
            "PUT /mockbin/profile HTTP/1.1\r\nHost: {host}\r\nForwarded: for=192.0.2.43\r\nX-Script-Name: /claimed\r\n\
             Content-Length: 2\r\n\r\n{{}}"
        );
        client.write(head.as_bytes()).expect("the proxy reads");
        assert_eq!(client.answer().expect("an answer").status, 200);
        let event = scene.told(1).remove(0).event;
        assert_eq!(event["request"]["host"], "api.example.com", "events have no port");
        scene.upstream.executed().pop().expect("it was asked")
    };
    for (flags, host, expected) in [
        (&[][..], "api.example.com:8000", "api.example.com:8000"),
        (&[], "api.example.com:443", "api.example.com:443"),
        (&[], "api.example.com:80", "api.example.com"),
        (&[], "api.example.com", "api.example.com"),
        (&["--forwarded-host-port=strip"], "api.example.com:8000", "api.example.com"),
    ] {
        let got = told(flags, host);
        assert_eq!(got.header("x-forwarded-host"), Some(expected), "{flags:?} {host}");
        assert_eq!(got.header("forwarded"), Some("for=192.0.2.43"), "it is the client's");
    }
    let got = told(&["--tell=forwarded,x-script-name"], "api.example.com:8000");
    let forwarded = "for=192.0.2.43, for=127.0.0.1;host=\"api.example.com:8000\";proto=http";
    assert_eq!(got.header("forwarded"), Some(forwarded));
    assert_eq!(got.header("x-script-name"), Some("/mockbin"));
}

#[test]
fn a_client_without_host_makes_urls_with_the_address_that_it_asked() {
    for (listen, host) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]"), ("[::]:0", "127.0.0.1")] {
        for (format, preserve) in [("kong-0.8", false), ("cloudevents", true)] {
            let rule = format!("format: {format}");
            let profiles = Profiles { rule: &rule, ..Profiles::default() };
            let yaml = profiles.yaml();
            let kept = format!("strip_path: true, preserve_host: {preserve}");
            let mut scene = Scene::prepare(RETROHOOK, &yaml.replace("strip_path: true", &kept));
            scene.setup.flags.push(format!("--proxy-listen={listen}"));
            scene.start_gateway();
            let port = scene.gateway().proxy().port();
            let address = SocketAddr::new(host.trim_matches(['[', ']']).parse().expect("an address"), port);
            let mut client = Client::connect(address).expect("the proxy accepts");
            client
                .write(b"PUT /mockbin/profile HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
                .expect("the proxy reads");
            assert_eq!(client.answer().expect("an answer").status, 200);
            let got = scene.upstream.executed().pop().expect("it was asked");
            assert_eq!(got.header("host"), Some(&*scene.upstream.address().to_string()));
            assert_eq!(got.header("x-forwarded-host"), Some(host));
            let told = scene.told(1).remove(0);
            let message = told.message.json();
            match format {
                "kong-0.8" => {
                    let url = format!("http://{host}:{port}/mockbin/profile");
                    assert_eq!(message["request"]["request_uri"], url);
                    assert_eq!(message["request"]["headers"].get("host"), None, "the client sent none");
                }
                _ => {
                    assert_eq!(message["source"], format!("//{host}/mockbin"));
                    assert_eq!(message["data"]["request"]["host"], host);
                }
            }
        }
    }
}
