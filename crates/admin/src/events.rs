//! `/retrohook/events`: events, to whom each was delivered, and how each attempt ended.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use delivery::endpoint::shown;
use event::{Content, Event, EventId, Exchange, Position, Timestamp, TopicId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::Reader;
use storage::delivery::{Attempt, Delivery, DeliveryState};
use storage::entities::{Protocol, Subscription, SubscriptionId};
use storage::queue::QueuedMessage;

use crate::acts::{self, Act};
use crate::page::{FromText, MAX_TIME};
use crate::paths::Done;
use crate::{Error, Node, known, page, read};

mod search;
mod waits;

use search::{Cut, DeliveryName, Found, MAX_BYTES, MAX_LOOKED_AT, OutcomeName, Search};
use waits::{Head, WaitsFor};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventsQuery")]
pub(crate) struct Filter {
    topic: Option<String>,
    key: Option<String>,
    outcome: Option<OutcomeName>,
    #[schemars(with = "Option<String>")]
    since: Option<FromText<Timestamp>>,
    #[schemars(with = "Option<String>")]
    until: Option<FromText<Timestamp>>,
    delivery: Option<DeliveryName>,
    limit: Option<usize>,
    before: Option<i64>,
    after: Option<i64>,
}

/// A page of events.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Events {
    events: Vec<EventView>,
    /// What `before` is on the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
    /// Why the page has fewer events than were asked for, and how to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Events {
    fn new(node: &Node, found: Found) -> Self {
        let next_before = found.next.map(|next| next.0);
        let hint = next_before.zip(found.cut).map(|(next, cut)| {
            let why = match cut {
                Cut::Bytes => format!("its events have up to {} MiB in all", MAX_BYTES >> 20),
                Cut::Looks => {
                    format!("it looked at {MAX_LOOKED_AT} events, or for {} s", MAX_TIME.as_secs())
                }
            };
            format!("this page ends early, because {why}: go on with before={next}")
        });
        let events = found.events.into_iter().map(|event| EventView::new(node, event)).collect();
        Self { events, next_before, hint }
    }
}

