//! `/retrohook/subscriptions`: subscriptions with what they are owed and how far they have come; confirming, disabling and enabling them.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use delivery::endpoint::shown;
use delivery::worker::{AskError, Handle, LastAttempt, RedeliverError};
use event::Stamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::Reader;
use storage::entities::{Subscription, SubscriptionId, SubscriptionState};
use storage::ports::Lag;
use storage::queue::QueueDepth;

use crate::acts::{self, Act};
use crate::paths::Done;
use crate::{Error, MAX_COUNTED, Node, known, page, read};

/// What the configuration says of a subscription and the store does not keep.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Form {
    /// As in the configuration: `sns`, `standard-webhooks`.
    pub format: &'static str,
    /// The message without SNS's envelope.
    pub raw_message_delivery: bool,
    /// The `Content-Type` of its notifications, if it is not SNS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whether the order within a key is kept.
    pub fifo: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubscriptionsQuery")]
pub(crate) struct Filter {
    state: Option<StateName>,
    topic: Option<String>,
    limit: Option<usize>,
    after: Option<i64>,
}

/// The states that may be asked for.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SubscriptionStateName")]
enum StateName {
    Pending,
    Confirmed,
    Disabled,
    Removed,
}

impl StateName {
    fn of(subscription: &Subscription) -> Self {
        match subscription.state {
            _ if subscription.removed_at.is_some() => Self::Removed,
            SubscriptionState::Pending { .. } => Self::Pending,
            SubscriptionState::Confirmed => Self::Confirmed,
            SubscriptionState::Disabled { .. } => Self::Disabled,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }
}

/// A page of subscriptions.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Subscriptions {
    subscriptions: Vec<View>,
    /// What `after` is on the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    next_after: Option<SubscriptionId>,
}

