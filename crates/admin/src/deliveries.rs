//! `/retrohook/deliveries`: deliveries that wait or are dead, with what they wait for; trying them again before their time, and giving one up.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use delivery::endpoint::shown;
use delivery::worker::{RedeliverError, Retry};
use event::{EventId, Position, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::Reader;
use storage::delivery::{Attempt, Delivery, DeliveryId, DeliveryState};
use storage::entities::{Subscription, SubscriptionId};
use storage::ports::{Rows, Waiting};

use crate::acts::{self, Act, Many};
use crate::page::{self, FromText, MAX_TIME};
use crate::paths::{Done, Undo};
use crate::{Error, MAX_COUNTED, Node, known, read};

/// Rows that are looked at for a page; where fewer of them have the state that was asked for, the page is shorter.
const MAX_LOOKED_AT: usize = 5_000;
/// Rows that are read at once.
const CHUNK: usize = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeliveriesQuery")]
pub(crate) struct Filter {
    subscription: Option<i64>,
    state: Option<StateName>,
    limit: Option<usize>,
    #[schemars(with = "Option<String>")]
    after: Option<FromText<Place>>,
}

/// The states that may be asked for.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DeliveryStateName")]
enum StateName {
    Waiting,
    Behind,
    Dead,
}

impl StateName {
    fn of(state: &DeliveryState) -> Self {
        match state {
            DeliveryState::Retry { .. } => Self::Waiting,
            DeliveryState::Behind => Self::Behind,
            DeliveryState::Dead { .. } => Self::Dead,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Behind => "behind",
            Self::Dead => "dead",
        }
    }
}

/// A place among deliveries: `<subscription>-<sequence>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(DeliveryId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.subscription.0, self.0.position.0)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "`after` is `next_after` of another page";
        let (subscription, position) = text.split_once('-').ok_or(WRONG)?;
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0).ok_or(WRONG);
        let (subscription, position) = (SubscriptionId(number(subscription)?), Position(number(position)?));
        Ok(Self(DeliveryId { subscription, position }))
    }
}

/// A page of deliveries.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Deliveries {
    deliveries: Vec<View>,
    /// What `after` is on the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<String>,
    /// Why the page has fewer deliveries than were asked for, and how to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// `GET /retrohook/deliveries`: by subscription and sequence.
