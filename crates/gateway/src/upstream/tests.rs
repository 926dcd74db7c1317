//! The pool over real sockets. The peer acts while the reactor does not run, so that nothing is known but what the kernel is asked for:
//! the moment between the last event and the next request, made as long as a test needs it.

use std::io::{Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use listener::connection::NameCase;
use tokio::runtime::{Builder, LocalOptions};

use super::*;
use crate::destination::{Destination, Destinations};
use crate::router::tests::serves;
use crate::stats::CoreStats;

mod tls;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

struct Scene {
    listener: StdListener,
    service: ServiceRef,
    pool: Rc<Pool>,
}

fn service_at(destination: Arc<Destination>) -> ServiceRef {
    let patience = Duration::from_secs(20);
    serves(Service {
        name: "service".into(),
        destination,
        host_header: HeaderValue::from_static("service.test"),
        path: "/".into(),
        connect_timeout: patience,
        write_timeout: patience,
        read_timeout: patience,
        condition: Arc::default(),
    })
}

impl Scene {
    fn new() -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self {
            listener,
            service: service_at(Destinations::default().get("127.0.0.1", port)),
            pool: Pool::new(Arc::new(CoreStats::default()), dialing::Names::system(), NameCase::Lower),
        }
    }

    async fn ask(&self, method: &str, body: UpstreamBody, audience: Audience) -> Result<(), Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = method.parse().unwrap();
        request.headers_mut().insert("host", HeaderValue::from_static("service.test"));
        let progress = Progress::new(Instant::now(), None);
        let asking =
            ask(self.pool.clone(), self.service.clone(), request, progress, audience, Instant::now());
        let (response, lease) = asking.await?;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
        lease.finish();
        Ok(())
    }

    /// A connection that has given its first answer and is in the pool.
    async fn kept(&self) -> StdStream {
        let first = self.ask("GET", UpstreamBody::Whole(None), Audience::Client);
        let answered = async {
            let stream = self.accept().await;
            serve(&stream).await;
            stream
        };
        let (asked, stream) = tokio::join!(first, answered);
        asked.unwrap();
        stream
    }

    async fn accept(&self) -> StdStream {
        self.listener.set_nonblocking(true).unwrap();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Serves the next connection: how many requests were answered.
    async fn serve_next(&self) -> usize {
        let stream = self.accept().await;
        serve(&stream).await;
        1
    }
}

/// Answers a request.
async fn serve(mut stream: &StdStream) {
    stream.set_nonblocking(true).unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(read) => head.extend_from_slice(&piece[..read]),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    stream.write_all(ANSWER).unwrap();
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.unwrap().block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.unwrap() });
}

/// What a peer does to a kept connection.
const SPOIL: [fn(StdStream) -> Option<StdStream>; 3] = [
    // Bytes that the next client must never get.
    |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad").unwrap();
        Some(stream)
    },
    |_fin| None,
    |stream| {
        socket2::Socket::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        None
    },
];

#[test]
fn a_spoilt_connection_is_not_used_and_its_request_takes_another() {
    for (index, spoil) in SPOIL.into_iter().enumerate() {
        for (method, audience) in
            [("GET", Audience::Client), ("POST", Audience::Client), ("PUT", Audience::Watch)]
        {
            block_on(async {
                let scene = Scene::new();
                let _rest = spoil(scene.kept().await);
                let body =
                    UpstreamBody::whole(if method == "GET" { Bytes::new() } else { Bytes::from("{}") });
                let asking = scene.ask(method, body, audience);
                let (asked, served) = tokio::join!(asking, scene.serve_next());
                assert_eq!((asked, served), (Ok(()), 1), "{method} {index}");
            });
        }
    }
}

#[test]
fn bytes_that_come_before_the_first_request_are_not_its_answer() {
    block_on(async {
        let scene = Scene::new();
        let asking = scene.ask("GET", UpstreamBody::Whole(None), Audience::Client);
        let early = async {
            let mut stream = scene.accept().await;
            let _ = stream.write_all(ANSWER);
            stream
        };
        // The upstream may be later than the request: then it is an answer. Either way nothing else may come of it.
        let (asked, _stream) = tokio::join!(asking, early);
        assert!(matches!(asked, Ok(()) | Err(Failure::Unsent(Unsent::Closed))), "{asked:?}");
    });
}

