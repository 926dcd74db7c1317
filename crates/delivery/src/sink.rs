//! The port to targets of one kind: a job goes in, a report comes out.
//!
//! A sink is a kind of target, and a [`Target`] is one of them. The worker knows neither URLs nor requests: it passes on what to send. The
//! target renders and sends it, and decides what the answer means for the delivery. `conformance` (feature of that name) is the suite that every
//! sink must pass.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event::Timestamp;
use storage::entities::{Access, Protocol};

use crate::signing::SnsKey;
use crate::wire::{Message, Recipient, sns};

pub use storage::delivery::MAX_ANSWER;

#[cfg(feature = "conformance")]
pub mod conformance;

/// A kind of target.
pub trait Sink: Send + Sync + 'static {
    /// The protocols of the subscriptions that it serves.
    fn protocols(&self) -> &'static [Protocol];

    /// Parses a subscription's target, once for each worker, without any I/O.
    ///
    /// # Errors
    /// If nothing could ever be sent there.
    fn open(&self, to: To) -> Result<Arc<dyn Target>, TargetError>;

    /// How many attempts wait for a free connection now.
    fn waiting(&self) -> usize;
}

/// One subscription's target.
pub trait Target: Send + Sync + 'static {
    /// Tries once. Never takes longer than the subscription's timeout, whatever is on the other side; never panics. It may wait for a free
    /// connection and for the addresses of a name; meanwhile the timeout does not run.
    fn attempt(&self, job: Job) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>>;
}

/// The subscription that a target is opened for.
#[derive(Clone, Debug)]
pub struct To {
    /// The subscription's endpoint; its meaning depends on the sink.
    pub endpoint: String,
    /// The format of its deliveries, and the names in them.
    pub recipient: Recipient,
    /// How requests to AWS are signed.
    pub access: Option<Access>,
    /// How long an attempt may take, from the first dial to the end of the answer.
    pub timeout: Duration,
}

/// One thing to send.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to send.
    pub content: Content,
    /// The wall clock, as the attempt begins.
    pub at: Timestamp,
    /// The key of SNS signatures, if there is one yet.
    pub sns_key: Option<Arc<SnsKey>>,
}

/// The content of a [`Job`].
#[derive(Clone, Debug)]
pub enum Content {
    /// An event.
    Event {
        /// Rendered, shared with other subscriptions.
        message: Arc<Message>,
        /// Which attempt it is, from 1.
        number: u32,
    },
    /// A request to confirm.
    Confirmation(sns::Confirmation),
}

/// Why a target cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TargetError(#[from] pub Box<dyn Error + Send + Sync>);

/// The sinks of a node.
#[derive(Clone, Default)]
pub struct Sinks(Arc<[Arc<dyn Sink>]>);

impl Sinks {
    /// For each protocol, the first sink that has it is used.
    pub fn new(sinks: impl IntoIterator<Item = Arc<dyn Sink>>) -> Self {
        Self(sinks.into_iter().collect())
    }

    /// The one that serves a protocol.
    pub fn of(&self, protocol: Protocol) -> Option<&dyn Sink> {
        self.0.iter().find(|sink| sink.protocols().contains(&protocol)).map(|sink| &**sink)
    }

    /// How many attempts of all sinks wait for a free connection now.
    pub fn waiting(&self) -> usize {
        self.0.iter().map(|sink| sink.waiting()).sum()
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// What it means for the delivery.
    pub verdict: Verdict,
    /// The status, if there was an answer that has one.
    pub status: Option<u16>,
    /// From the beginning to the end of what was read, without the wait for a free connection.
    pub took: Duration,
    /// The first bytes of the answer's body, at most [`MAX_ANSWER`], without what may be a secret of the target.
    pub answer: Bytes,
    /// Why there was no answer, for the metrics.
    pub failure: Option<Failure>,
}

/// What an attempt means for the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint accepted it.
    Delivered,
    /// The endpoint will never want it.
    Refused {
        /// In words for people.
        reason: String,
    },
    /// It may be tried again.
    Failed {
        /// For people; without the addresses of a name.
        reason: String,
        /// The wait that the target asked for.
        wait: Option<Duration>,
    },
}

/// The kinds of failure without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The guard refused the endpoint.
    Blocked,
    /// Its name could not be resolved.
    Dns,
    /// No connection.
    Connect,
    /// No TLS.
    Tls,
    /// The deadline passed.
    Timeout,
    /// The connection broke before an answer, or what came is not an answer.
    Broken,
    /// A failure of Retrohook, not of the endpoint: the message could not be made.
    Internal,
}

impl AttemptReport {
    /// An attempt that ended without an answer.
    pub fn failed(failure: Failure, reason: impl Into<String>, took: Duration) -> Self {
        let verdict = Verdict::Failed { reason: reason.into(), wait: None };
        Self { verdict, status: None, took, answer: Bytes::new(), failure: Some(failure) }
    }

    /// Why it was not delivered, in words for people.
    pub fn reason(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Delivered => None,
            Verdict::Refused { reason } | Verdict::Failed { reason, .. } => Some(reason),
        }
    }
}
