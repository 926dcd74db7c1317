//! Puts the checked entities together: each gets its id, and the ids of the entities that it refers to.

use std::sync::Arc;

use entities::{Plugin, Set, ids};
use uuid::Uuid;

use super::{Checked, plugin};
use crate::loaded::Places;

/// Makes the set. Also returns the id that each declared plug-in has in it. Because there was no problem, nothing is missing in the set, except
/// entities that need a variable which is not set.
pub(super) fn assemble(checked: Checked) -> (Set, Places, Vec<Option<Uuid>>) {
    let Checked { services, routes, consumers, upstreams, plugins, ca_certificates, hub } = checked;
    let service_ids: Vec<_> =
        services.iter().map(|service| service.as_ref().map(|service| service.id)).collect();
    let route_ids: Vec<_> = routes.iter().map(|route| route.as_ref().map(|route| route.id)).collect();
    let consumer_ids: Vec<_> =
        consumers.consumers.iter().map(|consumer| consumer.as_ref().map(|consumer| consumer.id)).collect();
    let plugin = |plugin::Checked { scope, plugin }: plugin::Checked| {
        let service = known(scope.service, &service_ids)?;
        let route = known(scope.route, &route_ids)?;
        let consumer = known(scope.consumer, &consumer_ids)?;
        let id = if plugin.id.is_nil() {
            ids::of_plugin(&plugin.name, service, route, consumer)
        } else {
            plugin.id
        };
        Some(Arc::new(Plugin { id, service, route, consumer, ..plugin }))
    };
    let plugins: Vec<_> = plugins.into_iter().map(|checked| checked.and_then(plugin)).collect();
    let plugin_ids = plugins.iter().map(|plugin| plugin.as_ref().map(|plugin| plugin.id)).collect();
    let subscriptions = hub.subscriptions.into_iter().flatten();
    let (subscriptions, places): (Vec<_>, Vec<_>) =
        subscriptions.map(|(subscription, place)| (Arc::new(subscription), place)).unzip();
    let places = subscriptions.iter().map(|one| one.id).zip(places).collect();
    let set = Set {
        services: services.into_iter().flatten().map(Arc::new).collect(),
        routes: routes.into_iter().flatten().map(Arc::new).collect(),
        consumers: consumers.consumers.into_iter().flatten().map(Arc::new).collect(),
        keyauth_credentials: consumers.keys.into_iter().flatten().map(Arc::new).collect(),
        acls: consumers.acls.into_iter().flatten().map(Arc::new).collect(),
        consumer_groups: upstreams.consumer_groups.into_iter().flatten().map(Arc::new).collect(),
        upstreams: upstreams.upstreams.into_iter().flatten().map(Arc::new).collect(),
        targets: upstreams.targets.into_iter().flatten().map(Arc::new).collect(),
        plugins: plugins.into_iter().flatten().collect(),
        ca_certificates: ca_certificates.into_all(),
        topics: hub.topics.into_iter().map(Arc::new).collect(),
        queues: hub.queues.into_iter().map(Arc::new).collect(),
        subscriptions,
    };
    (set, places, plugin_ids)
}

/// The id of the entity that a plug-in is for, if it is for one. The outer `None` means that this entity is missing: without it the plug-in
/// would be for all requests.
fn known(index: Option<usize>, ids: &[Option<Uuid>]) -> Option<Option<Uuid>> {
    index.map_or(Some(None), |index| ids[index].map(Some))
}
