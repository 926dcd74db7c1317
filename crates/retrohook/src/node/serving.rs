//! The listeners beside the data path: admin on one thread, Kong's 0.x Admin API on another, hub and the hub's public part on a third.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use admin::legacy::{self, Legacy};
use admin::reload::Reloads;
use admin::{Configuration, ListenerHealth, Node};
use control::Control;
use gateway::access_log::Lost;
use gateway::conditions::Conditions;
use gateway::stats::{CoreStats, Numbering};
use listener::connection::{Limits, NameCase};
use listener::guard::{Guard, HostPattern, Origin};
use listener::places::Places;
use listener::surface::{self, Surface};
use storage::vital::{Vital, Vitals};
use tokio::runtime::{Builder, LocalRuntime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::delivering::Delivering;
use super::descriptors::Descriptors;
use super::ledger::Ledger;
use super::sockets::Socket;
use super::{StartError, compiler};
use crate::clock::WallClock;

/// Bound listeners; those that are off are `None`.
pub struct Listeners {
    /// For operators.
    pub admin: Option<Socket>,
    /// Kong's 0.x Admin API.
    pub legacy_admin: Option<Socket>,
    /// SNS and SQS.
    pub hub: Option<Socket>,
    /// The part of the hub that endpoints elsewhere may call.
    pub hub_public: Option<Socket>,
}

impl Listeners {
    /// The health of those that are on.
    fn health(&self) -> Vec<Arc<ListenerHealth>> {
        let all = [
            ("admin", &self.admin),
            ("legacy-admin", &self.legacy_admin),
            ("hub", &self.hub),
            ("hub-public", &self.hub_public),
        ];
        all.into_iter()
            .filter(|(_, socket)| socket.is_some())
            .map(|(name, _)| Arc::new(ListenerHealth::new(name)))
            .collect()
    }
}

/// What all parts of the process share.
pub struct Shared<'a> {
    /// Where threads report their end.
    pub vitals: &'a Vitals,
    /// The shares of open files, which limit the connections.
    pub descriptors: &'a Descriptors,
    /// Which generation of the configuration is served.
    pub configuration: &'a Arc<Configuration>,
    /// Asks for a reload of the files.
    pub reloads: &'a Reloads,
    /// Changes entities.
    pub control: &'a Control,
    /// The addresses of this node's own SNS API, `host:port`.
    pub hubs: &'a [String],
}

/// What the data path counts.
pub struct Counts {
    /// Of every core.
    pub cores: Vec<Arc<CoreStats>>,
    /// The numbers by which these count routes.
    pub numbering: Numbering,
    /// How services do, and how often they failed.
    pub conditions: Conditions,
    /// What was lost of the access log, if there is one.
    pub lost_lines: Option<Lost>,
}

/// Running listeners.
pub struct Serving {
    admin: Option<Serve>,
    legacy_admin: Option<Serve>,
    hub: Option<Serve>,
    /// Whether the admin port says that the node drains.
    draining: Arc<AtomicBool>,
}

/// Under which host names, and from which web pages, admin and hub may be called.
pub struct Asked {
    /// Host names besides those that are always accepted.
    pub hosts: Vec<HostPattern>,
    /// Origins of web pages.
    pub origins: Vec<Origin>,
}

impl Asked {
    /// `None` if any host is accepted, because no browser can reach a Unix socket.
    fn hosts_at(&self, socket: &Socket) -> Option<Vec<HostPattern>> {
        socket.address().map(|_| self.hosts.clone())
    }
}

/// Listeners that have a thread of their own.
struct Serve {
    /// Starts the drain: how long requests may take to end.
    drain: watch::Sender<Option<Duration>>,
    thread: JoinHandle<io::Result<()>>,
}

/// The limits of each connection, as on the data path.
const LIMITS: Limits = Limits {
    head_size: 64 << 10,
    headers: 100,
    head_timeout: Duration::from_secs(60),
    write_timeout: Some(Duration::from_secs(60)),
    drain_grace: Duration::from_secs(1),
    bad_head: None,
    odd_queries: false,
    name_case: NameCase::Lower,
};
/// The wait before a listener that panicked is served again.
const SERVE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Threads of each listener's runtime for calls that block, which are reads of the store; more reads wait.
const BLOCKING_THREADS: usize = 16;

