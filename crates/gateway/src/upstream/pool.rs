//! The connections to upstreams of one core: those in use, and those that are kept.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dialing::Names;
use foldhash::HashMap;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use listener::connection::NameCase;
use rustls::ClientConfig;
use storage::describe;
use tokio::net::TcpStream;

use super::failure::{MAX_HEAD, MAX_HEADERS, Unsent};
use super::habits::Habits;
use super::name::Name;
use super::progress::Progress;
use super::secure;
use super::stream::Stream;
use super::wire::{Wire, WireIo};
use crate::body::request::UpstreamBody;
use crate::condition::Reason;
use crate::destination::{Destination, DestinationId};
use crate::service::Service;
use crate::snapshot::ServiceRef;
use crate::stats::CoreStats;

/// The most idle connections that a core keeps to one destination; one more is closed.
const MAX_IDLE: usize = 256;
/// How long a connection from the pool may take to become ready.
const READY_WITHIN: Duration = Duration::from_millis(10);
/// How long a service that has answered may take nothing of a body that is still being sent; then its connection is closed.
const TAKES_NOTHING: Duration = Duration::from_secs(5);
/// How often that is checked.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often idle connections are checked.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// The idle connections of one core.
pub(crate) struct Pool {
    pub(super) kept: RefCell<HashMap<DestinationId, Kept>>,
    stats: Arc<CoreStats>,
    /// The addresses that the whole process knows.
    names: Names,
    name_case: NameCase,
}

/// What is kept of one destination.
pub(super) struct Kept {
    /// Expires when no generation and no request leads there any more.
    destination: Weak<Destination>,
    idle: Vec<Idle>,
    pub(super) habits: Rc<RefCell<Habits>>,
    /// The core's own TLS settings for it, with the sessions that it can resume.
    tls: Option<Arc<ClientConfig>>,
}

impl Kept {
    fn of(destination: &Arc<Destination>) -> Self {
        Self { destination: Arc::downgrade(destination), idle: Vec::new(), habits: Rc::default(), tls: None }
    }
}

struct Idle {
    sender: SendRequest<UpstreamBody>,
    wire: Rc<Wire>,
    since: Instant,
}

/// A connection in use. Give it back with [`Lease::finish`] when the answer's last byte has arrived; dropped before that, it closes.
pub(crate) struct Lease {
    pub(super) sender: SendRequest<UpstreamBody>,
    pub(super) wire: Rc<Wire>,
    pub(crate) service: ServiceRef,
    pool: Rc<Pool>,
    /// When it was taken, or made.
    pub(super) since: Instant,
    /// The progress of the request that was sent on it.
    pub(super) progress: Option<Rc<Progress>>,
}

