//! Puts the checked entities together: each gets its id, and what it refers to by id.

use std::sync::Arc;

use entities::{Plugin, Set, ids};

use super::{Checked, plugin};
use crate::loaded::Places;

/// Makes the set. Nothing is missing: there was no problem.
pub(super) fn assemble(checked: Checked) -> (Set, Places) {
    let Checked { services, routes, consumers, plugins, ca_certificates, hub } = checked;
    let service_ids: Vec<_> =
        services.iter().map(|service| service.as_ref().map(|service| service.id)).collect();
    let route_ids: Vec<_> = routes.iter().map(|route| route.as_ref().map(|route| route.id)).collect();
    let consumer_ids: Vec<_> =
        consumers.consumers.iter().map(|consumer| consumer.as_ref().map(|consumer| consumer.id)).collect();
    let plugin = |plugin::Checked { scope, plugin }: plugin::Checked| {
        let service = scope.service.and_then(|index| service_ids[index]);
        let route = scope.route.and_then(|index| route_ids[index]);
        let consumer = scope.consumer.and_then(|index| consumer_ids[index]);
        let id = if plugin.id.is_nil() {
            ids::of_plugin(&plugin.name, service, route, consumer)
        } else {
            plugin.id
        };
        Arc::new(Plugin { id, service, route, consumer, ..plugin })
    };
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
        plugins: plugins.into_iter().flatten().map(plugin).collect(),
        ca_certificates: ca_certificates.into_all(),
        topics: hub.topics.into_iter().map(Arc::new).collect(),
        queues: hub.queues.into_iter().map(Arc::new).collect(),
        subscriptions,
    };
    (set, places)
}
