//! One actor per push subscription: from the event log to the endpoint.
//!
//! What is durable, and what makes it so:
//! * `dispatched_to` is committed before the calls of the events up to it; `done_to` follows in a later commit, together with the rows and
//!   recorded attempts of the events that it passes. After a crash every position in between that has neither a row nor a recorded success is
//!   attempt 2 ([`recovery`]).
//! * A delivery has a row if it takes over a second, waits for a retry, waits behind another of its key, or is dead. While its attempt is under
//!   way, the row says that a retry is due when the attempt's lease ends: at its deadline plus `LEASE_MARGIN`. So after a crash it is repeated.
//! * All rows go through one path ([`due`]), whether they are new or from before a restart. A timer and a signal wake it, and it takes no input:
//!   a lost wake-up costs at most [`LOOK_EVERY`].
//! * If the store is full or cannot be read, the worker tries again until it works, and starts no attempt meanwhile. What stays unreadable while
//!   the rest can be read is set aside ([`damage`]). A latched or closed store ends the worker. Nothing is lost in either case: what was not
//!   committed is delivered again.
//! * If a worker ends in any other way, `supervisor` soon starts another one, which begins as after a start.
//! * What a worker holds is charged to the common budget ([`budget`](crate::budget)): when it is used up, nothing more is read.
//!
//! Subscriptions do not know each other: a slow endpoint delays no other one.

mod changes;
mod damage;
mod dispatch;
mod due;
mod give_up;
mod handle;
mod handshake;
mod leftover;
mod lines;
mod recovery;
mod redeliver;
mod retry;
mod sender;
mod settle;
mod source;
mod store;
mod under_way;

use std::sync::Arc;
use std::time::Duration;

use event::timestamp::Clock;
use event::{Stamp, Timestamp};
use http::HeaderValue;
use storage::entities::{Access, Subscription, SubscriptionId, SubscriptionState};
use storage::{Feed, Reader, StoreError, Writer, failpoint};
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio::time::Instant;

use self::changes::Changes;
use self::due::Due;
use self::handle::Command;
use self::lines::Lines;
use self::sender::Sender;
use self::source::Source;
use self::under_way::Attempts;
use crate::budget::{Budget, Share};
use crate::drain::Drain;
use crate::endpoint::shown;
use crate::events::Events;
use crate::policy::Policy;
use crate::signing::SnsKey;
use crate::sink::{Sinks, Target, TargetError, To};
use crate::window::{Keys, MAX_IN_FLIGHT, Window};
use crate::wire::cache::Messages;
use crate::wire::{Recipient, WireFormat, sns};

pub use self::handle::{
    AskError, AttemptResult, Counts, Handle, LastAttempt, RedeliverError, Redrive, Redriven, Retried, Retry,
    WorkerState,
};
pub(crate) use self::handle::{Commands, Shared};

/// An attempt that takes longer gets a row of its own, so that it cannot pin the cursor.
pub const SLOW: Duration = Duration::from_secs(1);
/// The longest time between two looks at the store when nothing wakes the worker.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Completions wait this long for others to share a commit with.
const GATHER: Duration = Duration::from_millis(5);
/// The time between an attempt's deadline and the moment when its row is due, so that no attempt is repeated while it may still be under way.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// The most events that the window may span, including settled ones after an open one.
const MAX_SPAN: usize = 4_096;

/// The settings of a subscription.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The format of its deliveries.
    pub format: WireFormat,
    /// The `Content-Type` of its notifications in SNS's form, if it is not SNS's own.
    pub content_type: Option<HeaderValue>,
    /// How requests to AWS are signed.
    pub access: Option<Access>,
    /// The longest time for a whole attempt.
    pub timeout: Duration,
    /// Whether deliveries of one key keep their order.
    pub order: Order,
    /// At most this many attempts at once; never above [`MAX_IN_FLIGHT`]. If both new events and retries wait, each gets half.
    pub max_in_flight: usize,
    /// How it is confirmed while it is pending.
    pub confirmation: Confirmation,
    /// When to try again.
    pub policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: WireFormat::Sns,
            content_type: None,
            access: None,
            timeout: Duration::from_secs(15),
            order: Order::Any,
            max_in_flight: MAX_IN_FLIGHT,
            confirmation: Confirmation::Handshake,
            policy: Policy::default(),
        }
    }
}

