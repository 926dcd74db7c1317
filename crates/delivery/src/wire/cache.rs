//! Recently rendered messages, so that an event is rendered and signed once for all its subscribers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use event::envelope::RenderError;
use event::{Event, Position};
use foldhash::HashMap;

use super::Message;

/// The most messages that are kept.
pub const MAX_MESSAGES: usize = 1_024;
/// The approximate limit of their memory, in bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// The cache; clones share it. The oldest goes first.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    by_position: HashMap<Position, Arc<Message>>,
    order: VecDeque<Position>,
    bytes: usize,
}

impl Messages {
    /// The event's message. Two callers at the same time may both render it, but they get the same message.
    ///
    /// # Errors
    /// If the event cannot be rendered.
    pub fn get(&self, event: &Arc<Event>) -> Result<Arc<Message>, RenderError> {
        if let Some(message) = self.kept().by_position.get(&event.position) {
            return Ok(message.clone());
        }
        let message = Arc::new(Message::render(event.clone())?);
        Ok(self.kept().keep(event.position, message))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, position: Position, message: Arc<Message>) -> Arc<Message> {
        if let Some(first) = self.by_position.get(&position) {
            return first.clone();
        }
        self.bytes += message.size();
        self.by_position.insert(position, message.clone());
        self.order.push_back(position);
        while self.order.len() > MAX_MESSAGES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.by_position.remove(&oldest).map_or(0, |message| message.size());
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use storage::memory::{sample_event, sample_exchange};

    use super::*;

    fn event(position: i64) -> Arc<Event> {
        Arc::new(Event {
            position: Position(position),
            stamp: event::Stamp::default(),
            body: sample_event(1),
        })
    }

    #[test]
    fn renders_once_and_forgets_the_oldest() {
        let messages = Messages::default();
        let first = messages.get(&event(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &messages.get(&event(1)).unwrap()));
        for position in 2..=MAX_MESSAGES as i64 + 1 {
            messages.get(&event(position)).unwrap();
        }
        assert!(!Arc::ptr_eq(&first, &messages.get(&event(1)).unwrap()));
        assert_eq!(messages.kept().order.len(), MAX_MESSAGES);
    }

    #[test]
    fn holds_no_more_bytes_than_its_limit() {
        let messages = Messages::default();
        let large = sample_exchange(1, |exchange| {
            exchange.request = exchange.request.replace("/profiles/1", &"p".repeat(1 << 20)).into();
        });
        for position in 1..=20 {
            messages
                .get(&Arc::new(Event {
                    position: Position(position),
                    stamp: event::Stamp::default(),
                    body: large.clone(),
                }))
                .unwrap();
        }
        let kept = messages.kept();
        assert!(kept.bytes <= MAX_BYTES && kept.order.len() < 20);
        assert_eq!(kept.bytes, kept.by_position.values().map(|message| message.size()).sum::<usize>());
    }
}
