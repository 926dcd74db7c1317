//! TLS in front of a server of the kit, with certificates that were made a moment ago.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server identifies itself with.
pub struct Identity {
    certificates: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Identity {
    /// Its certificate and its key, in PEM.
    pub fn pem(&self) -> String {
        format!("{}{}", self.pem, self.key.serialize_pem())
    }
}

impl Authority {
    /// One that nobody knows yet.
    ///
    /// # Panics
    /// If there is no randomness.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("authority {:08x}", fastrand::u32(..)));
        Self(CertifiedIssuer::self_signed(params, key()).expect("a certificate"))
    }

    /// Its certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server with these names or addresses.
    pub fn vouch(&self, names: &[&str]) -> Identity {
        self.sign(params(names))
    }

    /// The same, but long ago.
    pub fn vouched(&self, names: &[&str]) -> Identity {
        let mut params = params(names);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificates: vec![certificate.der().clone()], pem: certificate.pem(), key }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// How a front behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// The versions of TLS that it speaks.
    pub versions: &'static [&'static SupportedProtocolVersion],
    /// Whether it says within TLS that a connection ends, when the server behind it closes in good order.
    pub says_its_end: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self { versions: rustls::ALL_VERSIONS, says_its_end: true }
    }
}

/// Of a front that speaks nothing newer.
pub const TLS_1_2_ALONE: &[&SupportedProtocolVersion] = &[&version::TLS12];

/// A handshake that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The name that was asked for.
    pub name: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether it was TLS 1.3.
    pub is_1_3: bool,
    /// The protocol that was agreed on.
    pub alpn: Option<String>,
}

/// Ends TLS in front of a server; stops when dropped.
pub struct Front {
    address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// In front of the server at an address, on a free port.
    pub fn start(identity: Identity, server: SocketAddr) -> Self {
        Self::start_with(identity, server, Manners::default())
    }

    /// The same with other manners.
    ///
    /// # Panics
    /// If there is no port, or the identity is none.
    pub fn start_with(identity: Identity, server: SocketAddr, manners: Manners) -> Self {
        let Identity { certificates, key, .. } = identity;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(manners.versions);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = builder.expect("versions").with_no_client_auth().with_single_cert(certificates, key);
        let mut config = config.expect("an identity");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let relay = Relay {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            server,
            manners,
            handshakes: Arc::default(),
        };
        let handshakes = relay.handshakes.clone();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || run(listener, relay, stopped));
        Self { address, handshakes, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All handshakes that were done, in order.
    pub fn handshakes(&self) -> Vec<Handshake> {
        locked(&self.handshakes).clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked(handshakes: &Mutex<Vec<Handshake>>) -> MutexGuard<'_, Vec<Handshake>> {
    handshakes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Relay {
    acceptor: TlsAcceptor,
    server: SocketAddr,
    manners: Manners,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
}

fn run(listener: std::net::TcpListener, relay: Relay, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a socket");
        let accepting = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let relay = relay.clone();
                tokio::spawn(async move {
                    // Whoever refuses a certificate breaks off.
                    let _ = relay.run(stream).await;
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
}

impl Relay {
    async fn run(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let stream = self.acceptor.accept(stream).await?;
        let session = stream.get_ref().1;
        locked(&self.handshakes).push(Handshake {
            name: session.server_name().map(str::to_owned),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            is_1_3: session.protocol_version() == Some(ProtocolVersion::TLSv1_3),
            alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        });
        let server = TcpStream::connect(self.server).await?;
        server.set_nodelay(true)?;
        self.pass(stream, server).await
    }

    /// Passes bytes on until the server ends the connection, and ends it in the same way.
    async fn pass(self, stream: TlsStream<TcpStream>, server: TcpStream) -> io::Result<()> {
        let (mut from_client, mut to_client) = split(stream);
        let (mut from_server, mut to_server) = server.into_split();
        let asking = async {
            let _ = copy(&mut from_client, &mut to_server).await;
            let _ = to_server.shutdown().await;
            std::future::pending().await
        };
        let ended = tokio::select! {
            answered = copy(&mut from_server, &mut to_client) => answered,
            never = asking => never,
        };
        let mut stream = from_client.unsplit(to_client);
        match ended {
            Ok(_) if self.manners.says_its_end => stream.shutdown().await,
            Ok(_) => stream.get_mut().0.shutdown().await,
            Err(_) => {
                let socket = socket2::Socket::from(stream.into_inner().0.into_std()?);
                socket.set_linger(Some(Duration::ZERO))
            }
        }
    }
}
