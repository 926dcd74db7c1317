//! What happened, as data: events, intents and outcomes, the names of topics and queues, and the envelopes that events are rendered in.
//!
//! Knows no sockets, files, databases or wall clock: a time is always a parameter.

pub mod arn;
pub mod attributes;
pub mod capture;
pub mod envelope;
pub mod facts;
pub mod id;
pub mod message;
pub mod outcome;
mod percent;
pub mod record;
pub mod redaction;
mod remote;
pub mod size;
pub mod timestamp;

pub use arn::{Arn, TopicName};
pub use id::EventId;
pub use message::Message;
pub use outcome::{Decision, Fate, Outcome, UnknownReason};
pub use record::{Content, Event, Exchange, Intent, NewEvent, Position, TopicId};
pub use remote::{RemoteError, RemoteTopic};
pub use timestamp::{Stamp, Timestamp};
