//! The log of events: appended once, read after a position.
//!
//! An event owns its position for ever; positions grow, and none is used again.

use event::{Event, EventId, NewEvent, Position, Stamp, TopicId};

use crate::Result;

/// The log, in an open transaction.
pub trait LogTx {
    /// Appends an event, and a message to every queue that is subscribed to its topic, at the next position, and settles the open
    /// intent of the backend's own incarnation that has its id, if there is one. An id that is already in the log is not appended
    /// again: its position is returned.
    fn append(&mut self, event: &NewEvent) -> Result<Position>;
}

/// Reads of the log.
pub trait LogReader {
    /// The last position of the log, whatever the topic; 0 for an empty log that never held one.
    fn head(&self) -> Result<Position>;

    /// A topic's events after a position, in order, at most `limit` and about `max_bytes` of JSON (always at least one). An event that
    /// cannot be read ends it: those before it are returned, and it is an error only where it is the first.
    fn events_after(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Event>>;

    /// The position of a topic's first event after a position; read without the event itself, which may be damaged.
    fn next_position(&self, topic: TopicId, after: Position) -> Result<Option<Position>>;

    /// The event at a position.
    fn event_at(&self, position: Position) -> Result<Option<Event>>;

    /// The position of the first event, whatever its topic, that entered the log at this moment or later. It costs a few dozen reads, however
    /// long the log is.
    fn first_since(&self, moment: Stamp) -> Result<Option<Position>>;

    /// The id of the event at a position; read without the event itself, which may be large or damaged.
    fn id_at(&self, position: Position) -> Result<Option<EventId>>;

    /// The event with an id.
    fn event(&self, id: EventId) -> Result<Option<Event>>;

    /// A page of events, newest first, before a position: at most `limit` of them, and no more than `max_bytes` in all
    /// ([`NewEvent::bytes`]), but always one if there is one. Those that are damaged are left out.
    fn events_before(&self, before: Option<Position>, limit: usize, max_bytes: usize) -> Result<EventPage>;
}

/// Events that were read together, and where the rest is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The newest first.
    pub events: Vec<Event>,
    /// Before which position there may be more; `None` if there is none.
    pub next: Option<Position>,
    /// Whether the bytes ended it, before the limit did.
    pub is_cut: bool,
}
