//! The same over TLS: what comes unasked is told apart from what a server's TLS says on its own.

use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

use super::super::wire::Wire;
use super::*;
use crate::destination::Trust;

/// A scene whose upstream speaks TLS, and its settings.
fn scene() -> (Scene, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let mut scene = Scene::new();
    let port = scene.listener.local_addr().unwrap().port();
    let trust = Trust::only([certificate.as_ref().into()], None);
    let destination = Destinations::default().get_over_tls("127.0.0.1", port, trust).unwrap();
    scene.service = service_at(destination);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    (scene, Arc::new(config))
}

/// The upstream's side of one connection.
struct Peer {
    stream: StdStream,
    session: ServerConnection,
}

impl Peer {
    async fn accept(scene: &Scene, config: &Arc<ServerConfig>) -> Self {
        let stream = scene.accept().await;
        stream.set_nonblocking(true).unwrap();
        let mut peer = Self { stream, session: ServerConnection::new(config.clone()).unwrap() };
        while peer.session.is_handshaking() {
            peer.exchange().await;
        }
        peer.flush();
        peer
    }

    /// Reads and writes what can be read and written now.
    async fn exchange(&mut self) {
        match self.session.complete_io(&mut self.stream) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn flush(&mut self) {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream).unwrap();
        }
    }

    /// Answers a request.
    async fn serve(&mut self) {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 1024];
            match self.session.reader().read(&mut piece) {
                Ok(read) => head.extend_from_slice(&piece[..read]),
                Err(_) => self.exchange().await,
            }
        }
        self.say(ANSWER);
    }

    /// Reads so many bytes of a request at least.
    async fn take(&mut self, least: usize) {
        let mut read = 0;
        let mut piece = vec![0; 64 << 10];
        while read < least {
            match self.session.reader().read(&mut piece) {
                Ok(more) => read += more,
                Err(_) => self.exchange().await,
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.session.writer().write_all(bytes).unwrap();
        self.flush();
    }
}

/// A connection that has given its first answer and is in the pool.
async fn kept(scene: &Scene, config: &Arc<ServerConfig>) -> Peer {
    let first = scene.ask("GET", UpstreamBody::Whole(None), Audience::Client);
    let answered = async {
        let mut peer = Peer::accept(scene, config).await;
        peer.serve().await;
        peer
    };
    let (asked, peer) = tokio::join!(first, answered);
    asked.unwrap();
    peer
}

#[test]
fn what_tls_says_on_its_own_spoils_no_connection() {
    for times in [1, 3] {
        block_on(async {
            let (scene, config) = scene();
            let mut peer = kept(&scene, &config).await;
            for _ in 0..times {
                // As a ticket for a later session does, it makes the socket readable.
                peer.session.refresh_traffic_keys().unwrap();
            }
            peer.flush();
            let asking = scene.ask("PUT", UpstreamBody::whole(Bytes::from("{}")), Audience::Watch);
            let (asked, ()) = tokio::join!(asking, peer.serve());
            assert_eq!(asked, Ok(()));
            assert!(scene.listener.accept().is_err(), "no other connection was needed");
        });
    }
}

/// What a peer does to a kept connection; what is left of it.
type Spoil = fn(Peer) -> Option<Peer>;

const SPOIL: [(&str, Spoil); 6] = [
    ("an answer to nobody", |mut peer| {
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad");
        Some(peer)
    }),
    ("the first half of one", |mut peer| {
        let mut record = Vec::new();
        peer.session.writer().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad").unwrap();
        peer.session.write_tls(&mut record).unwrap();
        peer.stream.write_all(&record[..record.len() / 2]).unwrap();
        Some(peer)
    }),
    ("something else and then an answer", |mut peer| {
        peer.session.refresh_traffic_keys().unwrap();
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad");
        Some(peer)
    }),
    ("its end, said within TLS", |mut peer| {
        peer.session.send_close_notify();
        peer.flush();
        Some(peer)
    }),
    ("its end, not said within TLS", |_| None),
    ("no TLS", |mut peer| {
        peer.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad").unwrap();
        Some(peer)
    }),
];

#[test]
fn a_spoilt_connection_is_not_used_and_its_request_takes_another() {
    for (what, spoil) in SPOIL {
        for (method, audience) in
            [("GET", Audience::Client), ("POST", Audience::Client), ("PUT", Audience::Watch)]
        {
            block_on(async {
                let (scene, config) = scene();
                let _rest = spoil(kept(&scene, &config).await);
                let body =
                    UpstreamBody::whole(if method == "GET" { Bytes::new() } else { Bytes::from("{}") });
                let asking = scene.ask(method, body, audience);
                let serving = async { Peer::accept(&scene, &config).await.serve().await };
                let (asked, ()) = tokio::join!(asking, serving);
                assert_eq!(asked, Ok(()), "{method} after {what}");
            });
        }
    }
}

/// More than the kernel keeps for somebody who does not read.
const MUCH: usize = 24 << 20;

/// A request of which the kernel takes no more, and its wire.
async fn blocked(scene: &Scene, progress: &Rc<Progress>) -> Rc<Wire> {
    loop {
        let wire = progress.wire.borrow().clone();
        if let Some(wire) = wire.filter(|wire| wire.blocked_since().is_some()) {
            return wire;
        }
        assert!(scene.listener.accept().is_err(), "one connection is enough");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn large(scene: &Scene, progress: &Rc<Progress>) -> impl Future<Output = Result<Lease, Failure>> + use<> {
    let mut request = Request::new(UpstreamBody::whole(Bytes::from(vec![b'x'; MUCH])));
    *request.method_mut() = "PUT".parse().unwrap();
    request.headers_mut().insert("host", HeaderValue::from_static("service.test"));
    let asking = ask(
        scene.pool.clone(),
        scene.service.clone(),
        request,
        progress.clone(),
        Audience::Watch,
        Instant::now(),
    );
    async { asking.await.map(|(_, lease)| lease) }
}

#[test]
fn bytes_that_the_kernel_does_not_take_are_known_to_wait() {
    block_on(async {
        let (scene, config) = scene();
        let progress = Progress::new(Instant::now(), None);
        let serving = async {
            let mut peer = Peer::accept(&scene, &config).await;
            let wire = blocked(&scene, &progress).await;
            assert!(wire.has_written() && wire.unblocked_at().is_none());
            peer.take(MUCH).await;
            peer.say(ANSWER);
            wire
        };
        let (asked, wire) = tokio::join!(large(&scene, &progress), serving);
        assert!(asked.is_ok());
        assert!(wire.blocked_since().is_none() && wire.unblocked_at().is_some());
    });
}

#[test]
fn an_answer_that_comes_early_is_taken_and_the_request_goes_on() {
    block_on(async {
        let (scene, config) = scene();
        let progress = Progress::new(Instant::now(), None);
        let (early, answered) = tokio::sync::oneshot::channel();
        let serving = async {
            let mut peer = Peer::accept(&scene, &config).await;
            blocked(&scene, &progress).await;
            peer.say(ANSWER);
            answered.await.unwrap();
            peer.take(MUCH).await;
        };
        let asking = async {
            let lease = large(&scene, &progress).await.unwrap_or_else(|failure| panic!("{failure:?}"));
            early.send(()).unwrap();
            lease
        };
        let (lease, ()) = tokio::join!(asking, serving);
        lease.finish();
    });
}

#[test]
fn a_core_resumes_sessions_of_a_destination() {
    block_on(async {
        let (scene, config) = scene();
        let first = kept(&scene, &config).await;
        assert_eq!(first.session.handshake_kind(), Some(rustls::HandshakeKind::Full));
        drop(first);
        let asking = scene.ask("GET", UpstreamBody::Whole(None), Audience::Client);
        let serving = async {
            let mut peer = Peer::accept(&scene, &config).await;
            peer.serve().await;
            peer.session.handshake_kind()
        };
        let (asked, kind) = tokio::join!(asking, serving);
        assert_eq!((asked, kind), (Ok(()), Some(rustls::HandshakeKind::Resumed)));
    });
}

#[test]
fn the_host_of_a_request_is_who_its_connection_is_for() {
    let (scene, _) = scene();
    let name_of = |host: &'static str| {
        let headers = [("host", host)].into_iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static(value))
        });
        name::name_of(&scene.service, &headers.collect())
    };
    let name = |text: &'static str| Ok(Some(rustls_pki_types::ServerName::try_from(text).unwrap()));
    assert_eq!(name_of("service.test"), Ok(None), "the destination's own");
    assert_eq!(name_of("client.test"), name("client.test"));
    assert_eq!(name_of("client.test:8443"), name("client.test"));
    assert_eq!(name_of("192.0.2.1:80"), name("192.0.2.1"));
    assert_eq!(name_of("[2001:db8::1]:80"), name("2001:db8::1"));
    assert!(name_of("a$b").is_err());
    assert_eq!(name::name_of(&Scene::new().service, &http::HeaderMap::new()), Ok(None));
}
