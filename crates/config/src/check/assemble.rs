//! Puts the checked entities together: routes into their services, plug-ins onto the routes that they are for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pipeline::Mount;

use super::{Checked, plugin};
use crate::entities::{Config, Plugin, Route, Service};

/// A plug-in with all routes that it runs on.
pub(super) struct Placed {
    /// Its index among those declared.
    pub(super) index: usize,
    pub(super) plugin: Arc<Plugin>,
    pub(super) mounts: Vec<Mount>,
}

/// Makes the configuration, and says where each enabled plug-in runs. Nothing is missing: there was no problem.
pub(super) fn assemble(checked: Checked) -> (Config, Vec<Placed>) {
    let Checked { services, routes, plugins, hub } = checked;
    let mut services: Vec<Service> = services.into_iter().flatten().collect();
    let routes: Vec<_> = routes.into_iter().flatten().collect();
    let plugins = Plugins::new(plugins.into_iter().flatten(), &services, &routes);
    let mut placed = BTreeMap::new();
    for (index, super::route::Checked { service, mut route }) in routes.into_iter().enumerate() {
        for (index, plugin) in plugins.of_route(index, service) {
            place(&mut placed, index, &plugin, &route);
            route.plugins.push(plugin);
        }
        services[service].routes.push(route);
    }
    let placed = placed.into_values().collect();
    let config = Config {
        services,
        topics: hub.topics,
        queues: hub.queues,
        subscriptions: hub.subscriptions.into_iter().flatten().collect(),
        warnings: Vec::new(),
    };
    (config, placed)
}

fn place(placed: &mut BTreeMap<usize, Placed>, index: usize, plugin: &Arc<Plugin>, route: &Route) {
    let fresh = || Placed { index, plugin: Arc::clone(plugin), mounts: Vec::new() };
    let mount = Mount { paths: route.paths.clone(), strip_path: route.strip_path };
    placed.entry(index).or_insert_with(fresh).mounts.push(mount);
}

/// What a plug-in is for: a service or all, a route or all, by index.
type Scope = (Option<usize>, Option<usize>);

/// The enabled plug-ins by what they are for, each with its index among those declared.
struct Plugins(HashMap<Scope, Vec<(usize, Arc<Plugin>)>>);

impl Plugins {
    fn new(
        plugins: impl Iterator<Item = plugin::Checked>,
        services: &[Service],
        routes: &[super::route::Checked],
    ) -> Self {
        let mut by_scope: HashMap<Scope, Vec<_>> = HashMap::new();
        for (index, plugin) in plugins.enumerate().filter(|(_, plugin)| plugin.enabled) {
            let owner = match (plugin.service, plugin.route) {
                (_, Some(route)) => Route::label(&routes[route].route),
                (Some(service), None) => services[service].label(),
                (None, None) => "global".to_owned(),
            };
            let plugin::Checked { name, instance_name, config, service, route, .. } = plugin;
            let plugin = Arc::new(Plugin { name, owner, instance_name, config });
            by_scope.entry((service, route)).or_default().push((index, plugin));
        }
        Self(by_scope)
    }

    /// One plug-in of each kind for a route, the most specific: route and service, route, service, all.
    fn of_route(&self, route: usize, service: usize) -> Vec<(usize, Arc<Plugin>)> {
        let scopes = [(Some(service), Some(route)), (None, Some(route)), (Some(service), None), (None, None)];
        let mut chosen: Vec<(usize, Arc<Plugin>)> = Vec::new();
        for (index, plugin) in scopes.iter().filter_map(|scope| self.0.get(scope)).flatten() {
            if chosen.iter().all(|(_, other)| other.name != plugin.name) {
                chosen.push((*index, Arc::clone(plugin)));
            }
        }
        chosen
    }
}
