//! The lines about what a configuration changes in topics, queues and subscriptions, at a start and at a reload.

use std::collections::HashMap;

use control::{Adopted, Dangling, Edit, HubChange, HubEntity, Reference, Whole};
use delivery::endpoint::shown;
use entities::{Entity, Kind, Plugin};
use pipeline::ConfigProblem;
use storage::entities::{Entities, Subscription, SubscriptionId, SubscriptionState};

mod owed;

pub use owed::{Before, Owed};

/// The most changes of one reload that are named; the rest is only counted.
const MOST_NAMED: usize = 20;

/// What a reload changed in topics, queues and subscriptions, a line for each change.
pub fn described(changes: &[HubChange], owed: &Owed<'_>) -> Vec<String> {
    let changes = owed.without_former_names(changes);
    let line = |change: &&HubChange| format!("{} {}", name(&change.what), owed.said(change));
    let mut lines: Vec<String> = changes.iter().take(MOST_NAMED).map(line).collect();
    match changes.len().saturating_sub(MOST_NAMED) {
        0 => {}
        more => lines.push(format!("and {more} changes more")),
    }
    lines
}

/// The line about an entity that an API made and a file has adopted.
pub fn adopted(Adopted { kind, label, .. }: &Adopted) -> String {
    format!(
        "{kind} `{label}`, which an API made, belongs to the file from now on: it keeps what it is owed, and no API can change it any more"
    )
}

/// Message and hint about an entity that an API made and whose reference leads nowhere now.
pub fn dangling(Dangling { kind, label, missing, reference }: &Dangling) -> (String, String) {
    let missing = match reference {
        Reference::Name(name) => format!("{missing} `{name}`"),
        Reference::Id(id) => format!("{missing} {id}"),
    };
    if *kind == Kind::Queue {
        return (
            format!(
                "{missing} does not exist any more, and {kind} `{label}`, which an API made, has it as its dead-letter queue"
            ),
            "leave it in the file, make it again, or set another RedrivePolicy (SetQueueAttributes)"
                .to_owned(),
        );
    }
    (
        format!("{missing} is not declared any more, and {kind} `{label}`, which an API made, needs it"),
        format!("leave it in the file, or delete the {kind} first, where it was made"),
    )
}

/// The line about a plug-in that an API made and whose kind now refuses it.
pub fn unservable(plugin: &Plugin, problems: &[ConfigProblem]) -> Option<String> {
    let problem = problems.first()?;
    let Plugin { name, id, .. } = plugin;
    Some(format!(
        "the plug-in `{name}` ({id}), which an API made, cannot be served: {}: its routes answer 503\n  hint: {}; change it or delete it through the API that made it",
        problem.message, problem.hint
    ))
}

/// The line about an entity that a file has dropped and that stays because something that an API made refers to it.
pub fn kept(entity: &Entity) -> String {
    let (kind, label) = (entity.kind(), entity.label());
    format!(
        "{kind} `{label}` is not declared any more, and stays as if an API had made it, because what an API made needs it"
    )
}

/// What an API has changed, a log line each; `before` is what was served until then. What it ended of topics, subscriptions and queues the hub says,
/// with what was dropped.
pub fn say_edit(api: &str, edit: &Edit, before: &Whole) {
    let put = edit.put.iter().map(|one| {
        let how = if before.label(one.kind(), one.id()).is_some() { "changed" } else { "made" };
        (one.kind(), one.label(), how)
    });
    let again = edit
        .again
        .iter()
        .filter_map(|id| Some((Kind::Subscription, before.label(Kind::Subscription, *id)?, "declared anew")));
    let of_hub = |kind: Kind| matches!(kind, Kind::Topic | Kind::Subscription | Kind::Queue);
    let ended = edit.end.iter().filter(|(kind, _)| !of_hub(*kind));
    let ended = ended.filter_map(|(kind, id)| Some((*kind, before.label(*kind, *id)?, "deleted")));
    let mut all = put.chain(again).chain(ended);
    for (kind, label, how) in all.by_ref().take(MOST_NAMED) {
        tracing::info!(by = api, "{kind} `{label}` was {how}");
    }
    match all.count() {
        0 => {}
        more => tracing::info!(by = api, "{more} entities more were changed by the same request"),
    }
}

/// Its name without secrets: an endpoint may contain one.
fn name(what: &HubEntity) -> String {
    match what {
        HubEntity::Topic(name) => format!("topic `{name}`"),
        HubEntity::Queue(name) => format!("queue `{name}`"),
        HubEntity::Subscription { topic, name, protocol, endpoint } => {
            let name = name.as_ref().map(|name| format!("`{name}` ")).unwrap_or_default();
            format!("subscription {name}of `{topic}` to {} {}", protocol.as_str(), shown(endpoint))
        }
    }
}

/// Writes log lines about subscriptions that have changed.
pub fn say(before: &[Subscription], entities: &Entities) {
    let before: HashMap<SubscriptionId, &Subscription> =
        before.iter().map(|known| (known.id, known)).collect();
    who_moved(&before, entities);
    who_is_confirmed(&before, entities);
}

