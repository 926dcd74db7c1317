//! Finding events by topic, key, outcome, time and the state of their deliveries, the newest first.
//!
//! Topics and rows of deliveries have indexes. Keys, outcomes and times have none, because indexes would make appending an event cost more. For
//! these the events are looked at one after the other, and a page ends after [`MAX_LOOKED_AT`] of them or after [`MAX_TIME`], with what it has
//! found.

use std::time::{Duration, Instant};

use event::{Event, Position, Timestamp, TopicId};
use schemars::JsonSchema;
use serde::Deserialize;
use storage::delivery::{DeliveryId, RowState};
use storage::entities::SubscriptionId;
use storage::ports::{EventHead, Happened, LookBack};
use storage::{Reader, StoreError};

use crate::page::MAX_TIME;

/// The most events that are looked at for a page.
pub(super) const MAX_LOOKED_AT: usize = 20_000;
/// How many rows of events and deliveries one read of the store looks at.
const CHUNK: usize = 500;
/// The most bytes that the events of a page have in all, unless the first alone has more. Captured bodies can make an event some megabytes large.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// What may be asked of an outcome.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OutcomeName {
    Succeeded,
    Unknown,
}

/// What may be asked of deliveries: one of the event's is so.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "EventDeliveryState")]
pub(super) enum DeliveryName {
    Waiting,
    Behind,
    Dead,
    Pending,
}

/// The events that a request asks for.
pub(super) struct Search {
    pub topic: Option<TopicId>,
    pub key: Option<String>,
    pub outcome: Option<OutcomeName>,
    /// By their publish times, as they are shown: from this one on. A retry's `since` is another rule (`first_since` of the log): it goes by the
    /// store's own clock, which nobody sets.
    pub since: Option<Timestamp>,
    /// Only events with an earlier publish time.
    pub until: Option<Timestamp>,
    pub delivery: Option<DeliveryName>,
    /// Only events before this position.
    pub before: Option<Position>,
    /// Only events after this position.
    pub after: Option<Position>,
    pub limit: usize,
}

/// The events of a page.
#[derive(Default)]
pub(super) struct Found {
    pub events: Vec<Event>,
    /// The position to read on before; `None` if there are no more.
    pub next: Option<Position>,
    /// Why the page ended before its limit, if it did.
    pub cut: Option<Cut>,
}

/// What ended a page before its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its events are large.
    Bytes,
    /// It looked at many events, or for long.
    Looks,
}

impl Found {
    fn end(mut self, next: Option<Position>, cut: Option<Cut>) -> Self {
        (self.next, self.cut) = (next, cut);
        self
    }
}

impl Search {
    /// Reads a page of these events.
    pub(super) fn run(&self, reader: &dyn Reader) -> storage::Result<Found> {
        self.run_for(MAX_TIME, reader)
    }

    /// The same, for at most so long. However short that is, a page gets on by one event at least.
    fn run_for(&self, most: Duration, reader: &dyn Reader) -> storage::Result<Found> {
        let began = Instant::now();
        let unread = match self.delivery {
            Some(DeliveryName::Pending) => Some(Unread::read(reader, self.topic)?),
            _ => None,
        };
        let (mut found, mut bytes, mut before) = (Found::default(), 0, self.before);
        for _ in 0..MAX_LOOKED_AT / CHUNK {
            let looked = reader.look_back(self.look_back(before))?;
            for head in looked.heads {
                let is_too_old = self.after.is_some_and(|after| head.position <= after);
                if is_too_old || unread.as_ref().is_some_and(|unread| unread.all_before(head.position)) {
                    return Ok(found.end(None, None));
                }
                if began.elapsed() > most && before != self.before {
                    return Ok(found.end(before, Some(Cut::Looks)));
                }
                let is_wanted = self.has(&head)
                    && unread.as_ref().map_or(Ok(true), |unread| unread.has(reader, &head))?;
                if is_wanted && found.events.len() == self.limit {
                    return Ok(found.end(before, None));
                }
                if is_wanted && let Some(event) = whole(reader, head.position)? {
                    bytes += event.body.bytes();
                    if bytes > MAX_BYTES && !found.events.is_empty() {
                        return Ok(found.end(before, Some(Cut::Bytes)));
                    }
                    found.events.push(event);
                }
                before = Some(head.position);
            }
            if looked.next.is_none() || found.events.len() == self.limit {
                return Ok(found.end(looked.next, None));
            }
            before = looked.next;
        }
        Ok(found.end(before, Some(Cut::Looks)))
    }

    fn look_back(&self, before: Option<Position>) -> LookBack {
        let row = self.delivery.and_then(|delivery| match delivery {
            DeliveryName::Waiting => Some(RowState::Retry),
            DeliveryName::Behind => Some(RowState::Behind),
            DeliveryName::Dead => Some(RowState::Dead),
            // Such a delivery has no row yet.
            DeliveryName::Pending => None,
        });
        LookBack { topic: self.topic, row, before, rows: CHUNK }
    }

