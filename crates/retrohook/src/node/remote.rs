//! Topics elsewhere that plug-ins publish to. What stands for them among ours, a topic and a subscription, is implied by the plug-ins: it is
//! derived anew with each configuration, and whoever made the plug-in, nobody else owns it.
//!
//! Those of a file's plug-ins are among the file's entities from the beginning. A plug-in that an API ends leaves what stands for its topic until
//! the next start or reload, so that what is owed is delivered; then it is as if a file had dropped it.

use control::{Edit, Whole};
use entities::{Entity, Origin, Plugin, Protocol, Set};
use event::Timestamp;

use super::compiler::Compiler;

/// What plug-ins imply and is not there, or is there with other credentials. Of plug-ins that disagree, a file's is heard, then the last one.
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

/// The same for a change by an API. One without a plug-in that publishes elsewhere costs nothing.
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
