//! The gateway as a component: bind early, start late, drain once.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use event::timestamp::Clock;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection;
use crate::core::Core;
use crate::limits::Limits;
use crate::listener;
use crate::router::Router;
use crate::stats::CoreStats;

/// What the gateway is built from.
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Cores, at least 1.
    pub workers: usize,
    /// How long requests may take to end after the drain has begun.
    pub drain_timeout: Duration,
    /// What it takes of clients.
    pub limits: Limits,
}

/// A gateway whose sockets are bound: connections queue, nothing is served yet.
pub struct Gateway {
    config: Config,
    listeners: Vec<TcpListener>,
    address: SocketAddr,
}

impl Gateway {
    /// Binds the sockets.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(config: Config) -> io::Result<Self> {
        let listeners = listener::bind(config.listen, config.workers.max(1))?;
        let address = match listeners.first() {
            Some(first) => first.local_addr()?,
            None => config.listen,
        };
        Ok(Self { config, listeners, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a thread a core.
    ///
    /// # Errors
    /// If the operating system gives no thread, runtime or descriptor.
    pub fn start(self, router: Arc<Router>, clock: Arc<dyn Clock>) -> io::Result<Running> {
        let (drain, _) = watch::channel(false);
        let exchanges = Arc::new(AtomicUsize::new(0));
        let mut running = Running { drain, threads: Vec::new(), stats: Vec::new(), address: self.address };
        for (index, listener) in self.listeners.into_iter().enumerate() {
            let stats = Arc::new(CoreStats::default());
            running.stats.push(stats.clone());
            let parts = Parts {
                listener,
                router: router.clone(),
                clock: clock.clone(),
                stats,
                exchanges: exchanges.clone(),
                drain: running.drain.subscribe(),
                drain_timeout: self.config.drain_timeout,
                limits: self.config.limits,
            };
            let thread =
                std::thread::Builder::new().name(format!("core-{index}")).spawn(move || run(parts))?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

struct Parts {
    listener: TcpListener,
    router: Arc<Router>,
    clock: Arc<dyn Clock>,
    stats: Arc<CoreStats>,
    exchanges: Arc<AtomicUsize>,
    drain: watch::Receiver<bool>,
    drain_timeout: Duration,
    limits: Limits,
}

fn run(parts: Parts) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let core = Core::new(parts.router, parts.clock, parts.stats, parts.exchanges, parts.limits);
    let result = runtime.block_on(serve(core.clone(), parts.listener, parts.drain, parts.drain_timeout));
    // What is still under way is dropped with the runtime, and settled by what was seen of it.
    core.closing.set(true);
    drop(runtime);
    result
}

async fn serve(
    core: Rc<Core>,
    listener: TcpListener,
    mut drain: watch::Receiver<bool>,
    drain_timeout: Duration,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::task::spawn_local(core.pool.clone().reap());
    tokio::task::spawn_local(storage::writer::Bell::serve());
    let mut accepting = tokio::task::spawn_local(connection::accept(core.clone(), listener, drain.clone()));
    let deadline = async {
        // An error means that nobody is left to drain us: stop all the same.
        let _ = drain.wait_for(|begun| *begun).await;
        tokio::time::sleep_until(Instant::now() + drain_timeout).await;
    };
    tokio::pin!(deadline);
    tokio::select! {
        _ = &mut accepting => {}
        () = &mut deadline => return Ok(()),
    }
    // Connections have ended; exchanges that outlived their clients may still be under way.
    tokio::select! {
        () = core.exchanges_ended() => {}
        () = &mut deadline => {}
    }
    Ok(())
}

/// A gateway that serves.
pub struct Running {
    drain: watch::Sender<bool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stats: Vec<Arc<CoreStats>>,
    address: SocketAddr,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every core's counts.
    pub fn stats(&self) -> &[Arc<CoreStats>] {
        &self.stats
    }

    /// Stops accepting; requests under way may end until the drain timeout.
    pub fn drain(&self) {
        self.drain.send_replace(true);
    }

    /// Drains and waits for the end.
    ///
    /// # Errors
    /// If a core failed.
    pub fn join(self) -> io::Result<()> {
        self.drain();
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("a core panicked"))??;
        }
        Ok(())
    }
}
