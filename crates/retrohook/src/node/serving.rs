//! The listeners beside the data path: admin, hub and the hub's public part, on one thread; and the router of the data path.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use admin::Node;
use event::timestamp::Clock;
use gateway::router::Router;
use gateway::stats::CoreStats;
use pipeline::{BuildContext, ConfigProblem, Plugin};
use tokio::sync::watch;

use super::StartError;
use super::delivering::Delivering;
use super::ledger::Ledger;
use crate::cli::NodeArgs;

/// Compiles the routes and makes their plug-ins.
///
/// # Errors
/// What the configuration's checks should have found.
pub fn router(
    node: &NodeArgs,
    config: &config::Config,
    ledger: &Ledger,
    clock: Arc<dyn Clock>,
) -> Result<Router, StartError> {
    let kinds = plugins::all();
    let topics: HashMap<_, _> =
        ledger.entities.topics.iter().map(|topic| (topic.name.clone(), topic.id)).collect();
    let topics = Arc::new(topics);
    let build = |plugin: &config::Plugin| -> Result<(_, Arc<dyn Plugin>), ConfigProblem> {
        let kind = kinds.iter().find(|kind| kind.name() == plugin.name).ok_or_else(|| ConfigProblem {
            pointer: String::new(),
            message: format!("there is no plug-in `{}`", plugin.name),
            hint: "this is a defect of ours: the check lets only known ones through".into(),
        })?;
        let context = BuildContext {
            owner: plugin.owner.clone(),
            writer: ledger.writer.clone(),
            clock: clock.clone(),
            topics: topics.clone(),
            region: node.region.clone(),
            account: node.account_id.clone(),
        };
        Ok((kind.priority(), kind.build(&plugin.config, &context)?))
    };
    gateway::compile::compile(config, build).map_err(StartError::part("compile the configuration"))
}

/// Running listeners.
pub struct Serving {
    /// How long requests may take to end, once they are to end.
    drain: watch::Sender<Option<Duration>>,
    /// What the admin port tells.
    draining: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Serving {
    /// Serves what is bound.
    ///
    /// # Errors
    /// If the operating system gives no thread or runtime.
    pub fn start(
        ledger: &Ledger,
        delivering: &Delivering,
        cores: Vec<Arc<CoreStats>>,
        clock: Arc<dyn Clock>,
        admin: Option<TcpListener>,
        hub: Option<TcpListener>,
        hub_public: Option<TcpListener>,
    ) -> Result<Self, StartError> {
        let draining = Arc::new(AtomicBool::new(false));
        let node = Node {
            reader: ledger.reader.clone(),
            writer: ledger.writer.clone(),
            cores: Arc::new(cores),
            deliveries: delivering.deliveries.clone(),
            hub: delivering.hub.clone(),
            key: delivering.key.clone(),
            topics: Arc::new(ledger.entities.topics.clone()),
            queues: Arc::new(ledger.entities.queues.clone()),
            subscriptions: Arc::new(ledger.entities.subscriptions.clone()),
            forms: delivering.forms.clone(),
            ready_at: clock.now(),
            clock,
            draining: draining.clone(),
        };
        let listeners = [
            (admin, admin::router(node)),
            (hub, protocols::router(delivering.hub.clone(), protocols::Options::default())),
            (hub_public, protocols::public_router(delivering.hub.clone())),
        ];
        let (drain, drained) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::part("make a runtime"))?;
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                runtime.block_on(serve(listeners, drained));
                // A read that a hung disk holds is nobody's any more.
                runtime.shutdown_background();
            })
            .map_err(StartError::part("start the control thread"))?;
        Ok(Self { drain, draining, thread })
    }

    /// Tells whoever asks that this node stops; serves on.
    pub fn announce_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Lets requests end, at most for `patience`, and stops. Long polls must have been ended.
    pub fn stop(self, patience: Duration) {
        self.drain.send_replace(Some(patience));
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

async fn serve<const N: usize>(
    listeners: [(Option<TcpListener>, axum::Router); N],
    mut drained: watch::Receiver<Option<Duration>>,
) {
    let mut serving = tokio::task::JoinSet::new();
    for (listener, router) in listeners {
        let Some(listener) = listener else { continue };
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let mut drained = drained.clone();
                let end = async move {
                    // A sender that is gone is a drain, too.
                    let _ = drained.wait_for(Option::is_some).await;
                };
                serving.spawn(axum::serve(listener, router).with_graceful_shutdown(end).into_future());
            }
            Err(error) => tracing::error!(%error, "a listener cannot be served"),
        }
    }
    let out_of_patience = async {
        let patience = drained.wait_for(Option::is_some).await.ok().and_then(|patience| *patience);
        tokio::time::sleep(patience.unwrap_or_default()).await;
    };
    let all_ended = async { while serving.join_next().await.is_some() {} };
    // A peer that never ends its request does not keep the node from stopping.
    tokio::select! {
        () = all_ended => {}
        () = out_of_patience => {}
    }
}
