//! The deliveries of a node: a thread and a runtime of their own, so that no endpoint and no signature is felt by a request.

mod alive;
mod key;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use delivery::Deliveries;
use delivery::budget::Budget;
use delivery::drain::{DrainSignal, drain};
use delivery::events::Events;
use delivery::guard::Allow;
use delivery::signing::{KeyHolder, Secret};
use delivery::wire::WireFormat;
use delivery::wire::cache::Messages;
use delivery::wire::sns::Names;
use delivery::worker::{self, Confirmation, Order, Settings};
use event::timestamp::Clock;
use hub::{Hub, QueueSettings};
use sinks::http::{Connections, HttpSink, Roots};
use storage::entities::{Protocol, Subscription, SubscriptionId};
use storage::writer::Bell;
use storage::{Writer, failpoint};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::StartError;
use super::descriptors::Descriptors;
use super::ledger::Ledger;
use crate::cli::NodeArgs;

/// What bounds the calls to endpoints.
pub struct Calls<'a> {
    /// Where they may go.
    pub allow: Allow,
    /// What names mean.
    pub names: dialing::Names,
    /// How many connections there may be.
    pub descriptors: &'a Descriptors,
}

/// Running deliveries, and the hub that confirms and ends them.
pub struct Delivering {
    /// The workers.
    pub deliveries: Arc<Deliveries>,
    /// Topics, subscriptions and queues.
    pub hub: Hub,
    /// The key that signs, and why there is none.
    pub key: KeyHolder,
    /// What the configuration says of each subscription and the store does not keep.
    pub forms: Arc<HashMap<SubscriptionId, admin::Form>>,
    /// Ends the hub's long polls.
    pub end_polls: DrainSignal,
    drain: oneshot::Sender<Duration>,
    thread: JoinHandle<()>,
}

impl Delivering {
    /// Starts a worker for every push subscription.
    ///
    /// # Errors
    /// If a setting is wrong, an endpoint cannot be called at all, or the store fails.
    pub fn start(
        node: &NodeArgs,
        config: &config::Config,
        ledger: &Ledger,
        calls: Calls<'_>,
        hub_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let runtime = runtime()?;
        let messages = Messages::default();
        let key = KeyHolder::default();
        let Calls { allow, names, descriptors } = calls;
        let connections = Connections::within(descriptors.deliveries);
        let sink = HttpSink::build(sinks::http::Config { allow, names, connections, roots: Roots::System });
        let deps = worker::Deps {
            writer: ledger.writer.clone(),
            reader: ledger.reader.clone(),
            feed: ledger.feed.clone(),
            clock: clock.clone(),
            sink: Arc::new(sink),
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
        let hub_config = hub_config(node, config, ledger, hub_url, descriptors);
        let hub = runtime
            .block_on(Hub::build(hub_config, ledger.entities.clone(), hub_deps))
            .map_err(StartError::part("build the hub"))?;
        let deliveries = Arc::new(Deliveries::new(deps));
        let context = runtime.enter();
        for worker in workers(config, ledger, &hub, hub_url)? {
            deliveries.start(worker).map_err(StartError::part("start a delivery"))?;
        }
        drop(context);
        let (drain, drained) = oneshot::channel();
        let thread = run(runtime, deliveries.clone(), ledger.writer.clone(), key.clone(), drained)?;
        let forms = Arc::new(forms(config, ledger));
        Ok(Self { deliveries, hub, key, forms, end_polls, drain, thread })
    }

    /// Begins nothing more and waits for what is under way.
    pub fn stop(self, patience: Duration) {
        // The thread may have failed; then it is told nothing.
        let _ = self.drain.send(patience);
        if self.thread.join().is_err() {
            tracing::error!("the deliveries panicked");
        }
    }
}

/// Runs the workers, and what they need, in a thread of their own until the drain.
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
            // A sender that is gone means that the node failed: then there is no time to wait for.
            let patience = drained.await.unwrap_or_default();
            watched.told_to_end();
            workers.drain(Instant::now() + patience).await;
        });
        // A read that a hung disk holds is nobody's any more.
        runtime.shutdown_background();
    });
    thread.map_err(StartError::part("start the deliveries' thread"))
}