/// `GET /retrohook/events`: the newest first.
pub(crate) async fn list(
    State(node): State<Node>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Events>, Error> {
    let known = "`topic`, `key`, `outcome` (succeeded, unknown), `since` and `until` (times, as 2026-11-26T09:42:02Z), `delivery` (waiting, \
                 behind, dead, pending), `limit` (1 to 500), `before` and `after` (sequences)";
    let filter = page::parameters(filter, known)?;
    let topic = match filter.topic {
        Some(name) => Some(topic_named(&node, name).await?),
        None => None,
    };
    let search = Search {
        topic,
        key: filter.key,
        outcome: filter.outcome,
        since: filter.since.map(|since| since.0),
        until: filter.until.map(|until| until.0),
        delivery: filter.delivery,
        before: filter.before.map(Position),
        after: filter.after.map(Position),
        limit: page::size(filter.limit)?,
    };
    let found = read(&node, move |reader| search.run(reader)).await?;
    Ok(Json(Events::new(&node, found)))
}

async fn topic_named(node: &Node, name: String) -> Result<TopicId, Error> {
    let topics = read(node, |reader| reader.topics()).await?;
    let found = topics.into_iter().find(|topic| topic.name == name).map(|topic| topic.id);
    found.ok_or_else(|| {
        Error::missing(
            format!("there is no topic `{name}`"),
            "GET /retrohook/subscriptions shows the topics that somebody subscribes to; GET /config has all of the configuration",
        )
    })
}

/// An event with its deliveries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventDetail")]
pub(crate) struct Detail {
    #[serde(flatten)]
    event: EventView,
    /// When its intent was handed to the store, by the wall clock; the next commit made it durable, and only then was the request forwarded.
    /// Absent where there was none: a message, or a rule whose `durability` is `outcome` or `memory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    intent_at: Option<String>,
    /// When its outcome was handed to the store, by the wall clock: `recorded_at`. Absent where it is a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome_at: Option<String>,
    deliveries: Vec<DeliveryView>,
}

/// `GET /retrohook/events/{id}`.
pub(crate) async fn one(State(node): State<Node>, Path(id): Path<String>) -> Result<Json<Detail>, Error> {
    let event = find(&node, &id).await?;
    let position = event.position;
    // Each read sees another moment. So cursors are read first, then attempts, then rows: an event that a cursor has passed without a success, and
    // a delivery that was attempted, have their row by then, so that nothing that waits is shown as delivered.
    let Seen { current, attempts, rows, messages, intent_at } =
        read(&node, move |reader| Seen::read(reader, position)).await?;
    // A subscription owns events from the commit that made it.
    let is_owed = |subscription: &&Subscription| {
        subscription.topic == event.body.topic && subscription.created <= event.stamp
    };
    let mut by_subscription: BTreeMap<SubscriptionId, (Option<Row>, Vec<Attempt>)> = BTreeMap::new();
    for subscription in current.iter().filter(is_owed) {
        by_subscription.entry(subscription.id).or_default();
    }
    for row in rows {
        let id = row.0.id.subscription;
        by_subscription.entry(id).or_default().0 = Some(row);
    }
    for attempt in attempts {
        by_subscription.entry(attempt.delivery.subscription).or_default().1.push(attempt);
    }
    let deliveries = by_subscription
        .into_iter()
        .map(|(id, (row, attempts))| {
            let subscription = current.iter().find(|subscription| subscription.id == id);
            let message = messages.iter().find(|message| message.subscription == Some(id));
            let state = match subscription.filter(|known| known.protocol.is_pull()) {
                Some(queue) => message_state(queue.state.is_disabled(), message),
                None => delivery_state(subscription, position, row.as_ref().map(|row| &row.0)),
            };
            DeliveryView::new(&node, (id, subscription), state, row, attempts)
        })
        .chain(sent_to(&event, &messages))
        .collect();
    let outcome_at = event.body.exchange().map(|_| event.body.recorded_at.to_string());
    let intent_at = intent_at.map(|at| at.to_string());
    Ok(Json(Detail { event: EventView::new(&node, event), intent_at, outcome_at, deliveries }))
}

/// A row, with the delivery at the head of its key, if it waits for that.
type Row = (Delivery, Option<Head>);

/// What is read about an event besides the event itself.
struct Seen {
    current: Vec<Subscription>,
    attempts: Vec<Attempt>,
    rows: Vec<Row>,
    messages: Vec<QueuedMessage>,
    intent_at: Option<Timestamp>,
}

impl Seen {
    fn read(reader: &dyn Reader, position: Position) -> storage::Result<Self> {
        let (current, attempts) = (reader.subscriptions()?, reader.attempts_at(position)?);
        let rows = reader.deliveries_at(position)?;
        let with_head = |row: Delivery| Head::of(reader, &row).map(|head| (row, head));
        let rows = rows.into_iter().map(with_head).collect::<storage::Result<_>>()?;
        let messages = reader.messages_at(position)?;
        Ok(Self { current, attempts, rows, messages, intent_at: reader.intent_at(position)? })
    }
}

/// `POST /retrohook/events/{id}/deliveries/{subscription}/redeliver`: sends one delivery again, whatever became of it.
pub(crate) async fn redeliver(
    State(node): State<Node>,
    path: Result<Path<(String, i64)>, PathRejection>,
) -> Result<Json<Done>, Error> {
    let (id, subscription) = page::numbers(path)?;
    let event = find(&node, &id).await?;
    let subscription = SubscriptionId(subscription);
    let known = known::push(&node, subscription).await?;
    if known.topic != event.body.topic {
        let topic = node.declared().topic_name(event.body.topic);
        return Err(Error::missing(
            format!(
                "this event is of the topic `{topic}`, and {} is of another",
                known::named(&node, &known)
            ),
            "GET /retrohook/events/{id} lists the deliveries with their subscriptions",
        ));
    }
    let redelivered = known::worker(&node, &known)?.redeliver(event.position).await;
    redelivered.map_err(|error| known::refused(&node, &known, error))?;
    let act = Act { sequence: Some(event.position.0), ..Act::default() };
    acts::say(&node, &known, "had a delivery sent again", act);
    let event = Some(event.body.id.to_string());
    Ok(Json(Done { event, subscription: subscription.0, state: "due", ..Done::default() }))
}

async fn find(node: &Node, id: &str) -> Result<Event, Error> {
    let parsed: EventId = id.parse().map_err(|error: event::id::ParseIdError| {
        Error::bad_request(error.to_string(), "GET /retrohook/events lists the ids")
    })?;
    let event = read(node, move |reader| reader.event(parsed)).await?;
    event.ok_or_else(|| {
        Error::missing(
            format!("there is no event {parsed}"),
            "delivered events are kept for a day; GET /retrohook/events lists them",
        )
    })
}

/// An event as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventView {
    #[schemars(with = "String")]
    id: EventId,
    sequence: i64,
    /// Absent where it went straight into a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    key: String,
    recorded_at: String,
    #[serde(flatten)]
    content: ContentView,
}

/// What happened, as the API shows it. `kind` says which of the two it is.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schemars(rename = "Content")]
enum ContentView {
    Exchange {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        overlapped: bool,
        #[schemars(with = "Option<serde_json::Value>")]
        request: Option<Box<RawValue>>,
        #[schemars(with = "Option<serde_json::Value>")]
        response: Option<Box<RawValue>>,
    },
    Message {
        text: String,
        /// What comes with the text; `null` if that is damaged.
        #[schemars(with = "Option<serde_json::Value>")]
        details: Option<event::message::Details>,
    },
}