/// A peer that reads the request, and then closes without a word.
async fn closes_after_a_request(stream: StdStream) {
    stream.set_nonblocking(true).unwrap();
    let mut piece = [0; 1024];
    while (&stream).read(&mut piece).is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn what_may_have_gone_out_is_sent_twice_only_if_that_does_no_harm() {
    let cases = [
        ("GET", "", Audience::Client, true),
        ("PUT", "", Audience::Client, true),
        ("DELETE", "", Audience::Client, true),
        ("PUT", "{}", Audience::Client, false),
        ("POST", "", Audience::Client, false),
        ("PATCH", "", Audience::Client, false),
        ("GET", "", Audience::Watch, false),
        ("PUT", "", Audience::Watch, false),
    ];
    for (method, body, audience, repeated) in cases {
        block_on(async {
            let scene = Scene::new();
            let stream = scene.kept().await;
            let asking = scene.ask(method, UpstreamBody::whole(Bytes::from(body)), audience);
            let serving = async {
                closes_after_a_request(stream).await;
                if repeated { scene.serve_next().await } else { 0 }
            };
            let (asked, served) = tokio::join!(asking, serving);
            let expected = if repeated { Ok(()) } else { Err(Failure::Lost(Lost::Reset)) };
            assert_eq!((asked, served), (expected, usize::from(repeated)), "{method} {body} {audience:?}");
            assert!(scene.listener.accept().is_err(), "{method} {body} {audience:?}: no further connection");
        });
    }
}

#[test]
fn a_new_connection_that_ends_without_an_answer_is_not_tried_again() {
    block_on(async {
        let scene = Scene::new();
        let asking = scene.ask("GET", UpstreamBody::Whole(None), Audience::Client);
        let serving = async { closes_after_a_request(scene.accept().await).await };
        let (asked, ()) = tokio::join!(asking, serving);
        assert_eq!(asked, Err(Failure::Lost(Lost::Reset)));
        assert!(scene.listener.accept().is_err());
    });
}

#[test]
fn an_answer_that_began_is_not_asked_for_again() {
    block_on(async {
        let scene = Scene::new();
        let stream = scene.kept().await;
        let asking = scene.ask("GET", UpstreamBody::Whole(None), Audience::Client);
        let serving = async {
            let mut piece = [0; 1024];
            while (&stream).read(&mut piece).is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (&stream).write_all(b"HTTP/1.1 200 O").unwrap();
            drop(stream);
        };
        let (asked, ()) = tokio::join!(asking, serving);
        assert_eq!(asked, Err(Failure::Lost(Lost::Reset)));
        assert!(scene.listener.accept().is_err());
    });
}

#[test]
fn a_close_is_learnt_from_and_what_was_learnt_is_heeded() {
    block_on(async {
        let scene = Scene::new();
        let habits = || scene.pool.kept.borrow().values().next().unwrap().habits.clone();
        let stream = scene.kept().await;
        assert!(!habits().borrow().has_seen_a_close());
        drop(stream);
        while !habits().borrow().has_seen_a_close() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }

        let still_open = scene.kept().await;
        for _ in 0..2 {
            // Connections of this upstream end with their first answer.
            habits().borrow_mut().closed(Instant::now(), Duration::ZERO, 1);
        }
        let asking = scene.ask("PUT", UpstreamBody::whole(Bytes::from("{}")), Audience::Watch);
        let (asked, served) = tokio::join!(asking, scene.serve_next());
        assert_eq!((asked, served), (Ok(()), 1), "it took a new one");
        drop(still_open);
    });
}

#[test]
fn connections_to_where_nothing_leads_any_more_are_closed_and_forgotten() {
    block_on(async {
        let scene = Scene::new();
        let mut stream = scene.kept().await;
        let reaping = tokio::task::spawn_local(scene.pool.clone().reap());
        let Scene { service, pool, .. } = scene;
        drop(service);
        stream.set_nonblocking(true).unwrap();
        while !matches!(stream.read(&mut [0]), Ok(0)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(pool.kept.borrow().is_empty(), "nor is it remembered when such connections are closed");
        reaping.abort();
    });
}