    /// Whether an event is asked for, as far as its head shows it.
    fn has(&self, head: &EventHead) -> bool {
        let is_outcome = |outcome| match outcome {
            OutcomeName::Succeeded => head.what == Happened::Succeeded,
            OutcomeName::Unknown => head.what == Happened::Unknown,
        };
        self.key.as_ref().is_none_or(|key| **key == *head.key)
            && self.outcome.is_none_or(is_outcome)
            && self.since.is_none_or(|since| head.recorded_at >= since)
            && self.until.is_none_or(|until| head.recorded_at < until)
    }
}

/// The event at a position; `None` if it is damaged, or was deleted since its head was read.
fn whole(reader: &dyn Reader, position: Position) -> storage::Result<Option<Event>> {
    match reader.event_at(position) {
        Err(StoreError::Damaged(_)) => Ok(None),
        event => event,
    }
}

/// The `done_to` of each push subscription that is not disabled.
struct Unread(Vec<(TopicId, SubscriptionId, Position)>);

impl Unread {
    fn read(reader: &dyn Reader, topic: Option<TopicId>) -> storage::Result<Self> {
        let mut known = reader.subscriptions()?;
        known.retain(|known| {
            known.protocol.is_push()
                && !known.state.is_disabled()
                && topic.is_none_or(|topic| known.topic == topic)
        });
        Ok(Self(known.into_iter().map(|known| (known.topic, known.id, known.cursor.done_to)).collect()))
    }

    /// Whether all of them have passed this position, so that no event at it or before it is unread.
    fn all_before(&self, position: Position) -> bool {
        self.0.iter().all(|(_, _, done_to)| *done_to >= position)
    }

    /// Whether a delivery of the event is pending: the event is after a subscription's cursor, and has no row for it.
    fn has(&self, reader: &dyn Reader, head: &EventHead) -> storage::Result<bool> {
        let position = head.position;
        for (topic, subscription, done_to) in &self.0 {
            if *topic == head.topic
                && *done_to < position
                && reader.delivery(DeliveryId { subscription: *subscription, position })?.is_none()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::{EventId, NewEvent, Stamp};
    use storage::backend::Backend;
    use storage::memory::{Memory, sample_event};

    use super::*;

    /// So many events of topic 1, the oldest one alone with the key `rare`.
    fn log_of(count: usize) -> Arc<dyn Reader> {
        let mut opened = Memory::default().open();
        opened.backend.begin(Stamp::default()).unwrap();
        for n in 0..count as u128 {
            let id = EventId::from_bytes((n + 1).to_be_bytes());
            let key = if n == 0 { "rare" } else { "common" };
            opened.backend.tx().append(&NewEvent { id, key: key.into(), ..sample_event(1) }).unwrap();
        }
        opened.backend.commit().unwrap();
        opened.reader
    }

    fn search(key: &str) -> Search {
        Search {
            topic: None,
            key: Some(key.into()),
            outcome: None,
            since: None,
            until: None,
            delivery: None,
            before: None,
            after: None,
            limit: 2,
        }
    }

    #[test]
    fn a_page_looks_at_a_bounded_number_of_events_and_goes_on() {
        let reader = log_of(MAX_LOOKED_AT + 300);
        let first = search("rare").run(&*reader).unwrap();
        assert!(first.events.is_empty() && first.cut == Some(Cut::Looks));
        assert!(
            first.next.is_some_and(|next| next.0 >= 301),
            "{:?}: it ended at its bound at the latest",
            first.next
        );
        let mut before = first.next;
        let mut found = first.events;
        while before.is_some() {
            let page = Search { before, ..search("rare") }.run(&*reader).unwrap();
            found.extend(page.events);
            before = page.next;
        }
        assert_eq!(found.iter().map(|event| event.position).collect::<Vec<_>>(), [Position(1)]);
    }

    #[test]
    fn a_page_whose_time_is_over_ends_with_what_it_has_and_goes_on_by_one_at_least() {
        let reader = log_of(7);
        let wanted: Vec<_> = (2..=7).rev().map(Position).collect();
        let positions = |found: &[Event]| found.iter().map(|event| event.position).collect::<Vec<_>>();
        let all = Search { limit: 7, ..search("common") };
        let in_time = all.run(&*reader).unwrap();
        assert_eq!((positions(&in_time.events), in_time.next, in_time.cut), (wanted.clone(), None, None));
        let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let page =
                Search { before, limit: 7, ..search("common") }.run_for(Duration::ZERO, &*reader).unwrap();
            pages += 1;
            found.extend(page.events);
            let Some(next) = page.next else { break };
            assert_eq!(page.cut, Some(Cut::Looks), "it says why it ended");
            assert!(before.is_none_or(|before| next < before), "{next:?} after {before:?}");
            before = Some(next);
        }
        assert_eq!(positions(&found), wanted, "nothing is left out or shown twice");
        assert!(pages > 1, "the time was over");
    }

    #[test]
    fn a_page_that_is_full_is_not_called_cut() {
        let reader = log_of(5);
        let page = search("common").run(&*reader).unwrap();
        assert_eq!((page.events.len(), page.next, page.cut), (2, Some(Position(4)), None));
        let last = Search { before: Some(Position(4)), ..search("common") }.run(&*reader).unwrap();
        assert_eq!((last.events.len(), last.next, last.cut), (2, None, None), "there is no more");
    }
}
