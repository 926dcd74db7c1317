//! Topics, queues, subscriptions and their workers as a configuration declares them: at a start, and by a reload while everything goes on.
//!
//! A reload changes the store first: the commit that stores the configuration also makes the change, or its first slice. Then workers whose
//! subscription has changed or is gone are stopped: when the reload has ended, an old endpoint gets nothing more. The next worker reads from the
//! store how far the last one got. All other workers go on undisturbed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use control::{HubChange, Plan, Stored};
use delivery::Deliveries;
use delivery::signing::{Secret, SignatureVersion};
use delivery::wire::WireFormat;
use delivery::wire::sns::Names;
use delivery::worker::{self, Confirmation, Order, Settings};
use entities::Set;
use http::HeaderValue;
use hub::{Hub, HubError};
use storage::dropped::Dropped;
use storage::entities::{Entities, QueueId, Subscription, SubscriptionId};
use storage::{Reader, StoreError, Tx, Writer, failpoint};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::node::changes::{Before, Owed};
use crate::node::remembered::{self, Remembered, Staged, Written};
use crate::node::{StartError, changes, ledger};

/// How long attempts under way may take at an endpoint that a subscription no longer has. Those that take longer are repeated at its new
/// endpoint.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Changes topics, queues, subscriptions and workers while the node runs.
pub struct Declare {
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) hub: Hub,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) writer: Writer,
    /// The runtime of the workers.
    pub(super) runtime: Handle,
    pub(super) hub_url: String,
    /// For how long events are kept for who is pending or disabled.
    pub(super) pending_pin: Duration,
}