impl EventView {
    fn new(node: &Node, event: Event) -> Self {
        let body = event.body;
        Self {
            id: body.id,
            sequence: event.position.0,
            topic: (body.topic != TopicId::NONE).then(|| node.declared().topic_name(body.topic)),
            key: body.key.to_string(),
            recorded_at: body.recorded_at.to_string(),
            content: ContentView::new(body.content),
        }
    }
}

impl ContentView {
    fn new(content: Content) -> Self {
        let json = |text: &str| RawValue::from_string(text.to_owned()).ok();
        match content {
            Content::Exchange(Exchange { outcome, overlapped, request, answer }) => Self::Exchange {
                outcome: outcome.as_str(),
                reason: outcome.reason().map(event::UnknownReason::as_str),
                overlapped,
                request: json(&request),
                response: answer.as_deref().and_then(json),
            },
            Content::Message(message) => {
                Self::Message { text: message.text.to_string(), details: message.details().ok() }
            }
        }
    }
}

/// A delivery as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventDelivery")]
struct DeliveryView {
    /// Absent where the message was sent straight to its queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    protocol: &'static str,
    endpoint: String,
    state: &'static str,
    /// Absent where it waits for nothing: it is delivered, dead, or a queue's.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<WaitsFor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    attempts: Vec<AttemptView>,
}

impl DeliveryView {
    fn new(
        node: &Node,
        (id, subscription): (SubscriptionId, Option<&Subscription>),
        state: &'static str,
        row: Option<Row>,
        attempts: Vec<Attempt>,
    ) -> Self {
        let (row, head) = row.map_or((None, None), |(row, head)| (Some(row), head));
        let waits_for = subscription.filter(|known| known.protocol.is_push() && state != "delivered");
        let waits_for = waits_for.and_then(|known| WaitsFor::of(node, known, row.as_ref(), head));
        let (reason, next_attempt_at) = match row.map(|row| row.state) {
            Some(DeliveryState::Retry { at }) => (None, Some(node.writer.clock().shown(at).to_string())),
            Some(DeliveryState::Dead { reason, .. }) => (Some(reason), None),
            Some(DeliveryState::Behind) | None => (None, None),
        };
        Self {
            subscription: Some(id.0),
            name: subscription.and_then(|subscription| subscription.name.clone()),
            protocol: subscription.map_or("", |subscription| subscription.protocol.as_str()),
            endpoint: subscription.map_or_else(String::new, |subscription| shown(&subscription.endpoint)),
            state,
            waits_for,
            reason,
            next_attempt_at,
            attempts: attempts.into_iter().map(AttemptView::new).collect(),
        }
    }
}

/// The state of a push delivery, in a word.
fn delivery_state(
    subscription: Option<&Subscription>,
    position: Position,
    row: Option<&Delivery>,
) -> &'static str {
    match (row.map(|row| &row.state), subscription) {
        (Some(DeliveryState::Retry { .. }), _) => "waiting",
        (Some(DeliveryState::Behind), _) => "behind",
        (Some(DeliveryState::Dead { .. }), _) => "dead",
        (None, Some(push)) if push.cursor.done_to >= position => "delivered",
        (None, Some(push)) if push.state.is_disabled() => "disabled",
        (None, Some(_)) => "pending",
        (None, None) => "removed",
    }
}

/// The state of a queue's message, in a word. One that is no longer there was deleted by a worker, was purged, or was older than the queue's
/// retention.
fn message_state(is_disabled: bool, message: Option<&QueuedMessage>) -> &'static str {
    match message {
        Some(message) if message.receive_count > 0 => "received",
        Some(_) => "queued",
        None if is_disabled => "disabled",
        None => "deleted",
    }
}

/// The delivery to a queue of a message that was sent straight to it; `None` for any other event.
fn sent_to(event: &Event, messages: &[QueuedMessage]) -> Option<DeliveryView> {
    let Content::Message(message) = &event.body.content else { return None };
    let queue = message.details().ok()?.queue?;
    Some(DeliveryView {
        subscription: None,
        name: None,
        protocol: Protocol::Sqs.as_str(),
        endpoint: queue,
        state: message_state(false, messages.first()),
        waits_for: None,
        reason: None,
        next_attempt_at: None,
        attempts: Vec::new(),
    })
}

/// An attempt as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
struct AttemptView {
    number: u32,
    at: String,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    answer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
}

impl AttemptView {
    fn new(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.to_string(),
            took_ms: attempt.took_micros as f64 / 1_000.0,
            status: attempt.status,
            error: attempt.error,
            answer: String::from_utf8_lossy(&attempt.answer).into_owned(),
            next_at: attempt.next_at.map(|at| at.to_string()),
        }
    }
}
