//! Answers that come before their request is complete: the client gets them, whatever the service does to its connection after that, and
//! whatever the client does before it looks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::python;
use testkit::scene::{Profiles, Scene};
use testkit::server::{self, fill_until};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// More than all sockets on the way hold together.
const UPLOAD: usize = 24 << 20;

/// What a service does after it has answered the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It closes, which resets the connection because bytes are left unread.
    Closes,
    /// It resets the connection at once.
    Resets,
    /// It says that it closes, and reads nothing more.
    SaysThatItCloses,
    /// It neither reads nor closes.
    Stops,
    /// It reads to the end of the body and stays open.
    ReadsOn,
}

/// A service that answers each head at once with this status, and then behaves like this.
fn service(status: u16, manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || drop(serve(stream, status, manner)));
        }
    });
    address
}

fn serve(mut stream: TcpStream, status: u16, manner: Manner) -> io::Result<()> {
    let mut buffer = Vec::new();
    fill_until(&mut stream, &mut buffer, b"\r\n\r\n")?;
    let says: &[(&str, &str)] =
        if manner == Manner::SaysThatItCloses { &[("connection", "close")] } else { &[] };
    server::answer(&mut stream, status, says, b"early")?;
    match manner {
        Manner::Closes => Ok(()),
        Manner::Resets => server::reset(stream),
        Manner::SaysThatItCloses | Manner::Stops => {
            // Longer than any test waits.
            wait::pause(Duration::from_secs(100));
            Ok(())
        }
        Manner::ReadsOn => io::copy(&mut stream, &mut io::sink()).map(drop),
    }
}

fn scene(upstream: SocketAddr, request_buffering: bool) -> Scene {
    let route = format!("strip_path: true, request_buffering: {request_buffering}");
    let config = Profiles::default().yaml().replace("strip_path: true", &route);
    Scene::start(RETROHOOK, &config.replace("{upstream}", &upstream.to_string()))
}

/// Uploads with Python's client: one that matches a rule and one that does not, with a length and in chunks.
#[track_caller]
fn uploads(scene: &Scene, times: usize) -> Vec<Value> {
    let kinds: Vec<Value> = [("PUT", "/mockbin/profile"), ("POST", "/mockbin/other")]
        .into_iter()
        .flat_map(|(method, target)| {
            [false, true].map(|chunked| json!({ "method": method, "target": target, "chunked": chunked }))
        })
        .collect();
    let uploads: Vec<Value> = std::iter::repeat_n(kinds, times).flatten().collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/upload.py");
    let asked = json!({ "port": scene.gateway().proxy().port(), "size": UPLOAD, "uploads": uploads });
    let said = python::run(&script, &asked);
    assert!(said.ok, "{}", said.text);
    serde_json::from_str(&said.text).expect("a list")
}

#[test]
fn an_answer_before_the_body_reaches_pythons_client_eight_times_of_eight() {
    std::thread::scope(|scope| {
        for (status, manner) in [
            (413, Manner::Closes),
            (411, Manner::Resets),
            (401, Manner::Stops),
            (413, Manner::SaysThatItCloses),
        ] {
            for request_buffering in [true, false] {
                scope.spawn(move || {
                    let scene = scene(service(status, manner), request_buffering);
                    let all = uploads(&scene, 2);
                    let expected = json!([status, "close", "early"]);
                    assert!(
                        all.iter().all(|one| *one == expected),
                        "{manner:?} {request_buffering}: {all:#?}"
                    );
                    assert_eq!(all.len(), 8);
                    scene.told(0);
                });
            }
        }
    });
}

#[test]
fn a_success_before_the_body_reaches_the_client_and_makes_its_event() {
    std::thread::scope(|scope| {
        for manner in [Manner::Closes, Manner::Resets, Manner::SaysThatItCloses, Manner::Stops] {
            scope.spawn(move || {
                let scene = scene(service(200, manner), true);
                let all = uploads(&scene, 1);
                for one in &all {
                    assert_eq!((&one[0], &one[2]), (&json!(200), &json!("early")), "{manner:?}: {all:#?}");
                }
                let told = scene.told(2);
                assert!(told.iter().all(|told| told.outcome() == "succeeded"), "{manner:?}");
            });
        }
    });
}

/// A connection that has sent the head of a large body and a part of it.
fn begin(scene: &Scene, line: &str) -> TcpStream {
    let mut client = TcpStream::connect(scene.gateway().proxy()).expect("the proxy accepts");
    client.set_read_timeout(Some(wait::SOON)).expect("a socket");
    let head = format!("{line} HTTP/1.1\r\nhost: test.example.com\r\ncontent-length: {UPLOAD}\r\n\r\n");
    client.write_all(head.as_bytes()).expect("the proxy reads");
    client.write_all(&[b'x'; 100_000]).expect("the proxy reads");
    client
}

#[test]
fn a_service_that_succeeds_before_the_body_gets_all_of_it_and_the_connection_is_kept() {
    for line in ["PUT /mockbin/profile", "POST /mockbin/other"] {
        let scene = scene(service(200, Manner::ReadsOn), true);
        let mut client = begin(&scene, line);
        let mut got = Vec::new();
        assert!(fill_until(&mut client, &mut got, b"early").expect("an answer before the body has ended"));
        assert!(!String::from_utf8_lossy(&got).contains("connection: close"), "{line}");
        client.write_all(&vec![b'x'; UPLOAD - 100_000]).expect("all of it is taken");
        client.write_all(b"GET /mockbin/next HTTP/1.1\r\nhost: a\r\n\r\n").expect("the proxy reads");
        got.clear();
        assert!(
            fill_until(&mut client, &mut got, b"early").expect("an answer on the same connection"),
            "{line}"
        );
    }
}

#[test]
fn after_the_answer_the_gateway_closes_its_direction_and_reads_on() {
    let scene = scene(service(413, Manner::Stops), true);
    for line in ["PUT /mockbin/profile", "POST /mockbin/other"] {
        let mut client = begin(&scene, line);
        let began = Instant::now();
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("an end of this direction, and no reset");
        assert!(String::from_utf8_lossy(&got).ends_with("early"), "{line}");
        assert!(began.elapsed() < Duration::from_secs(4), "{line}: the answer waited for the client");
        for _ in 0..20 {
            client.write_all(&[b'x'; 100_000]).expect("what is still sent is taken");
        }
    }
}

#[test]
fn what_the_gateway_refuses_itself_reaches_a_client_that_is_still_sending() {
    let scene = scene(service(200, Manner::ReadsOn), true);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/upload.py");
    for (port, target, status) in [
        (scene.gateway().proxy().port(), "/nowhere", 404),
        (scene.gateway().address("admin").port(), "/config", 400),
    ] {
        let upload = |chunked: bool| json!({ "method": "POST", "target": target, "chunked": chunked });
        let asked = json!({ "port": port, "size": UPLOAD, "uploads": [upload(false), upload(true)] });
        let said = python::run(&script, &asked);
        let all: Vec<Value> = serde_json::from_str(&said.text).expect("a list");
        assert!(all.iter().all(|one| one[0] == status), "{target}: {all:#?}");
    }
}
