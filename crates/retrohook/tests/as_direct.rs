//! What of HTTP/1.1 reaches the other side as it was sent: framing, trailers, lengths without a body, a conversation in two directions.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::client::{self, Client};
use testkit::scene::{Profiles, Scene};
use testkit::server::{fill, fill_until};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// One that matches a rule and one that does not.
const LINES: [&str; 2] = ["PUT /mockbin/profile", "POST /mockbin/other"];

/// A service that leaves each of its connections to a function, and the number of connections.
fn service(
    serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (serve, count) = (Arc::new(serve), Arc::new(AtomicUsize::new(0)));
    let accepted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            accepted.fetch_add(1, Ordering::SeqCst);
            let serve = serve.clone();
            // A gateway that closes is the end of it.
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    (address, count)
}

/// A service that answers every request, which has a chunked body, with the same bytes, and tells the request's as its body was sent.
fn tells(answer: &'static str) -> (SocketAddr, Arc<std::sync::Mutex<Vec<String>>>) {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = told.clone();
    let (address, _) = service(move |mut stream| {
        loop {
            let mut bytes = Vec::new();
            if !fill_until(&mut stream, &mut bytes, b"\r\n\r\n")? {
                return Ok(());
            }
            let head = String::from_utf8_lossy(&bytes).into_owned();
            if head.contains("transfer-encoding: chunked") {
                let end = head.find("\r\n\r\n").expect("a head") + 4;
                while !ends(&bytes[end..]) {
                    fill(&mut stream, &mut bytes)?;
                }
            }
            kept.lock().expect("no panic").push(String::from_utf8_lossy(&bytes).into_owned());
            stream.write_all(answer.as_bytes())?;
        }
    });
    (address, told)
}

/// Whether a chunked body, with its trailers, is over.
fn ends(body: &[u8]) -> bool {
    let last = body.windows(3).position(|window| window == b"0\r\n");
    last.is_some_and(|last| body[last..].ends_with(b"\r\n\r\n"))
}

fn scene(upstream: SocketAddr, request_buffering: bool) -> Scene {
    scene_with(upstream, request_buffering, &[])
}