/// Why a change was not completed.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// It failed before anything had changed.
    #[error("the store refused the change")]
    Unchanged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed: it may have the old or the new configuration.
    #[error("the store refused the change")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store has the new configuration, but has not made all of its topics, queues and subscriptions.
    #[error(
        "the store has the change, but has not made all of it; the rest follows as soon as there is room"
    )]
    Unfinished(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store has the new configuration, but not all of its workers could be started.
    #[error("the store has the change, but a delivery cannot be started")]
    Workers(#[source] StartError),
}

impl DeclareError {
    /// Whether nothing has changed, for certain.
    pub fn left_all(&self) -> bool {
        matches!(self, Self::Unchanged(_))
    }
}

/// A subscription with everything that its worker needs.
pub struct Delivered {
    stored: Subscription,
    wanted: entities::Subscription,
    /// Its own, or that of its topic.
    signature_version: SignatureVersion,
}

impl Declare {
    /// Makes what is declared that of `newer`; `before` is what the store has, and `also` is a part of the first commit. Without an `older` that is surely what runs, every worker
    /// is started anew. Blocks until the workers that have to go are gone.
    ///
    /// # Errors
    /// [`DeclareError::left_all`] says whether nothing has changed. Otherwise the store and the workers may be those of the old or the new one.
    pub fn change<A>(
        &self,
        older: Option<(&Set, &Entities)>,
        newer: &Arc<Set>,
        before: &Before,
        also: A,
    ) -> Result<Entities, DeclareError>
    where
        A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
    {
        newer.subscriptions.iter().try_for_each(|wanted| settings(wanted).map(drop)).map_err(unchanged)?;
        // An earlier reload may not have been completed.
        ledger::copy_missed(&self.writer, ledger::BESIDE_REQUESTS).map_err(unchanged)?;
        let (wanted, set) = (ledger::desired(newer).map_err(unchanged)?, newer.clone());
        let settings = move |entities: &Entities| hub_settings(&set, entities);
        let entities = {
            let also = before_the_commit(also);
            let declaring = self.hub.declare(wanted, settings, also);
            self.runtime.block_on(declaring).map_err(of_hub)?
        };
        changes::say(&before.subscriptions, &entities);
        if let Err(error) = ledger::copy_missed(&self.writer, ledger::BESIDE_REQUESTS) {
            tracing::warn!(%error, "queues that are declared again have not got all that they missed: the next reload or start sends it");
        }
        let running = older.map(|(set, entities)| workers(set, entities));
        self.replace_workers(running.as_deref(), workers(newer, &entities)).map_err(DeclareError::Workers)?;
        changes::warn_of_idle_subscriptions(&self.owed(before, &entities));
        Ok(entities)
    }

    /// All that the store has now, to be compared with what it has after these changes.
    ///
    /// # Errors
    /// If it cannot be read: then nothing has changed.
    pub fn before(&self, changes: &[HubChange]) -> Result<Before, DeclareError> {
        Before::read(&*self.reader, changes).map_err(unchanged)
    }

    /// What is owed, and by what names it was known before.
    pub fn owed<'a>(&'a self, before: &'a Before, entities: &'a Entities) -> Owed<'a> {
        let (reader, clock) = (&*self.reader, self.writer.clock());
        Owed { before, entities, reader, clock, pending_pin: self.pending_pin }
    }

    /// Makes a change by an API in the store and the hub. [`Declare::deliver`] then changes the workers.
    ///
    /// # Errors
    /// As [`Declare::change`].
    pub fn edit(&self, plan: Arc<Plan>) -> Result<Stored, DeclareError> {
        let run = move |hub: &mut hub::Edit<'_>| {
            let done = plan.run(hub)?;
            failpoint::hit(failpoint::CHANGING);
            Ok(done)
        };
        self.runtime.block_on(self.hub.edit(run)).map_err(of_hub)
    }

    /// Checks that a subscription of a configuration can be delivered to.
    ///
    /// # Errors
    /// If a setting is wrong, which its check should have found. Nothing has changed.
    pub fn check(&self, wanted: &entities::Subscription) -> Result<(), DeclareError> {
        settings(wanted).map(drop).map_err(unchanged)
    }

    /// Starts or restarts the workers of `now`, and stops those of the subscriptions that have `ended`: their calls are cut off. Blocks until
    /// the workers that must stop have stopped.
    ///
    /// # Errors
    /// [`DeclareError::Workers`].
    pub fn deliver(&self, ended: &[SubscriptionId], now: Vec<Delivered>) -> Result<(), DeclareError> {
        if !ended.is_empty() {
            self.runtime.block_on(self.deliveries.end(ended));
        }
        let (running, new): (Vec<_>, Vec<_>) =
            now.into_iter().partition(|one| self.deliveries.handle(one.stored.id).is_some());
        let restarted = match running.is_empty() {
            true => Ok(()),
            false => {
                let ids: Vec<SubscriptionId> = running.iter().map(|one| one.stored.id).collect();
                self.restart_workers(&ids, running)
            }
        };
        restarted.and(self.start_workers(new)).map_err(DeclareError::Workers)
    }

    /// Asks the endpoints of pending subscriptions at once to confirm, instead of when the next request is due.
    ///
    /// # Errors
    /// [`DeclareError::Workers`].
    pub fn ask_again(&self, pending: Vec<Delivered>) -> Result<(), DeclareError> {
        let ids: Vec<SubscriptionId> = pending.iter().map(|one| one.stored.id).collect();
        // Only a request to confirm can be under way, and it is sent again.
        self.runtime.block_on(self.deliveries.stop(&ids, Instant::now()));
        self.start_workers(pending).map_err(DeclareError::Workers)
    }

    /// A subscription with its present state; the one that was declared may be out of date.
    pub fn as_it_is(&self, stored: &Subscription) -> Subscription {
        let state = self.hub.watch_subscription(stored.id).map(|state| state.borrow().clone());
        Subscription { state: state.unwrap_or_else(|| stored.state.clone()), ..stored.clone() }
    }

    /// The configuration in the store, and what APIs have made.
    ///
    /// # Errors
    /// If the store fails, or contains something that this version cannot read.
    pub fn kept(&self) -> Result<(Option<Remembered>, Set), DeclareError> {
        let rows = self.reader.rows().map_err(unchanged)?;
        let made = control::rows::read(&rows).map_err(unchanged)?;
        Ok((Remembered::read(&self.writer).map_err(unchanged)?, made))
    }

    /// Drops a queue's messages.
    ///
    /// # Errors
    /// If the store refuses it: then nothing has changed.
    pub fn purge(&self, queue: QueueId) -> Result<Dropped, DeclareError> {
        self.runtime.block_on(self.hub.edit(move |hub| hub.purge_queue(queue))).map_err(of_hub)
    }

    /// Writes as much of a configuration as possible before the commit that makes it the current one. `written` is what the last call wrote.
    ///
    /// # Errors
    /// If the store refuses it: then nothing has changed.
    pub fn stage(&self, remembered: &Remembered, written: &mut Written) -> Result<Staged, DeclareError> {
        remembered.stage(&self.writer, written).map_err(of_store)
    }

    /// Deletes what was staged and is not the current configuration.
    pub fn drop_unfinished(&self) {
        if let Err(error) = remembered::drop_unfinished(&self.writer) {
            tracing::warn!(
                %error,
                "a configuration that is no longer needed still takes space in the store: the next reload or start deletes it"
            );
        }
    }

    /// Writes something that does not change topics, queues and subscriptions.
    ///
    /// # Errors
    /// If the store refuses it: then nothing has changed.
    pub fn keep<A>(&self, also: A) -> Result<(), DeclareError>
    where
        A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
    {
        self.writer.transact(before_the_commit(also)).wait().map_err(of_store)
    }

    fn replace_workers(
        &self,
        running: Option<&[Delivered]>,
        wanted: Vec<Delivered>,
    ) -> Result<(), StartError> {
        let kept: HashMap<SubscriptionId, &Delivered> =
            wanted.iter().map(|one| (one.stored.id, one)).collect();
        let is_another = |one: &&Delivered| kept.get(&one.stored.id).is_none_or(|now| !one.is_served_as(now));
        if running.is_some_and(|running| {
            running.len() == wanted.len() && !running.iter().any(|one| is_another(&one))
        }) {
            return Ok(());
        }
        let gone: Vec<SubscriptionId> = match running {
            Some(running) => running.iter().filter(is_another).map(|one| one.stored.id).collect(),
            None => self.deliveries.handles().iter().map(worker::Handle::subscription).collect(),
        };
        self.restart_workers(&gone, wanted)
    }

    /// Stops workers, and starts one for each wanted subscription that has none.
    fn restart_workers(&self, gone: &[SubscriptionId], wanted: Vec<Delivered>) -> Result<(), StartError> {
        let deadline = Instant::now() + STOP_WITHIN;
        self.runtime.block_on(self.deliveries.stop(gone, deadline));
        let running: HashSet<SubscriptionId> =
            self.deliveries.handles().iter().map(worker::Handle::subscription).collect();
        let wanted: Vec<Delivered> =
            wanted.into_iter().filter(|one| !running.contains(&one.stored.id)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // The workers need the present cursors, not those of the declaration's commit; and what a stopped worker had put into the writer's queue
        // must be included.
        self.writer.transact(|_| Ok(())).wait().map_err(|error| StartError::Store(error.into()))?;
        let stored = self.reader.subscriptions().map_err(|error| StartError::Store(error.into()))?;
        let mut stored: HashMap<SubscriptionId, Subscription> =
            stored.into_iter().map(|one| (one.id, one)).collect();
        let fresh = wanted
            .into_iter()
            .filter_map(|one| Some(Delivered { stored: stored.remove(&one.stored.id)?, ..one }));
        self.start_workers(fresh.collect())
    }

    /// Starts a worker for each push subscription that has none.
    pub(super) fn start_workers(&self, wanted: Vec<Delivered>) -> Result<(), StartError> {
        let _context = self.runtime.enter();
        // If one cannot be started, the others still are.
        let mut first_error = Ok(());
        for one in wanted {
            first_error = first_error.and(self.start_worker(one));
        }
        first_error
    }

    fn start_worker(&self, one: Delivered) -> Result<(), StartError> {
        let Delivered { stored, wanted, signature_version } = one;
        let Some(state) = self.hub.watch_subscription(stored.id) else { return Ok(()) };
        let names = Names {
            topic_arn: self.hub.names().topic_arn(&wanted.topic).to_string(),
            subscription_arn: self.hub.names().subscription_arn(&wanted.topic, stored.uuid).to_string(),
            hub_url: self.hub_url.clone(),
            signature_version,
        };
        let settings = settings(&wanted)?;
        let worker = worker::Config { subscription: stored, names, settings, state };
        self.deliveries.start(worker).map(drop).map_err(StartError::part("start a delivery"))
    }
}

