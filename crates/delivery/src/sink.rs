//! What reaches one kind of target: a job in, a report out.
//!
//! A sink is a kind of target, a [`Target`] one of them. The worker knows neither URLs nor requests: it hands over what is to be sent, and the
//! target renders it, sends it, and says itself what the answer means for the delivery. `conformance` (feature of that name) is the suite that
//! every sink must pass.

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

    /// Takes a subscription's target apart, once for each worker. Asks nobody.
    ///
    /// # Errors
    /// If nothing could ever be sent there.
    fn open(&self, to: To) -> Result<Arc<dyn Target>, TargetError>;

    /// How many attempts wait for a free connection now.
    fn waiting(&self) -> usize;
}

/// One subscription's target.
pub trait Target: Send + Sync + 'static {
    /// Tries once. Never takes longer than the subscription's timeout, whatever is on the other side; never panics.
    /// It may have the attempt wait for a free connection, and for the addresses of a name: then the timeout does not run.
    fn attempt(&self, job: Job) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>>;
}

/// Whom a target is opened for.
#[derive(Clone, Debug)]
pub struct To {
    /// As the subscription has it; what it means is the sink's.
    pub endpoint: String,
    /// How it wants its deliveries, and the names that stand in them.
    pub recipient: Recipient,
    /// How requests to AWS are signed.
    pub access: Option<Access>,
    /// How long an attempt may take, from the first dial to the end of the answer.
    pub timeout: Duration,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Job {
    /// What.
    pub content: Content,
    /// The wall clock, as the attempt begins.
    pub at: Timestamp,
    /// The key of SNS signatures, if it is made.
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
    /// Each protocol is served by the first that has it.
    pub fn new(sinks: impl IntoIterator<Item = Arc<dyn Sink>>) -> Self {
        Self(sinks.into_iter().collect())
    }

    /// The one that serves a protocol.
    pub fn of(&self, protocol: Protocol) -> Option<&dyn Sink> {
        self.0.iter().find(|sink| sink.protocols().contains(&protocol)).map(|sink| &**sink)
    }

    /// How many attempts wait for a free connection now, of all of them.
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
    /// It was taken.
    Delivered,
    /// It is wanted neither now nor later.
    Refused {
        /// In words for people.
        reason: String,
    },
    /// It may be tried again.
    Failed {
        /// In words for people; nothing of what a name resolved to.
        reason: String,
        /// How long the target asked to be left alone.
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
    /// The connection broke before an answer, or what came is none.
    Broken,
    /// Ours, not the endpoint's: the message could not be made.
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
