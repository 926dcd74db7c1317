//! The most recent events, and wake-ups for tasks that wait for events of a topic or messages of a queue.
//!
//! The writer adds the events of every commit here, and deliveries read them without asking the database. The ring is limited in events and
//! bytes; a reader that needs older events reads the log instead ([`Recent::Behind`]). A lost wake-up does no harm, because every task that waits
//! here also wakes by a timer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use event::{Event, Position, TopicId};
use foldhash::HashMap;
use tokio::sync::watch;

use crate::entities::QueueId;

/// The most events that the ring holds.
pub const MAX_RECENT_EVENTS: usize = 8_192;
/// The most bytes that the events of the ring have in all ([`NewEvent::bytes`](event::NewEvent::bytes)).
pub const MAX_RECENT_BYTES: usize = 16 << 20;

/// The most topics for which the ring remembers separately how far back it reaches.
const MAX_TOPICS_DROPPED: usize = 1_024;

/// Recent events and wake-ups; clones share both.
#[derive(Clone, Default)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ring: Mutex<Ring>,
    topics: Mutex<HashMap<TopicId, watch::Sender<Position>>>,
    queues: Mutex<HashMap<QueueId, watch::Sender<u64>>>,
    given_up: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The ring got every event after this position; it no longer holds those that `dropped` covers. `None` until [`Feed::start_after`].
    complete_after: Option<Position>,
    /// The position of the last dropped event of each topic. So a reader of an idle topic need not ask the log, however many events of busy topics
    /// the ring has dropped.
    dropped: HashMap<TopicId, Position>,
    /// The position of the last event that the ring got.
    last: Position,
}

/// What the ring knows of a topic after a position.
#[derive(Debug)]
pub enum Recent {
    /// All events after the position, up to the requested number; empty if there are none.
    Events(Vec<Arc<Event>>),
    /// The ring does not hold all events after the position: read the log.
    Behind,
}

impl Feed {
    /// Empties the ring and says where the log ends now: the ring will get every event after `head`.
    pub fn start_after(&self, head: Position) {
        let mut ring = self.ring();
        ring.events.clear();
        ring.bytes = 0;
        ring.complete_after = Some(head);
        ring.dropped.clear();
        ring.last = head;
    }

    /// Adds a commit's events, in order of position, and wakes the tasks that wait for their topics, and for `queues`. An event that the ring has
    /// got before is ignored: its id was appended again.
    pub(crate) fn push(&self, mut events: Vec<Arc<Event>>, queues: &[QueueId]) {
        let mut ring = self.ring();
        events.retain(|event| event.position > ring.last);
        let mut last: Vec<(TopicId, Position)> = Vec::new();
        for event in &events {
            match last.iter_mut().find(|(topic, _)| *topic == event.body.topic) {
                Some((_, position)) => *position = event.position,
                None => last.push((event.body.topic, event.position)),
            }
        }
        ring.extend(events);
        drop(ring);
        self.wake(&last, queues);
    }

    /// Wakes the tasks that wait for topics and queues, without adding events. The new events must be read from the log, and the ring begins anew
    /// after the last of them.
    pub(crate) fn skip_to(&self, topics: &[(TopicId, Position)], queues: &[QueueId]) {
        if let Some(head) = topics.iter().map(|(_, position)| *position).max() {
            self.start_after(head);
        }
        self.wake(topics, queues);
    }

