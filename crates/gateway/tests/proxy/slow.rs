//! Clients that are slow: what is read before the service is asked, and how long a client is waited for.

use super::*;

/// An upstream of which a test sees what arrives, as it arrives.
struct Seen {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<u8>>>,
    answer: Sender<()>,
    serving: JoinHandle<()>,
}

impl Seen {
    fn start() -> Self {
        let listener = TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (answer, wait) = mpsc::channel();
        let record = arrived.clone();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reading = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                let mut piece = [0; 64 << 10];
                while let Ok(read @ 1..) = reading.read(&mut piece) {
                    record.lock().unwrap().extend_from_slice(&piece[..read]);
                }
                record.lock().unwrap().extend_from_slice(b"<end>");
            });
            if wait.recv().is_ok() {
                super::answer(&mut stream, 200, &[], b"ok").unwrap();
            }
        });
        Self { address, arrived, answer, serving }
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        wait::until("what the upstream is sent", || {
            let arrived = String::from_utf8_lossy(&self.arrived.lock().unwrap()).into_owned();
            arrived.contains(text).then_some(arrived)
        })
    }

    fn answer(self) {
        self.answer.send(()).unwrap();
        self.serving.join().unwrap();
    }
}

fn gateway_with(limits: Limits, service: Service, request_buffering: bool) -> Running {
    start(Config { limits, ..config() }, service, request_buffering)
}

fn long() -> Duration {
    Duration::from_secs(3_600)
}

const CHUNKED: &str = "host: a\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn a_small_body_that_stands_still_is_answered_for_and_nothing_of_it_is_sent() {
    for method in ["PUT", "POST"] {
        let (upstream, running) = limited(Limits { body_patience: SHORT * 3, ..Limits::default() });
        let mut slow = Client::connect(proxy(&running)).unwrap();
        slow.write(format!("{method} /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n").as_bytes())
            .unwrap();
        // Longer than the patience, which is for each piece.
        for _ in 0..6 {
            pause(SHORT);
            slow.write(b"x").unwrap();
        }
        assert_eq!(slow.answer().unwrap().status, 200);

        let mut still = Client::connect(proxy(&running)).unwrap();
        let asked = Instant::now();
        still
            .write(format!("{method} /still HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nhalf").as_bytes())
            .unwrap();
        let answer = still.answer().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        assert_eq!(answer.json()["message"], "Request timeout");
        assert!((SHORT * 3..SHORT * 50).contains(&asked.elapsed()), "{:?}", asked.elapsed());
        let executed = upstream.executed();
        assert_eq!((executed.len(), executed[0].body.as_slice()), (1, b"xxxxxx".as_slice()));
        let connections = running.stats()[0].upstream_connections.load(Ordering::Relaxed);
        assert_eq!(connections, 1, "the service was not asked for the one that stood still");
    }
}

