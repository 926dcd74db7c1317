//! Asking an upstream: the keep-alive pool of one core, and what can go wrong before a head.
//!
//! What this module tells apart is what the outcome table rests on: a request of which provably nothing was sent
//! ([`Failure::Unsent`]) and one that went out and was not answered ([`Failure::Lost`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use event::UnknownReason;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use storage::failpoint;
use tokio::net::TcpStream;

use crate::body::UpstreamBody;
use crate::stats::CoreStats;
use crate::table::Service;

/// An idle connection older than this is not used again: many servers close theirs after five seconds, and a request that crosses
/// the close on the wire has an unknown outcome.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);
/// Idle connections that a core keeps to one service; one more is closed.
const MAX_IDLE: usize = 256;
/// How long a connection from the pool may take to become ready.
const READY_WITHIN: Duration = Duration::from_millis(10);
/// How often idle connections are looked through.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// The largest head of an answer, in bytes; a larger one is an invalid answer.
const MAX_HEAD: usize = 64 << 10;

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing of the request reached the upstream.
    Unsent(Unsent),
    /// The request, or a part of it, was sent.
    Lost(UnknownReason),
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    NameResolution,
    Connect,
    ConnectTimeout,
}

/// How far a request has got; shared by who asks, its body and its timers.
pub(crate) struct Progress {
    sent: Cell<bool>,
    sending: Cell<bool>,
    broken: Cell<bool>,
    last: Cell<Instant>,
}

impl Progress {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            sent: Cell::new(false),
            sending: Cell::new(true),
            broken: Cell::new(false),
            last: Cell::new(Instant::now()),
        })
    }

    /// Whether any byte may have reached the upstream.
    pub fn is_sent(&self) -> bool {
        self.sent.get()
    }

    /// The next piece of the body is on its way.
    pub fn moved(&self) {
        self.last.set(Instant::now());
    }

    /// The body's last piece was handed over.
    pub fn body_ended(&self) {
        self.sending.set(false);
        self.moved();
    }

    /// The client's body broke off.
    pub fn body_broke(&self) {
        self.broken.set(true);
    }

    /// What is left of the timeout that applies now; `None` if it has passed.
    pub fn remaining(&self, service: &Service) -> Option<Duration> {
        if !self.sent.get() {
            // The connection's own timeout applies.
            return Some(service.connect_timeout + service.read_timeout);
        }
        let limit = if self.sending.get() { service.write_timeout } else { service.read_timeout };
        limit.checked_sub(self.last.get().elapsed()).filter(|left| !left.is_zero())
    }
}

/// The idle connections of one core.
pub(crate) struct Pool {
    idle: RefCell<HashMap<*const Service, Vec<Idle>>>,
    stats: Arc<CoreStats>,
}

struct Idle {
    sender: SendRequest<UpstreamBody>,
    since: Instant,
}

/// A connection in use. Give it back with [`Lease::finish`] when the answer's last byte has arrived; dropped before that, it closes.
pub(crate) struct Lease {
    sender: SendRequest<UpstreamBody>,
    service: Arc<Service>,
    pool: Rc<Pool>,
}

