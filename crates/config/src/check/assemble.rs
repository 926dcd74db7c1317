//! Puts the checked entities together: each gets its id, and what it refers to by id.

use std::sync::Arc;

use entities::{Plugin, Set, ids};

use super::{Checked, plugin};
use crate::loaded::Places;

/// Makes the set. Nothing is missing: there was no problem.
pub(super) fn assemble(checked: Checked) -> (Set, Places) {
    let Checked { services, routes, plugins, ca_certificates, hub } = checked;
    let service_ids: Vec<_> =
        services.iter().map(|service| service.as_ref().map(|service| service.id)).collect();
    let route_ids: Vec<_> = routes.iter().map(|route| route.as_ref().map(|route| route.id)).collect();
    let plugin = |plugin::Checked { service, route, plugin }: plugin::Checked| {
        let service = service.and_then(|index| service_ids[index]);
        let route = route.and_then(|index| route_ids[index]);
        let id = if plugin.id.is_nil() { ids::of_plugin(&plugin.name, service, route) } else { plugin.id };
        Arc::new(Plugin { id, service, route, ..plugin })
    };
    let subscriptions = hub.subscriptions.into_iter().flatten();
    let (subscriptions, places): (Vec<_>, Vec<_>) =
        subscriptions.map(|(subscription, place)| (Arc::new(subscription), place)).unzip();
    let places = subscriptions.iter().map(|one| one.id).zip(places).collect();
    let set = Set {
        services: services.into_iter().flatten().map(Arc::new).collect(),
        routes: routes.into_iter().flatten().map(Arc::new).collect(),
        plugins: plugins.into_iter().flatten().map(plugin).collect(),
        ca_certificates: ca_certificates.into_all(),
        topics: hub.topics.into_iter().map(Arc::new).collect(),
        queues: hub.queues.into_iter().map(Arc::new).collect(),
        subscriptions,
    };
    (set, places)
}
