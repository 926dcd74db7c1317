//! What was begun, and is not settled: intents, and what a restart makes of them.
//!
//! The first durable place of everything that is promised. Always on the local disk, and always synchronous: an intent is durable before
//! the request that it announces is forwarded.
//!
//! An intent is open as long as no event has its id. So what settles it is [`LogTx::append`](super::LogTx::append), in the same transaction.

use event::{EventId, Intent, Position, Timestamp};

use crate::Result;

/// Intents, in an open transaction.
pub trait JournalTx {
    /// Notes that a request is about to be forwarded, under the backend's own incarnation. An id that is open already stays as it is; one
    /// that is in the log must not be given.
    fn insert_intent(&mut self, intent: &Intent) -> Result<()>;

    /// Settles an open intent of the backend's own incarnation of which no event came. `false` if there is none.
    fn remove_intent(&mut self, id: EventId) -> Result<bool>;

    /// Turns the open intents of all dead incarnations into events of outcome `unknown`, reason `gateway_restarted` (or drops those
    /// that asked for that), and forgets these incarnations. Those of a deleted topic become no events: nobody is owed any
    /// ([`Committed::of_deleted_topics`](crate::backend::Committed::of_deleted_topics)). Returns how many intents there were. Does at most `limit` intents a call: call it until it
    /// returns 0. The events are recorded at `now`, have no answer and claim no overlap.
    fn recover(&mut self, now: Timestamp, limit: usize) -> Result<usize>;
}

/// Reads of intents.
pub trait JournalReader {
    /// The open intents after a place, in the order in which they were noted, those of dead incarnations too. Looks at up to `rows` intents,
    /// settled ones included, and ends before `max_bytes` of what was asked, but has always one if there is one among those.
    fn open_intents(&self, after: i64, rows: usize, max_bytes: usize) -> Result<OpenIntents>;

    /// When the intent of the event at a position was noted; `None` if it had none, or there is no such event.
    fn intent_at(&self, position: Position) -> Result<Option<Timestamp>>;
}

/// Open intents that were read together, and where the rest is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenIntents {
    /// The first that was noted first.
    pub intents: Vec<OpenIntent>,
    /// After which place there may be more; `None` if there is none.
    pub next: Option<i64>,
}

/// An intent of which nobody knows yet what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIntent {
    /// Its place among all intents; it grows with each.
    pub place: i64,
    /// What it says.
    pub intent: Intent,
}
