//! The log of events: each is appended once, and read by its position.
//!
//! Positions grow, and no position is ever used again, even after its event was deleted.

use std::sync::Arc;

use event::{Content, Event, EventId, Exchange, NewEvent, Outcome, Position, Stamp, Timestamp, TopicId};

use crate::delivery::RowState;
use crate::{Result, StoreError};

/// The log, in an open transaction.
pub trait LogTx {
    /// Appends an event at the next position and sends a message of it to every queue that is subscribed to its topic. Settles the open intent of the
    /// backend's own incarnation that has its id, if there is one. Returns the position. If an event with this id is in the log already, nothing is
    /// appended, and the position of that event is returned.
    fn append(&mut self, event: &NewEvent) -> Result<Position>;
}

/// Reads of the log.
pub trait LogReader {
    /// The position of the last event that was ever appended, whatever its topic; 0 if there was none.
    fn head(&self) -> Result<Position>;

    /// A topic's events after a position, in order: at most `limit`, and at most `max_bytes` in all ([`NewEvent::bytes`]), but always the first one.
    ///
    /// # Errors
    /// If the first event cannot be read. Where a later one cannot be read, those before it are returned.
    fn events_after(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Event>>;

    /// The position of a topic's first event after a position. The event itself is not read, so this works also if it is damaged.
    fn next_position(&self, topic: TopicId, after: Position) -> Result<Option<Position>>;

    /// The event at a position, if there is one.
    fn event_at(&self, position: Position) -> Result<Option<Event>>;

    /// The position of the first event of any topic that entered the log at this moment or later. It costs a few dozen reads, however long the log
    /// is.
    fn first_since(&self, moment: Stamp) -> Result<Option<Position>>;

    /// The id of the event at a position, if there is one. The rest of the event is not read, because it may be large or damaged.
    fn id_at(&self, position: Position) -> Result<Option<EventId>>;

    /// The event with an id, if there is one.
    fn event(&self, id: EventId) -> Result<Option<Event>>;

    /// Reads the heads of events from the newest to the oldest, as far as `over` says. An event whose head is damaged is left out.
    fn look_back(&self, over: LookBack) -> Result<Looked>;

    /// A page of events before a position, the newest first: at most `limit`, and at most `max_bytes` in all ([`NewEvent::bytes`]), but always the
    /// first one. Damaged events are left out. Each event is a read of its own.
    fn events_before(&self, before: Option<Position>, limit: usize, max_bytes: usize) -> Result<EventPage> {
        // One more than is wanted shows whether there are more.
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
    /// Only events of this topic; `None` for events of every topic.
    pub topic: Option<TopicId>,
    /// Only events with a delivery's row in this state; `None` for all events.
    pub row: Option<RowState>,
    /// Only events before this position; `None` begins with the newest event.
    pub before: Option<Position>,
    /// How many rows of events and deliveries to look at, so that the read is short whatever is in the store. It looks at the rows of at least one
    /// event, even if these are more, so that every read makes progress.
    pub rows: usize,
}

impl LookBack {
    /// All events from the newest on, as far as this number of rows goes.
    pub fn over(rows: usize) -> Self {
        Self { topic: None, row: None, before: None, rows }
    }
}

/// What [`LogReader::look_back`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looked {
    /// The newest first.
    pub heads: Vec<EventHead>,
    /// The position to read on before, if `rows` were used up; `None` if all events were looked at.
    pub next: Option<Position>,
}

/// The small fields of an event, which are read without its request, answer or text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// Its position.
    pub position: Position,
    /// Its topic; [`TopicId::NONE`] if it was sent straight to a queue.
    pub topic: TopicId,
    /// Its ordering key.
    pub key: Arc<str>,
    /// The publish time, on the wall clock.
    pub recorded_at: Timestamp,
    /// The kind of its content.
    pub what: Happened,
}

/// The kind of an event's content, with the outcome of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// An exchange with outcome `succeeded`.
    Succeeded,
    /// An exchange with outcome `unknown`.
    Unknown,
    /// A message that was published to a topic or sent to a queue.
    Published,
}

impl Happened {
    /// The kind of this content.
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

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The newest first.
    pub events: Vec<Event>,
    /// The position to read on before; `None` if there are no more.
    pub next: Option<Position>,
    /// Whether the page ended at `max_bytes`, before it had `limit` events.
    pub is_cut: bool,
}