/// With a failpoint after it.
fn before_the_commit<A>(mut also: A) -> impl FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static
where
    A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
{
    move |tx| {
        also(tx)?;
        failpoint::hit(failpoint::CHANGING);
        Ok(())
    }
}

fn unchanged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DeclareError {
    DeclareError::Unchanged(error.into())
}

/// The error of a commit. Only after a commit that broke off, or after the end of the writer, it is open what the store has.
fn of_store(error: StoreError) -> DeclareError {
    match error {
        StoreError::Latched(_) | StoreError::Closed => DeclareError::Store(error.into()),
        refused => unchanged(refused),
    }
}

fn of_hub(error: HubError) -> DeclareError {
    match error {
        HubError::Store { source, .. } => of_store(source),
        HubError::Unfinished { source } => DeclareError::Unfinished(source.into()),
        other => DeclareError::Store(other.into()),
    }
}

impl Delivered {
    /// A push subscription, from the store and from the configuration, with how its topic is signed; `None` for one of a queue.
    pub fn of(
        stored: &Subscription,
        wanted: &entities::Subscription,
        topic: Option<SignatureVersion>,
    ) -> Option<Self> {
        let signature_version = wanted.signature_version.or(topic).unwrap_or_default();
        let push = stored.protocol.is_push();
        push.then(|| Self { stored: stored.clone(), wanted: wanted.clone(), signature_version })
    }