fn scene_with(upstream: SocketAddr, request_buffering: bool, flags: &[&str]) -> Scene {
    let route = format!("strip_path: true, request_buffering: {request_buffering}");
    let config = Profiles::default().yaml().replace("strip_path: true", &route);
    let mut scene = Scene::prepare(RETROHOOK, &config.replace("{upstream}", &upstream.to_string()));
    scene.setup.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
    scene.start_gateway();
    scene
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn a_body_in_chunks_stays_one_and_its_trailers_come_after_it() {
    for request_buffering in [true, false] {
        let (address, told) = tells(OK);
        let scene = scene(address, request_buffering);
        for line in LINES {
            for (announced, body, expected) in [
                ("", "2\r\nab\r\n0\r\n\r\n", "2\r\nab\r\n0\r\n\r\n"),
                ("", "0\r\n\r\n", "0\r\n\r\n"),
                // These may not be said in trailers, so there are none.
                ("", "2\r\nab\r\n0\r\ncontent-length: 3\r\nx-consumer-id: 1\r\n\r\n", "2\r\nab\r\n0\r\n\r\n"),
                (
                    "trailer: X-Sum, X-Consumer-Username\r\n",
                    "2\r\nab\r\n0\r\nX-Sum: 7\r\nX-Consumer-Username: root\r\n\r\n",
                    "2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n",
                ),
            ] {
                let head =
                    format!("{line} HTTP/1.1\r\nhost: a\r\n{announced}transfer-encoding: chunked\r\n\r\n");
                let mut client = scene.client();
                client.write(format!("{head}{body}").as_bytes()).expect("the proxy reads");
                assert_eq!(client.answer().expect("an answer").text(), "ok", "{line} {request_buffering}");
                let got = told.lock().expect("no panic").pop().expect("a request");
                let (head, body) = got.split_once("\r\n\r\n").expect("a head");
                let head = format!("{head}\r\n");
                assert!(
                    head.contains("\r\ntransfer-encoding: chunked\r\n"),
                    "{line} {request_buffering}: {got}"
                );
                assert!(!head.contains("content-length"), "{line} {request_buffering}: {got}");
                assert_eq!(body, expected, "{line} {request_buffering}");
                assert_eq!(head.contains("\r\ntrailer: X-Sum"), !announced.is_empty(), "{got}");
            }
        }
    }
}

#[test]
fn trailers_that_a_client_did_not_announce_are_announced_for_it_if_they_are_known_in_time() {
    let (address, told) = tells(OK);
    let scene = scene(address, true);
    for line in LINES {
        let head = format!("{line} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut client = scene.client();
        client.write(format!("{head}2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n").as_bytes()).expect("the proxy reads");
        assert_eq!(client.answer().expect("an answer").text(), "ok", "{line}");
        let got = told.lock().expect("no panic").pop().expect("a request");
        assert!(got.contains("\r\ntrailer: x-sum\r\n") && got.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{got}");
    }
}

#[test]
fn an_answers_trailers_reach_a_client_that_takes_them_and_both_connections_are_kept() {
    let answer = "HTTP/1.1 200 OK\r\ntrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
    let (address, count) = service(move |mut stream| {
        let mut buffer = Vec::new();
        while fill_until(&mut stream, &mut buffer, b"\r\n\r\n")? {
            buffer.clear();
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    });
    let config = Profiles { rule: "durability: strict", ..Profiles::default() }.yaml();
    let config = config.replace("{upstream}", &address.to_string());
    let scene = Scene::start(RETROHOOK, &config);
    // All on one connection, and so on one core.
    let mut client = TcpStream::connect(scene.gateway().proxy()).expect("the proxy accepts");
    client.set_read_timeout(Some(wait::SOON)).expect("a socket");
    for (te, end) in [
        ("te: trailers\r\nconnection: te\r\n", "0\r\nx-sum: 7\r\n\r\n"),
        ("te: gzip;q=0.5, Trailers\r\nconnection: te\r\n", "0\r\nx-sum: 7\r\n\r\n"),
        ("", "0\r\n\r\n"),
    ] {
        for line in LINES {
            write!(client, "{line} HTTP/1.1\r\nhost: a\r\n{te}\r\n").expect("the proxy reads");
            let mut got = Vec::new();
            let whole = format!("2\r\nok\r\n{end}");
            assert!(fill_until(&mut client, &mut got, whole.as_bytes()).expect("an answer"), "{line} {te}");
            assert!(String::from_utf8_lossy(&got).contains("\r\ntrailer: X-Sum\r\n"), "{line} {te}");
        }
    }
    let told = scene.told(3);
    assert!(told.iter().all(|told| told.outcome() == "succeeded"));
    assert_eq!(count.load(Ordering::SeqCst), 1, "the connection to the service is kept after trailers");
}

#[test]
fn a_service_that_answers_while_it_reads_does_not_wait_for_the_end_of_the_request() {
    // Sends back each piece as it comes, in chunks of five bytes.
    let (address, _) = service(|mut stream| {
        let mut buffer = Vec::new();
        fill_until(&mut stream, &mut buffer, b"\r\n\r\n")?;
        let end = buffer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        buffer.drain(..end);
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            while buffer.len() >= 10 {
                let chunk: Vec<u8> = buffer.drain(..10).collect();
                stream.write_all(&chunk)?;
            }
            if buffer == b"0\r\n\r\n" {
                return stream.write_all(b"0\r\n\r\n");
            }
            if !fill(&mut stream, &mut buffer)? {
                return Ok(());
            }
        }
    });
    for request_buffering in [true, false] {
        let scene = scene(address, request_buffering);
        for line in LINES {
            let mut client = scene.client();
            let head = format!("{line} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
            client.write(head.as_bytes()).expect("the proxy reads");
            for count in 10..30 {
                let piece = format!("pie{count}");
                client.write(format!("5\r\n{piece}\r\n").as_bytes()).expect("the proxy reads");
                // The next one is sent only after this one has come back.
                client.until(&piece).expect("it comes back");
            }
            client.write(b"0\r\n\r\n").expect("the proxy reads");
            client.until("0\r\n\r\n").expect("the end of the answer");
        }
        assert!(scene.told(1).iter().all(|told| told.outcome() == "succeeded"));
    }
}

#[test]
fn a_length_without_a_body_stays() {
    let (address, _) = service(|mut stream| {
        let mut buffer = Vec::new();
        while fill_until(&mut stream, &mut buffer, b"\r\n\r\n")? {
            let status = if buffer.starts_with(b"HEAD") { "200 OK" } else { "304 Not Modified" };
            buffer.clear();
            write!(stream, "HTTP/1.1 {status}\r\netag: \"a\"\r\ncontent-length: 12345\r\n\r\n")?;
        }
        Ok(())
    });
    let scene = scene(address, true);
    let mut client = TcpStream::connect(scene.gateway().proxy()).expect("the proxy accepts");
    client.set_read_timeout(Some(wait::SOON)).expect("a socket");
    for line in ["GET /mockbin/other", "PUT /mockbin/profile", "HEAD /mockbin/other", "GET /mockbin/again"] {
        write!(client, "{line} HTTP/1.1\r\nhost: a\r\n\r\n").expect("the proxy reads");
        let mut got = Vec::new();
        assert!(fill_until(&mut client, &mut got, b"\r\n\r\n").expect("an answer"), "{line}");
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(got.contains("\r\ncontent-length: 12345\r\n"), "{line}: {got}");
        assert!(got.ends_with("\r\n\r\n"), "{line}: {got}");
    }
}

#[test]
fn an_idle_connection_is_closed_before_the_service_closes_it() {
    let (times, closed) = std::sync::mpsc::channel();
    let (address, _) = service(move |mut stream| {
        let mut buffer = Vec::new();
        fill_until(&mut stream, &mut buffer, b"\r\n\r\n")?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=3, max=9\r\ncontent-length: 2\r\n\r\nok")?;
        let answered = Instant::now();
        let end = stream.read(&mut [0])?;
        let _ = times.send((end, answered.elapsed()));
        Ok(())
    });
    let scene = scene(address, true);
    let answer = client::send(scene.gateway().proxy(), "GET", "/mockbin/other", &[], b"").expect("an answer");
    assert_eq!((answer.status, answer.header("keep-alive")), (200, None));
    let (end, after) = closed.recv_timeout(wait::SOON).expect("the gateway closes it");
    assert_eq!(end, 0, "it was not asked for anything else");
    assert!(after < Duration::from_secs(3), "after {after:?}");
}

#[test]
fn via_can_be_left_out_for_services() {
    for (flag, came, expected) in [
        ("--via=send", "", Some("1.1 retrohook/")),
        ("--via=omit", "", None),
        ("--via=omit", "via: 1.0 fred\r\n", Some("1.0 fred\r\n")),
    ] {
        let (address, told) = tells(OK);
        let scene = scene_with(address, true, &[flag]);
        let mut client: Client = scene.client();
        client
            .write(format!("GET /mockbin/other HTTP/1.1\r\nhost: a\r\n{came}\r\n").as_bytes())
            .expect("it reads");
        let answer = client.answer().expect("an answer");
        assert!(answer.header("via").is_some_and(|via| via.starts_with("1.1 retrohook/")), "{flag}");
        let got = told.lock().expect("no panic").pop().expect("a request");
        match expected {
            Some(via) => assert!(got.contains(&format!("\r\nvia: {via}")), "{flag}: {got}"),
            None => assert!(!got.contains("\r\nvia: "), "{flag}: {got}"),
        }
    }
}

/// Sends two interim answers, waits until the client has said that it has them, and answers.
fn hints(seen: std::sync::mpsc::Receiver<()>) -> SocketAddr {
    let seen = std::sync::Mutex::new(seen);
    let (address, _) = service(move |mut stream| {
        let mut buffer = Vec::new();
        while fill_until(&mut stream, &mut buffer, b"\r\n\r\n")? {
            buffer.clear();
            stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hi")?;
            stream.write_all(b"nts\r\nLink: </style.css>; rel=preload\r\nKeep-Alive: timeout=5\r\n\r\n")?;
            let _ = seen.lock().expect("no panic").recv_timeout(wait::SOON);
            // Another one comes together with the answer.
            stream.write_all(format!("HTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n{OK}").as_bytes())?;
        }
        Ok(())
    });
    address
}

#[test]
fn interim_answers_come_before_the_answer_and_not_to_old_clients() {
    let (see, seen) = std::sync::mpsc::channel();
    let scene = scene(hints(seen), true);
    let mut client = TcpStream::connect(scene.gateway().proxy()).expect("the proxy accepts");
    client.set_read_timeout(Some(wait::SOON)).expect("a socket");
    for line in LINES.iter().cycle().take(6) {
        write!(client, "{line} HTTP/1.1\r\nhost: a\r\n\r\n").expect("the proxy reads");
        let mut got = Vec::new();
        assert!(fill_until(&mut client, &mut got, b"preload\r\n\r\n").expect("they come at once"), "{line}");
        let hints = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&got), hints, "{line}");
        see.send(()).expect("the service waits");
        got.clear();
        assert!(fill_until(&mut client, &mut got, b"\r\n\r\nok").expect("the answer"), "{line}");
        let got = String::from_utf8_lossy(&got).into_owned();
        let (hints, answer) = got.split_once("\r\n\r\n").expect("two heads");
        assert_eq!(hints, "HTTP/1.1 103 Early Hints\r\nlink: </b>", "{line}");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{line}: {answer}");
    }
    assert!(scene.told(3).iter().all(|told| told.outcome() == "succeeded"));

    write!(client, "GET /mockbin/other HTTP/1.0\r\nhost: a\r\n\r\n").expect("the proxy reads");
    see.send(()).expect("the service waits");
    let mut got = String::new();
    client.read_to_string(&mut got).expect("an answer, and the end");
    assert!(got.starts_with("HTTP/1.0 200 OK\r\n") && got.matches("HTTP/1").count() == 1, "{got}");
}

#[test]
fn an_interim_answer_after_a_timeout_is_not_sent_into_what_follows() {
    let (release, wait_for) = std::sync::mpsc::channel::<()>();
    let wait_for = std::sync::Mutex::new(wait_for);
    let (address, _) = service(move |mut stream| {
        let mut buffer = Vec::new();
        fill_until(&mut stream, &mut buffer, b"\r\n\r\n")?;
        if buffer.starts_with(b"GET") {
            let _ = wait_for.lock().expect("no panic").recv_timeout(wait::SOON);
        } else {
            let _ = release.send(());
            wait::pause(Duration::from_millis(600));
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </late>\r\n\r\n")?;
        }
        stream.write_all(OK.as_bytes())
    });
    let config = Profiles { service: "read_timeout: 300", ..Profiles::default() };
    let scene = Scene::start(RETROHOOK, &config.yaml().replace("{upstream}", &address.to_string()));
    let mut client = scene.client();
    let answer = client.send("PUT", "/mockbin/profile", &[], b"{}").expect("an answer");
    assert_eq!(answer.status, 504);
    // The service answers late, and the event says so; by then the client's connection has served another request.
    assert_eq!(client.send("GET", "/mockbin/other", &[], b"").expect("an answer").text(), "ok");
    assert_eq!(scene.told(1)[0].outcome(), "succeeded");
    assert!(!client.has_more(), "nothing was sent into the connection");
}

#[test]
fn names_of_headers_keep_their_case_if_that_is_asked_for() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-FromService: Yes\r\nETag: \"a\"\r\n\r\nok";
    for (flag, asked, answered) in [
        (
            "--header-names=lower",
            ["x-fromclient: Yes", "soapaction: a"],
            ["x-fromservice: Yes", "etag: \"a\""],
        ),
        (
            "--header-names=keep",
            ["X-FromClient: Yes", "SOAPAction: a"],
            ["X-FromService: Yes", "ETag: \"a\""],
        ),
    ] {
        let (address, told) = tells(answer);
        let scene = scene_with(address, true, &[flag]);
        for line in LINES {
            let mut client = TcpStream::connect(scene.gateway().proxy()).expect("the proxy accepts");
            let head =
                "Host: a\r\nConnection: close\r\nX-FromClient: Yes\r\nSOAPAction: a\r\nContent-Length: 0\r\n";
            write!(client, "{line} HTTP/1.1\r\n{head}\r\n").expect("the proxy reads");
            let mut got = String::new();
            client.read_to_string(&mut got).expect("an answer");
            assert!(got.ends_with("\r\n\r\nok"), "{flag} {line}: {got}");
            let sent = told.lock().expect("no panic").pop().expect("a request");
            let pairs =
                asked.iter().map(|asked| (&sent, asked)).chain(answered.iter().map(|one| (&got, one)));
            for (text, expected) in pairs {
                assert!(text.contains(&format!("\r\n{expected}\r\n")), "{flag} {line}, {expected}: {text}");
            }
        }
    }
}
