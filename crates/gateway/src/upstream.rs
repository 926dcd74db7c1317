//! Asking an upstream: the keep-alive pool of one core, and what can go wrong before a head.
//!
//! What this module tells apart is what the outcome table rests on: a request of which provably nothing was sent
//! ([`Failure::Unsent`]) and one that went out and was not answered ([`Failure::Lost`]).
//!
//! A kept connection may be at its end just when it is used again. A request of which nothing went out takes another one. One that may
//! have gone out is sent a second time only if nobody watches it, it has no body and may be repeated (RFC 9110, 9.2.2), and not a byte of
//! an answer came on a connection that had been used before; and then on a new connection.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dialing::Names;
use foldhash::HashMap;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use storage::failpoint;
use storage::throttle::Throttle;
use tokio::net::TcpStream;

use crate::body::UpstreamBody;
use crate::destination::{Destination, DestinationId};
use crate::stats::CoreStats;
use crate::table::Service;

mod again;
mod failure;
mod habits;
mod secure;
mod stream;
mod wire;

use again::Again;
pub(crate) use failure::{Failure, Lost, Unsent};
use habits::Habits;
use secure::Name;
use wire::{Wire, WireIo};

/// An idle connection older than this is not used again: many servers close theirs after five seconds, and a request that crosses
/// the close on the wire has an unknown outcome.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);
/// Idle connections that a core keeps to one destination; one more is closed.
const MAX_IDLE: usize = 256;
/// How long a connection from the pool may take to become ready.
const READY_WITHIN: Duration = Duration::from_millis(10);
/// How often idle connections are looked through.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// The largest head of an answer, in bytes; a larger one is an invalid answer.
const MAX_HEAD: usize = 64 << 10;
/// The most header lines of an answer; more are an invalid answer.
const MAX_HEADERS: usize = 1_000;

/// How far a request has got; shared by who asks, its body and its timers.
pub(crate) struct Progress {
    sent: Cell<bool>,
    sending: Cell<bool>,
    broken: Cell<Option<Lost>>,
    last: Cell<Instant>,
    wire: RefCell<Option<Rc<Wire>>>,
}

impl Progress {
    /// Of a request that arrived at this time.
    pub fn new(started: Instant) -> Rc<Self> {
        Rc::new(Self {
            sent: Cell::new(false),
            sending: Cell::new(true),
            broken: Cell::new(None),
            last: Cell::new(started),
            wire: RefCell::new(None),
        })
    }

    /// Whether any byte may have reached the upstream.
    pub fn is_sent(&self) -> bool {
        self.sent.get()
    }

    /// The body's last piece was handed over.
    pub fn body_ended(&self) {
        self.sending.set(false);
        self.last.set(Instant::now());
    }

    /// The client's body broke off, or stood still for too long.
    pub fn body_broke(&self, how: Lost) {
        self.broken.set(Some(how));
    }

    fn begin(&self, now: Instant, wire: &Rc<Wire>, body: &UpstreamBody, service: &Service) {
        wire.begin(now, service.write_timeout);
        self.wire.replace(Some(wire.clone()));
        self.sending.set(body.is_stream());
        self.last.set(now);
        self.sent.set(true);
    }

    /// What is left of the timeout that applies now; `None` if it has passed.
    ///
    /// The write timeout runs only while bytes wait for the upstream, and the read timeout only when it has all of them. In between it is
    /// the client that is waited for, whose patience is its body's matter: nothing is due before another timeout could be.
    pub fn remaining(&self, service: &Service) -> Option<Duration> {
        if !self.sent.get() {
            // The connection's own timeout applies.
            return Some(service.connect_timeout + service.read_timeout);
        }
        let wire = self.wire.borrow();
        let blocked = wire.as_ref().and_then(|wire| wire.blocked_since());
        let unblocked = wire.as_ref().and_then(|wire| wire.unblocked_at());
        let (limit, since) = match blocked {
            Some(since) => (service.write_timeout, since),
            None if self.sending.get() => return Some(service.write_timeout.min(service.read_timeout)),
            None => (service.read_timeout, unblocked.map_or(self.last.get(), |at| at.max(self.last.get()))),
        };
        limit.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }
}

/// The idle connections of one core.
pub(crate) struct Pool {
    kept: RefCell<HashMap<DestinationId, Kept>>,
    stats: Arc<CoreStats>,
    failures: Throttle,
    /// Those that the whole process knows.
    names: Names,
}

/// What is kept of one destination.
struct Kept {
    /// Gone when no generation and no request leads there any more.
    destination: Weak<Destination>,
    idle: Vec<Idle>,
    habits: Rc<RefCell<Habits>>,
    /// The core's own settings of TLS there, with the sessions that it can resume.
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
    sender: SendRequest<UpstreamBody>,
    wire: Rc<Wire>,
    service: Arc<Service>,
    pool: Rc<Pool>,
    /// When it was taken, or made.
    since: Instant,
    /// Of the request that it was asked.
    progress: Option<Rc<Progress>>,
}