impl Lease {
    /// Gives the connection back.
    pub fn finish(self) {
        if self.sender.is_closed() {
            return;
        }
        let mut idle = self.pool.idle.borrow_mut();
        let connections = idle.entry(Arc::as_ptr(&self.service)).or_default();
        if connections.len() < MAX_IDLE {
            connections.push(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}

impl Pool {
    pub fn new(stats: Arc<CoreStats>) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), stats })
    }

    /// Closes idle connections that have grown too old, for as long as the core lives.
    pub async fn reap(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(REAP_EVERY);
        loop {
            ticks.tick().await;
            self.idle.borrow_mut().retain(|_, connections| {
                connections.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < MAX_IDLE_AGE);
                !connections.is_empty()
            });
        }
    }

    /// The youngest idle connection that is still open and ready.
    async fn take(self: &Rc<Self>, service: &Arc<Service>) -> Option<Lease> {
        loop {
            let idle = self.idle.borrow_mut().get_mut(&Arc::as_ptr(service))?.pop()?;
            if idle.since.elapsed() >= MAX_IDLE_AGE {
                continue;
            }
            let mut sender = idle.sender;
            // One that still sends the body of a request that was answered early is not worth waiting for.
            if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, sender.ready()).await {
                return Some(Lease { sender, service: service.clone(), pool: self.clone() });
            }
        }
    }

    async fn connect(self: &Rc<Self>, service: &Arc<Service>) -> Result<Lease, Unsent> {
        let connecting = connect(service);
        let stream = tokio::time::timeout(service.connect_timeout, connecting)
            .await
            .map_err(|_| Unsent::ConnectTimeout)??;
        self.stats.upstream_connections.fetch_add(1, Ordering::Relaxed);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Unsent::Connect)?;
        tokio::task::spawn_local(async move {
            // Its error reaches whoever waits for an answer on it.
            let _ = connection.await;
        });
        Ok(Lease { sender, service: service.clone(), pool: self.clone() })
    }
}

async fn connect(service: &Service) -> Result<TcpStream, Unsent> {
    let mut last = Unsent::NameResolution;
    for address in resolve(service).await.map_err(|_| Unsent::NameResolution)? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it a head and a body that leave apart wait for each other's acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(_) => last = Unsent::Connect,
        }
    }
    Err(last)
}

async fn resolve(service: &Service) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = service.host.parse() {
        return Ok(vec![SocketAddr::new(ip, service.port)]);
    }
    Ok(tokio::net::lookup_host((service.host.as_str(), service.port)).await?.collect())
}

/// Asks the service and waits for the head. No timeout but the connection's: the caller watches `progress`.
///
/// A connection from the pool that turns out stale before anything was sent on it is replaced; what may have gone out is never sent
/// again.
pub(crate) async fn ask(
    pool: Rc<Pool>,
    service: Arc<Service>,
    mut request: Request<UpstreamBody>,
    progress: Rc<Progress>,
) -> Result<(Response<Incoming>, Lease), Failure> {
    while let Some(mut lease) = pool.take(&service).await {
        match ask_on(&mut lease, request, &progress).await {
            Ok(response) => return Ok((response, lease)),
            Err(Refused::Unsent(back)) => request = *back,
            Err(Refused::Lost(reason)) => return Err(Failure::Lost(reason)),
        }
    }
    let mut lease = pool.connect(&service).await.map_err(Failure::Unsent)?;
    match ask_on(&mut lease, request, &progress).await {
        Ok(response) => Ok((response, lease)),
        Err(Refused::Unsent(_)) => Err(Failure::Unsent(Unsent::Connect)),
        Err(Refused::Lost(reason)) => Err(Failure::Lost(reason)),
    }
}

enum Refused {
    Unsent(Box<Request<UpstreamBody>>),
    Lost(UnknownReason),
}

async fn ask_on(
    lease: &mut Lease,
    request: Request<UpstreamBody>,
    progress: &Progress,
) -> Result<Response<Incoming>, Refused> {
    if !request.body().is_stream() {
        progress.sending.set(false);
    }
    progress.moved();
    progress.sent.set(true);
    let answer = lease.sender.try_send_request(request);
    failpoint::hit(failpoint::REQUEST_SENT);
    let answer = answer.await;
    if answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
        // Nobody asked for it: no request is forwarded with an `Upgrade`.
        return Err(Refused::Lost(UnknownReason::UpstreamInvalid));
    }
    answer.map_err(|mut error| match error.take_message() {
        Some(request) => {
            progress.sent.set(false);
            Refused::Unsent(Box::new(request))
        }
        None if progress.broken.get() => Refused::Lost(UnknownReason::RequestBodyBroken),
        None if error.error().is_parse() => Refused::Lost(UnknownReason::UpstreamInvalid),
        None => Refused::Lost(UnknownReason::UpstreamReset),
    })
}
