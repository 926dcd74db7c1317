//! The gateway as a component: bind early, start late, drain once.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dialing::Names;
use event::timestamp::Clock;
use listener::places::Places;
use storage::vital::Vitals;
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::access_log::AccessLog;
use crate::budget::Budget;
use crate::connection;
use crate::core::{Core, Shared};
use crate::front::Front;
use crate::limits::Limits;
use crate::listeners::{Listener, NotBound};
use crate::snapshot::{Follower, Publisher, Snapshot};
use crate::stats::CoreStats;

/// How long after a panic the task that shares a core's wake-ups is started again.
const RING_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the gateway is built from.
pub struct Config {
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Cores, at least 1.
    pub workers: usize,
    /// Its limits for clients.
    pub limits: Limits,
    /// Finds the addresses of services. There is one for the whole process, so that no name is looked up twice.
    pub names: Names,
    /// How it reads requests.
    pub front: Front,
}

/// A gateway whose sockets are bound: connections queue, nothing is served yet.
pub struct Gateway {
    config: Config,
    /// For each core, one socket of each listener.
    sockets: Vec<Vec<TcpListener>>,
    access_log: Option<AccessLog>,
}

impl Gateway {
    /// Binds the sockets.
    ///
    /// # Errors
    /// Names the first listener that cannot be bound.
    pub fn bind(mut config: Config) -> Result<Self, NotBound> {
        let workers = config.workers.max(1);
        let mut sockets: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        for listener in &mut config.listeners {
            let not_bound = |source| NotBound { listener: *listener, source };
            let bound = listener::bind::tcp(listener.address, workers).map_err(not_bound)?;
            if let Some(first) = bound.first() {
                listener.address = first.local_addr().map_err(not_bound)?;
            }
            sockets.iter_mut().zip(bound).for_each(|(of_core, socket)| of_core.push(socket));
        }
        Ok(Self { config, sockets, access_log: None })
    }

    /// The same, with a line in this log for each request.
    pub fn log_to(self, log: AccessLog) -> Self {
        Self { access_log: Some(log), ..self }
    }

    /// Where it listens, with the ports that were taken.
    pub fn listeners(&self) -> &[Listener] {
        &self.config.listeners
    }