#[test]
fn a_body_without_a_length_is_read_for_a_moment_and_then_flows() {
    for method in ["PUT", "POST"] {
        let seen = Seen::start();
        let running = gateway_to(seen.address);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client.write(format!("{method} / HTTP/1.1\r\n{CHUNKED}5\r\nfirst\r\n").as_bytes()).unwrap();
        // The client sends no more before the service has seen this.
        seen.wait_for("first");
        client.write(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
        let arrived = seen.wait_for("last");
        assert!(arrived.contains("transfer-encoding: chunked"), "{arrived}");
        seen.answer();
        assert_eq!(client.answer().unwrap().status, 200, "{method}");
    }
}

#[test]
fn a_body_without_a_length_has_none_for_the_service_even_if_it_ends_in_time() {
    for method in ["PUT", "POST"] {
        let upstream = Upstream::start();
        let limits = Limits { read_ahead_time: long(), ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, upstream.address().port()), true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client.write(format!("{method} / HTTP/1.1\r\n{CHUNKED}").as_bytes()).unwrap();
        for _ in 0..1_000 {
            client.write(b"1\r\nx\r\n").unwrap();
        }
        client.write(b"0\r\n\r\n").unwrap();
        assert_eq!(client.answer().unwrap().status, 200);
        let asked = &upstream.executed()[0];
        let framing = (asked.header("content-length"), asked.header("transfer-encoding"));
        assert_eq!((framing, asked.body.len()), ((None, Some("chunked")), 1_000), "{method}");
    }
}

#[test]
fn of_a_large_body_so_much_is_read_ahead() {
    // A watched one of known length flows at once: see the next test but one.
    for (method, framing) in [
        ("PUT", "transfer-encoding: chunked"),
        ("POST", "transfer-encoding: chunked"),
        ("POST", "content-length: 70000"),
    ] {
        let seen = Seen::start();
        let limits = Limits { read_ahead_time: long(), ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, seen.address.port()), true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client.write(format!("{method} / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n").as_bytes()).unwrap();
        let piece = "x".repeat(10_000);
        let piece = if framing.ends_with("chunked") { format!("2710\r\n{piece}\r\n") } else { piece };
        for _ in 0..6 {
            client.write(piece.as_bytes()).unwrap();
        }
        assert_eq!(running.stats()[0].upstream_connections.load(Ordering::Relaxed), 0, "{method} {framing}");
        client.write(piece.as_bytes()).unwrap();
        seen.wait_for(&"x".repeat(100));
        if framing.ends_with("chunked") {
            client.write(b"0\r\n\r\n").unwrap();
        }
        seen.answer();
        assert_eq!(client.answer().unwrap().status, 200, "{method} {framing}");
    }
}

#[test]
fn without_buffering_a_body_flows_as_it_comes() {
    let length = "content-length: 9";
    let chunked = "transfer-encoding: chunked";
    for (method, framing) in [("POST", length), ("POST", chunked), ("PUT", chunked)] {
        let seen = Seen::start();
        let limits = Limits { read_ahead_time: long(), ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, seen.address.port()), false);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client.write(format!("{method} /flows HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n").as_bytes()).unwrap();
        seen.wait_for("/flows");
        let body = if framing == length { "some text" } else { "9\r\nsome text\r\n0\r\n\r\n" };
        client.write(body.as_bytes()).unwrap();
        seen.wait_for("some text");
        seen.answer();
        assert_eq!(client.answer().unwrap().status, 200, "{method} {framing}");
    }

    // What matches a rule is read whole all the same where that is known to be little.
    let (upstream, running) = {
        let upstream = Upstream::start();
        let limits = Limits { body_patience: SHORT, ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, upstream.address().port()), false);
        (upstream, running)
    };
    let mut client = Client::connect(proxy(&running)).unwrap();
    client.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
    assert_eq!(client.answer().unwrap().status, 408);
    assert_eq!(running.stats()[0].upstream_connections.load(Ordering::Relaxed), 0);
    assert!(upstream.executed().is_empty());
}

