//! Intents, and what a restart makes of those that are not settled.
//!
//! The journal is the first durable record of every promise. It is always on the local disk and always synchronous: an intent is durable before
//! its request is forwarded.
//!
//! An intent is open as long as no event has its id. So [`LogTx::append`](super::LogTx::append) settles it, in the transaction of the event.

use event::{EventId, Intent, Position, Timestamp};

use crate::Result;

/// Intents, in an open transaction.
pub trait JournalTx {
    /// Notes that a request is about to be forwarded, under the backend's own incarnation. If an intent with this id is open already, that one stays
    /// as it is. No event in the log may have the id.
    fn insert_intent(&mut self, intent: &Intent) -> Result<()>;

    /// Settles an open intent of the backend's own incarnation without an event. Returns `false` if there is none with this id.
    fn remove_intent(&mut self, id: EventId) -> Result<bool>;

    /// Settles the open intents of all dead incarnations, and forgets these incarnations. Each intent becomes an event of outcome `unknown`, reason
    /// `gateway_restarted`, recorded at `now`, without an answer and without `overlapped`. An intent whose `publish_unknown` is false becomes no
    /// event. Nor does one whose topic was deleted, because nobody is owed it
    /// ([`Committed::of_deleted_topics`](crate::backend::Committed::of_deleted_topics)).
    ///
    /// Settles at most `limit` intents and returns how many: call it, each time in a new transaction, until it returns 0.
    fn recover(&mut self, now: Timestamp, limit: usize) -> Result<usize>;
}

/// Reads of intents.
pub trait JournalReader {
    /// Open intents of all incarnations after the number `after`, in the order in which they were noted. Looks at up to `rows` intents, settled ones
    /// included. Ends before the requests of the found ones have more than `max_bytes`, but always returns the first one.
    fn open_intents(&self, after: i64, rows: usize, max_bytes: usize) -> Result<OpenIntents>;

    /// When the intent of the event at a position was noted, on the wall clock. `None` if the event had no intent, or if there is no such event.
    fn intent_at(&self, position: Position) -> Result<Option<Timestamp>>;
}

/// A page of open intents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenIntents {
    /// In the order in which they were noted.
    pub intents: Vec<OpenIntent>,
    /// The number to read on after; `None` if there are no more.
    pub next: Option<i64>,
}

/// An intent that is not settled.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIntent {
    /// The number of the intent. It grows in the order in which intents were noted.
    pub seq: i64,
    /// The intent.
    pub intent: Intent,
}
