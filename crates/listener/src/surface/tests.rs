//! A surface with short limits, over real sockets.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

/// Much more than any socket buffers.
const LARGE: usize = 64 << 20;
/// Nothing here takes longer.
const SOON: Duration = Duration::from_secs(20);

const LIMITS: Limits = Limits {
    head_size: 8 << 10,
    headers: 16,
    head_timeout: SOON,
    write_timeout: Some(SOON),
    drain_grace: Duration::from_millis(50),
    bad_head: None,
    odd_queries: false,
    name_case: connection::NameCase::Lower,
};

/// An answer whose end is reported.
struct Watched(Full<Bytes>, mpsc::UnboundedSender<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        // The test may have ended.
        let _ = self.1.send(());
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Answers `/large` with a large body, and everything else with an empty one.
#[derive(Clone)]
struct Router(mpsc::UnboundedSender<()>);

impl Service<Request<RequestBody>> for Router {
    type Response = Response<Watched>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let bytes = if request.uri().path() == "/large" { vec![b'x'; LARGE] } else { Vec::new() };
        ready(Ok(Response::new(Watched(Full::new(bytes.into()), self.0.clone()))))
    }
}

/// A surface that serves.
struct World {
    address: SocketAddr,
    drain: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// Answers that have ended, one way or another.
    ended: mpsc::UnboundedReceiver<()>,
}

impl World {
    async fn new(connections: usize, limits: Limits) -> Self {
        let (ends, ended) = mpsc::unbounded_channel();
        let surface = Surface {
            name: "test",
            guard: Guard { hosts: Some(Vec::new()), origins: Vec::new() },
            is_link: |_| false,
            refuse: |_, refusal| {
                let (ends, _) = mpsc::unbounded_channel();
                let mut answer = Response::new(Watched(Full::new(Bytes::new()), ends));
                *answer.status_mut() = refusal.status;
                answer
            },
            reads_bodies: false,
            connections,
            limits,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (drain, draining) = watch::channel(false);
        let places = Places::new(surface.connections);
        let serving =
            tokio::task::spawn_local(serve(listener, (Rc::new(surface), places), Router(ends), draining));
        Self { address, drain, serving, ended }
    }

    async fn connect(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("it accepts");
        stream.write_all(bytes.as_bytes()).await.expect("it reads");
        stream
    }
}

/// The status of the next answer, which has no body.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// What comes until the other side closes or resets the connection.
async fn rest(mut stream: TcpStream) -> usize {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes.len()
}

fn run(test: impl Future<Output = ()>) {
    let runtime =
        Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(SOON, test).await.expect("it takes too long") });
}

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn whoever_is_silent_is_closed_in_time() {
    run(async {
        let world = World::new(8, Limits { head_timeout: Duration::from_millis(50), ..LIMITS }).await;
        for begun in ["", "GET / HT"] {
            rest(world.connect(begun).await).await;
        }
        let mut idle = world.connect(GET).await;
        assert_eq!(status(&mut idle).await, 200);
        assert_eq!(rest(idle).await, 0);
    });
}

#[test]
fn silent_connections_make_room_for_those_that_ask() {
    run(async {
        let world = World::new(4, LIMITS).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(world.connect("GET / HT").await);
        }
        let mut asking = world.connect(GET).await;
        assert_eq!(status(&mut asking).await, 200);
        for _ in 0..3 {
            asking.write_all(GET.as_bytes()).await.expect("it is kept");
            assert_eq!(status(&mut asking).await, 200);
        }
        rest(silent.remove(0)).await;
    });
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    run(async {
        let mut world =
            World::new(4, Limits { write_timeout: Some(Duration::from_millis(50)), ..LIMITS }).await;
        let stuck = world.connect("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        world.ended.recv().await.expect("its end");
        world.drain.send_replace(true);
        world.serving.await.expect("nothing is left to serve");
        assert!(rest(stuck).await < LARGE);
    });
}

#[test]
fn a_drain_answers_requests_and_waits_for_no_others() {
    run(async {
        let world = World::new(8, LIMITS).await;
        let mut asking = world.connect("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(status(&mut asking).await, 200);
        let others = [world.connect("").await, world.connect("GET / HT").await, world.connect(GET).await];
        world.drain.send_replace(true);
        for other in others {
            rest(other).await;
        }
        assert!(!world.serving.is_finished(), "one is being answered");
        assert_eq!(rest(asking).await, LARGE);
        world.serving.await.expect("it ends");
    });
}

#[test]
fn refusals_and_answers_have_the_same_headers() {
    run(async {
        let world = World::new(8, LIMITS).await;
        for (host, expected) in
            [("localhost", StatusCode::OK), ("evil.example.net", StatusCode::MISDIRECTED_REQUEST)]
        {
            let mut stream =
                world.connect(&format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.expect("an answer");
            assert!(text.starts_with(&format!("HTTP/1.1 {}", expected.as_u16())), "{text}");
            for header in
                ["x-content-type-options: nosniff", "x-frame-options: DENY", "cache-control: no-store"]
            {
                assert!(text.contains(header), "{text}");
            }
        }
    });
}
