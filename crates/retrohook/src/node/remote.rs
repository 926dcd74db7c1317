//! Topics elsewhere that plug-ins publish to. Each needs a local topic and a subscription, which the plug-ins imply: they are derived from each
//! configuration, and have the owner of the plug-in.
//!
//! Those of a file's plug-ins are among the file's entities from the beginning. When an API deletes a plug-in, they stay until the next start or
//! reload, so that what is owed is delivered; then they are treated as if a file had dropped them.

use control::{Edit, Whole};
use entities::{Entity, Origin, Plugin, Protocol, Set};
use event::Timestamp;

use super::compiler::Compiler;

/// What plug-ins imply and is missing, or has other credentials. If plug-ins disagree, a file's wins, otherwise the last one.
pub fn missing(compiler: &Compiler, whole: &Whole, now: Timestamp) -> Vec<Entity> {
    let all = whole.all();
    let mut implied: Vec<(entities::Topic, entities::Subscription, Origin)> = Vec::new();
    for plugin in &all.plugins {
        let Some(remote) = compiler.remote(plugin) else { continue };
        let (topic, subscription) = config::stand_in(&remote, Origin::File, now);
        match implied.iter_mut().find(|(_, known, _)| known.id == subscription.id) {
            Some((.., Origin::File)) => {}
            Some((_, known, Origin::Api)) => *known = subscription,
            None => implied.push((topic, subscription, plugin.origin)),
        }
    }
    let mut missing = Vec::new();
    for (topic, subscription, _) in implied {
        if !all.has_topic(&topic.name) {
            missing.push(Entity::Topic(topic.into()));
        }
        let is_it = |one: &&std::sync::Arc<entities::Subscription>| one.identity() == subscription.identity();
        if !all.subscriptions.iter().find(is_it).is_some_and(|there| there.is_as(&subscription)) {
            missing.push(Entity::Subscription(subscription.into()));
        }
    }
    missing
}

/// The same for a change by an API. It costs nothing if no plug-in publishes elsewhere.
pub fn implied_by(edit: &Edit, compiler: &Compiler, newer: &Whole, now: Timestamp) -> Vec<Entity> {
    let mut put = edit.put.iter().filter_map(<Plugin as entities::Item>::of);
    if put.any(|plugin| compiler.remote(plugin).is_some()) {
        missing(compiler, newer, now)
    } else {
        Vec::new()
    }
}

/// The topics elsewhere that are published to, as messages show them.
pub fn all(set: &Set) -> Vec<String> {
    let of_sns = set.subscriptions.iter().filter(|one| one.protocol == Protocol::Sns);
    of_sns.map(|one| delivery::endpoint::shown(&one.endpoint)).collect()
}