#[test]
fn without_room_to_hold_them_bodies_flow() {
    for method in ["PUT", "POST"] {
        let seen = Seen::start();
        let limits = Limits { read_ahead: 100, read_ahead_time: long(), ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, seen.address.port()), true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client
            .write(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nsome ").as_bytes())
            .unwrap();
        seen.wait_for("some ");
        client.write(b"text").unwrap();
        seen.wait_for("some text");
        seen.answer();
        assert_eq!(client.answer().unwrap().status, 200, "{method}");
    }
}

#[test]
fn a_body_whose_last_piece_found_no_room_is_over() {
    // The first piece is what a read takes, 8 KiB at most, and finds room; the second is the last and does not.
    const BODY: usize = 10_000;
    for method in ["PUT", "POST"] {
        let seen = Seen::start();
        let impatient = Service { read_timeout: SHORT, ..service(LOCALHOST, seen.address.port()) };
        let limits = Limits { read_ahead: 9_000, read_ahead_time: long(), ..Limits::default() };
        let running = gateway_with(limits, impatient, true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        let head = format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {BODY}\r\n\r\n");
        client.write(&[head.as_bytes(), &[b'x'; BODY]].concat()).unwrap();
        seen.wait_for(&"x".repeat(BODY));
        // The service has all of it and says nothing: only now its read timeout counts.
        assert_eq!(client.answer().unwrap().status, 504, "{method}");
    }
}

/// More than is read ahead.
const FLOWING: usize = 200_000;

#[test]
fn a_client_that_pauses_is_not_the_upstreams_fault() {
    for method in ["PUT", "POST"] {
        let upstream = Upstream::start();
        let patient = service(LOCALHOST, upstream.address().port());
        let impatient = Service { write_timeout: SHORT, read_timeout: SHORT * 2, ..patient };
        let running = gateway_with(Limits::default(), impatient, true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client
            .write(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {FLOWING}\r\n\r\n").as_bytes())
            .unwrap();
        client.write(&[b'x'; FLOWING / 2]).unwrap();
        pause(SHORT * 5);
        client.write(&[b'x'; FLOWING / 2]).unwrap();
        assert_eq!(client.answer().unwrap().status, 200, "{method}");
        assert_eq!(upstream.executed()[0].body.len(), FLOWING, "{method}");
    }
}

#[test]
fn a_body_that_stops_flowing_is_answered_for() {
    for method in ["PUT", "POST"] {
        let seen = Seen::start();
        let patient = service(LOCALHOST, seen.address.port());
        let running = gateway_with(Limits { body_patience: SHORT, ..Limits::default() }, patient, true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client
            .write(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {FLOWING}\r\n\r\n").as_bytes())
            .unwrap();
        client.write(&[b'x'; FLOWING / 2]).unwrap();
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")), "{method}");
        assert!(
            seen.wait_for("<end>").len() > FLOWING / 2,
            "{method}: the service is not kept waiting either"
        );
        assert_eq!(client.rest().unwrap(), b"");
    }
}

#[test]
fn an_upstream_that_answered_and_takes_no_more_of_the_body_is_left() {
    for method in ["PUT", "POST"] {
        let (release, wait) = mpsc::channel::<()>();
        let (address, upstream) = upstream_of_bytes(move |mut stream, _| {
            answer(&mut stream, 200, &[], b"ok").unwrap();
            // It neither reads nor closes.
            let _ = wait.recv();
            0
        });
        let impatient = Service { write_timeout: SHORT, ..service(LOCALHOST, address.port()) };
        let running = gateway_with(Limits::default(), impatient, true);
        let mut client = TcpStream::connect(proxy(&running)).unwrap();
        client.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = 1_u64 << 40;
        write!(client, "{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n").unwrap();
        let piece = vec![b'x'; 1 << 20];
        let cut = loop {
            if let Err(cut) = client.write(&piece) {
                break cut.kind();
            }
        };
        let is_cut = matches!(cut, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        assert!(is_cut, "{method}: the client is not let go: {cut}");
        drop(release);
        upstream.join().unwrap();
    }
}

/// An upstream that answers with [`LARGE`] bytes. It says how many the gateway took.
fn large_answer() -> (SocketAddr, JoinHandle<usize>) {
    upstream_of_bytes(move |mut stream, _| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
        let piece = [b'x'; 64 << 10];
        let mut written = 0;
        while written < LARGE {
            match stream.write(&piece) {
                Ok(more) => written += more,
                Err(_) => break,
            }
        }
        written
    })
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_left() {
    for method in METHODS {
        let (address, upstream) = large_answer();
        let limits = Limits { answer_patience: SHORT, ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, address.port()), true);
        let mut client = Client::connect(proxy(&running)).unwrap();
        client.write(&client::request(method, "/", &[], b"")).unwrap();
        if method == "GET" {
            assert!(upstream.join().unwrap() < LARGE, "the upstream is let go, too");
        } else {
            // The rest is read on behalf of the watch, as if the client had left.
            assert_eq!(upstream.join().unwrap(), LARGE);
        }
        assert!(client.answer().is_err(), "{method}: it was cut");
    }
}

#[test]
fn a_client_that_takes_its_answer_slowly_is_not_left() {
    for method in METHODS {
        let (address, upstream) = large_answer();
        let limits = Limits { answer_patience: SHORT * 4, ..Limits::default() };
        let running = gateway_with(limits, service(LOCALHOST, address.port()), true);
        let mut client = TcpStream::connect(proxy(&running)).unwrap();
        client.write_all(&client::request(method, "/", &[], b"")).unwrap();
        // Longer than the patience, and never without taking some for so long.
        for _ in 0..8 {
            pause(SHORT);
            read_exactly(&mut client, 4 << 20);
        }
        let mut taken = 8 * (4 << 20);
        let mut piece = vec![0; 1 << 20];
        while taken < LARGE {
            let read = client.read(&mut piece).unwrap();
            assert_ne!(read, 0, "{method}: cut after {taken} bytes");
            taken += read;
        }
        upstream.join().unwrap();
    }
}

#[test]
fn a_connection_without_anything_to_write_may_rest() {
    let (upstream, running) = limited(Limits { answer_patience: SHORT / 10, ..Limits::default() });
    let mut client = Client::connect(proxy(&running)).unwrap();
    client.write(&client::request("PUT", "/?script=wait", &[], b"")).unwrap();
    wait::until("the upstream to be asked", || (!upstream.executed().is_empty()).then_some(()));
    pause(SHORT);
    upstream.release();
    assert_eq!(client.answer().unwrap().status, 200);
    pause(SHORT);
    assert_eq!(client.send("GET", "/", &[], b"").unwrap().status, 200);
}