/// Whether order matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It does not.
    Any,
    /// Within a key, strictly, one at a time.
    Fifo,
}

/// How a pending subscription is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The endpoint gets SNS's SubscriptionConfirmation.
    Handshake,
    /// A person confirms it; the endpoint gets nothing.
    ByHand,
}

/// One subscription's worker, before it is built.
#[derive(Clone, Debug)]
pub struct Config {
    /// The subscription, with its cursor.
    pub subscription: Subscription,
    /// The names that stand in its deliveries.
    pub names: sns::Names,
    /// What its settings say.
    pub settings: Settings,
    /// Changes of its state: by them the worker learns that it was confirmed or unsubscribed.
    pub state: watch::Receiver<SubscriptionState>,
}

impl Config {
    /// The span that names the subscription in every log line.
    pub(crate) fn span(&self) -> tracing::Span {
        let topic = self.topic();
        let endpoint = shown(&self.subscription.endpoint);
        let Subscription { id, name, .. } = &self.subscription;
        // The most severe level, so that no filter removes it.
        tracing::error_span!("delivery", subscription = id.0, name, topic, endpoint)
    }

    /// The topic's name.
    fn topic(&self) -> &str {
        self.names.topic_arn.rsplit(':').next().unwrap_or_default()
    }

    /// Opens what it delivers to.
    pub(crate) fn open(&self, sinks: &Sinks) -> Result<Arc<dyn Target>, BuildError> {
        let Self { subscription, names, settings, .. } = self;
        let Subscription { protocol, endpoint, .. } = subscription;
        let Settings { format, content_type, access, timeout, .. } = settings.clone();
        let recipient = Recipient { format, content_type, protocol: *protocol, names: names.clone() };
        let to = To { endpoint: endpoint.clone(), recipient, access, timeout };
        let whose = || format!("{} ({})", subscription.id.0, subscription.whose(Some(self.topic())));
        let sink = sinks
            .of(*protocol)
            .ok_or_else(|| BuildError::NoSink { subscription: whose(), protocol: protocol.as_str() })?;
        sink.open(to).map_err(|source| BuildError::Endpoint { subscription: whose(), source })
    }
}

/// What all workers share.
#[derive(Clone)]
pub struct Deps {
    /// The store, to write.
    pub writer: Writer,
    /// The store, to read.
    pub reader: Arc<dyn Reader>,
    /// Wake-ups after commits, with the most recent events.
    pub feed: Feed,
    /// The wall clock, for times that are shown or sent; what ages is measured with the writer's.
    pub clock: Arc<dyn Clock>,
    /// The kinds of targets.
    pub sinks: Sinks,
    /// The key of SNS signatures, once there is one.
    pub sns_key: watch::Receiver<Option<Arc<SnsKey>>>,
    /// Recently rendered messages.
    pub messages: Messages,
    /// Events that some worker holds.
    pub events: Events,
    /// How much all workers may hold at the same time.
    pub budget: Budget,
    /// A delivery older than this becomes a dead letter (`Retention::max_age`).
    pub max_age: Duration,
}

/// Why a subscription cannot be delivered to at all.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No sink serves its protocol.
    #[error("subscription {subscription} has the protocol {protocol}, which nothing here can deliver to")]
    NoSink {
        /// The subscription: its number, name, topic and endpoint.
        subscription: String,
        /// As SNS writes it.
        protocol: &'static str,
    },
    /// Nothing could ever be sent to its endpoint.
    #[error("subscription {subscription} has an endpoint that cannot be called")]
    Endpoint {
        /// The subscription: its number, name, topic and endpoint.
        subscription: String,
        /// Why.
        #[source]
        source: TargetError,
    },
}

/// How a worker ends in order.
#[derive(Debug)]
pub(crate) enum End {
    /// The process drains.
    Drained,
    /// The store takes no more changes.
    Store(StoreError),
}

/// Why a worker stops its work.
#[derive(Debug)]
enum Stop {
    /// The process drains; attempts under way may take until then.
    Drain(Instant),
    /// The subscription was disabled.
    Disabled,
    /// The store takes no more changes.
    Store(StoreError),
}