    /// Starts one thread per core, with a first generation to serve. If a thread ends before the drain, `vitals` gets to know.
    ///
    /// # Errors
    /// If the operating system gives no thread, runtime or descriptor.
    pub fn start(self, first: Arc<Snapshot>, clock: Arc<dyn Clock>, vitals: &Vitals) -> io::Result<Running> {
        let (drain, _) = watch::channel(false);
        let deadline = Arc::new(OnceLock::new());
        let shared = Shared {
            exchanges: Arc::new(AtomicUsize::new(0)),
            read_ahead: Budget::new(self.config.limits.read_ahead),
            drain: drain.subscribe(),
            access_log: self.access_log,
        };
        let (publisher, followers) = Publisher::new(first, self.sockets.len());
        let mut running = Running {
            drain,
            deadline,
            publisher,
            threads: Vec::new(),
            stats: Vec::new(),
            listeners: self.config.listeners.clone(),
        };
        for (index, (sockets, follower)) in self.sockets.into_iter().zip(followers).enumerate() {
            let stats = Arc::new(CoreStats::default());
            running.stats.push(stats.clone());
            let parts = Parts {
                listeners: self.config.listeners.iter().copied().zip(sockets).collect(),
                follower,
                clock: clock.clone(),
                stats,
                shared: shared.clone(),
                deadline: running.deadline.clone(),
                limits: self.config.limits,
                names: self.config.names.clone(),
                front: self.config.front.clone(),
            };
            let name = format!("core-{index}");
            let vital = vitals.of(name.clone());
            let thread = listener::thread::with_runtime(
                name,
                |_| {},
                move |runtime| {
                    run(runtime, parts)?;
                    vital.ends_in_order();
                    Ok(())
                },
            )?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

struct Parts {
    listeners: Vec<(Listener, TcpListener)>,
    follower: Follower,
    clock: Arc<dyn Clock>,
    stats: Arc<CoreStats>,
    shared: Shared,
    deadline: Arc<OnceLock<Instant>>,
    limits: Limits,
    names: Names,
    front: Front,
}

fn run(runtime: LocalRuntime, mut parts: Parts) -> io::Result<()> {
    let core = Core::new(
        parts.follower.begin(),
        parts.clock,
        parts.stats,
        parts.shared,
        parts.limits,
        parts.names,
        parts.front,
    );
    let result = runtime.block_on(serve(core.clone(), parts.listeners, parts.follower, &parts.deadline));
    // Exchanges that still run are dropped with the runtime, and settled by what was seen of them.
    core.closing.set(true);
    drop(runtime);
    result
}

async fn serve(
    core: Rc<Core>,
    listeners: Vec<(Listener, TcpListener)>,
    follower: Follower,
    deadline: &OnceLock<Instant>,
) -> io::Result<()> {
    // A core that does not accept connections, close old ones or follow generations is useless: if any of these tasks ends, the core ends.
    let mut reaping = tokio::task::spawn_local(core.pool.clone().reap());
    let mut following = tokio::task::spawn_local(core.clone().follow(follower));
    // Without this task wake-ups cost more; nothing else changes.
    tokio::task::spawn_local(share_wake_ups());
    if let Some(lines) = &core.access_log {
        tokio::task::spawn_local(lines.clone().hand_over_in_time());
    }
    let mut accepting = JoinSet::new();
    // The connections that one core may hold, of all listeners together.
    let places = Places::new(core.limits.connections);
    for (listener, socket) in listeners {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        accepting.spawn_local(connection::accept(core.clone(), places.clone(), listener, socket));
    }
    let deadline = async {
        // If the sender is gone, no one can set a deadline: stop at once.
        core.draining().await;
        tokio::time::sleep_until(deadline.get().copied().unwrap_or_else(Instant::now)).await;
    };
    // Connections end first; exchanges that outlived their clients may still be under way.
    let ended = async {
        while let Some(end) = accepting.join_next().await {
            over(end)?;
        }
        core.exchanges_ended().await;
        Ok(())
    };
    tokio::select! {
        ended = ended => ended,
        () = deadline => {
            core.cut_off(places.under_way());
            Ok(())
        }
        failed = ended_for_ever(&mut reaping) => Err(failed),
        failed = ended_for_ever(&mut following) => Err(failed),
    }
}

/// Passes on the thread's shared wake-ups as long as the core lives. After a panic, which would be a bug, each wake-up costs its own system call
/// for a while.
async fn share_wake_ups() {
    while let Err(error) = tokio::task::spawn_local(storage::writer::Bell::serve()).await {
        tracing::error!(%error, "the task that shares the wake-ups of a core panicked: it is started again in a second, and wake-ups cost more until then; this is a bug in Retrohook");
        tokio::time::sleep(RING_AGAIN_AFTER).await;
    }
}

/// The result of a task of the core. If the task panicked, the core panics.
fn over<T>(end: Result<T, JoinError>) -> io::Result<T> {
    end.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => io::Error::other(error),
    })
}

/// Waits for a task that never ends by itself; its end is a failure.
async fn ended_for_ever<T>(task: &mut JoinHandle<T>) -> io::Error {
    match over(task.await) {
        Ok(_) => io::Error::other("a task of the core ended"),
        Err(error) => error,
    }
}

/// What the drain's deadline cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Requests whose clients have got no answer, or not all of it.
    pub requests: u64,
    /// Exchanges that somebody watches and whose answer had not come, whether or not their clients still waited.
    pub exchanges: u64,
}

/// A gateway that serves.
pub struct Running {
    drain: watch::Sender<bool>,
    /// The deadline of the drain; set before it begins.
    deadline: Arc<OnceLock<Instant>>,
    publisher: Publisher,
    threads: Vec<std::thread::JoinHandle<io::Result<()>>>,
    stats: Vec<Arc<CoreStats>>,
    listeners: Vec<Listener>,
}

impl Running {
    /// Where the listener of this name is, if there is one.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        let named = self.listeners.iter().find(|one| one.name == listener);
        named.map(|one| one.address)
    }

    /// The publisher of the generations that are served.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Every core's counts.
    pub fn stats(&self) -> &[Arc<CoreStats>] {
        &self.stats
    }

    /// Stops accepting. Requests under way have this long to end. Only the first call counts.
    pub fn drain(&self, patience: Duration) {
        self.deadline.get_or_init(|| Instant::now() + patience);
        self.drain.send_replace(true);
    }

    /// Drains and waits for the end of all cores; what the deadline cut off.
    ///
    /// # Errors
    /// If a core failed; the first failure.
    pub fn join(self, patience: Duration) -> io::Result<Cut> {
        self.drain(patience);
        let mut all = Ok(());
        for thread in self.threads {
            let end = thread.join().unwrap_or_else(|_| Err(io::Error::other("a core panicked")));
            // Wait for every core, even if another one failed.
            all = all.and(end);
        }
        let of = |count: fn(&CoreStats) -> &AtomicU64| {
            self.stats.iter().map(move |one| count(one).load(Ordering::Relaxed))
        };
        // The first core that came to the deadline saw all exchanges, each later one what was left.
        let cut = Cut {
            requests: of(|one| &one.cut).sum(),
            exchanges: of(|one| &one.left_open).max().unwrap_or(0),
        };
        all.map(|()| cut)
    }
}
