//! The deliveries of a node, on a thread and a runtime of their own, so that endpoints and signatures never slow a request.

mod alive;
mod declare;
mod key;

pub use declare::{Declare, DeclareError, Delivered, declared};
use declare::{hub_settings, workers};

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use delivery::Deliveries;
use delivery::budget::Budget;
use delivery::drain::{DrainSignal, drain};
use delivery::events::Events;
use delivery::guard::Allow;
use delivery::signing::KeyHolder;
use delivery::sink::{Sink, Sinks};
use delivery::wire::cache::Messages;
use delivery::worker;
use entities::Set;
use event::timestamp::Clock;
use hub::Hub;
use sinks::http::{Connections, HttpSink, Roots};
use sinks::sns::SnsSink;
use storage::writer::Bell;
use storage::{Writer, failpoint};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::StartError;
use super::descriptors::Descriptors;
use super::ledger::Ledger;

/// Threads of the deliveries for what blocks: reads of the store and signatures; more of them wait. Ten thousand workers that begin at once
/// would have hundreds of threads otherwise, which take the processor from the requests.
const BLOCKING_THREADS: usize = 8;

/// The limits of calls to endpoints.
pub struct Calls<'a> {
    /// The addresses that they may go to.
    pub allow: Allow,
    /// Finds the addresses of names.
    pub names: dialing::Names,
    /// The authorities whose certificates are trusted.
    pub roots: dialing::tls::SystemRoots,
    /// The shares of open files, which limit the connections.
    pub descriptors: &'a Descriptors,
}

/// Running deliveries, and the hub that confirms and ends them.
pub struct Delivering {
    /// The workers.
    pub deliveries: Arc<Deliveries>,
    /// Topics, subscriptions and queues.
    pub hub: Hub,
    /// The signing key, or why there is none.
    pub key: KeyHolder,
    /// Ends the hub's long polls.
    end_polls: DrainSignal,
    drain: Option<oneshot::Sender<Duration>>,
    thread: JoinHandle<()>,
}

impl Delivering {
    /// Starts a worker for every push subscription. Also returns what changes them while the node runs.
    ///
    /// # Errors
    /// If a setting is wrong, an endpoint is one that can never be called, or the store fails.
    pub fn start(
        hub_config: hub::Config,
        set: &Set,
        ledger: &Ledger,
        calls: Calls<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Declare), StartError> {
        let runtime = runtime()?;
        let messages = Messages::default();
        let key = KeyHolder::default();
        let Calls { allow, names, roots, descriptors } = calls;
        let connections = Connections::within(descriptors.deliveries);
        let roots = Roots::System(roots);
        let webhooks = HttpSink::build(sinks::http::Config { allow, names, connections, roots });
        let sns: Arc<dyn Sink> = Arc::new(SnsSink::build(&webhooks));
        let deps = worker::Deps {
            writer: ledger.writer.clone(),
            reader: ledger.reader.clone(),
            feed: ledger.feed.clone(),
            clock: clock.clone(),
            sinks: Sinks::new([Arc::new(webhooks) as Arc<dyn Sink>, sns]),
            sns_key: key.subscribe(),
            messages: messages.clone(),
            events: Events::default(),
            budget: Budget::default(),
            max_age: ledger.retention.max_age,
        };
        let (end_polls, polls_end) = drain();
        let hub_deps = hub::Deps {
            writer: ledger.writer.clone(),
            reader: ledger.reader.clone(),
            feed: ledger.feed.clone(),
            clock,
            messages,
            sns_key: key.subscribe(),
            drain: polls_end,
        };
        let hub_url = hub_config.hub_url.clone();
        let entities = &ledger.entities;
        let hub_settings = hub_settings(set, entities);
        let hub = runtime
            .block_on(Hub::build(hub_config, hub_settings, entities, hub_deps))
            .map_err(StartError::part("build the hub"))?;
        let deliveries = Arc::new(Deliveries::new(deps));
        let declare = Declare {
            deliveries: deliveries.clone(),
            hub: hub.clone(),
            reader: ledger.reader.clone(),
            writer: ledger.writer.clone(),
            runtime: runtime.handle().clone(),
            hub_url,
            pending_pin: ledger.retention.pending_pin,
        };
        declare.start_workers(workers(set, entities))?;
        let (drain, drained) = oneshot::channel();
        let thread = run(runtime, deliveries.clone(), ledger.writer.clone(), key.clone(), drained)?;
        Ok((Self { deliveries, hub, key, end_polls, drain: Some(drain), thread }, declare))
    }

    /// Starts no more deliveries, and ends the hub's long polls. Deliveries under way may take this long to end.
    pub fn drain(&mut self, patience: Duration) {
        self.end_polls.start(Instant::now());
        if let Some(drain) = self.drain.take() {
            // The thread may have failed; then nobody receives this.
            let _ = drain.send(patience);
        }
    }

    /// Waits for the end of deliveries under way, after the drain has begun.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the deliveries panicked");
        }
    }
}

/// Runs the workers and what they need on a thread of their own until the drain.
fn run(
    runtime: Runtime,
    workers: Arc<Deliveries>,
    writer: Writer,
    key: KeyHolder,
    drained: oneshot::Receiver<Duration>,
) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name("deliveries".into()).spawn(move || {
        let mut watched = alive::Watched::new(workers.clone());
        runtime.block_on(async {
            tokio::spawn(alive::keep("wake-ups", Bell::serve));
            tokio::spawn(alive::keep("signing key", move || key::provide(writer.clone(), key.clone())));
            failpoint::hit(failpoint::DELIVERIES);
            // A sender that is gone means that the node failed: then wait for nothing.
            let patience = drained.await.unwrap_or_default();
            watched.told_to_end();
            workers.drain(Instant::now() + patience).await;
        });
        // Do not wait for reads that a hung disk holds: nobody needs them any more.
        runtime.shutdown_background();
    });
    thread.map_err(StartError::part("start the deliveries' thread"))
}

fn runtime() -> Result<Runtime, StartError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS).thread_name("delivery-blocking");
    builder.build().map_err(StartError::part("make a runtime"))
}