impl Lease {
    /// Gives the connection back. One whose request is still being sent behind its answer goes on without us, for as long as the upstream
    /// takes it and the client brings it.
    pub fn finish(self) {
        if self.progress.as_ref().is_some_and(|progress| progress.sending.get()) {
            return;
        }
        let since = Instant::now();
        self.wire.rest(since);
        if self.sender.is_closed() {
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
            // With `preserve_host` clients choose for whom a connection is: what nobody asks for again makes room.
            idle.remove(0);
        }
        if idle.len() < MAX_IDLE {
            idle.push(Idle { sender: self.sender, wire: self.wire, since });
        }
    }
}

impl Pool {
    pub fn new(stats: Arc<CoreStats>, names: Names) -> Rc<Self> {
        Rc::new(Self { kept: RefCell::default(), stats, failures: Throttle::new(), names })
    }

    /// Closes idle connections that have grown too old or lead where nothing is sent any more, for as long as the core lives.
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
                    open && age < MAX_IDLE_AGE && !idle.wire.is_old(now)
                });
                destination.strong_count() > 0
            });
        }
    }

    /// The youngest idle connection that is still open and ready, and that the upstream is not likely to close.
    async fn take(self: &Rc<Self>, mut now: Instant, service: &Arc<Service>, name: &Name) -> Option<Lease> {
        loop {
            let Idle { mut sender, wire, .. } = self.pop(now, service.destination.id(), name)?;
            let host = &service.destination.host;
            if wire.wants_refresh(now) && dialing::literal(host).is_none() {
                self.names.refresh(host);
            }
            if sender.is_ready() {
                return Some(self.lease(now, service, sender, wire));
            }
            // One that still sends the body of a request that was answered early is not worth waiting for.
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
        service: &Arc<Service>,
        sender: SendRequest<UpstreamBody>,
        wire: Rc<Wire>,
    ) -> Lease {
        Lease { sender, wire, service: service.clone(), pool: self.clone(), since, progress: None }
    }

    /// What the upstream is likely to close stays: how it does so shows whether it still does.
    fn pop(&self, now: Instant, destination: DestinationId, name: &Name) -> Option<Idle> {
        let mut kept = self.kept.borrow_mut();
        let Kept { idle, habits, .. } = kept.get_mut(&destination)?;
        let habits = habits.borrow();
        let usable = |idle: &Idle| {
            let age = now.duration_since(idle.since);
            age < MAX_IDLE_AGE
                && idle.wire.is_for(name)
                && !idle.wire.is_old(now)
                && habits.allow(now, age, idle.wire.answers())
        };
        let at = idle.iter().rposition(usable)?;
        Some(idle.remove(at))
    }

    async fn connect(self: &Rc<Self>, service: &Arc<Service>, name: Name) -> Result<Lease, Unsent> {
        let (stream, left) = self.dial(service).await?;
        let stream = self.secure(service, &name, stream, left).await?;
        self.stats.upstream_connections.fetch_add(1, Ordering::Relaxed);
        let habits = {
            let mut kept = self.kept.borrow_mut();
            let destination = &service.destination;
            kept.entry(destination.id()).or_insert_with(|| Kept::of(destination)).habits.clone()
        };
        let wire = Wire::new(stream, name, habits, service.write_timeout);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(WireIo(wire.clone())))
            .await
            .map_err(|_| Unsent::Connect)?;
        tokio::task::spawn_local(async move {
            // Its error reaches whoever waits for an answer on it.
            let _ = connection.await;
        });
        Ok(self.lease(Instant::now(), service, sender, wire))
    }

    /// A stream to the service, and what is left of its timeout. The wait for its name has a bound of its own; the service's timeout is for
    /// connecting alone, TLS included.
    async fn dial(&self, service: &Service) -> Result<(TcpStream, Duration), Unsent> {
        let Destination { host, port, .. } = &*service.destination;
        let addresses = match dialing::literal(host) {
            Some(address) => vec![address],
            None => self.names.lookup(host).await.map_err(|error| {
                self.unsent(service, &error, "the name of a service has no addresses");
                Unsent::NameResolution
            })?,
        };
        let began = Instant::now();
        let dialled = dialing::connect(&addresses, *port, service.connect_timeout, || Some(())).await;
        let (stream, _) = dialled.map_err(|error| {
            self.unsent(service, &error, "a service takes no connection");
            if error.kind() == io::ErrorKind::TimedOut { Unsent::ConnectTimeout } else { Unsent::Connect }
        })?;
        Ok((stream, service.connect_timeout.saturating_sub(began.elapsed())))
    }

    /// Says in the log why nothing was sent; at most once a second, whatever the failures are.
    fn unsent(&self, service: &Service, error: &(dyn std::error::Error + 'static), what: &str) {
        if let Some(times) = self.failures.happened() {
            let Destination { host, port, .. } = &*service.destination;
            tracing::warn!(service = %service.name, %host, port, error, times, "{what}");
        }
    }

    /// The failure, said in the log; what a client did is not worth a line.
    fn failed(&self, service: &Service, lost: Lost, error: Option<&hyper::Error>) -> Failure {
        if !lost.is_the_clients()
            && let Some(times) = self.failures.happened()
        {
            let cause = error.map(|error| error as &dyn std::error::Error);
            tracing::warn!(service = %service.name, error = %lost, cause, times, "a service gave no valid answer");
        }
        Failure::Lost(lost)
    }
}

