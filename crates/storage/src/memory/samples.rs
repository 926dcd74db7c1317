//! Small events and intents for tests, told apart by a number.

use std::sync::Arc;

use event::message::Details;
use event::{Content, EventId, Exchange, Intent, Message, NewEvent, Outcome, Timestamp, TopicId};

/// The time of sample 0. Each further sample is one millisecond later than the one before it.
pub const SAMPLE_TIME: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The id of sample `n`.
pub fn sample_id(n: u8) -> EventId {
    EventId::v7(sample_time(n), [n; 10])
}

/// A succeeded event of topic 1, about `/profiles/<n>`.
pub fn sample_event(n: u8) -> NewEvent {
    sample_exchange(n, |_| ())
}

/// [`sample_event`] with an exchange that `change` has changed.
pub fn sample_exchange(n: u8, change: impl FnOnce(&mut Exchange)) -> NewEvent {
    let mut exchange = Exchange {
        outcome: Outcome::Succeeded,
        overlapped: false,
        request: sample_request(n),
        answer: Some(SAMPLE_ANSWER.into()),
    };
    change(&mut exchange);
    NewEvent {
        id: sample_id(n),
        topic: TopicId(1),
        key: sample_key(n),
        recorded_at: sample_time(n),
        content: Content::Exchange(exchange),
    }
}

/// A message of topic 1, with the id and the time of sample `n`.
pub fn sample_message(n: u8, text: &str, details: &Details) -> NewEvent {
    let id = sample_id(n);
    let content = Content::Message(Message::new(text, details));
    NewEvent { id, topic: TopicId(1), key: id.to_string().into(), recorded_at: sample_time(n), content }
}

/// The intent of [`sample_event`] `n`.
pub fn sample_intent(n: u8) -> Intent {
    Intent {
        id: sample_id(n),
        topic: TopicId(1),
        key: sample_key(n),
        publish_unknown: true,
        noted_at: sample_time(n),
        request: sample_request(n),
    }
}

fn sample_time(n: u8) -> Timestamp {
    Timestamp::from_micros(SAMPLE_TIME.as_micros() + u64::from(n) * 1_000)
}

fn sample_key(n: u8) -> Arc<str> {
    format!("profiles/profiles/{n}").into()
}

/// Facts as JSON, as `event::facts::RequestFacts` reads them.
fn sample_request(n: u8) -> Arc<str> {
    let path = format!("/profiles/{n}");
    let facts = serde_json::json!({
        "rule": { "name": "profiles/publish-sns", "format": "kong-0.8", "event_type": "com.example.profile" },
        "method": "PUT",
        "scheme": "http",
        "host": "localhost",
        "port": 8000,
        "uri": path,
        "service_path": path,
        "upstream_uri": path,
        "headers": [["host", "localhost:8000"]],
        "head_size": 64,
        "client_ip": "127.0.0.1",
        "started_at": sample_time(n),
        "api": {},
    });
    facts.to_string().into()
}

/// Facts as JSON, as `event::facts::AnswerFacts` reads them.
const SAMPLE_ANSWER: &str = r#"{
    "status": 204, "headers": [["server", "sample"]], "request_body_size": 2, "size": 80,
    "latencies": { "kong": 0, "proxy": 1, "request": 1 }
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_facts_that_read_back() {
        let event = sample_event(7);
        let exchange = event.exchange().unwrap();
        assert_eq!(&*exchange.request().unwrap().service_path, "/profiles/7");
        assert_eq!(exchange.answer().unwrap().unwrap().status, Some(204));
        assert_eq!(sample_intent(7).id, event.id);
    }
}