/// `GET /retrohook/subscriptions`: by number.
pub(crate) async fn list(
    State(node): State<Node>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Subscriptions>, Error> {
    let known =
        "`state` (pending, confirmed, disabled, removed), `topic`, `limit` (1 to 500) and `after` (a number)";
    let filter = page::parameters(filter, known)?;
    let limit = page::size(filter.limit)?;
    let declared = node.declared();
    let wanted = move |known: &Subscription| {
        let topic = |name: &String| declared.topic_name(known.topic) == *name;
        filter.after.is_none_or(|after| known.id.0 > after)
            && filter.state.is_none_or(|state| StateName::of(known) == state)
            && filter.topic.as_ref().is_none_or(topic)
    };
    let seer = node.clone();
    let found = read(&node, move |reader| {
        let mut found = reader.subscriptions()?;
        found.retain(wanted);
        let more = found.len() > limit;
        found.truncate(limit);
        let seen = found.into_iter().map(|known| Seen::of(&seer, reader, known));
        Ok((seen.collect::<storage::Result<Vec<_>>>()?, more))
    });
    let (seen, more) = found.await?;
    let next_after = seen.last().filter(|_| more).map(|seen| seen.subscription.id);
    let subscriptions = seen.into_iter().map(|seen| View::new(&node, seen)).collect();
    Ok(Json(Subscriptions { subscriptions, next_after }))
}

/// `GET /retrohook/subscriptions/{id}`.
pub(crate) async fn one(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
) -> Result<Json<View>, Error> {
    let (id, seer) = (SubscriptionId(page::numbers(number)?), node.clone());
    let seen = read(&node, move |reader| {
        let found = reader.subscriptions()?.into_iter().find(|known| known.id == id);
        found.map(|known| Seen::of(&seer, reader, known)).transpose()
    });
    let seen = seen.await?.ok_or_else(|| known::missing(id))?;
    let mut view = View::new(&node, seen);
    // The link is shown only here, and not in lists: it has a token, and more people see lists.
    view.subscribe_url = node.hub.subscribe_url(id);
    Ok(Json(view))
}

/// `POST /retrohook/subscriptions/{id}/confirm`: confirms a pending subscription in place of its endpoint.
pub(crate) async fn confirm(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
) -> Result<Json<Done>, Error> {
    let id = SubscriptionId(page::numbers(number)?);
    let known = known::declared(&node, id).await?;
    let changed_meanwhile = || {
        let whose = known::named(&node, &known);
        Error::conflict(
            format!("{whose} has just changed"),
            "look at it, and ask again if it is still pending",
        )
    };
    match state_of(&node, id) {
        Some(SubscriptionState::Confirmed) => {}
        Some(SubscriptionState::Pending { token }) => match node.hub.confirm(&token).await? {
            hub::subscription::Confirmation::Confirmed(_) => {
                let what = "confirmed a subscription in the place of its endpoint: deliveries begin";
                acts::say(&node, &known, what, Act::default());
            }
            _ => return Err(changed_meanwhile()),
        },
        Some(SubscriptionState::Disabled { .. }) => {
            let whose = known::named(&node, &known);
            let hint = format!("POST /retrohook/subscriptions/{}/enable enables it again", id.0);
            return Err(Error::conflict(format!("{whose} is disabled, and not pending"), hint));
        }
        None => return Err(changed_meanwhile()),
    }
    Ok(Json(Done { subscription: id.0, state: "confirmed", ..Done::default() }))
}

/// `POST /retrohook/subscriptions/{id}/resend-confirmation`: asks the endpoint of a pending subscription once more to confirm.
pub(crate) async fn resend_confirmation(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
) -> Result<Json<Done>, Error> {
    let id = SubscriptionId(page::numbers(number)?);
    let known = known::push(&node, id).await?;
    let whose = || known::named(&node, &known);
    let asked = known::worker(&node, &known)?.ask_to_confirm().await;
    match asked {
        Ok(()) => {
            let what = "had the endpoint of a pending subscription asked once more to confirm";
            acts::say(&node, &known, what, Act::default());
            let answer = format!(
                "its endpoint is being asked: `last_attempt` of /retrohook/subscriptions/{} has what it answers",
                id.0
            );
            Ok(Json(Done { subscription: id.0, state: "pending", hint: Some(answer), ..Done::default() }))
        }
        Err(AskError::NotPending) => {
            let state = state_of(&node, id).map_or("just being changed", |state| state.as_str());
            let message = format!("{} is {state}: only a pending subscription is asked to confirm", whose());
            Err(Error::conflict(message, "GET /retrohook/subscriptions?state=pending lists those that are"))
        }
        Err(error @ AskError::ByHand) => {
            let hint = format!("POST /retrohook/subscriptions/{}/confirm confirms it", id.0);
            Err(Error::conflict(format!("{}: {error}", whose()), hint))
        }
        Err(AskError::NotServed) => Err(known::refused(&node, &known, RedeliverError::NotDelivering)),
    }
}

/// The state of a subscription now; `None` if the hub does not know it, because it is just being declared or deleted.
fn state_of(node: &Node, id: SubscriptionId) -> Option<SubscriptionState> {
    node.hub.watch_subscription(id).map(|state| state.borrow().clone())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DisableQuery")]
pub(crate) struct Why {
    reason: Option<String>,
}

/// `POST /retrohook/subscriptions/{id}/disable`: nothing is delivered to it until somebody enables it again.
pub(crate) async fn disable(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Json<Done>, Error> {
    let reason = page::words(page::parameters(why, "`reason` (a text)")?.reason, "disabling a subscription")?;
    let id = SubscriptionId(page::numbers(number)?);
    let known = known::declared(&node, id).await?;
    if let Some(SubscriptionState::Disabled { token }) = state_of(&node, id) {
        let by = if token.is_some() { ", because its endpoint unsubscribed" } else { "" };
        let message = format!("{} is disabled already{by}", known::named(&node, &known));
        return Err(Error::conflict(
            message,
            format!("it stays so; POST /retrohook/subscriptions/{}/enable enables it", id.0),
        ));
    }
    let subscription = node.hub.disable(id, reason.clone()).await?.ok_or_else(|| known::missing(id))?;
    let name = known.name.as_ref();
    tracing::warn!(
        subscription = id.0,
        name,
        topic = node.declared().topic_name(known.topic),
        endpoint = shown(&known.endpoint),
        reason,
        "an operator disabled a subscription: nothing is delivered to it, and what it is owed is dropped after three days, unless it is \
         enabled before"
    );
    Ok(Json(Done { subscription: id.0, state: subscription.state.as_str(), ..Done::default() }))
}

/// `POST /retrohook/subscriptions/{id}/enable`: confirms a pending or disabled subscription, which then gets what it is still owed.
pub(crate) async fn enable(
    State(node): State<Node>,
    number: Result<Path<i64>, PathRejection>,
) -> Result<Json<Done>, Error> {
    let id = SubscriptionId(page::numbers(number)?);
    let known = known::declared(&node, id).await?;
    let before = state_of(&node, id);
    let subscription = node.hub.enable(id).await?.ok_or_else(|| known::missing(id))?;
    if before.is_some_and(|before| before != subscription.state) {
        let what = "enabled a subscription: it gets what it is still owed";
        acts::say(&node, &known, what, Act::default());
    }
    Ok(Json(Done { subscription: id.0, state: subscription.state.as_str(), ..Done::default() }))
}

/// A subscription with the numbers that are read from the store.
struct Seen {
    subscription: Subscription,
    lag: Lag,
    depth: Option<QueueDepth>,
}

impl Seen {
    fn of(node: &Node, reader: &dyn Reader, subscription: Subscription) -> storage::Result<Self> {
        let declared = node.declared();
        let queue = declared
            .queues
            .iter()
            .find(|queue| subscription.protocol.is_pull() && queue.name == subscription.endpoint);
        let depth = queue.map(|queue| reader.queue_depth(queue.id, node.writer.clock().now())).transpose()?;
        Ok(Self { lag: reader.lag(subscription.id, MAX_COUNTED)?, depth, subscription })
    }
}

/// A subscription as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Subscription")]
pub(crate) struct View {
    #[schemars(with = "i64")]
    subscription: SubscriptionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    topic: String,
    protocol: &'static str,
    endpoint: String,
    #[serde(flatten)]
    form: Option<Form>,
    state: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_at: Option<String>,
    /// Why an operator disabled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_because: Option<String>,
    /// The link by which the endpoint of a pending one confirms; only where one subscription is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe_url: Option<String>,
    #[serde(flatten)]
    progress: Progress,
    links: Links,
}

/// How far it got: a webhook by its cursor, a queue by its messages.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Progress {
    Push(Box<Push>),
    Queue { messages: Messages },
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PushProgress")]
struct Push {
    cursor: CursorView,
    /// Events after the cursor.
    unread: u64,
    /// Deliveries that wait for their next attempt.
    retrying: u64,
    /// Deliveries that wait for an earlier one of their key.
    behind: u64,
    dead_letters: u64,
    oldest_pending_seconds: f64,
    /// What its worker does.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<WorkerView>,
    /// Since this process started.
    last_attempt: Option<AttemptView>,
}

/// The worker of a subscription of the configuration.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
struct WorkerView {
    /// `running`, `restarting`, `waiting_for_store`, …
    state: &'static str,
    /// What keeps it from its work.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    /// Since this process started.
    restarts: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Cursor")]
struct CursorView {
    dispatched_to: i64,
    done_to: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QueueMessages")]
struct Messages {
    visible: u64,
    in_flight: u64,
    delayed: u64,
    oldest_pending_seconds: f64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LastAttempt")]
struct AttemptView {
    at: String,
    /// The event's; none for a request to confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SubscriptionLinks")]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resend_confirmation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable: Option<String>,
}

impl View {
    fn new(node: &Node, seen: Seen) -> Self {
        let Seen { subscription: known, lag, depth } = seen;
        let age = |oldest: Option<Stamp>| {
            oldest.map_or(0.0, |oldest| node.writer.clock().now().since(oldest).as_secs_f64())
        };
        let progress = if known.protocol.is_pull() {
            let QueueDepth { visible, in_flight, delayed, oldest } = depth.unwrap_or_default();
            let oldest_pending_seconds = age(oldest);
            Progress::Queue { messages: Messages { visible, in_flight, delayed, oldest_pending_seconds } }
        } else {
            let worker = node.deliveries.handle(known.id);
            Progress::Push(Box::new(Push {
                cursor: CursorView {
                    dispatched_to: known.cursor.dispatched_to.0,
                    done_to: known.cursor.done_to.0,
                },
                unread: lag.unread,
                retrying: lag.waiting - lag.behind,
                behind: lag.behind,
                dead_letters: lag.dead,
                oldest_pending_seconds: age(lag.oldest),
                worker: worker.as_ref().map(WorkerView::new),
                last_attempt: worker.and_then(|worker| worker.last_attempt()).map(AttemptView::new),
            }))
        };
        let (number, state, declared) = (known.id.0, StateName::of(&known), node.declared());
        let link = |what: &str| format!("/retrohook/subscriptions/{number}/{what}");
        Self {
            subscription: known.id,
            name: known.name,
            topic: declared.topic_name(known.topic),
            protocol: known.protocol.as_str(),
            endpoint: shown(&known.endpoint),
            form: declared.form(known.id).cloned(),
            state: state.as_str(),
            created_at: known.created_at.to_string(),
            removed_at: known.removed_at.map(|at| at.to_string()),
            disabled_because: known.disabled_because,
            subscribe_url: None,
            progress,
            links: Links {
                dead_letters: (lag.dead > 0)
                    .then(|| format!("/retrohook/dead-letters?subscription={number}")),
                deliveries: (lag.waiting > 0).then(|| format!("/retrohook/deliveries?subscription={number}")),
                retry: (lag.waiting > 0 && state == StateName::Confirmed).then(|| link("retry")),
                confirm: (state == StateName::Pending).then(|| link("confirm")),
                resend_confirmation: (state == StateName::Pending).then(|| link("resend-confirmation")),
                enable: matches!(state, StateName::Disabled | StateName::Pending).then(|| link("enable")),
                disable: matches!(state, StateName::Confirmed | StateName::Pending).then(|| link("disable")),
            },
        }
    }
}

impl WorkerView {
    fn new(worker: &Handle) -> Self {
        let trouble = worker.trouble().map(|trouble| trouble.to_string());
        Self { state: worker.state().as_str(), trouble, restarts: worker.counts().restarts }
    }
}

impl AttemptView {
    fn new(last: LastAttempt) -> Self {
        Self {
            at: last.at.to_string(),
            sequence: last.position.map(|position| position.0),
            number: last.number,
            status: last.status,
            error: last.error,
        }
    }
}
