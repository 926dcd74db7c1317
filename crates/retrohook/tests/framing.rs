//! Requests that another hop could read differently: each is refused, or forwarded in a form that has one reading. The upstream keeps
//! the bytes that it was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use testkit::client::Client;
use testkit::process::{Process, Setup};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// What every path is put to: nobody watches `POST /plain`, a rule watches `PUT /watched`.
const LINES: [&str; 2] = ["POST /plain", "PUT /watched"];

/// An upstream that answers what it takes for a request and keeps every byte.
struct Raw {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let record = record.clone();
                std::thread::spawn(move || serve(stream, answer, &record));
            }
        });
        Self { address, seen }
    }

    /// The requests that came in whole since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }
}

fn serve(mut stream: TcpStream, answer: &str, record: &Mutex<Vec<String>>) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        while let Some(length) = whole(&buffer) {
            let request = buffer.drain(..length).collect::<Vec<u8>>();
            record.lock().expect("no panic").push(String::from_utf8_lossy(&request).into_owned());
            if stream.write_all(answer.as_bytes()).is_err() || !answer.contains("\r\ncontent-length:") {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

/// The length of the request at the beginning, if it is whole.
fn whole(buffer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(buffer);
    let head = text.find("\r\n\r\n")? + 4;
    let lower = text[..head].to_ascii_lowercase();
    if lower.contains("\r\ntransfer-encoding: chunked\r\n") {
        return text[head..].find("0\r\n\r\n").map(|end| head + end + 5);
    }
    let length = lower.split_once("\r\ncontent-length: ").and_then(|(_, rest)| rest.split("\r\n").next());
    let end = head + length.map_or(0, |length| length.parse().expect("one number"));
    (buffer.len() >= end).then_some(end)
}

struct Gateway {
    process: Process,
    /// Has its data.
    _setup: Setup,
}

fn gateway(upstream: SocketAddr) -> Gateway {
    let config = format!(
        r#"_format_version: "3.0"
services:
- name: raw
  url: http://{upstream}
  routes:
  - {{ name: raw, paths: [/], strip_path: false }}
  - {{ name: kept, paths: [/kept], strip_path: false, preserve_host: true }}
  plugins:
  - name: publish-sns
    config: {{ topic_arn: changes, routes: [{{ method: PUT, matcher: ^/watched }}] }}
topics:
- name: changes
"#
    );
    let setup = Setup::new(RETROHOOK, config);
    Gateway { process: setup.start(), _setup: setup }
}

/// What a client got until its connection was ended, and what the upstream got of it.
struct Seen {
    answers: String,
    forwarded: Vec<String>,
}

/// Sends a request behind which the gateway is to end the connection.
#[track_caller]
fn send(gateway: &Gateway, upstream: &Raw, request: &[u8]) -> Seen {
    let mut client = Client::connect(gateway.process.proxy()).expect("the proxy accepts");
    // It may refuse before it has read all; then the rest is answered with a reset.
    let _ = client.write(request);
    let answers = String::from_utf8_lossy(&client.rest().unwrap_or_default()).into_owned();
    Seen { answers, forwarded: upstream.take() }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const HOST: &str = "Host: test.example.com\r\n";
/// Behind a body in chunks: what a hop that believes in a length takes for the next request.
const SMUGGLED: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test.example.com\r\n\r\n";

/// Heads behind a request line in HTTP/1.1, and what follows them.
const REFUSED: &[(&str, &str)] = &[
    ("Host: test.example.com\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "helloo"),
    ("Host: test.example.com\r\nContent-Length: 5, 5\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length: 5, 6\r\n", "helloo"),
    ("Host: test.example.com\r\nContent-Length: +5\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length: -5\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length: 0x5\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length: 5 5\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length:\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length: 99999999999999999999\r\n", "hello"),
    ("Host: test.example.com\r\nContent-Length : 5\r\n", "hello"),
    ("Host: test.example.com\r\nTransfer-Encoding : chunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding:\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: identity\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: xchunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: chunked, identity\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: identity, chunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: gzip, chunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: chunked, chunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: chunked;q=1\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: \"chunked\"\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nTransfer-Encoding: \x0bchunked\r\n", SMUGGLED),
    ("Host: test.example.com\r\nX: 1\r\n Content-Length: 5\r\n", "hello"),
    (" Host: test.example.com\r\n", ""),
    ("Host: test.example.com\r\nX: a\0b\r\n", ""),
    ("Host: test.example.com\r\nX: a\rContent-Length: 5\r\n", "hello"),
    ("Host: test.example.com\r\nX\0: 1\r\n", ""),
    ("Host: test.example.com\r\n: 1\r\n", ""),
    ("Host: test.example.com\r\nno colon\r\n", ""),
    ("", ""),
    ("X: 1\r\n", ""),
    ("Host:\r\n", ""),
    ("Host: test.example.com\r\nHost: test.example.com\r\n", ""),
    ("Host: test.example.com\r\nHost: other.example.com\r\n", ""),
    ("Host: test.example.com, other.example.com\r\n", ""),
    ("Host: user@test.example.com\r\n", ""),
    ("Host: test.example.com/other\r\n", ""),
    ("Host: test.example.com:port\r\n", ""),
    ("Host: \u{e4}\r\n", ""),
];

#[test]
fn what_is_ambiguous_is_refused_and_ends_the_connection() {
    let upstream = Raw::start(OK);
    let gateway = gateway(upstream.address);
    for (head, rest) in REFUSED {
        for line in LINES {
            let request = format!("{line} HTTP/1.1\r\n{head}\r\n{rest}");
            let Seen { answers, forwarded } = send(&gateway, &upstream, request.as_bytes());
            assert_eq!(forwarded, [""; 0], "{request:?}");
            assert!(answers.starts_with("HTTP/1.1 400 "), "{request:?}: {answers}");
            assert_eq!(answers.matches("HTTP/1.").count(), 1, "{request:?}: {answers}");
        }
    }
    for line in [
        "POST  /plain HTTP/1.1",
        "POST /pl ain HTTP/1.1",
        "POST /plain",
        "POST /plain HTTP/1.1 HTTP/1.1",
        "POST http://user@test.example.com/plain HTTP/1.1",
        "POST plain HTTP/1.1",
        "POST * HTTP/1.1",
        "post /plain HTTP/1.1",
    ] {
        let request = format!("{line}\r\n{HOST}\r\n");
        let Seen { answers, forwarded } = send(&gateway, &upstream, request.as_bytes());
        assert_eq!(forwarded, [""; 0], "{request:?}");
        assert!(answers.starts_with("HTTP/1.1 400 "), "{request:?}: {answers}");
    }
    let old = format!("POST /plain HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{SMUGGLED}");
    let Seen { answers, forwarded } = send(&gateway, &upstream, old.as_bytes());
    assert_eq!((forwarded.len(), answers.contains(" 400 ")), (0, true), "{answers}");
}

#[test]
fn what_the_server_as_a_whole_can_do_is_answered_by_the_gateway() {
    let upstream = Raw::start(OK);
    let gateway = gateway(upstream.address);
    for _ in 0..2 {
        let mut client = Client::connect(gateway.process.proxy()).expect("the proxy accepts");
        for _ in 0..2 {
            client.write(format!("OPTIONS * HTTP/1.1\r\n{HOST}\r\n").as_bytes()).expect("the proxy reads");
            let answer = client.answer().expect("an answer, on a connection that goes on");
            assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
            assert!(answer.header("allow").is_some_and(|allow| allow.contains("PUT")), "{answer:?}");
        }
    }
    for line in ["GET *", "OPTIONS *x", "OPTIONS **"] {
        let request = format!("{line} HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n");
        let Seen { answers, .. } = send(&gateway, &upstream, request.as_bytes());
        assert!(answers.starts_with("HTTP/1.1 400 "), "{line}: {answers}");
    }
    assert_eq!(upstream.take(), [""; 0]);
}

/// What becomes of the connection behind an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// Nothing that follows is taken for a request.
    Closed,
    /// It serves the next request.
    Open,
}
use Behind::{Closed, Open};

/// Heads, and what follows them; the body that the upstream is to have is `hello`.
const FORWARDED: &[(&str, &str, Behind)] = &[
    // One length, said twice.
    ("Host: test.example.com\r\nContent-Length: 5\r\nContent-Length: 5\r\n", "hello", Open),
    // A length beside chunks: the chunks count, and what follows is not trusted.
    (
        "Host: test.example.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test.example.com\r\n\r\n",
        Closed,
    ),
    (
        "Host: test.example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test.example.com\r\n\r\n",
        Closed,
    ),
    ("Host: test.example.com\r\nTransfer-Encoding:\tCHUNKED \r\n", "5\r\nhello\r\n0\r\n\r\n", Open),
    (
        "Host: test.example.com\r\nTransfer-Encoding: chunked\r\n",
        "5;a=b\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
        Open,
    ),
    // What frames the message is not a hop's own to give away.
    ("Host: test.example.com\r\nConnection: close, content-length\r\nContent-Length: 5\r\n", "hello", Closed),
    (
        "Host: test.example.com\r\nConnection: close, transfer-encoding, host\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        Closed,
    ),
    ("Host: test.example.com\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", "hello", Open),
    // Line ends without a CR are read as such, and not passed on.
    ("Host: test.example.com\nContent-Length: 5\n", "hello", Open),
];

/// The body of a request as it was sent; it has one framing.
#[track_caller]
fn body_of(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{request:?}");
    let lower = head.to_ascii_lowercase();
    let (lengths, codings) =
        (lower.matches("\ncontent-length:").count(), lower.matches("\ntransfer-encoding:").count());
    assert!(lengths + codings <= 1, "{request:?}");
    assert_eq!(lower.matches("\nhost:").count(), 1, "{request:?}");
    if codings == 0 {
        return body.to_owned();
    }
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size and nothing else");
        whole.push_str(&behind[..size]);
        rest = behind[size..].strip_prefix("\r\n").expect("an end of the chunk");
    }
    whole
}

#[test]
fn what_is_forwarded_has_one_reading() {
    let upstream = Raw::start(OK);
    let gateway = gateway(upstream.address);
    for (head, rest, behind) in FORWARDED {
        for line in LINES {
            // Where the connection is to serve the next request, that one ends it.
            let next = format!("GET /next HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n");
            let request = format!("{line} HTTP/1.1\r\n{head}\r\n{rest}{next}");
            let Seen { answers, forwarded } = send(&gateway, &upstream, request.as_bytes());
            let expected = if *behind == Open { 2 } else { 1 };
            assert_eq!(answers.matches("HTTP/1.1 200 ").count(), expected, "{request:?}: {answers}");
            assert_eq!(forwarded.len(), expected, "{request:?}: {forwarded:#?}");
            assert!(forwarded[0].starts_with(&format!("{line} HTTP/1.1\r\n")), "{forwarded:#?}");
            assert_eq!(body_of(&forwarded[0]), "hello", "{request:?}: {forwarded:#?}");
            assert!(!forwarded[0].to_ascii_lowercase().contains("\r\nupgrade"), "{forwarded:#?}");
            assert!(expected == 1 || forwarded[1].starts_with("GET /next HTTP/1.1\r\n"), "{forwarded:#?}");
        }
    }
}

#[test]
fn a_get_keeps_its_body() {
    let upstream = Raw::start(OK);
    let gateway = gateway(upstream.address);
    let head =
        format!("GET /plain HTTP/1.1\r\n{HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    let Seen { answers, forwarded } =
        send(&gateway, &upstream, format!("{head}5\r\nhello\r\n0\r\n\r\n").as_bytes());
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
    assert_eq!((forwarded.len(), body_of(&forwarded[0]).as_str()), (1, "hello"));
}

#[test]
fn the_host_that_is_sent_is_the_one_that_was_routed() {
    let upstream = Raw::start(OK);
    let gateway = gateway(upstream.address);
    let at = |line: &str, head: &str| {
        let Seen { answers, forwarded } =
            send(&gateway, &upstream, format!("{line}\r\nConnection: close\r\n{head}\r\n").as_bytes());
        assert!(answers.contains(" 200 "), "{line} {head}: {answers}");
        assert_eq!(forwarded.len(), 1, "{line}");
        body_of(&forwarded[0]);
        let line =
            forwarded[0].lines().find_map(|line| line.strip_prefix("host: ")).expect("a Host").to_owned();
        (forwarded[0].lines().next().expect("a line").to_owned(), line)
    };
    let upstreams = upstream.address.to_string();
    let absolute = "GET http://Routed.example.com:81/kept?a=b HTTP/1.1";
    let origin = "GET /kept?a=b HTTP/1.1";
    for (line, head, host) in [
        (absolute, "Host: other.example.com\r\n", "Routed.example.com:81"),
        (origin, "Host: test.example.com\r\n", "test.example.com"),
        ("GET /kept?a=b HTTP/1.0", "", &*upstreams),
    ] {
        assert_eq!(at(line, head), (origin.to_owned(), host.to_owned()));
    }
    let without_path = at("GET http://routed.example.com?a=b HTTP/1.1", "Host: routed.example.com\r\n");
    assert_eq!(without_path, ("GET /?a=b HTTP/1.1".to_owned(), upstreams.clone()));
    assert_eq!(at("GET /plain HTTP/1.0", ""), ("GET /plain HTTP/1.1".to_owned(), upstreams));
}

#[test]
fn a_body_in_broken_chunks_is_never_a_whole_request() {
    let upstream = Raw::start(OK);
    let gateway = gateway(upstream.address);
    for chunks in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
    ] {
        for line in LINES {
            let request = format!("{line} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{chunks}");
            let Seen { answers, forwarded } = send(&gateway, &upstream, request.as_bytes());
            assert_eq!(forwarded, [""; 0], "{request:?}");
            assert!(answers.starts_with("HTTP/1.1 400 "), "{request:?}: {answers}");
        }
    }
}

#[test]
fn an_answer_has_one_framing() {
    for (answer, length) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            None,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello", Some("5")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello", Some("5")),
        ("HTTP/1.1 200 OK\r\nconnection: content-length\r\ncontent-length: 5\r\n\r\nhello", Some("5")),
        ("HTTP/1.0 200 OK\r\n\r\nhello", None),
        ("HTTP/1.1 200 OK\r\n\r\nhello", None),
    ] {
        let upstream = Raw::start(answer);
        let gateway = gateway(upstream.address);
        for line in LINES {
            let mut client = Client::connect(gateway.process.proxy()).expect("the proxy accepts");
            client.write(format!("{line} HTTP/1.1\r\n{HOST}\r\n").as_bytes()).expect("the proxy reads");
            let got = client.answer().expect("an answer");
            let lengths: Vec<_> = got
                .headers
                .iter()
                .filter(|(name, _)| name == "content-length")
                .map(|(_, value)| &**value)
                .collect();
            assert_eq!(lengths, length.into_iter().collect::<Vec<_>>(), "{answer:?}");
            let coding = length.is_none().then_some("chunked");
            assert_eq!(got.header("transfer-encoding"), coding, "{answer:?}");
            assert_eq!(got.text(), "hello", "{answer:?}");
        }
    }
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
    ] {
        let upstream = Raw::start(answer);
        let seen = send(
            &gateway(upstream.address),
            &upstream,
            format!("GET /plain HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n").as_bytes(),
        );
        assert!(seen.answers.starts_with("HTTP/1.1 502 "), "{answer:?}: {}", seen.answers);
    }
}