impl Serving {
    /// Serves the bound listeners. Admin has a thread of its own, so that no client of the hub can shut operators out.
    ///
    /// # Errors
    /// If the operating system gives no thread or runtime.
    pub fn start(
        asked: Asked,
        ledger: &Ledger,
        delivering: &Delivering,
        counts: Counts,
        listeners: Listeners,
        shared: &Shared<'_>,
    ) -> Result<Self, StartError> {
        let draining = Arc::new(AtomicBool::new(false));
        let health = Arc::new(listeners.health());
        let share = shared.descriptors.of_control();
        let guard = |socket: &Socket| Guard { hosts: asked.hosts_at(socket), origins: asked.origins.clone() };
        let admin = listeners.admin.map(|socket| {
            let surface = Surface {
                name: "admin",
                guard: guard(&socket),
                is_link: |_| false,
                refuse: |_, refusal| admin::refusal(refusal.status, &refusal.message, &refusal.hint),
                reads_bodies: true,
                connections: share.admin,
                limits: Limits { bad_head: Some(admin::bad_head), ..LIMITS },
            };
            let node = admin_node(ledger, delivering, counts, health.clone(), draining.clone(), shared);
            (socket, surface, admin::router(node))
        });
        let legacy_admin = listeners.legacy_admin.map(|socket| {
            let surface = legacy_surface(guard(&socket), share.legacy_admin);
            (socket, surface, legacy::router(self::legacy(delivering, shared)))
        });
        let hub = listeners.hub.map(|socket| {
            let surface = hub_surface("hub", guard(&socket), share.hub);
            let control = Some(shared.control.clone());
            let options = protocols::Options { control, ..protocols::Options::default() };
            (socket, surface, protocols::router(delivering.hub.clone(), options))
        });
        let hub_public = listeners.hub_public.map(|socket| {
            // Every receiver of messages may call it, under any name that leads there.
            let guard = Guard { hosts: None, ..guard(&socket) };
            let surface = hub_surface("hub-public", guard, share.hub_public);
            (socket, surface, protocols::public_router(delivering.hub.clone()))
        });
        let serve = |name, served| Serve::start(name, served, &health, shared.vitals);
        Ok(Self {
            admin: serve("admin", admin.into_iter().collect())?,
            legacy_admin: serve("legacy-admin", legacy_admin.into_iter().collect())?,
            hub: serve("hub", hub.into_iter().chain(hub_public).collect())?,
            draining,
        })
    }

    /// Makes the admin port say that this node drains; it goes on serving.
    pub fn announce_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Closes the listeners of the hub and of the 0.x Admin API; their requests have this long to end. Long polls must have been ended before.
    pub fn drain_apis(&self, patience: Duration) {
        for serve in [&self.hub, &self.legacy_admin].into_iter().flatten() {
            serve.drain.send_replace(Some(patience));
        }
    }

    /// Waits until these requests have ended.
    pub fn join_apis(&mut self) {
        [self.hub.take(), self.legacy_admin.take()].into_iter().flatten().for_each(Serve::join);
    }

    /// Stops admin last, so that operators see how the other parts end. Requests have `patience` to end.
    pub fn stop_admin(self, patience: Duration) {
        if let Some(admin) = self.admin {
            admin.drain.send_replace(Some(patience));
            admin.join();
        }
    }
}

impl Serve {
    fn start(
        name: &'static str,
        served: Vec<Served>,
        health: &Arc<Vec<Arc<ListenerHealth>>>,
        vitals: &Vitals,
    ) -> Result<Option<Self>, StartError> {
        if served.is_empty() {
            return Ok(None);
        }
        let (drain, drained) = watch::channel(None);
        Ok(Some(Self { drain, thread: thread(name, served, health, vitals.of(name), drained)? }))
    }

    fn join(self) {
        let name = self.thread.thread().name().unwrap_or_default().to_owned();
        if self.thread.join().is_err() {
            tracing::error!(thread = name, "a thread panicked");
        }
    }
}

fn admin_node(
    ledger: &Ledger,
    delivering: &Delivering,
    counts: Counts,
    listeners: Arc<Vec<Arc<ListenerHealth>>>,
    draining: Arc<AtomicBool>,
    shared: &Shared<'_>,
) -> Node {
    Node {
        reader: ledger.reader.clone(),
        reads: Arc::default(),
        listeners,
        writer: ledger.writer.clone(),
        cores: Arc::new(counts.cores),
        numbering: counts.numbering,
        conditions: counts.conditions,
        lost_lines: counts.lost_lines,
        deliveries: delivering.deliveries.clone(),
        hub: delivering.hub.clone(),
        key: delivering.key.clone(),
        ready_at: std::time::Instant::now(),
        draining,
        reloads: shared.reloads.clone(),
        configuration: shared.configuration.clone(),
        control: shared.control.clone(),
        kinds: super::compiler::kinds().into(),
    }
}

fn legacy_surface(guard: Guard, connections: usize) -> Surface<axum::body::Body> {
    Surface {
        name: "legacy-admin",
        guard,
        is_link: |_| false,
        refuse: |_, refusal| legacy::refusal(refusal.status, &refusal.message, &refusal.hint),
        reads_bodies: true,
        connections,
        limits: LIMITS,
    }
}

fn legacy(delivering: &Delivering, shared: &Shared<'_>) -> Legacy {
    let names = delivering.hub.names();
    Legacy {
        control: shared.control.clone(),
        clock: Arc::new(WallClock),
        kinds: compiler::kinds(),
        region: names.region.clone(),
        account: names.account.clone(),
        hubs: shared.hubs.to_vec(),
    }
}

