//! The log of events: appended once, read after a position.
//!
//! An event owns its position for ever; positions grow, and none is used again.

use std::sync::Arc;

use event::{Content, Event, EventId, Exchange, NewEvent, Outcome, Position, Stamp, Timestamp, TopicId};

use crate::delivery::RowState;
use crate::{Result, StoreError};

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

    /// Looks back over the log, the newest event first, as far as `over` says. Of an event only what its head says is read. An event whose
    /// head is damaged is left out.
    fn look_back(&self, over: LookBack) -> Result<Looked>;

    /// A page of events, newest first, before a position: at most `limit` of them, and no more than `max_bytes` in all
    /// ([`NewEvent::bytes`]), but always one if there is one. Those that are damaged are left out. Each event is a read of its own.
    fn events_before(&self, before: Option<Position>, limit: usize, max_bytes: usize) -> Result<EventPage> {
        // One more than is wanted says whether there is more.
        let rows = limit.saturating_add(1);
        let looked = self.look_back(LookBack { before, ..LookBack::over(rows) })?;
        let mut page = EventPage::default();
        let mut bytes = 0;
        for (looked_at, head) in looked.heads.iter().enumerate() {
            if looked_at == limit {
                return Ok(page);
            }
            let event = match self.event_at(head.position) {
                Err(StoreError::Damaged(_)) => None,
                event => event?,
            };
            bytes += event.as_ref().map_or(0, |event| event.body.bytes());
            page.is_cut = bytes > max_bytes && !page.events.is_empty();
            if page.is_cut {
                return Ok(page);
            }
            page.next = Some(head.position);
            page.events.extend(event);
        }
        page.next = looked.next;
        Ok(page)
    }
}

/// Which events [`LogReader::look_back`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookBack {
    /// Those of this topic; all if there is none.
    pub topic: Option<TopicId>,
    /// Those of which some delivery has a row in this state; all if there is none.
    pub row: Option<RowState>,
    /// Those before this position; from the newest on if there is none.
    pub before: Option<Position>,
    /// How many rows of events and deliveries to look at, so that the read is short whatever is in the store. It may be more by the rows of one
    /// event, so that a look always gets on.
    pub rows: usize,
}

impl LookBack {
    /// Over all events, from the newest on.
    pub fn over(rows: usize) -> Self {
        Self { topic: None, row: None, before: None, rows }
    }
}

/// What [`LogReader::look_back`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looked {
    /// The newest first.
    pub heads: Vec<EventHead>,
    /// Before which position there may be more, if the rows were used up; `None` if all were looked at.
    pub next: Option<Position>,
}

/// What an event says of itself in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// Its position.
    pub position: Position,
    /// Where it goes; [`TopicId::NONE`] if straight into a queue.
    pub topic: TopicId,
    /// What it is about.
    pub key: Arc<str>,
    /// The publish time.
    pub recorded_at: Timestamp,
    /// What happened.
    pub what: Happened,
}

/// What happened, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A request, and it succeeded.
    Succeeded,
    /// A request, and nobody knows.
    Unknown,
    /// Somebody published a message.
    Published,
}

impl Happened {
    /// Of the event with this content.
    pub fn of(content: &Content) -> Self {
        match content {
            Content::Exchange(Exchange { outcome: Outcome::Succeeded, .. }) => Self::Succeeded,
            Content::Exchange(_) => Self::Unknown,
            Content::Message(_) => Self::Published,
        }
    }
}

impl From<&Event> for EventHead {
    fn from(event: &Event) -> Self {
        let body = &event.body;
        Self {
            position: event.position,
            topic: body.topic,
            key: body.key.clone(),
            recorded_at: body.recorded_at,
            what: Happened::of(&body.content),
        }
    }
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
