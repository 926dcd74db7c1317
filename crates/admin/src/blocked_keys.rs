//! `/retrohook/subscriptions/{id}/blocked-keys`: keys of a FIFO subscription whose deliveries wait, each with the delivery at its head.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use event::EventId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::Reader;
use storage::delivery::{Attempt, DeliveryId, DeliveryState};
use storage::entities::SubscriptionId;
use storage::ports::BlockedKey;

use crate::page::MAX_TIME;
use crate::{Error, Node, page, read};

/// Deliveries behind a head are counted so far and no further.
const MAX_BEHIND: u64 = 1_000;
/// Keys that are read at once.
const CHUNK: usize = 25;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BlockedKeysQuery")]
pub(crate) struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

/// A page of keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BlockedKeys")]
pub(crate) struct Keys {
    keys: Vec<View>,
    /// What `after` is on the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<String>,
    /// Why there are no keys, or fewer than were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// A key of which deliveries wait.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BlockedKey")]
struct View {
    key: String,
    /// How many wait after the one at the head.
    behind: u64,
    /// There are as many or more: counting ended there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
    head: Head,
}

/// The delivery at the head of a key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BlockedKeyHead")]
struct Head {
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    event: Option<EventId>,
    /// Why its last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// What the endpoint answered to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
}

/// `GET /retrohook/subscriptions/{id}/blocked-keys`: by the bytes of the keys.
pub(crate) async fn list(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Keys>, Error> {
    let id = SubscriptionId(page::numbers(number)?);
    let page = page::parameters(page, "`limit` (1 to 500) and `after` (`next_after` of the page before)")?;
    let limit = page::size(page.limit)?;
    let Some(found) = read(&node, move |reader| Found::read(reader, id, page.after, limit)).await? else {
        let hint = "GET /retrohook/subscriptions lists them";
        return Err(Error::missing(format!("there is no subscription {}", id.0), hint));
    };
    if node.declared().form(id).is_some_and(|form| !form.fifo) {
        let hint = format!(
            "subscription {0} keeps no order, so that no delivery waits for another: GET /retrohook/deliveries?subscription={0} lists those that \
             wait",
            id.0
        );
        return Ok(Json(Keys { keys: Vec::new(), next_after: None, hint: Some(hint) }));
    }
    let hint = found.is_cut.then(|| {
        format!("this page ends early, because it took {} s: go on with its next_after", MAX_TIME.as_secs())
    });
    let keys = found.keys.into_iter().map(|key| View::new(&node, key)).collect();
    Ok(Json(Keys { keys, next_after: found.next, hint }))
}

/// A key with what else is shown of its head.
type Key = (BlockedKey, Option<EventId>, Option<Attempt>);

/// What was read of a page.
#[derive(Default)]
struct Found {
    keys: Vec<Key>,
    next: Option<String>,
    is_cut: bool,
}

impl Found {
    /// `None` if there is no such subscription.
    fn read(
        reader: &dyn Reader,
        id: SubscriptionId,
        mut after: Option<String>,
        limit: usize,
    ) -> storage::Result<Option<Self>> {
        let began = Instant::now();
        if !reader.subscriptions()?.iter().any(|known| known.id == id) {
            return Ok(None);
        }
        let mut found = Self::default();
        loop {
            let chunk = reader.blocked_keys(id, after.as_deref(), CHUNK, MAX_BEHIND)?;
            let was_last = chunk.len() < CHUNK;
            for key in chunk {
                if found.keys.len() == limit {
                    found.next = after;
                    return Ok(Some(found));
                }
                let DeliveryId { position, .. } = key.head.id;
                let (event, last) = (reader.id_at(position)?, reader.last_attempt(key.head.id)?);
                after = Some(key.head.key.clone());
                found.keys.push((key, event, last));
            }
            if was_last {
                return Ok(Some(found));
            }
            if began.elapsed() > MAX_TIME {
                (found.next, found.is_cut) = (after, true);
                return Ok(Some(found));
            }
        }
    }
}

impl View {
    fn new(node: &Node, (BlockedKey { head, behind }, event, last): Key) -> Self {
        let next = match head.state {
            DeliveryState::Retry { at } => Some(node.writer.clock().shown(at).to_string()),
            DeliveryState::Behind | DeliveryState::Dead { .. } => None,
        };
        let last_attempt_at = last.as_ref().map(|last| last.at.to_string());
        Self {
            key: head.key,
            behind,
            at_least: behind == MAX_BEHIND,
            head: Head {
                sequence: head.id.position.0,
                event,
                status: last.as_ref().and_then(|last| last.status),
                cause: last.and_then(|last| last.error),
                attempts: head.attempts,
                last_attempt_at,
                next_attempt_at: next,
            },
        }
    }
}
