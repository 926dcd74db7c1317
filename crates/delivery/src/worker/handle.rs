//! What others can see of a worker, and the commands that they can give it.

mod orders;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event::{Position, Stamp, Timestamp};
use storage::delivery::Death;
use storage::entities::SubscriptionId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::sink::{AttemptReport, Failure, Verdict};

pub use orders::{AskError, Retried, Retry};

/// The most commands that wait for the worker.
const MAX_COMMANDS: usize = 64;

/// The state of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WorkerState {
    /// Not yet running.
    #[default]
    Starting,
    /// The endpoint has not confirmed its subscription.
    Pending,
    /// It waits for the SNS signing key, which is not made yet.
    WaitingForKey,
    /// Deliveries flow.
    Running,
    /// The store fails; the worker retries and starts no attempt.
    WaitingForStore,
    /// The worker ended unexpectedly and is started again in a moment.
    Restarting,
    /// The receiver unsubscribed; nothing is begun until somebody enables the subscription again.
    Disabled,
    /// The process drains. Final.
    Drained,
    /// The store failed for good, or the thread of the deliveries ended; only a restart of the process helps. Final.
    Failed(Arc<str>),
}

impl WorkerState {
    /// Its name in the admin API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Pending => "pending",
            Self::WaitingForKey => "waiting_for_key",
            Self::Running => "running",
            Self::WaitingForStore => "waiting_for_store",
            Self::Restarting => "restarting",
            Self::Disabled => "disabled",
            Self::Drained => "drained",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether it delivers, or does in a moment.
    pub fn is_delivering(&self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::WaitingForStore | Self::Restarting)
    }

    /// Whether the worker has ended.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Drained | Self::Failed(_))
    }
}

/// How an attempt ended, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// It was delivered.
    Success,
    /// An answer of another class.
    Status(u8),
    /// No answer.
    Failed(Failure),
}

impl AttemptResult {
    /// All results, in the order of [`Counts::attempts`].
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Status(1),
        Self::Status(3),
        Self::Status(4),
        Self::Status(5),
        Self::Failed(Failure::Blocked),
        Self::Failed(Failure::Dns),
        Self::Failed(Failure::Connect),
        Self::Failed(Failure::Tls),
        Self::Failed(Failure::Timeout),
        Self::Failed(Failure::Broken),
        Self::Failed(Failure::Internal),
    ];

    fn of(report: &AttemptReport) -> Self {
        if report.verdict == Verdict::Delivered {
            return Self::Success;
        }
        match (report.status, report.failure) {
            (Some(status @ 300..=499), _) => Self::Status(if status < 400 { 3 } else { 4 }),
            (Some(100..=199), _) => Self::Status(1),
            (Some(_), _) => Self::Status(5),
            (None, Some(failure)) => Self::Failed(failure),
            (None, None) => Self::Failed(Failure::Broken),
        }
    }

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Status(1) => "1xx",
            Self::Status(3) => "3xx",
            Self::Status(4) => "4xx",
            Self::Status(_) => "5xx",
            Self::Failed(Failure::Blocked) => "blocked",
            Self::Failed(Failure::Dns) => "dns",
            Self::Failed(Failure::Connect) => "connect",
            Self::Failed(Failure::Tls) => "tls",
            Self::Failed(Failure::Timeout) => "timeout",
            Self::Failed(Failure::Broken) => "broken",
            Self::Failed(Failure::Internal) => "internal",
        }
    }
}

impl fmt::Display for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Deliveries that became dead letters.
    pub dead: u64,
    /// Events that the store could not read and that were set aside.
    pub set_aside: u64,
    /// How often the worker ended unexpectedly and was started again.
    pub restarts: u64,
    /// Attempts, by [`AttemptResult::ALL`].
    pub attempts: [u64; AttemptResult::ALL.len()],
}

impl Counts {
    /// The number of attempts with this result.
    pub fn of(&self, result: AttemptResult) -> u64 {
        index(result).map_or(0, |index| self.attempts[index])
    }
}

fn index(result: AttemptResult) -> Option<usize> {
    AttemptResult::ALL.iter().position(|other| *other == result)
}

/// Written by the worker and its supervisor, read by anybody.
pub(crate) struct Shared {
    state: watch::Sender<WorkerState>,
    /// Why the worker does not deliver, for people.
    trouble: Mutex<Option<Arc<str>>>,
    delivered: AtomicU64,
    dead: AtomicU64,
    set_aside: AtomicU64,
    restarts: AtomicU64,
    attempts: [AtomicU64; AttemptResult::ALL.len()],
    last: Mutex<Option<LastAttempt>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: watch::channel(WorkerState::Starting).0,
            trouble: Mutex::default(),
            delivered: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            set_aside: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            attempts: Default::default(),
            last: Mutex::default(),
        }
    }
}

impl Shared {
    pub(super) fn state(&self) -> WorkerState {
        self.state.borrow().clone()
    }

    /// Sets a state without trouble, or a final one.
    pub(crate) fn set_state(&self, state: WorkerState) {
        self.set_trouble(None);
        self.state.send_replace(state);
    }