/// Who else hears of a request: whether it may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The client alone.
    Client,
    /// A watch, whose outcome says what became of the one request that was sent.
    Watch,
}

/// Asks the service and waits for the head. No timeout but the connection's: the caller watches `progress`. `now` is when this is called.
pub(crate) async fn ask(
    pool: Rc<Pool>,
    service: Arc<Service>,
    mut request: Request<UpstreamBody>,
    progress: Rc<Progress>,
    audience: Audience,
    mut now: Instant,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let name = secure::name_of(&service, request.headers()).map_err(|trouble| {
        pool.insecure(&service, &trouble);
        Failure::Unsent(Unsent::Connect)
    })?;
    while let Some(mut lease) = pool.take(now, &service, &name).await {
        let again = Again::of(&request);
        if again.is_none() && lease.wire.spoilt().is_some() {
            continue;
        }
        match (ask_on(&mut lease, request, &progress).await, again) {
            (Ok(response), _) => return Ok((response, lease)),
            (Err(Refused::Unsent(back)), _) => request = *back,
            (Err(Refused::NotTaken(Unsent::Closed)), Some(again)) => {
                request = again.request(&lease.wire).ok_or(Failure::Unsent(Unsent::Closed))?;
            }
            (Err(Refused::NotTaken(unsent)), _) => return Err(Failure::Unsent(unsent)),
            (Err(Refused::Lost(Lost::Reset, error)), again) if !lease.wire.has_read() => {
                lease.wire.closed_on_reuse();
                let again = again.filter(|again| audience == Audience::Client && again.may_be_repeated());
                match again.and_then(|again| again.request(&lease.wire)) {
                    Some(again) => request = again,
                    None => return Err(pool.failed(&service, Lost::Reset, error.as_ref())),
                }
                break;
            }
            (Err(Refused::Lost(lost, error)), _) => return Err(pool.failed(&service, lost, error.as_ref())),
        }
        now = Instant::now();
    }
    let mut lease = pool.connect(&service, name).await.map_err(Failure::Unsent)?;
    match ask_on(&mut lease, request, &progress).await {
        Ok(response) => Ok((response, lease)),
        Err(Refused::Unsent(_)) => Err(Failure::Unsent(Unsent::Closed)),
        Err(Refused::NotTaken(unsent)) => Err(Failure::Unsent(unsent)),
        Err(Refused::Lost(lost, error)) => Err(pool.failed(&service, lost, error.as_ref())),
    }
}

enum Refused {
    /// hyper gives it back.
    Unsent(Box<Request<UpstreamBody>>),
    /// hyper has it, but the kernel took nothing of it.
    NotTaken(Unsent),
    Lost(Lost, Option<hyper::Error>),
}

async fn ask_on(
    lease: &mut Lease,
    request: Request<UpstreamBody>,
    progress: &Rc<Progress>,
) -> Result<Response<Incoming>, Refused> {
    progress.begin(lease.since, &lease.wire, request.body(), &lease.service);
    lease.progress = Some(progress.clone());
    let answer = lease.sender.try_send_request(request);
    failpoint::hit(failpoint::REQUEST_SENT);
    let mut error = match answer.await {
        // No request is forwarded with an `Upgrade`.
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            return Err(Refused::Lost(Lost::Switched, None));
        }
        Ok(answer) => {
            if announces_the_end(&answer) {
                lease.wire.will_be_closed();
            }
            return Ok(answer);
        }
        Err(error) => error,
    };
    if let Some(request) = error.take_message() {
        progress.sent.set(false);
        return Err(Refused::Unsent(Box::new(request)));
    }
    let broken = progress.broken.get();
    if !lease.wire.has_written() {
        progress.sent.set(false);
        return Err(Refused::NotTaken(broken.map_or(Unsent::Closed, Unsent::Body)));
    }
    let error = error.into_error();
    let lost = match broken {
        Some(broken) => broken,
        None if error.is_parse_too_large() => Lost::TooLarge,
        None if error.is_parse() => Lost::Invalid,
        None => Lost::Reset,
    };
    Err(Refused::Lost(lost, Some(error)))
}

/// Whether the connection ends with this answer, and says so: such an end shows nothing.
fn announces_the_end(answer: &Response<Incoming>) -> bool {
    let close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    answer.version() < Version::HTTP_11 || answer.headers().get(CONNECTION).is_some_and(close)
}

#[cfg(test)]
mod tests;
