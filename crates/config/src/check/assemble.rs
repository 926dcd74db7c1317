//! Puts the checked entities together: routes into their services, plug-ins onto the routes that they are for.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Checked, plugin};
use crate::entities::{Config, Plugin, Route, Service};

/// Makes the configuration. Nothing is missing: there was no problem.
pub(super) fn assemble(checked: Checked) -> Config {
    let Checked { services, routes, plugins, hub } = checked;
    let mut services: Vec<Service> = services.into_iter().flatten().collect();
    let routes: Vec<_> = routes.into_iter().flatten().collect();
    let plugins = Plugins::new(plugins.into_iter().flatten(), &services, &routes);
    for (index, super::route::Checked { service, mut route }) in routes.into_iter().enumerate() {
        route.plugins = plugins.of_route(index, service);
        services[service].routes.push(route);
    }
    Config {
        services,
        topics: hub.topics,
        queues: hub.queues,
        subscriptions: hub.subscriptions.into_iter().flatten().collect(),
    }
}

/// What a plug-in is for: a service or all, a route or all, by index.
type Scope = (Option<usize>, Option<usize>);

/// The enabled plug-ins by what they are for.
struct Plugins(HashMap<Scope, Vec<Arc<Plugin>>>);

impl Plugins {
    fn new(
        plugins: impl Iterator<Item = plugin::Checked>,
        services: &[Service],
        routes: &[super::route::Checked],
    ) -> Self {
        let mut by_scope: HashMap<Scope, Vec<_>> = HashMap::new();
        for plugin in plugins.filter(|plugin| plugin.enabled) {
            let owner = match (plugin.service, plugin.route) {
                (_, Some(route)) => Route::label(&routes[route].route),
                (Some(service), None) => services[service].label(),
                (None, None) => "global".to_owned(),
            };
            let plugin::Checked { name, instance_name, config, service, route, .. } = plugin;
            let plugin = Arc::new(Plugin { name, owner, instance_name, config });
            by_scope.entry((service, route)).or_default().push(plugin);
        }
        Self(by_scope)
    }

    /// One plug-in of each kind for a route, the most specific: route and service, route, service, all.
    fn of_route(&self, route: usize, service: usize) -> Vec<Arc<Plugin>> {
        let scopes = [(Some(service), Some(route)), (None, Some(route)), (Some(service), None), (None, None)];
        let mut chosen: Vec<Arc<Plugin>> = Vec::new();
        for plugin in scopes.iter().filter_map(|scope| self.0.get(scope)).flatten() {
            if chosen.iter().all(|other| other.name != plugin.name) {
                chosen.push(Arc::clone(plugin));
            }
        }
        chosen
    }
}
