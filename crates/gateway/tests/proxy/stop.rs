//! What a stop waits for.

use super::*;

/// Longer than any test waits: whoever waits for it has failed.
const FOR_EVER: Duration = Duration::from_secs(600);
/// A stop that takes so long waited for somebody.
const AT_ONCE: Duration = Duration::from_secs(15);

fn stopping(drain_grace: Duration) -> (Upstream, Running) {
    let upstream = Upstream::start();
    let service = service(LOCALHOST, upstream.address().port());
    let limits = Limits { drain_grace, ..Limits::default() };
    let running = start(Config { limits, ..config() }, service, true);
    (upstream, running)
}

/// Connects, sends, and waits until the gateway has taken it.
fn begin(running: &Running, bytes: &[u8]) -> Client {
    let accepted = || running.stats()[0].connections.load(Ordering::Relaxed);
    let before = accepted();
    let mut client = Client::connect(proxy(running)).unwrap();
    client.write(bytes).unwrap();
    wait::until("the connection to be taken", || (accepted() > before).then_some(()));
    client
}

#[test]
fn requests_that_are_not_here_do_not_hold_up_a_stop() {
    let (upstream, running) = stopping(SHORT);
    let silent = begin(&running, b"");
    let half_a_head = begin(&running, b"GET / HTTP/1.1\r\nHo");
    let mut kept = begin(&running, b"");
    assert_eq!(kept.send("GET", "/", &[], b"").unwrap().status, 200);
    kept.write(b"GET /second HT").unwrap();
    let bodies = ["PUT", "POST"].map(|method| {
        let half = format!("{method} /half HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
        begin(&running, half.as_bytes())
    });
    // Proves that what was sent before has been read.
    assert_eq!(client::send(proxy(&running), "GET", "/", &[], b"").unwrap().status, 200);
    let stopped = Instant::now();
    running.join(FOR_EVER).unwrap();
    assert!(stopped.elapsed() < AT_ONCE, "{:?}", stopped.elapsed());
    for mut body in bodies {
        assert_eq!(body.answer().unwrap().status, 408, "nothing of it was sent");
    }
    drop((silent, half_a_head, kept));
    assert_eq!(upstream.executed().len(), 2);
}

#[test]
fn a_request_that_comes_whole_within_the_grace_is_served() {
    let (_upstream, running) = stopping(FOR_EVER);
    let mut half = begin(&running, b"GET / HTTP/1.1\r\nHo");
    let mut body = begin(&running, b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nha");
    assert_eq!(client::send(proxy(&running), "GET", "/", &[], b"").unwrap().status, 200);
    running.drain(FOR_EVER);
    wait::until("the gateway to stop listening", || Client::connect(proxy(&running)).err());
    half.write(b"st: a\r\n\r\n").unwrap();
    body.write(b"lf").unwrap();
    assert_eq!(half.answer().unwrap().status, 200);
    assert_eq!(body.answer().unwrap().status, 200);
    let stopped = Instant::now();
    running.join(FOR_EVER).unwrap();
    assert!(stopped.elapsed() < AT_ONCE, "{:?}", stopped.elapsed());
}
