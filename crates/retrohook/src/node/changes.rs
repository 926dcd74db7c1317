//! What a configuration changes of topics, queues and subscriptions, in lines: at a start and at a reload.

use std::collections::HashMap;

use control::{Adopted, Dangling, How, HubChange, HubEntity, Reference};
use delivery::endpoint::shown;
use entities::{Entity, Plugin};
use pipeline::ConfigProblem;
use storage::entities::{Entities, Subscription, SubscriptionId, SubscriptionState};

/// More changes of one reload are counted and not named.
const MOST_NAMED: usize = 20;

/// What a reload changed of topics, queues and subscriptions, a line each.
pub fn described(changes: &[HubChange]) -> Vec<String> {
    let line = |HubChange { what, how }: &HubChange| {
        let how = match how {
            How::Added => "is new",
            How::Removed => "is gone",
            How::Changed => "has other settings",
        };
        format!("{} {how}", name(what))
    };
    let mut lines: Vec<String> = changes.iter().take(MOST_NAMED).map(line).collect();
    match changes.len().saturating_sub(MOST_NAMED) {
        0 => {}
        more => lines.push(format!("and {more} changes more")),
    }
    lines
}

/// What an API made, and a file has taken over.
pub fn adopted(Adopted { kind, label, .. }: &Adopted) -> String {
    format!(
        "{kind} `{label}`, which an API made, is the file's from now on: it keeps what it is owed, and no API changes it any more"
    )
}

/// What an API made that lacks what it refers to, and what to do about it.
pub fn dangling(Dangling { kind, label, missing, reference }: &Dangling) -> (String, String) {
    let missing = match reference {
        Reference::Name(name) => format!("{missing} `{name}`"),
        Reference::Id(id) => format!("{missing} {id}"),
    };
    (
        format!("{missing} is not declared any more, and {kind} `{label}`, which an API made, needs it"),
        format!("leave it in the file, or delete the {kind} first, where it was made"),
    )
}

/// What an API made, and what its kind has against it now, if anything.
pub fn unservable(plugin: &Plugin, problems: &[ConfigProblem]) -> Option<String> {
    let problem = problems.first()?;
    let Plugin { name, id, .. } = plugin;
    Some(format!(
        "the plug-in `{name}` ({id}), which an API made, cannot be served: {}: its routes answer 503\n  hint: {}; change it or delete it through the API that made it",
        problem.message, problem.hint
    ))
}

/// What a file has dropped, and what stays because something that an API made refers to it.
pub fn kept(entity: &Entity) -> String {
    let (kind, label) = (entity.kind(), entity.label());
    format!(
        "{kind} `{label}` is not declared any more, and stays as if an API had made it, because what an API made needs it"
    )
}

/// An endpoint may carry a secret.
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

/// Subscriptions that are not what they were before.
pub fn say(before: &[Subscription], entities: &Entities) {
    let before: HashMap<SubscriptionId, &Subscription> =
        before.iter().map(|known| (known.id, known)).collect();
    who_moved(&before, entities);
    who_is_confirmed(&before, entities);
}

/// Subscriptions whose endpoint is another one than before.
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
            before = shown(&was.endpoint),
            endpoint = shown(&now.endpoint),
            "a subscription has another endpoint: {consequence}"
        );
    }
}

/// Pending subscriptions that the configuration has just confirmed.
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
            endpoint = shown(&now.endpoint),
            "a pending subscription is confirmed, because the configuration asks for no handshake any more"
        );
    }
}

/// Those to whom nothing is delivered, and what becomes of what they are owed.
pub fn warn_of_idle_subscriptions(entities: &Entities) {
    for removed in &entities.removed {
        tracing::warn!(
            subscription = removed.id.0,
            name = removed.name,
            protocol = removed.protocol.as_str(),
            endpoint = shown(&removed.endpoint),
            "a subscription is no longer in the configuration: what it is owed is dropped after a day"
        );
    }
    for pending in entities.subscriptions.iter().filter(|known| known.reconfirms) {
        tracing::warn!(
            subscription = pending.id.0,
            name = pending.name,
            endpoint = shown(&pending.endpoint),
            "a subscription waits for its new endpoint to confirm: all that it is owed is kept until then, however long that takes"
        );
    }
    for disabled in entities.subscriptions.iter().filter(|known| known.state.is_disabled()) {
        let topic = entities.topics.iter().find(|topic| topic.id == disabled.topic);
        tracing::warn!(
            subscription = disabled.id.0,
            name = disabled.name,
            topic = topic.map_or("", |topic| &topic.name),
            endpoint = shown(&disabled.endpoint),
            "a subscription is disabled: what it is owed goes after three days, unless it is enabled on the admin port"
        );
    }
}