fn topic_of<'e>(subscription: &Subscription, entities: &'e Entities) -> &'e str {
    let topic = entities.topics.iter().find(|topic| topic.id == subscription.topic);
    topic.map_or("", |topic| &topic.name)
}

/// Those whose endpoint has changed.
fn who_moved(before: &HashMap<SubscriptionId, &Subscription>, entities: &Entities) {
    for now in &entities.subscriptions {
        let was = before.get(&now.id);
        let Some(was) = was.filter(|was| was.endpoint != now.endpoint) else { continue };
        let consequence = match now.state {
            SubscriptionState::Pending { .. } => "its new endpoint has to confirm",
            SubscriptionState::Confirmed if now.protocol.is_pull() => {
                "events go there from now on; messages of the queue before stay in it"
            }
            SubscriptionState::Confirmed => "what it is owed goes there",
            SubscriptionState::Disabled { .. } => "it stays disabled",
        };
        tracing::info!(
            subscription = now.id.0,
            name = now.name,
            topic = topic_of(now, entities),
            before = shown(&was.endpoint),
            endpoint = shown(&now.endpoint),
            "a subscription has another endpoint: {consequence}"
        );
    }
}

/// Pending ones that the configuration has just confirmed.
fn who_is_confirmed(before: &HashMap<SubscriptionId, &Subscription>, entities: &Entities) {
    let was_pending = |id| {
        let known = before.get(&id);
        known.is_some_and(|known| matches!(known.state, SubscriptionState::Pending { .. }))
    };
    let confirmed = entities.subscriptions.iter().filter(|now| now.state == SubscriptionState::Confirmed);
    for now in confirmed.filter(|now| was_pending(now.id)) {
        tracing::info!(
            subscription = now.id.0,
            name = now.name,
            topic = topic_of(now, entities),
            endpoint = shown(&now.endpoint),
            "a pending subscription is confirmed, because the configuration asks for no handshake any more"
        );
    }
}

/// Warns about subscriptions that were pending before and are still: what they are owed, and when it is dropped.
fn warn_of_pending(owed: &Owed<'_>) {
    let was_pending = |now: &&Subscription| {
        let before = owed.before.subscriptions.iter().find(|before| before.id == now.id);
        before.is_some_and(|before| before.state == now.state)
    };
    let is_pending =
        |now: &&Subscription| matches!(now.state, SubscriptionState::Pending { .. }) && !now.reconfirms;
    let mut pending = owed.entities.subscriptions.iter().filter(is_pending).filter(was_pending);
    for one in pending.by_ref().take(MOST_NAMED) {
        let id = one.id.0;
        tracing::warn!(
            subscription = id,
            name = one.name,
            topic = owed.topic(one),
            endpoint = shown(&one.endpoint),
            "a subscription is pending, because its endpoint has not confirmed: {}; POST /retrohook/subscriptions/{id}/confirm on the admin \
             port confirms it, .../resend-confirmation asks its endpoint again",
            owed.lapses_of(one)
        );
    }
    match pending.count() {
        0 => {}
        more => tracing::warn!(
            "{more} subscriptions more are pending: GET /retrohook/subscriptions?state=pending lists them"
        ),
    }
}

/// Warns about subscriptions that get no deliveries, and says what happens with what they are owed.
pub fn warn_of_idle_subscriptions(owed: &Owed<'_>) {
    let entities = owed.entities;
    for removed in entities.removed.iter().take(MOST_NAMED) {
        let topic = owed.before.topics.iter().find(|topic| topic.id == removed.topic);
        tracing::warn!(
            subscription = removed.id.0,
            name = removed.name,
            topic = topic.map_or("", |topic| &topic.name),
            protocol = removed.protocol.as_str(),
            endpoint = shown(&removed.endpoint),
            "a subscription is no longer in the configuration: {}",
            owed.left_of(removed)
        );
    }
    let more = entities.removed.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        tracing::warn!(
            "{more} subscriptions more are no longer in the configuration: what they are owed is dropped after a day; \
             GET /retrohook/subscriptions?state=removed lists them"
        );
    }
    warn_of_pending(owed);
    for pending in entities.subscriptions.iter().filter(|known| known.reconfirms) {
        tracing::warn!(
            subscription = pending.id.0,
            name = pending.name,
            topic = owed.topic(pending),
            endpoint = shown(&pending.endpoint),
            "a subscription waits until its new endpoint confirms: everything that it is owed is kept until then, however long that takes"
        );
    }
    for disabled in entities.subscriptions.iter().filter(|known| known.state.is_disabled()) {
        tracing::warn!(
            subscription = disabled.id.0,
            name = disabled.name,
            topic = owed.topic(disabled),
            endpoint = shown(&disabled.endpoint),
            because = disabled.disabled_because,
            "a subscription is disabled: what it is owed is dropped after three days, unless it is enabled on the admin port"
        );
    }
}