    /// Notes that the worker has ended unexpectedly.
    pub(crate) fn restarting(&self, trouble: String) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.set_trouble(Some(trouble));
        self.state.send_replace(WorkerState::Restarting);
    }

    /// Notes that the worker waits for the store. Its previous state follows when the store works again.
    pub(super) fn waits_for_store(&self, trouble: String) {
        self.set_trouble(Some(trouble));
        let waits = |state: &mut WorkerState| {
            let works =
                matches!(state, WorkerState::Starting | WorkerState::Restarting | WorkerState::Running);
            if works {
                *state = WorkerState::WaitingForStore;
            }
            works
        };
        self.state.send_if_modified(waits);
    }

    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble.map(Into::into);
    }

    pub(super) fn count_set_aside(&self) {
        self.set_aside.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_last(&self, last: LastAttempt) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    pub(super) fn count_attempt(&self, report: &AttemptReport) {
        if let Some(index) = index(AttemptResult::of(report)) {
            self.attempts[index].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The queue of commands: the worker that holds the lock receives them. A worker that dies releases it.
pub(crate) type Commands = Arc<tokio::sync::Mutex<mpsc::Receiver<Command>>>;

/// A command to a worker.
#[derive(Debug)]
pub(crate) enum Command {
    Redeliver { position: Position, reply: oneshot::Sender<Result<(), RedeliverError>> },
    Redrive { part: Redrive, reply: oneshot::Sender<Result<Redriven, RedeliverError>> },
    Retry { position: Position, reply: oneshot::Sender<Result<(), RedeliverError>> },
    RetryAll { part: Retry, reply: oneshot::Sender<Result<Retried, RedeliverError>> },
    GiveUp { position: Position, reason: String, reply: oneshot::Sender<Result<(), RedeliverError>> },
    AskToConfirm { reply: oneshot::Sender<Result<(), AskError>> },
}

/// Which dead letters to send again: those that died after `after` and not later than `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The last one of the previous part.
    pub after: Option<Death>,
    /// Deliveries that died later are not included.
    pub until: Stamp,
    /// A part of the reason for which they died; `None` for any reason.
    pub reason: Option<Arc<str>>,
}

/// The result of one part of a redrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// How many dead letters are sent again.
    pub count: u64,
    /// Where the next part begins; `None` when there is none.
    pub next: Option<Death>,
}

/// The last attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    /// When it ended.
    pub at: Timestamp,
    /// The event; `None` for a request to confirm.
    pub position: Option<Position>,
    /// The number of the attempt.
    pub number: u32,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// Why it failed, for people; `None` for a success.
    pub error: Option<String>,
}

/// Why a delivery is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedeliverError {
    /// Not in the log any more, or of another topic.
    #[error("there is no such event of this subscription's topic")]
    NoSuchEvent,
    /// The event is still to be delivered for the first time, or is being delivered now.
    #[error("the delivery is under way")]
    UnderWay,
    /// An earlier delivery of its key is not done (FIFO); it follows by itself.
    #[error("the delivery waits for an earlier one of its key")]
    Behind,
    /// It was delivered, or its first attempt is still to begin.
    #[error("no such delivery waits: it was delivered, or its first attempt is still to begin")]
    NotWaiting,
    /// It was given up.
    #[error("the delivery is a dead letter")]
    Dead,
    /// The subscription is pending, disabled, cannot reach the store, or the process stops.
    #[error("the subscription is not delivering")]
    NotDelivering,
    /// The store has it, but cannot read it.
    #[error("the store cannot read what was asked for")]
    Unreadable,
}

impl Command {
    /// Answers that the subscription is not delivering. It does not matter if the caller is gone.
    pub(crate) fn refuse(self) {
        let refused = RedeliverError::NotDelivering;
        match self {
            Self::Redeliver { reply, .. } | Self::Retry { reply, .. } | Self::GiveUp { reply, .. } => {
                let _ = reply.send(Err(refused));
            }
            Self::Redrive { reply, .. } => drop(reply.send(Err(refused))),
            Self::RetryAll { reply, .. } => drop(reply.send(Err(refused))),
            Self::AskToConfirm { reply } => drop(reply.send(Err(AskError::NotServed))),
        }
    }
}

/// The handle of a subscription's present worker; clones share it.
#[derive(Clone)]
pub struct Handle {
    id: SubscriptionId,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// A handle, and the other side of it for the worker.
    pub(crate) fn new(id: SubscriptionId) -> (Self, Arc<Shared>, Commands) {
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let shared = Arc::new(Shared::default());
        let handle = Self { id, shared: shared.clone(), commands: sender };
        (handle, shared, Arc::new(tokio::sync::Mutex::new(commands)))
    }

    pub(crate) fn set_state(&self, state: WorkerState) {
        self.shared.set_state(state);
    }

    /// Starts with the counts of the previous worker.
    pub(crate) fn count_on(&self, before: &Counts) {
        let Counts { delivered, dead, set_aside, restarts, attempts } = before;
        let shared = &*self.shared;
        let counts = [&shared.delivered, &shared.dead, &shared.set_aside, &shared.restarts];
        let counts = counts.into_iter().chain(&shared.attempts);
        for (count, more) in counts.zip([delivered, dead, set_aside, restarts].into_iter().chain(attempts)) {
            count.fetch_add(*more, Ordering::Relaxed);
        }
    }

    /// The subscription.
    pub fn subscription(&self) -> SubscriptionId {
        self.id
    }

    /// Its present state.
    pub fn state(&self) -> WorkerState {
        self.shared.state()
    }

    /// Why it does not deliver, for people; `None` if it does.
    pub fn trouble(&self) -> Option<Arc<str>> {
        match self.state() {
            WorkerState::Failed(cause) => Some(cause),
            _ => self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// A receiver that sees changes of the state.
    pub fn watch_state(&self) -> watch::Receiver<WorkerState> {
        self.shared.state.subscribe()
    }

    /// Counts since the process started.
    pub fn counts(&self) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            delivered: load(&self.shared.delivered),
            dead: load(&self.shared.dead),
            set_aside: load(&self.shared.set_aside),
            restarts: load(&self.shared.restarts),
            attempts: std::array::from_fn(|index| load(&self.shared.attempts[index])),
        }
    }

    /// The last attempt since the process started.
    pub fn last_attempt(&self) -> Option<LastAttempt> {
        self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).field("state", &self.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