/// What `--allow-endpoints` and `--allow-private-endpoints` say.
///
/// # Errors
/// All values that are wrong.
pub fn allowed(node: &NodeArgs) -> Result<Allow, StartError> {
    Allow::parse(node.allow_private_endpoints, node.allow_endpoints.iter().map(String::as_str))
        .map_err(|wrong| StartError::AllowEndpoints(join(&wrong)))
}

fn runtime() -> Result<Runtime, StartError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().thread_name("delivery-blocking").build();
    runtime.map_err(StartError::part("make a runtime"))
}

fn hub_config(
    node: &NodeArgs,
    config: &config::Config,
    ledger: &Ledger,
    hub_url: &str,
    descriptors: &Descriptors,
) -> hub::Config {
    let queues = config.queues.iter().map(|queue| {
        let settings = QueueSettings {
            visibility: queue.visibility_timeout,
            receive_wait: queue.receive_wait_time,
            retention: queue.message_retention_period,
        };
        (queue.name.clone(), settings)
    });
    let raw = pairs(config, ledger).filter(|(_, wanted)| wanted.raw_message_delivery);
    hub::Config {
        names: hub::Names { region: node.region.clone(), account: node.account_id.clone() },
        hub_url: hub_url.to_owned(),
        queues: queues.collect::<HashMap<_, _>>(),
        raw: raw.map(|(stored, _)| stored.id).collect::<HashSet<SubscriptionId>>(),
        max_long_polls: descriptors.of_control().long_polls,
    }
}

/// What is stored of each subscription beside what the configuration says of it.
fn pairs<'a>(
    config: &'a config::Config,
    ledger: &'a Ledger,
) -> impl Iterator<Item = (&'a Subscription, &'a config::Subscription)> {
    let topics: HashMap<&str, _> =
        ledger.entities.topics.iter().map(|topic| (topic.name.as_str(), topic.id)).collect();
    config.subscriptions.iter().filter_map(move |wanted| {
        let topic = topics.get(wanted.topic.as_str())?;
        let stored = ledger.entities.subscriptions.iter().find(|stored| {
            stored.topic == *topic && stored.protocol == wanted.protocol && stored.endpoint == wanted.endpoint
        })?;
        Some((stored, wanted))
    })
}

fn forms(config: &config::Config, ledger: &Ledger) -> HashMap<SubscriptionId, admin::Form> {
    let form = |wanted: &config::Subscription| admin::Form {
        format: match wanted.format {
            config::Format::Sns => "sns",
            config::Format::StandardWebhooks { .. } => "standard-webhooks",
        },
        raw_message_delivery: wanted.raw_message_delivery,
        fifo: wanted.fifo,
    };
    pairs(config, ledger).map(|(stored, wanted)| (stored.id, form(wanted))).collect()
}

fn workers(
    config: &config::Config,
    ledger: &Ledger,
    hub: &Hub,
    hub_url: &str,
) -> Result<Vec<worker::Config>, StartError> {
    let mut workers = Vec::new();
    for (stored, wanted) in pairs(config, ledger).filter(|(stored, _)| stored.protocol != Protocol::Sqs) {
        let names = Names {
            topic_arn: hub.names().topic_arn(&wanted.topic).to_string(),
            subscription_arn: hub.names().subscription_arn(&wanted.topic, stored.uuid).to_string(),
            hub_url: hub_url.to_owned(),
        };
        let Some(state) = hub.watch_subscription(stored.id) else { continue };
        workers.push(worker::Config {
            subscription: stored.clone(),
            names,
            settings: settings(wanted)?,
            state,
        });
    }
    Ok(workers)
}

fn join(wrong: &[impl std::fmt::Display]) -> String {
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn settings(wanted: &config::Subscription) -> Result<Settings, StartError> {
    let format = match &wanted.format {
        config::Format::StandardWebhooks { secrets } => {
            let keys = secrets.iter().map(|secret| secret.expose().parse::<Secret>());
            WireFormat::StandardWebhooks(
                keys.collect::<Result<_, _>>().map_err(StartError::part("read a secret"))?,
            )
        }
        config::Format::Sns if wanted.raw_message_delivery => WireFormat::SnsRaw,
        config::Format::Sns => WireFormat::Sns,
    };
    Ok(Settings {
        format,
        timeout: wanted.timeout,
        order: if wanted.fifo { Order::Fifo } else { Order::Any },
        max_in_flight: usize::from(wanted.max_in_flight),
        confirmation: if wanted.confirm { Confirmation::Handshake } else { Confirmation::ByHand },
        ..Settings::default()
    })
}
