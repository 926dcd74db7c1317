//! `/retrohook/intents`: open intents, which are matching requests whose outcome is not known yet, the oldest first.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use event::{EventId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::Reader;
use storage::ports::OpenIntent;

use crate::page::MAX_TIME;
use crate::{Error, Node, page, read};

/// The most intents that are looked at for a page, settled ones included.
const MAX_LOOKED_AT: usize = 50_000;
/// How many intents one read of the store looks at.
const CHUNK: usize = 1_000;
/// The most bytes that the requests of a page have in all, unless the first alone has more.
const MAX_BYTES: usize = 8 << 20;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IntentsQuery")]
pub(crate) struct Page {
    limit: Option<usize>,
    after: Option<i64>,
}

/// A page of open intents.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Intents {
    intents: Vec<View>,
    /// What `after` is on the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
    /// Why the page has fewer intents than were asked for, and how to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// An open intent as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Intent")]
struct View {
    /// The id of the event that may come of it.
    #[schemars(with = "String")]
    event: EventId,
    topic: String,
    key: String,
    /// When it was handed to the store, by the wall clock.
    intent_at: String,
    /// How long ago that was.
    age_seconds: f64,
    /// What was asked.
    #[schemars(with = "Option<serde_json::Value>")]
    request: Option<Box<RawValue>>,
}

/// `GET /retrohook/intents`: the oldest first.
pub(crate) async fn list(
    State(node): State<Node>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Intents>, Error> {
    let page = page::parameters(page, "`limit` (1 to 500) and `after` (`next_after` of the page before)")?;
    let (limit, after) = (page::size(page.limit)?, page.after.unwrap_or(0));
    let found = read(&node, move |reader| Found::read(reader, after, limit)).await?;
    let clock = node.writer.clock();
    let now = clock.shown(clock.now());
    let hint = found.next.filter(|_| found.is_cut).map(|next| {
        format!("this page ends early, because its requests are large or many settled ones are between them: go on with after={next}")
    });
    let intents = found.intents.into_iter().map(|open| View::new(&node, open, now));
    Ok(Json(Intents { intents: intents.collect(), next_after: found.next, hint }))
}

/// What was read of a page.
#[derive(Default)]
struct Found {
    intents: Vec<OpenIntent>,
    next: Option<i64>,
    is_cut: bool,
}

impl Found {
    fn read(reader: &dyn Reader, mut after: i64, limit: usize) -> storage::Result<Self> {
        let (began, mut found, mut bytes) = (Instant::now(), Self::default(), 0);
        for _ in 0..MAX_LOOKED_AT / CHUNK {
            let chunk = reader.open_intents(after, CHUNK, MAX_BYTES)?;
            for open in chunk.intents {
                bytes += open.intent.request.len();
                let is_too_much = bytes > MAX_BYTES && !found.intents.is_empty();
                if found.intents.len() == limit || is_too_much {
                    (found.next, found.is_cut) = (Some(after), is_too_much);
                    return Ok(found);
                }
                after = open.seq;
                found.intents.push(open);
            }
            match chunk.next {
                None => return Ok(found),
                Some(next) => after = next,
            }
            if began.elapsed() > MAX_TIME {
                break;
            }
        }
        (found.next, found.is_cut) = (Some(after), true);
        Ok(found)
    }
}

impl View {
    fn new(node: &Node, open: OpenIntent, now: Timestamp) -> Self {
        let intent = open.intent;
        Self {
            event: intent.id,
            topic: node.declared().topic_name(intent.topic),
            key: intent.key.to_string(),
            intent_at: intent.noted_at.to_string(),
            age_seconds: now.since(intent.noted_at).as_secs_f64(),
            request: RawValue::from_string(intent.request.to_string()).ok(),
        }
    }
}