/// A subscription's worker.
pub(crate) struct Worker {
    id: SubscriptionId,
    subscription: Subscription,
    settings: Settings,
    deps: Deps,
    state: watch::Receiver<SubscriptionState>,
    /// Whether the sender of state changes still exists.
    state_lives: bool,
    drain: Drain,
    shared: Arc<Shared>,
    commands: OwnedMutexGuard<mpsc::Receiver<Command>>,
    sender: Arc<Sender>,
    window: Window,
    keys: Keys,
    source: Source,
    attempts: Attempts,
    due: Due,
    share: Share,
    /// Changes when housekeeping has made waiting deliveries dead letters.
    given_up: watch::Receiver<u64>,
    /// Changes that are not committed yet.
    changes: Changes,
    /// When `changes` is committed at the latest.
    gather_until: Option<Instant>,
    /// Whether the last attempt failed: there is one log line for that, not one for each event.
    failing: bool,
    lines: Lines,
    /// Between two looks when nothing wakes it: each worker has a number of its own, or all of a node would look at the same moment.
    look_every: Duration,
    /// Whether the endpoint got the message that its subscription has ended, or it had ended before this process began.
    end_is_told: bool,
}

impl Worker {
    /// A worker for a subscription as the store has it. Nothing happens before [`Worker::run`].
    pub(crate) fn new(
        config: Config,
        target: Arc<dyn Target>,
        deps: Deps,
        drain: Drain,
        shared: Arc<Shared>,
        commands: OwnedMutexGuard<mpsc::Receiver<Command>>,
    ) -> Self {
        let Config { subscription, names: _, mut settings, state } = config;
        let end_is_told = state.borrow().is_disabled();
        settings.max_in_flight = settings.max_in_flight.clamp(1, MAX_IN_FLIGHT);
        let sender = Sender {
            target,
            clock: deps.clock.clone(),
            messages: deps.messages.clone(),
            sns_key: deps.sns_key.clone(),
        };
        Self {
            id: subscription.id,
            source: Source::new(deps.feed.watch_topic(subscription.topic)),
            settings,
            state,
            state_lives: true,
            drain,
            shared,
            commands,
            sender: Arc::new(sender),
            window: Window::resume(subscription.cursor),
            subscription,
            keys: Keys::default(),
            attempts: Attempts::default(),
            due: Due::default(),
            share: deps.budget.share(),
            given_up: deps.feed.watch_given_up(),
            changes: Changes::default(),
            gather_until: None,
            failing: false,
            lines: Lines::default(),
            look_every: LOOK_EVERY.mul_f64(1.0 - fastrand::f64() / 2.0),
            end_is_told,
            deps,
        }
    }

    /// Delivers until the drain. While the subscription is disabled, it does nothing.
    pub(crate) async fn run(mut self) -> End {
        loop {
            let Err(stop) = self.work().await;
            match stop {
                Stop::Disabled => self.lay_down().await,
                Stop::Drain(deadline) => {
                    self.finish(Some(deadline)).await;
                    return End::Drained;
                }
                Stop::Store(error) => {
                    tracing::error!(%error, "deliveries stopped: the store takes no changes");
                    return End::Store(error);
                }
            }
        }
    }