fn hub_surface(name: &'static str, guard: Guard, connections: usize) -> Surface<axum::body::Body> {
    Surface {
        name,
        guard,
        is_link: protocols::is_link,
        refuse: |head, refusal| {
            protocols::refusal(head, refusal.status, &format!("{}: {}", refusal.message, refusal.hint))
        },
        reads_bodies: true,
        connections,
        limits: LIMITS,
    }
}

type Served = (Socket, Surface<axum::body::Body>, axum::Router);

/// Serves listeners on a thread with a runtime of its own.
fn thread(
    name: &'static str,
    served: Vec<Served>,
    health: &Arc<Vec<Arc<ListenerHealth>>>,
    vital: Vital,
    drained: watch::Receiver<Option<Duration>>,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let set_up = |builder: &mut Builder| {
        builder.max_blocking_threads(BLOCKING_THREADS).thread_name(format!("{name}-blocking"));
    };
    let health = health.clone();
    let run = move |runtime: LocalRuntime| {
        runtime.block_on(serve(served, &health, drained.clone()));
        if drained.borrow().is_some() {
            vital.ends_in_order();
        }
        // Do not wait for reads that a hung disk holds: nobody needs them any more.
        runtime.shutdown_background();
        Ok(())
    };
    listener::thread::with_runtime(name.into(), set_up, run).map_err(StartError::part("start a thread"))
}

async fn serve(
    served: Vec<Served>,
    health: &[Arc<ListenerHealth>],
    mut drained: watch::Receiver<Option<Duration>>,
) {
    let (begin, begun) = watch::channel(false);
    let (mut serving, mut all) = (JoinSet::new(), Vec::new());
    for (socket, surface, router) in served {
        let known = health.iter().find(|known| known.name() == surface.name).cloned();
        let health = known.unwrap_or_else(|| Arc::new(ListenerHealth::new(surface.name)));
        let places = Places::new(surface.connections);
        all.push((surface.name, places.clone()));
        serving.spawn_local(keep_serving(socket, (Rc::new(surface), places), router, health, begun.clone()));
    }
    let out_of_patience = async {
        // A sender that is gone is a drain, too.
        let patience = drained.wait_for(Option::is_some).await.ok().and_then(|patience| *patience);
        begin.send_replace(true);
        tokio::time::sleep(patience.unwrap_or_default()).await;
    };
    let all_ended = async {
        while let Some(ended) = serving.join_next().await {
            // If the task that keeps a listener served panics, the thread panics, and that is noticed.
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    };
    // A peer that never ends its request must not prevent the stop.
    tokio::select! {
        () = all_ended => {}
        () = out_of_patience => all.iter().for_each(|(name, places)| say_cut(name, places)),
    }
}

/// Says what the deadline has cut off, if anything.
fn say_cut(listener: &str, places: &Places) {
    let requests = places.under_way();
    if requests > 0 {
        tracing::warn!(
            listener,
            requests,
            "the drain's deadline (--drain-timeout) cut off {} whose client got no whole answer",
            crate::check::count(requests as u64, "request")
        );
    }
}

/// Serves a listener until the drain. A panic, which would be a bug, costs the connections that it had: it is served again a moment later,
/// because a bug in what operators and workers use must not stop the data path.
async fn keep_serving(
    socket: Socket,
    (surface, places): (Rc<Surface<axum::body::Body>>, Rc<Places>),
    router: axum::Router,
    health: Arc<ListenerHealth>,
    drain: watch::Receiver<bool>,
) {
    let name = surface.name;
    loop {
        let began = Instant::now();
        let serving = match serving_task(
            &socket,
            (surface.clone(), places.clone()),
            router.clone(),
            drain.clone(),
        ) {
            Ok(serving) => {
                health.is_served();
                serving.await
            }
            Err(error) => {
                health.cannot_be_served(&error);
                tracing::error!(listener = name, %error, "a listener cannot be served; it is tried again");
                tokio::time::sleep(SERVE_AGAIN_AFTER).await;
                continue;
            }
        };
        let Err(_) = serving else { return };
        health.panicked(std::time::Instant::now());
        tracing::error!(
            listener = name,
            "a listener panicked, and is served again; this is a bug in Retrohook"
        );
        tokio::time::sleep(SERVE_AGAIN_AFTER.saturating_sub(began.elapsed())).await;
    }
}

/// A task that serves a listener, so that its panic ends nothing else.
fn serving_task(
    socket: &Socket,
    served: (Rc<Surface<axum::body::Body>>, Rc<Places>),
    router: axum::Router,
    drain: watch::Receiver<bool>,
) -> io::Result<tokio::task::JoinHandle<()>> {
    Ok(match socket {
        Socket::Tcp(socket) => {
            let listener = tokio::net::TcpListener::from_std(socket.try_clone()?)?;
            tokio::task::spawn_local(surface::serve(listener, served, router, drain))
        }
        Socket::Unix(bound) => {
            let listener = tokio::net::UnixListener::from_std(bound.listener()?)?;
            tokio::task::spawn_local(surface::serve(listener, served, router, drain))
        }
    })
}
