//! `/retrohook/dead-letters`: lists deliveries that were given up, and redrives them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use delivery::endpoint::shown;
use delivery::worker::Redrive;
use event::{EventId, Position, Stamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use storage::delivery::{Death, Delivery, DeliveryId, DeliveryState};
use storage::entities::{Subscription, SubscriptionId};
use storage::{Reader, StoreError};

use crate::acts::{self, Act, Many};
use crate::page::MAX_TIME;
use crate::{Error, MAX_COUNTED, Node, known, page, read};

/// The most dead letters that are looked at for a page. If too few of them have the reason that was asked for, the page is shorter.
const MAX_LOOKED_AT: usize = 5_000;
/// How many dead letters one read of the store returns.
const CHUNK: usize = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeadLettersQuery")]
pub(crate) struct Filter {
    subscription: Option<i64>,
    reason: Option<String>,
    limit: Option<usize>,
    #[schemars(with = "Option<String>")]
    before: Option<Place>,
}

/// A page of dead letters.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeadLetters {
    dead_letters: Vec<View>,
    /// What `before` is on the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    next_before: Option<Place>,
    /// Why the page has fewer dead letters than were asked for, and how to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// A place among dead letters, by the store's clock: `<microseconds>-<subscription>-<sequence>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(Death);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Death { at, id } = self.0;
        write!(f, "{}-{}-{}", at.as_micros(), id.subscription.0, id.position.0)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-').map(str::parse::<u64>);
        let mut next =
            || parts.next().and_then(Result::ok).ok_or("`before` is `next_before` of another page");
        let at = Stamp::from_micros(next()?);
        let mut number = || next().map(u64::cast_signed);
        let (subscription, position) = (SubscriptionId(number()?), Position(number()?));
        Ok(Self(Death { at, id: DeliveryId { subscription, position } }))
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `GET /retrohook/dead-letters`: the last that died first.
pub(crate) async fn list(
    State(node): State<Node>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<DeadLetters>, Error> {
    let known = "`subscription` (a number), `reason` (a part of it), `limit` (1 to 500) and `before` (`next_before` of the page before)";
    let filter = page::parameters(filter, known)?;
    let limit = page::size(filter.limit)?;
    let found = read(&node, move |reader| Found::read(reader, &filter, limit)).await?;
    let letters = found.letters.into_iter().map(|(row, event)| {
        let subscription = found.subscriptions.iter().find(|known| known.id == row.id.subscription);
        View::new(&node, subscription, row, event)
    });
    let next_before = found.next.map(Place);
    let hint = next_before.filter(|_| found.is_cut).map(|next| {
        format!("this page ends early, because it looked at many dead letters with another reason, or for a second: go on with before={next}")
    });
    Ok(Json(DeadLetters { dead_letters: letters.collect(), next_before, hint }))
}

/// What was read of a page.
struct Found {
    letters: Vec<(Delivery, Option<EventId>)>,
    next: Option<Death>,
    /// Whether the page ended before its limit, with more to come.
    is_cut: bool,
    subscriptions: Vec<Subscription>,
}

impl Found {
    fn read(reader: &dyn Reader, filter: &Filter, limit: usize) -> storage::Result<Self> {
        let of = filter.subscription.map(SubscriptionId);
        let mut found =
            Self { letters: Vec::new(), next: None, is_cut: false, subscriptions: reader.subscriptions()? };
        let began = Instant::now();
        let mut before = filter.before.map(|place| place.0);
        for _ in 0..MAX_LOOKED_AT / CHUNK {
            let chunk = reader.dead_letters(of, before, CHUNK)?;
            let was_last = chunk.len() < CHUNK;
            for row in chunk {
                if found.letters.len() == limit {
                    found.next = before;
                    return Ok(found);
                }
                // Every page gets past at least one dead letter.
                if began.elapsed() > MAX_TIME && before != filter.before.map(|place| place.0) {
                    (found.next, found.is_cut) = (before, true);
                    return Ok(found);
                }
                before = row.death();
                if row.died_of(filter.reason.as_deref()) {
                    // The event may be damaged, which may be the reason of the dead letter.
                    let event = match reader.id_at(row.id.position) {
                        Err(StoreError::Damaged(_)) => None,
                        event => event?,
                    };
                    found.letters.push((row, event));
                }
            }
            if was_last {
                return Ok(found);
            }
        }
        (found.next, found.is_cut) = (before, true);
        Ok(found)
    }
}

/// `POST /retrohook/dead-letters/{subscription}/{sequence}/redrive`: one of them.
pub(crate) async fn redrive_one(
    State(node): State<Node>,
    numbers: Result<Path<(i64, i64)>, PathRejection>,
) -> Result<Json<Answer>, Error> {
    let (subscription, sequence) = page::numbers(numbers)?;
    let id = DeliveryId { subscription: SubscriptionId(subscription), position: Position(sequence) };
    let known = known::push(&node, id.subscription).await?;
    let row = read(&node, move |reader| reader.delivery(id)).await?;
    if row.is_none_or(|row| row.death().is_none()) {
        return Err(Error::missing(
            format!("{} has no dead letter with sequence {sequence}", known::named(&node, &known)),
            "GET /retrohook/dead-letters lists them with their links",
        ));
    }
    let redelivered = known::worker(&node, &known)?.redeliver(id.position).await;
    redelivered.map_err(|error| known::refused(&node, &known, error))?;
    acts::say(
        &node,
        &known,
        "had a dead letter sent again",
        Act { sequence: Some(sequence), ..Act::default() },
    );
    Ok(Json(Answer {
        subscription: SubscriptionId(subscription),
        redriven: 1,
        at_least: false,
        dry_run: false,
    }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RedriveQuery")]
pub(crate) struct WhichToRedrive {
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// What a redrive does, or would do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Redriven")]
pub(crate) struct Answer {
    #[schemars(with = "i64")]
    subscription: SubscriptionId,
    redriven: u64,
    /// It may be more: counting ended there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
    /// Nothing was changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// `POST /retrohook/dead-letters/{subscription}/redrive`: all of a subscription that are dead now, or those with this in their reason.
pub(crate) async fn redrive_all(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
    which: Result<Query<WhichToRedrive>, QueryRejection>,
) -> Result<Json<Answer>, Error> {
    let which = page::parameters(which, "`reason` (a part of it) and `dry_run` (true or false)")?;
    let id = SubscriptionId(page::numbers(number)?);
    let known = known::push(&node, id).await?;
    let worker = known::delivering(&node, &known)?;
    // A delivery that becomes a dead letter again meanwhile is not redriven a second time.
    let until = node.writer.clock().now();
    let reason: Option<Arc<str>> = which.reason.map(Into::into);
    if which.dry_run {
        let (redriven, at_least) = read(&node, move |reader| count(reader, id, until, reason)).await?;
        return Ok(Json(Answer { subscription: id, redriven, at_least, dry_run: true }));
    }
    let act = Act { reason: reason.as_deref().map(str::to_owned), ..Act::default() };
    let mut many = Many::new(&node, &known, "had dead letters sent again", act);
    let mut after = None;
    loop {
        let part = worker.redrive(Redrive { after, until, reason: reason.clone() }).await;
        let part = part.map_err(|error| known::refused(&node, &known, error))?;
        many.reached(part.count);
        if part.next.is_none() {
            break;
        }
        after = part.next;
    }
    Ok(Json(Answer { subscription: id, redriven: many.count(), at_least: false, dry_run: false }))
}

/// How many dead letters a redrive would send again, and whether there may be more.
fn count(
    reader: &dyn Reader,
    id: SubscriptionId,
    until: Stamp,
    reason: Option<Arc<str>>,
) -> storage::Result<(u64, bool)> {
    let (began, mut looked_at, mut found, mut after) = (Instant::now(), 0, 0, None);
    loop {
        let chunk = reader.dead_letters_until(id, after, until, CHUNK)?;
        looked_at += chunk.len() as u64;
        found += chunk.iter().filter(|row| row.died_of(reason.as_deref())).count() as u64;
        if chunk.len() < CHUNK {
            return Ok((found, false));
        }
        if looked_at >= MAX_COUNTED || began.elapsed() > MAX_TIME {
            return Ok((found, true));
        }
        after = chunk.last().and_then(Delivery::death);
    }
}

/// A dead letter as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLetter")]
struct View {
    #[schemars(with = "i64")]
    subscription: SubscriptionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    event: Option<EventId>,
    topic: String,
    endpoint: String,
    key: String,
    reason: String,
    attempts: u32,
    died_at: String,
    links: Links,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLetterLinks")]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    redrive: String,
}

impl View {
    fn new(node: &Node, subscription: Option<&Subscription>, row: Delivery, event: Option<EventId>) -> Self {
        let DeliveryId { subscription: id, position } = row.id;
        let (reason, died_at) = match row.state {
            DeliveryState::Dead { reason, died_at, .. } => (reason, died_at.to_string()),
            DeliveryState::Retry { .. } | DeliveryState::Behind => Default::default(),
        };
        Self {
            subscription: id,
            name: subscription.and_then(|known| known.name.clone()),
            sequence: position.0,
            event,
            topic: subscription.map_or_else(String::new, |known| node.declared().topic_name(known.topic)),
            endpoint: subscription.map_or_else(String::new, |known| shown(&known.endpoint)),
            key: row.key,
            reason,
            attempts: row.attempts,
            died_at,
            links: Links {
                event: event.map(|event| format!("/retrohook/events/{event}")),
                redrive: format!("/retrohook/dead-letters/{}/{}/redrive", id.0, position.0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_garbage_does_not() {
        let id = DeliveryId { subscription: SubscriptionId(3), position: Position(17) };
        let place = Place(Death { at: Stamp::from_micros(1_764_147_209_000_001), id });
        assert_eq!(place.to_string(), "1764147209000001-3-17");
        assert_eq!(place.to_string().parse(), Ok(place));
        for garbage in ["", "1", "1-2", "1-2-x", "-1-2-3", "1-2-3-4"] {
            assert!(garbage.parse::<Place>().is_err(), "{garbage}");
        }
    }
}