    /// Whether a worker for one would do the same as a worker for the other.
    fn is_served_as(&self, other: &Self) -> bool {
        let identity = |one: &Subscription| (one.uuid, one.name.clone(), one.protocol, one.endpoint.clone());
        self.wanted.is_as(&other.wanted)
            && self.signature_version == other.signature_version
            && identity(&self.stored) == identity(&other.stored)
    }
}

/// The push subscriptions of a configuration.
pub(super) fn workers(set: &Set, entities: &Entities) -> Vec<Delivered> {
    let signed = signed(set);
    let delivered = |(stored, wanted): (_, &entities::Subscription)| {
        Delivered::of(stored, wanted, signed.get(&wanted.topic).copied())
    };
    pairs(set, entities).filter_map(delivered).collect()
}

/// The configuration's settings of queues and their subscriptions.
pub(super) fn hub_settings(set: &Set, entities: &Entities) -> hub::Settings {
    let queues = set.queues.iter().map(|queue| (queue.name.clone(), control::queue_settings(queue)));
    let raw = pairs(set, entities).filter(|(_, wanted)| wanted.raw_message_delivery);
    hub::Settings {
        queues: queues.collect(),
        raw: raw.map(|(stored, _)| stored.id).collect(),
        signed: signed(set),
    }
}

/// How topics are signed, by their names, of those that say it.
fn signed(set: &Set) -> HashMap<String, SignatureVersion> {
    let signed = |topic: &Arc<entities::Topic>| Some((topic.name.clone(), topic.signature_version()?));
    set.topics.iter().filter_map(signed).collect()
}

/// What the configuration declares, for the admin port.
pub fn declared(set: &Set, entities: &Entities) -> admin::Declared {
    let form = |wanted: &entities::Subscription| admin::Form {
        format: match wanted.format {
            entities::Format::Sns => "sns",
            entities::Format::StandardWebhooks { .. } => "standard-webhooks",
        },
        raw_message_delivery: wanted.raw_message_delivery,
        content_type: wanted.content_type.clone(),
        fifo: wanted.fifo,
    };
    let forms = pairs(set, entities).map(|(stored, wanted)| (stored.id, form(wanted))).collect();
    admin::Declared::new(entities, forms)
}

/// Pairs each stored subscription with the one in the configuration.
fn pairs<'a>(
    set: &'a Set,
    entities: &'a Entities,
) -> impl Iterator<Item = (&'a Subscription, &'a entities::Subscription)> {
    let topics: HashMap<&str, _> =
        entities.topics.iter().map(|topic| (topic.name.as_str(), topic.id)).collect();
    let stored: HashMap<_, _> = entities
        .subscriptions
        .iter()
        .map(|stored| ((stored.topic, stored.protocol, stored.endpoint.as_str()), stored))
        .collect();
    set.subscriptions.iter().map(|wanted| &**wanted).filter_map(move |wanted| {
        let topic = *topics.get(wanted.topic.as_str())?;
        Some((*stored.get(&(topic, wanted.protocol, wanted.endpoint.as_str()))?, wanted))
    })
}

fn settings(wanted: &entities::Subscription) -> Result<Settings, StartError> {
    let format = match &wanted.format {
        entities::Format::StandardWebhooks { secrets } => {
            let keys = secrets.iter().map(|secret| secret.expose().parse::<Secret>());
            WireFormat::StandardWebhooks(
                keys.collect::<Result<_, _>>().map_err(StartError::part("read a secret"))?,
            )
        }
        entities::Format::Sns if wanted.raw_message_delivery => WireFormat::SnsRaw,
        entities::Format::Sns => WireFormat::Sns,
    };
    let content_type = wanted.content_type.as_deref().map(HeaderValue::from_str).transpose();
    Ok(Settings {
        format,
        content_type: content_type.map_err(StartError::part("read a content type"))?,
        access: wanted.access.clone(),
        timeout: wanted.timeout,
        order: if wanted.fifo { Order::Fifo } else { Order::Any },
        max_in_flight: usize::from(wanted.max_in_flight),
        confirmation: if wanted.confirm { Confirmation::Handshake } else { Confirmation::ByHand },
        ..Settings::default()
    })
}
