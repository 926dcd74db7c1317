//! What was begun, and is not settled: intents, and what a restart makes of them.
//!
//! The first durable place of everything that is promised. Always on the local disk, and always synchronous: an intent is durable before
//! the request that it announces is forwarded.
//!
//! An intent is open as long as no event has its id. So what settles it is [`LogTx::append`](super::LogTx::append), in the same transaction.

use event::{EventId, Intent, Timestamp};

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