    fn wake(&self, topics: &[(TopicId, Position)], queues: &[QueueId]) {
        if !topics.is_empty() {
            let watched = self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner);
            for (topic, position) in topics {
                if let Some(sender) = watched.get(topic) {
                    sender.send_replace(*position);
                }
            }
        }
        if !queues.is_empty() {
            self.wake_queues(queues);
        }
    }

    /// Wakes the tasks that wait for messages of these queues. For messages that became visible without a commit that added any.
    pub fn wake_queues(&self, queues: &[QueueId]) {
        let watched = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues {
            if let Some(sender) = watched.get(queue) {
                sender.send_modify(|count| *count += 1);
            }
        }
    }

    /// What the ring holds of `topic` after `after`, at most `limit` events.
    pub fn recent(&self, topic: TopicId, after: Position, limit: usize) -> Recent {
        let ring = self.ring();
        if ring.complete_after(topic).is_none_or(|complete| after < complete) {
            return Recent::Behind;
        }
        let start = ring.events.partition_point(|event| event.position <= after);
        Recent::Events(
            ring.events
                .range(start..)
                .filter(|event| event.body.topic == topic)
                .take(limit)
                .cloned()
                .collect(),
        )
    }

    /// A value that changes whenever the topic has a new event: the position of its last one, 0 before the first.
    pub fn watch_topic(&self, topic: TopicId) -> watch::Receiver<Position> {
        let mut topics = self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic).or_insert_with(|| watch::channel(Position::default()).0).subscribe()
    }

    /// A value that changes whenever the queue has a new or newly visible message. The number itself means nothing.
    pub fn watch_queue(&self, queue: QueueId) -> watch::Receiver<u64> {
        let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(queue).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Notes that housekeeping made waiting deliveries dead letters.
    pub(crate) fn gave_up(&self) {
        self.shared.given_up.send_modify(|count| *count += 1);
    }

    /// A value that changes whenever housekeeping has made waiting deliveries of any subscription dead letters. The number itself means nothing.
    pub fn watch_given_up(&self) -> watch::Receiver<u64> {
        self.shared.given_up.subscribe()
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The position after which the ring holds every event of the topic.
    fn complete_after(&self, topic: TopicId) -> Option<Position> {
        let dropped = self.dropped.get(&topic).copied();
        self.complete_after.map(|all| dropped.map_or(all, |dropped| dropped.max(all)))
    }

    fn note_dropped(&mut self, event: &Event) {
        if self.dropped.len() >= MAX_TOPICS_DROPPED && !self.dropped.contains_key(&event.body.topic) {
            // All events that were dropped before have lower positions than this one.
            self.dropped.clear();
            self.complete_after = Some(event.position);
        } else {
            self.dropped.insert(event.body.topic, event.position);
        }
    }

    fn extend(&mut self, events: Vec<Arc<Event>>) {
        for event in events {
            self.bytes += size_of(&event);
            self.last = event.position;
            self.events.push_back(event);
            while self.events.len() > MAX_RECENT_EVENTS || self.bytes > MAX_RECENT_BYTES {
                let Some(oldest) = self.events.pop_front() else { break };
                self.bytes -= size_of(&oldest);
                self.note_dropped(&oldest);
            }
        }
    }
}

fn size_of(event: &Event) -> usize {
    event.body.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::sample_event;

    fn event(position: i64, topic: i64) -> Arc<Event> {
        let mut body = sample_event(position as u8);
        body.topic = TopicId(topic);
        Arc::new(Event { position: Position(position), stamp: event::Stamp::default(), body })
    }

    fn positions(recent: Recent) -> Option<Vec<i64>> {
        match recent {
            Recent::Events(events) => Some(events.iter().map(|event| event.position.0).collect()),
            Recent::Behind => None,
        }
    }

    #[test]
    fn serves_a_topic_from_the_ring_and_sends_stragglers_to_the_log() {
        let feed = Feed::default();
        assert_eq!(positions(feed.recent(TopicId(1), Position(0), 9)), None, "nothing is known yet");
        feed.start_after(Position(10));
        feed.push(vec![event(11, 1), event(12, 2), event(14, 1)], &[]);
        assert_eq!(positions(feed.recent(TopicId(1), Position(10), 9)), Some(vec![11, 14]));
        assert_eq!(positions(feed.recent(TopicId(1), Position(10), 1)), Some(vec![11]));
        assert_eq!(positions(feed.recent(TopicId(1), Position(14), 9)), Some(vec![]));
        assert_eq!(positions(feed.recent(TopicId(1), Position(9), 9)), None);
    }

    #[test]
    fn drops_the_oldest_at_its_limit() {
        let feed = Feed::default();
        feed.start_after(Position(0));
        for position in 1..=MAX_RECENT_EVENTS as i64 {
            feed.push(vec![event(position, 1)], &[]);
        }
        assert_eq!(
            positions(feed.recent(TopicId(1), Position(0), 1)),
            Some(vec![1]),
            "as many as there may be"
        );
        feed.push(vec![event(MAX_RECENT_EVENTS as i64 + 1, 1)], &[]);
        assert_eq!(positions(feed.recent(TopicId(1), Position(0), 1)), None);
        assert_eq!(positions(feed.recent(TopicId(1), Position(1), 1)), Some(vec![2]));
    }

    #[test]
    fn an_idle_topic_beside_a_busy_one_is_known_to_its_end() {
        let feed = Feed::default();
        feed.start_after(Position(10));
        feed.push(vec![event(11, 2)], &[]);
        let busy = 12..12 + MAX_RECENT_EVENTS as i64;
        busy.clone().for_each(|position| feed.push(vec![event(position, 1)], &[]));
        let held = |topic, after| positions(feed.recent(TopicId(topic), Position(after), 1));
        assert_eq!((held(2, 10), held(2, 11)), (None, Some(vec![])), "its only event was dropped");
        assert_eq!((held(3, 9), held(3, 10)), (None, Some(vec![])), "it never had one");
        feed.push(vec![event(busy.end, 1)], &[]);
        assert_eq!((held(1, 11), held(1, 12)), (None, Some(vec![13])));
    }

    #[test]
    fn what_is_remembered_of_topics_is_bounded() {
        let feed = Feed::default();
        feed.start_after(Position(0));
        let (topics, events) = (MAX_TOPICS_DROPPED as i64, MAX_RECENT_EVENTS as i64);
        (1..=events + topics).for_each(|position| feed.push(vec![event(position, position)], &[]));
        let held = |topic, after| positions(feed.recent(TopicId(topic), Position(after), 1));
        assert_eq!((held(1, 0), held(1, 1), held(0, 0)), (None, Some(vec![]), Some(vec![])));
        feed.push(vec![event(events + topics + 1, 1)], &[]);
        assert_eq!((held(0, topics), held(0, topics + 1)), (None, Some(vec![])), "all of them at once");
        assert_eq!(held(topics + 2, topics + 1), Some(vec![topics + 2]));
    }

    fn sized(position: i64, request: usize, answer: usize) -> Arc<Event> {
        let mut event = Arc::unwrap_or_clone(event(position, 1));
        let exchange = event.body.exchange_mut().unwrap();
        exchange.request = "x".repeat(request).into();
        exchange.answer = (answer > 0).then(|| "x".repeat(answer).into());
        Arc::new(event)
    }

    #[test]
    fn drops_the_oldest_beyond_its_bytes() {
        let feed = Feed::default();
        feed.start_after(Position(0));
        let half = MAX_RECENT_BYTES / 2;
        let held = |after| positions(feed.recent(TopicId(1), Position(after), 9));
        feed.push(vec![sized(1, half, 0), sized(2, half - 1, 1)], &[]);
        assert_eq!(held(0), Some(vec![1, 2]), "as many as there may be");
        feed.push(vec![sized(3, 0, 1)], &[]);
        assert_eq!((held(0), held(1)), (None, Some(vec![2, 3])));
        feed.push(vec![sized(4, half - 1, 0)], &[]);
        assert_eq!(held(1), Some(vec![2, 3, 4]), "what was dropped counts no more");
        feed.push(vec![sized(5, 1, 0)], &[]);
        assert_eq!((held(1), held(2)), (None, Some(vec![3, 4, 5])));
        feed.start_after(Position(5));
        feed.push(vec![sized(6, half, 0), sized(7, half, 0)], &[]);
        assert_eq!(held(5), Some(vec![6, 7]), "it starts anew");
    }

    #[test]
    fn what_it_has_seen_is_nothing_new() {
        let feed = Feed::default();
        feed.start_after(Position(10));
        let mut topic = feed.watch_topic(TopicId(1));
        feed.push(vec![event(9, 1), event(10, 1)], &[]);
        assert!(!topic.has_changed().unwrap());
        feed.push(vec![event(11, 1), event(12, 1)], &[]);
        assert_eq!(*topic.borrow_and_update(), Position(12));
        feed.push(vec![event(12, 1)], &[]);
        assert!(!topic.has_changed().unwrap());
        assert_eq!(positions(feed.recent(TopicId(1), Position(10), 9)), Some(vec![11, 12]));
    }

    #[test]
    fn each_topic_hears_of_its_own_last_event() {
        let feed = Feed::default();
        feed.start_after(Position(10));
        let topics = [1, 2, 3].map(|topic| feed.watch_topic(TopicId(topic)));
        feed.push(vec![event(11, 1), event(12, 2), event(14, 1)], &[]);
        assert_eq!(topics.map(|topic| topic.borrow().0), [14, 12, 0]);
    }

    #[test]
    fn what_it_did_not_see_must_be_read_from_the_log() {
        let feed = Feed::default();
        feed.start_after(Position(0));
        let (mut topic, queue) = (feed.watch_topic(TopicId(1)), feed.watch_queue(QueueId(7)));
        feed.push(vec![event(1, 1)], &[]);
        feed.skip_to(&[(TopicId(1), Position(4)), (TopicId(2), Position(5))], &[QueueId(7)]);
        assert_eq!(*topic.borrow_and_update(), Position(4));
        assert!(queue.has_changed().unwrap());
        let held = |after| positions(feed.recent(TopicId(1), Position(after), 9));
        assert_eq!((held(4), held(5)), (None, Some(vec![])));
        feed.push(vec![event(6, 1)], &[]);
        assert_eq!(held(5), Some(vec![6]));
        feed.skip_to(&[], &[QueueId(7)]);
        assert_eq!(held(5), Some(vec![6]), "nothing was appended");
    }

    #[test]
    fn says_that_deliveries_were_given_up() {
        let feed = Feed::default();
        let mut given_up = feed.watch_given_up();
        assert!(!given_up.has_changed().unwrap());
        feed.gave_up();
        assert_eq!(*given_up.borrow_and_update(), 1);
        feed.gave_up();
        assert_eq!(*given_up.borrow_and_update(), 2);
    }

    #[test]
    fn wakes_the_topic_and_the_queue() {
        let feed = Feed::default();
        feed.start_after(Position(0));
        let (topic, other) = (feed.watch_topic(TopicId(1)), feed.watch_topic(TopicId(2)));
        let queue = feed.watch_queue(QueueId(7));
        feed.push(vec![event(1, 1)], &[QueueId(7)]);
        assert!(topic.has_changed().unwrap());
        assert!(!other.has_changed().unwrap());
        assert!(queue.has_changed().unwrap());
    }
}
