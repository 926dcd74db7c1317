//! Stored rows: the facts of an event and message attributes, as JSON that an older version, a newer one or damage left.
//!
//! Read as: the request's facts, the answer's, and attributes, with a line `---` between them. What must hold: they read or they do
//! not; what reads can be rendered, as one JSON object; and what is written back reads as the same.

use std::collections::HashMap;

use event::attributes::MessageAttributes;
use event::envelope::render;
use event::{Content, Event, EventId, Exchange, NewEvent, Outcome, Position, Timestamp, TopicId};
use serde_json::value::RawValue;

const BETWEEN: &str = "\n---\n";

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, BETWEEN);
    let request = parts.next().unwrap_or_default();
    let answer = parts.next().filter(|answer| !answer.is_empty());
    let event = event(request, answer);
    if let Ok(rendered) = render(&event) {
        // `api` is passed on as it was written: half a surrogate in it is nothing that a value can hold.
        let message: HashMap<&str, &RawValue> =
            serde_json::from_str(&rendered.message).expect("one JSON object");
        assert!(!message.is_empty());
        let exchange = event.body.exchange().expect("it is one");
        let request =
            serde_json::to_string(&exchange.request().expect("it was rendered")).expect("facts are JSON");
        let answer = exchange.answer().expect("it was rendered");
        let answer = answer.map(|answer| serde_json::to_string(&answer).expect("facts are JSON"));
        let again = self::event(&request, answer.as_deref());
        assert_eq!(render(&again).expect("what was written reads"), rendered);
    } else {
        let exchange = event.body.exchange().expect("it is one");
        assert!(exchange.request().is_err() || exchange.answer().is_err(), "what reads can be rendered");
    }
    if let Some(attributes) = parts.next()
        && let Ok(attributes) = serde_json::from_str::<MessageAttributes>(attributes)
    {
        let written = serde_json::to_string(&attributes).expect("attributes are JSON");
        assert_eq!(
            serde_json::from_str::<MessageAttributes>(&written).expect("what was written"),
            attributes
        );
    }
}

fn event(request: &str, answer: Option<&str>) -> Event {
    let body = NewEvent {
        id: EventId::from_bytes([7; 16]),
        topic: TopicId(1),
        key: "profiles/42".into(),
        recorded_at: Timestamp::from_millis(1_700_000_000_000),
        content: Content::Exchange(Exchange {
            outcome: Outcome::Succeeded,
            overlapped: false,
            request: request.into(),
            answer: answer.map(Into::into),
        }),
    };
    Event { position: Position(9), stamp: event::Stamp::default(), body }
}