impl Lease {
    /// Whether the client's body broke off, which ends the exchange on this connection.
    pub fn is_broken_by_the_client(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.broken().is_some())
    }

    /// If the service answered before it had all of the request, and gets no more of it, the client's connection ends after the answer, which
    /// says so.
    pub fn announce_end(&self, answer: &mut HeaderMap) {
        if self.progress.as_ref().is_some_and(|progress| progress.is_stopped()) {
            answer.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Gives the connection back. If its request is still being sent when its answer has ended, that goes on, as long as the upstream reads and
    /// the client sends; unless the answer refused the request, or announced the end of the connection.
    pub fn finish(self) {
        if let Some(progress) = self.progress.filter(|progress| progress.is_sending()) {
            if progress.is_stopped() || self.wire.is_closing() {
                self.wire.hang_up();
            } else {
                tokio::task::spawn_local(send_on(progress, self.wire));
            }
            return;
        }
        let since = Instant::now();
        self.wire.rest(since);
        if self.sender.is_closed() || self.wire.is_deaf() {
            self.wire.closed_at_rest();
            return;
        }
        if self.wire.is_old(since) {
            return;
        }
        let mut kept = self.pool.kept.borrow_mut();
        let destination = &self.service.destination;
        let idle = &mut kept.entry(destination.id()).or_insert_with(|| Kept::of(destination)).idle;
        if idle.len() >= MAX_IDLE && destination.tls.is_some() {
            // With `preserve_host`, clients choose the name of a connection. The oldest one is dropped to make room.
            idle.remove(0);
        }
        if idle.len() < MAX_IDLE {
            idle.push(Idle { sender: self.sender, wire: self.wire, since });
        }
    }
}

/// Watches over the rest of a body that goes on after its answer. The client may wait to send it before it looks at the answer: so a service
/// that takes nothing for a while is left.
async fn send_on(progress: Rc<Progress>, wire: Rc<Wire>) {
    while progress.is_sending() && wire.is_running() {
        tokio::time::sleep(LOOK_AGAIN).await;
        if wire.blocked_since().is_some_and(|since| since.elapsed() >= TAKES_NOTHING) {
            wire.hang_up();
        }
    }
}

impl Pool {
    pub fn new(stats: Arc<CoreStats>, names: Names, name_case: NameCase) -> Rc<Self> {
        Rc::new(Self { kept: RefCell::default(), stats, names, name_case })
    }

    /// Closes idle connections that are too old or whose destination is no longer used, as long as the core lives.
    pub async fn reap(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(REAP_EVERY);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            self.kept.borrow_mut().retain(|_, Kept { destination, idle, habits, .. }| {
                let mut habits = habits.borrow_mut();
                idle.retain(|idle| {
                    let (age, open) = (now.duration_since(idle.since), !idle.sender.is_closed());
                    if open {
                        habits.stayed(age, idle.wire.answers());
                    }
                    open && age < idle.wire.may_be_idle() && !idle.wire.is_old(now)
                });
                destination.strong_count() > 0
            });
        }
    }

    /// The most recently used idle connection that is still open and ready, and that the upstream will probably not close now.
    pub(super) async fn take(
        self: &Rc<Self>,
        mut now: Instant,
        service: &ServiceRef,
        name: &Name,
    ) -> Option<Lease> {
        loop {
            let Idle { mut sender, wire, .. } = self.pop(now, service.destination.id(), name)?;
            let host = &service.destination.host;
            if wire.wants_refresh(now) && dialing::literal(host).is_none() {
                self.names.refresh(host);
            }
            if sender.is_ready() {
                return Some(self.lease(now, service, sender, wire));
            }
            // Do not wait for a connection that is still sending the body of a request that was answered early.
            let ready = tokio::time::timeout(READY_WITHIN, sender.ready()).await;
            now = Instant::now();
            if matches!(ready, Ok(Ok(()))) {
                return Some(self.lease(now, service, sender, wire));
            }
        }
    }

    fn lease(
        self: &Rc<Self>,
        since: Instant,
        service: &ServiceRef,
        sender: SendRequest<UpstreamBody>,
        wire: Rc<Wire>,
    ) -> Lease {
        Lease { sender, wire, service: service.clone(), pool: self.clone(), since, progress: None }
    }

    /// A connection that the upstream will probably close stays in the pool: when it is closed, that shows whether the habit still holds.
    fn pop(&self, now: Instant, destination: DestinationId, name: &Name) -> Option<Idle> {
        let mut kept = self.kept.borrow_mut();
        let Kept { idle, habits, .. } = kept.get_mut(&destination)?;
        let habits = habits.borrow();
        let usable = |idle: &Idle| {
            let age = now.duration_since(idle.since);
            age < idle.wire.may_be_idle()
                && idle.wire.is_for(name)
                && !idle.wire.is_old(now)
                && habits.allow(now, age, idle.wire.answers())
        };
        let at = idle.iter().rposition(usable)?;
        Some(idle.remove(at))
    }

    pub(super) async fn connect(self: &Rc<Self>, service: &ServiceRef, name: Name) -> Result<Lease, Unsent> {
        let (stream, left) = self.dial(service).await?;
        let stream = self.secured(service, &name, stream, left).await?;
        self.stats.upstream_connections.fetch_add(1, Ordering::Relaxed);
        let habits = {
            let mut kept = self.kept.borrow_mut();
            let destination = &service.destination;
            kept.entry(destination.id()).or_insert_with(|| Kept::of(destination)).habits.clone()
        };
        let wire = Wire::new(stream, name, habits, service.write_timeout);
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(self.name_case == NameCase::Kept)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(WireIo(wire.clone())))
            .await
            .map_err(|error| {
                service.failed(Reason::Closed, &describe(&error));
                Unsent::Connect
            })?;
        let running = tokio::task::spawn_local(async move {
            // The request that waits for an answer on it gets its error.
            let _ = connection.await;
        });
        wire.runs_in(running.abort_handle());
        Ok(self.lease(Instant::now(), service, sender, wire))
    }

    /// Starts TLS on a connection for this name, if the destination uses TLS, within the rest of the service's timeout.
    async fn secured(
        &self,
        service: &Service,
        name: &Name,
        stream: TcpStream,
        within: Duration,
    ) -> Result<Stream, Unsent> {
        let Some(tls) = &service.destination.tls else { return Ok(Stream::Plain(stream)) };
        let config = {
            let mut kept = self.kept.borrow_mut();
            let destination = &service.destination;
            let kept = kept.entry(destination.id()).or_insert_with(|| Kept::of(destination));
            kept.tls.get_or_insert_with(|| secure::of_core(tls)).clone()
        };
        let name = name.as_ref().unwrap_or(&tls.name).clone();
        secure::handshake(config, name, stream, within).await.map_err(|(unsent, trouble)| {
            service.is_not_trusted(&trouble);
            unsent
        })
    }

    /// Connects to the service. Returns the stream and the rest of the timeout. Looking up the name has its own limit; the service's timeout is
    /// only for connecting, including TLS.
    async fn dial(&self, service: &Service) -> Result<(TcpStream, Duration), Unsent> {
        let Destination { host, port, .. } = &*service.destination;
        let addresses = match dialing::literal(host) {
            Some(address) => vec![address],
            None => self.names.lookup(host).await.map_err(|error| {
                service.failed(Reason::NameResolution, &describe(&error));
                Unsent::NameResolution
            })?,
        };
        let began = Instant::now();
        let dialled = dialing::connect(&addresses, *port, service.connect_timeout, || Some(())).await;
        let (stream, _) = dialled.map_err(|error| {
            let (reason, unsent) = match error.kind() {
                io::ErrorKind::TimedOut => (Reason::ConnectTimeout, Unsent::ConnectTimeout),
                _ => (Reason::Connect, Unsent::Connect),
            };
            service.failed(reason, &describe(&error));
            unsent
        })?;
        Ok((stream, service.connect_timeout.saturating_sub(began.elapsed())))
    }
}