pub(crate) async fn list(
    State(node): State<Node>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Deliveries>, Error> {
    let known = "`subscription` (a number), `state` (waiting, behind, dead), `limit` (1 to 500) and `after` (`next_after` of the page before)";
    let filter = page::parameters(filter, known)?;
    let limit = page::size(filter.limit)?;
    let found = read(&node, move |reader| Found::read(reader, &filter, limit)).await?;
    let next_after = found.next.map(|next| Place(next).to_string());
    let hint = next_after.as_ref().filter(|_| found.is_cut).map(|next| {
        format!("this page ends early, because it looked at many deliveries in other states, or for a second: go on with after={next}")
    });
    let deliveries = found.rows.into_iter().map(|row| {
        let subscription = found.subscriptions.iter().find(|known| known.id == row.delivery.id.subscription);
        View::new(&node, subscription, row)
    });
    Ok(Json(Deliveries { deliveries: deliveries.collect(), next_after, hint }))
}

/// What was read of a page.
struct Found {
    rows: Vec<Row>,
    next: Option<DeliveryId>,
    /// Whether the page ended before its limit, with more to come.
    is_cut: bool,
    subscriptions: Vec<Subscription>,
}

/// A delivery with what else is shown of it.
struct Row {
    delivery: Delivery,
    event: Option<EventId>,
    last: Option<Attempt>,
}

impl Found {
    fn read(reader: &dyn Reader, filter: &Filter, limit: usize) -> storage::Result<Self> {
        let (of, state, began) = (filter.subscription.map(SubscriptionId), filter.state, Instant::now());
        let which = match state {
            Some(StateName::Waiting | StateName::Behind) => Rows::Waiting,
            Some(StateName::Dead) | None => Rows::All,
        };
        let mut found =
            Self { rows: Vec::new(), next: None, is_cut: false, subscriptions: reader.subscriptions()? };
        let mut after = filter.after.as_ref().map(|place| place.0.0);
        for _ in 0..MAX_LOOKED_AT / CHUNK {
            let chunk = reader.deliveries_after(of, after, which, CHUNK)?;
            let was_last = chunk.len() < CHUNK;
            for delivery in chunk {
                if found.rows.len() == limit {
                    found.next = after;
                    return Ok(found);
                }
                // Every page gets on by one at least.
                if began.elapsed() > MAX_TIME && after != filter.after.as_ref().map(|place| place.0.0) {
                    (found.next, found.is_cut) = (after, true);
                    return Ok(found);
                }
                after = Some(delivery.id);
                if state.is_none_or(|state| StateName::of(&delivery.state) == state) {
                    let (event, last) =
                        (reader.id_at(delivery.id.position)?, reader.last_attempt(delivery.id)?);
                    found.rows.push(Row { delivery, event, last });
                }
            }
            if was_last {
                return Ok(found);
            }
        }
        (found.next, found.is_cut) = (after, true);
        Ok(found)
    }
}

/// A delivery as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
struct View {
    #[schemars(with = "i64")]
    subscription: SubscriptionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    topic: String,
    endpoint: String,
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    event: Option<EventId>,
    key: String,
    state: &'static str,
    /// Why it is where it is: why the last attempt failed, what it waits for, or why it was given up.
    cause: String,
    /// What the endpoint answered to the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    died_at: Option<String>,
    links: Links,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveryLinks")]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    give_up: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrive: Option<String>,
}

impl View {
    fn new(node: &Node, subscription: Option<&Subscription>, row: Row) -> Self {
        let Row { delivery, event, last } = row;
        let state = StateName::of(&delivery.state);
        let DeliveryId { subscription: id, position } = delivery.id;
        let (mut next_attempt_at, mut died_at) = (None, None);
        let cause = match delivery.state {
            DeliveryState::Retry { at } => {
                let failed = last.as_ref().and_then(|last| last.error.clone());
                let recorded = last.as_ref().map_or(0, |last| last.number);
                if delivery.attempts > recorded {
                    // The row's time is the end of its lease.
                    let so_far = failed.map(|error| format!("; the last: {error}")).unwrap_or_default();
                    format!("attempt {} is under way{so_far}", delivery.attempts)
                } else {
                    next_attempt_at = Some(node.writer.clock().shown(at).to_string());
                    failed.unwrap_or_else(|| "it was delivered, and is to be sent again".into())
                }
            }
            DeliveryState::Behind => "an earlier delivery of its key is not done".into(),
            DeliveryState::Dead { reason, died_at: at, .. } => {
                died_at = Some(at.to_string());
                reason
            }
        };
        let link = |what: &str| format!("/retrohook/deliveries/{}/{}/{what}", id.0, position.0);
        let waits = state != StateName::Dead;
        Self {
            subscription: id,
            name: subscription.and_then(|known| known.name.clone()),
            topic: subscription.map_or_else(String::new, |known| node.declared().topic_name(known.topic)),
            endpoint: subscription.map_or_else(String::new, |known| shown(&known.endpoint)),
            sequence: position.0,
            event,
            key: delivery.key,
            state: state.as_str(),
            cause,
            status: last.as_ref().and_then(|last| last.status),
            attempts: delivery.attempts,
            last_attempt_at: last.map(|last| last.at.to_string()),
            next_attempt_at,
            died_at,
            links: Links {
                event: event.map(|event| format!("/retrohook/events/{event}")),
                retry: (state == StateName::Waiting).then(|| link("retry")),
                give_up: waits.then(|| link("give-up")),
                redrive: (!waits).then(|| format!("/retrohook/dead-letters/{}/{}/redrive", id.0, position.0)),
            },
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RetryQuery")]
pub(crate) struct WhichToRetry {
    #[schemars(with = "Option<String>")]
    since: Option<FromText<Timestamp>>,
    #[serde(default)]
    dry_run: bool,
}

/// What a retry does, or would do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Retried")]
pub(crate) struct Answer {
    #[schemars(with = "i64")]
    subscription: SubscriptionId,
    /// How many deliveries begin their waits anew: those that are due now, those that follow them in their keys, and those under way.
    retried: u64,
    /// It may be more: counting ended there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
    /// Nothing was changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// `POST /retrohook/subscriptions/{id}/retry`: all deliveries of a subscription that wait now, or those of events since a time.
pub(crate) async fn retry_all(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
    which: Result<Query<WhichToRetry>, QueryRejection>,
) -> Result<Json<Answer>, Error> {
    let which =
        page::parameters(which, "`since` (a time, as 2026-11-26T09:42:02Z) and `dry_run` (true or false)")?;
    let id = SubscriptionId(page::numbers(number)?);
    let known = known::push(&node, id).await?;
    let worker = known::delivering(&node, &known)?;
    // Those that begin to wait meanwhile are not meant: they were tried a moment ago.
    let since = which.since.map(|since| node.writer.clock().at(since.0));
    let part = read(&node, move |reader| {
        let until = reader.head()?;
        let first = since.map(|since| reader.first_since(since)).transpose()?;
        Ok(match first {
            None => Some(Retry { after: Position(0), until }),
            Some(first) => first.map(|first| Retry { after: Position(first.0 - 1), until }),
        })
    });
    let nothing = Answer { subscription: id, retried: 0, at_least: false, dry_run: which.dry_run };
    let Some(mut part) = part.await? else { return Ok(Json(nothing)) };
    if which.dry_run {
        let most = usize::try_from(MAX_COUNTED).unwrap_or(usize::MAX);
        let waiting =
            read(&node, move |reader| reader.waiting_positions(id, Waiting::After(part.after), most)).await?;
        let retried = waiting.len() as u64;
        return Ok(Json(Answer { retried, at_least: retried == MAX_COUNTED, ..nothing }));
    }
    let act = Act { since: which.since.map(|since| since.0.to_string()), ..Act::default() };
    let mut many = Many::new(&node, &known, "had waiting deliveries tried again at once", act);
    loop {
        let done = worker.retry_all(part).await.map_err(|error| known::refused(&node, &known, error))?;
        many.reached(done.count);
        let Some(next) = done.next else { break };
        part.after = next;
    }
    Ok(Json(Answer { retried: many.count(), ..nothing }))
}

/// `POST /retrohook/deliveries/{subscription}/{sequence}/retry`: one that waits is due now, and its waits begin anew.
pub(crate) async fn retry_one(
    State(node): State<Node>,
    numbers: Result<Path<(i64, i64)>, PathRejection>,
) -> Result<Json<Done>, Error> {
    let (subscription, sequence) = page::numbers(numbers)?;
    let id = DeliveryId { subscription: SubscriptionId(subscription), position: Position(sequence) };
    let known = known::push(&node, id.subscription).await?;
    if let Err(error) = known::worker(&node, &known)?.retry(id.position).await {
        return Err(why_not(&node, &known, id, error).await);
    }
    let act = Act { sequence: Some(sequence), ..Act::default() };
    acts::say(&node, &known, "had a waiting delivery tried again at once", act);
    Ok(Json(Done { subscription, sequence: Some(sequence), state: "due", ..Done::default() }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GiveUpQuery")]
pub(crate) struct Why {
    reason: Option<String>,
}

/// `POST /retrohook/deliveries/{subscription}/{sequence}/give-up`: one that waits becomes a dead letter, and the next one of its key goes on.
pub(crate) async fn give_up(
    State(node): State<Node>,
    numbers: Result<Path<(i64, i64)>, PathRejection>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Json<Done>, Error> {
    let (subscription, sequence) = page::numbers(numbers)?;
    let words = page::words(page::parameters(why, "`reason` (a text)")?.reason, "giving a delivery up")?;
    let reason = format!("given up by an operator: {words}");
    let id = DeliveryId { subscription: SubscriptionId(subscription), position: Position(sequence) };
    let known = known::push(&node, id.subscription).await?;
    if let Err(error) = known::worker(&node, &known)?.give_up(id.position, reason.clone()).await {
        return Err(why_not(&node, &known, id, error).await);
    }
    let redrive = format!("/retrohook/dead-letters/{subscription}/{sequence}/redrive");
    Ok(Json(Done {
        subscription,
        sequence: Some(sequence),
        state: "dead",
        reason: Some(reason),
        links: Some(Undo { redrive }),
        ..Done::default()
    }))
}

/// Why a delivery cannot be tried again or given up, with what is known of it.
async fn why_not(node: &Node, known: &Subscription, id: DeliveryId, error: RedeliverError) -> Error {
    let found = read(node, move |reader| {
        let row = reader.delivery(id)?;
        let head = match &row {
            Some(row) if row.state == DeliveryState::Behind => {
                reader.deliveries_of_key(id.subscription, &row.key, 1)?.pop()
            }
            _ => None,
        };
        Ok((row, head, reader.event_at(id.position)?.map(|event| event.body.topic)))
    });
    let (row, head, topic) = match found.await {
        Ok(found) => found,
        Err(error) => return error,
    };
    let (subscription, sequence) = (id.subscription.0, id.position.0);
    let whose = known::named(node, known);
    match (error, row.map(|row| row.state)) {
        (RedeliverError::Behind, _) => {
            let head = head.map_or(0, |head| head.id.position.0);
            Error::conflict(
                format!("delivery {sequence} of {whose} waits for delivery {head}, the first of its key"),
                format!(
                    "try that one: POST /retrohook/deliveries/{subscription}/{head}/retry; or give it up: .../give-up"
                ),
            )
        }
        (RedeliverError::Dead, Some(DeliveryState::Dead { reason, died_at, .. })) => Error::conflict(
            format!("delivery {sequence} of {whose} is a dead letter since {died_at}: {reason}"),
            format!("POST /retrohook/dead-letters/{subscription}/{sequence}/redrive sends it again"),
        ),
        (RedeliverError::NotWaiting, _) if topic == Some(known.topic) => Error::conflict(
            format!(
                "delivery {sequence} of {whose} does not wait: it was delivered, or its first attempt is still to begin"
            ),
            "GET /retrohook/deliveries?subscription=NUMBER lists those that wait; GET /retrohook/events/{id} has the attempts",
        ),
        (RedeliverError::NotWaiting, _) => Error::missing(
            format!("{whose} has no delivery {sequence}"),
            "GET /retrohook/deliveries?subscription=NUMBER lists those that wait; delivered events are kept for a day",
        ),
        (error, _) => known::refused(node, known, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_garbage_does_not() {
        let place = Place(DeliveryId { subscription: SubscriptionId(3), position: Position(17) });
        assert_eq!(place.to_string(), "3-17");
        assert_eq!("3-17".parse(), Ok(place));
        for garbage in ["", "3", "3-", "-17", "x-17", "3-x", "3-17-1", "-3-17", "3--17"] {
            assert!(garbage.parse::<Place>().is_err(), "{garbage}");
        }
    }
}
