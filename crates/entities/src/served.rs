//! The part of a [`Set`] that the data path uses: the routes, each with its service and the plug-ins that run on it.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use uuid::Uuid;

use crate::{
    Acl, CaCertificate, Consumer, KeyAuthCredential, Kind, Plugin, Route, Service, Set, Target, Upstream,
};

/// The routes of all enabled services. Disabled entities, and references that lead nowhere, are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// In the order of the set: of two that could serve a request and are equally old, the first one does.
    pub routes: Vec<ServedRoute>,
    /// The plug-ins for all requests, even those without a route.
    pub global: Vec<Arc<Owned>>,
    /// The authorities that the services of these routes name.
    pub authorities: Vec<Arc<CaCertificate>>,
    /// The consumers that can be recognised.
    pub known: Arc<Known>,
    /// Upstreams with their targets.
    pub upstreams: Vec<ServedUpstream>,
}

/// An upstream with the targets that get its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedUpstream {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// Those with a weight, in the order of the set.
    pub targets: Vec<Arc<Target>>,
}

/// The consumers that can be recognised, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// All consumers.
    pub consumers: Vec<Arc<Consumer>>,
    /// Their keys; each belongs to one of the consumers.
    pub keyauth_credentials: Vec<Arc<KeyAuthCredential>>,
    /// Their groups.
    pub acls: Vec<Arc<Acl>>,
}

/// A route with its service and plug-ins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedRoute {
    /// Its service; without one, only its plug-ins run.
    pub service: Option<Arc<Service>>,
    /// The route.
    pub route: Arc<Route>,
    /// The most specific enabled plug-in of each kind: one for everybody, and one for each consumer that has one of its own.
    pub plugins: Vec<Arc<Owned>>,
}

/// A plug-in that runs; routes share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The plug-in.
    pub plugin: Arc<Plugin>,
    /// The name of the service or route that it is on; `global` if on neither.
    pub owner: String,
}

/// What a plug-in is for, apart from a consumer: a service or all, and a route or all.
type Scope = (Option<Uuid>, Option<Uuid>);

impl Served {
    /// The kinds that it is made of.
    pub const HAS: &[Kind] = &[
        Kind::CaCertificate,
        Kind::Upstream,
        Kind::Target,
        Kind::Service,
        Kind::Route,
        Kind::Consumer,
        Kind::KeyAuthCredential,
        Kind::Acl,
        Kind::Plugin,
    ];

    /// The served part of a set.
    pub fn of(set: &Set) -> Self {
        let services = set.services_by_id();
        let plugins = by_scope(set, &services);
        // A service is found once for each of its routes, which are in no particular order.
        let routes = set.routes.iter().filter_map(|route| {
            let service = match route.service {
                Some(id) => Some((*services.get(&id).filter(|service| service.enabled)?).clone()),
                None => None,
            };
            let plugins = of_route(&plugins, route);
            Some(ServedRoute { service, route: route.clone(), plugins })
        });
        let routes: Vec<_> = routes.collect();
        let named: HashSet<Uuid> = routes
            .iter()
            .filter_map(|served| served.service.as_ref())
            .flat_map(|one| &one.ca_certificates)
            .copied()
            .collect();
        let authorities = set.ca_certificates.iter().filter(|authority| named.contains(&authority.id));
        // Where there is no route, nobody is authenticated.
        let global = plugins.get(&(None, None)).into_iter().flatten();
        let global = global.filter(|owned| owned.plugin.consumer.is_none()).cloned().collect();
        let known = Arc::new(Known::of(set));
        Self { authorities: authorities.cloned().collect(), routes, global, known, upstreams: upstreams(set) }
    }
}

fn upstreams(set: &Set) -> Vec<ServedUpstream> {
    let mut targets: HashMap<Uuid, Vec<Arc<Target>>> = HashMap::default();
    for target in set.targets.iter().filter(|target| target.weight > 0) {
        targets.entry(target.upstream).or_default().push(target.clone());
    }
    let served = |upstream: &Arc<Upstream>| ServedUpstream {
        upstream: upstream.clone(),
        targets: targets.remove(&upstream.id).unwrap_or_default(),
    };
    set.upstreams.iter().map(served).collect()
}

impl Known {
    fn of(set: &Set) -> Self {
        let there: HashSet<Uuid> = set.consumers.iter().map(|consumer| consumer.id).collect();
        let keys = set.keyauth_credentials.iter().filter(|one| there.contains(&one.consumer));
        let acls = set.acls.iter().filter(|one| there.contains(&one.consumer));
        Self {
            consumers: set.consumers.clone(),
            keyauth_credentials: keys.cloned().collect(),
            acls: acls.cloned().collect(),
        }
    }
}

/// The enabled plug-ins by what they are for.
fn by_scope(set: &Set, services: &HashMap<Uuid, &Arc<Service>>) -> HashMap<Scope, Vec<Arc<Owned>>> {
    let enabled = set.plugins.iter().filter(|plugin| plugin.enabled);
    let routes: HashMap<Uuid, &Arc<Route>> = match enabled.clone().any(|plugin| plugin.route.is_some()) {
        true => set.routes.iter().map(|route| (route.id, route)).collect(),
        false => HashMap::default(),
    };
    let mut by_scope: HashMap<Scope, Vec<_>> = HashMap::default();
    for plugin in enabled {
        let of_route = plugin.route.map(|id| routes.get(&id).map(|route| route.label()));
        let of_service = plugin.service.map(|id| services.get(&id).map(|service| service.label()));
        let owner = of_route.or(of_service).map_or_else(|| "global".to_owned(), Option::unwrap_or_default);
        let owned = Arc::new(Owned { plugin: plugin.clone(), owner });
        by_scope.entry((plugin.service, plugin.route)).or_default().push(owned);
    }
    by_scope
}

/// For a route, one plug-in of each kind for anybody and for each consumer, the most specific: route and service, route, service, all.
fn of_route(by_scope: &HashMap<Scope, Vec<Arc<Owned>>>, route: &Route) -> Vec<Arc<Owned>> {
    let (service, route) = (route.service, Some(route.id));
    let scopes = [(service, route), (None, route), (service, None), (None, None)];
    // Without a service the first and the second are one, and so are the third and the last.
    let scopes = if service.is_none() { &scopes[1..3] } else { &scopes[..] };
    let mut chosen: Vec<Arc<Owned>> = Vec::new();
    for owned in scopes.iter().filter_map(|scope| by_scope.get(scope)).flatten() {
        if chosen.iter().all(|other| !is_same(&other.plugin, &owned.plugin)) {
            chosen.push(owned.clone());
        }
    }
    chosen
}

fn is_same(one: &Plugin, other: &Plugin) -> bool {
    one.name == other.name && one.consumer == other.consumer
}