    /// Called when the subscription is disabled: ends attempts under way and drops all state that the store has. When it is enabled again, the
    /// worker begins as after a start.
    async fn lay_down(&mut self) {
        self.finish(None).await;
        self.window = Window::resume(self.subscription.cursor);
        self.keys = Keys::default();
        self.attempts = Attempts::default();
        self.due = Due::default();
        self.changes = Changes::default();
        self.source = Source::new(self.deps.feed.watch_topic(self.subscription.topic));
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, Stop> {
        self.become_confirmed().await?;
        if matches!(self.settings.format, WireFormat::Sns) {
            self.await_sns_key().await?;
        }
        self.recover().await?;
        self.shared.set_state(WorkerState::Running);
        loop {
            self.turn().await?;
        }
    }

    /// One turn: settles attempts that have ended, chooses new ones, commits both, sends, waits.
    async fn turn(&mut self) -> Result<(), Stop> {
        while let Some(ended) = self.attempts.try_next_ended() {
            self.settle(ended);
        }
        self.give_rows_to_slow_ones();
        let dispatches = self.choose().await?;
        if !dispatches.is_empty() || self.must_commit() {
            self.commit().await?;
        }
        let chosen = !dispatches.is_empty();
        if chosen {
            failpoint::hit(failpoint::CURSOR_DURABLE);
        }
        for dispatch in dispatches {
            self.attempts.begin(dispatch, &self.sender);
        }
        // There may be more to choose. Keys whose next row may go also wait for room.
        let more = chosen || (self.due.has_promotable() && self.room().retries > 0);
        if more { self.look_up().await } else { self.wait().await }
    }

    /// Checks for signals that must not wait for the end of a backlog: if attempts end at once, there is always more to choose.
    async fn look_up(&mut self) -> Result<(), Stop> {
        // The other workers share this thread.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            deadline = self.drain.started() => Err(Stop::Drain(deadline)),
            Some(command) = self.commands.recv() => self.obey(command).await,
            changed = self.state.changed(), if self.state_lives => self.state_changed(changed.is_ok()),
            Ok(()) = self.given_up.changed() => {
                self.release_idle_keys();
                Ok(())
            }
            () = std::future::ready(()) => Ok(()),
        }
    }

    fn must_commit(&self) -> bool {
        let gathered = self.gather_until.is_some_and(|until| until <= Instant::now());
        gathered || self.due.has_releasing() || self.window.span() >= MAX_SPAN
    }

    /// Waits for anything that gives the worker something to do.
    async fn wait(&mut self) -> Result<(), Stop> {
        if self.changes.is_empty() {
            self.gather_until = None;
        } else if self.gather_until.is_none() {
            self.gather_until = Some(Instant::now() + GATHER);
        }
        let until = self.wake_at();
        let new_events_matter = self.source.is_drained() && self.room().new > 0;
        tokio::select! {
            biased;
            deadline = self.drain.started() => return Err(Stop::Drain(deadline)),
            ended = self.attempts.next_ended() => self.settle(ended),
            Some(command) = self.commands.recv() => self.obey(command).await?,
            changed = self.state.changed(), if self.state_lives => self.state_changed(changed.is_ok())?,
            Ok(()) = self.given_up.changed() => self.release_idle_keys(),
            () = self.source.changed(), if new_events_matter => self.source.look_again(),
            () = tokio::time::sleep_until(until) => self.source.look_again(),
        }
        Ok(())
    }

    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let mut until = now + self.look_every;
        for instant in [self.gather_until, self.attempts.slow_at()].into_iter().flatten() {
            until = until.min(instant);
        }
        if self.room().retries > 0
            && let Some(at) = self.due.look_at()
        {
            until = until.min(now + at.since(self.now()));
        }
        until
    }

    fn state_changed(&mut self, lives: bool) -> Result<(), Stop> {
        self.state_lives = lives;
        match *self.state.borrow_and_update() {
            SubscriptionState::Disabled { .. } => Err(Stop::Disabled),
            SubscriptionState::Pending { .. } | SubscriptionState::Confirmed => Ok(()),
        }
    }

    /// Starts no attempt any more, waits for those under way, and commits their results.
    async fn finish(&mut self, deadline: Option<Instant>) {
        loop {
            while let Some(ended) = self.attempts.try_next_ended() {
                self.settle(ended);
            }
            self.give_rows_to_slow_ones();
            if self.attempts.is_empty() {
                break;
            }
            let deadline = async {
                match deadline {
                    Some(deadline) => deadline,
                    None => self.drain.started().await,
                }
            };
            tokio::select! {
                ended = self.attempts.next_ended() => self.settle(ended),
                () = async { tokio::time::sleep_until(deadline.await).await } => break,
            }
        }
        if let Err(Stop::Store(error)) = self.commit().await {
            tracing::error!(%error, "the results of the last deliveries could not be stored; they will be repeated");
        }
    }

    /// The store's clock.
    fn now(&self) -> Stamp {
        self.deps.writer.clock().now()
    }

    /// How much of the time since a moment counts towards a limit.
    fn age(&self, since: Stamp) -> Duration {
        self.deps.writer.clock().lived_since(since)
    }

    fn wall(&self) -> Timestamp {
        self.deps.clock.now()
    }
}

#[cfg(test)]
mod tests;
