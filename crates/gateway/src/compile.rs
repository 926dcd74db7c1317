//! From the checked configuration to what the hot path needs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use entities::{Owned, Served, ServedRoute};
use http::{HeaderValue, Method};
use pipeline::{Chains, Instance, RouteFacts, Scope};
use regex::Regex;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::destination::Destinations;
use crate::router::{Router, TooManyRegexes};
use crate::table::{HostPattern, PathPattern, Route, Service};

/// What cannot be compiled although it passed the configuration's checks.
#[derive(Debug, thiserror::Error)]
pub enum CompileError<E> {
    /// A route's path.
    #[error("route `{route}`: the path `{path}` does not compile")]
    Path {
        /// The route.
        route: String,
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: regex::Error,
    },
    /// A service's host cannot stand in a Host header.
    #[error("service `{0}`: its host cannot stand in a Host header")]
    Host(String),
    /// A route's method.
    #[error("route `{route}`: `{method}` is no method")]
    Method {
        /// The route.
        route: String,
        /// Its method.
        method: String,
    },
    /// All regexes together.
    #[error(transparent)]
    Regexes(#[from] TooManyRegexes),
    /// A plug-in.
    #[error("plug-in `{name}` of `{owner}`")]
    Plugin {
        /// Its kind.
        name: String,
        /// Where it stands.
        owner: String,
        /// Why.
        #[source]
        source: E,
    },
}

/// Compiles the routes of all enabled services. `build` makes each configured plug-in once, however many routes share it, and says what it
/// is for: of those of a kind that are for a route, Kong's precedence chooses. `destinations`
/// are those of the gateway, the same for every generation.
///
/// # Errors
/// What the configuration's checks should have found.
pub fn compile<E, B>(
    served: &Served,
    destinations: &Destinations,
    mut build: B,
) -> Result<Router, CompileError<E>>
where
    B: FnMut(&Owned) -> Result<(Scope, Instance), E>,
{
    let mut services: HashMap<_, Arc<Service>> = HashMap::new();
    let mut built: HashMap<*const Owned, (Scope, Instance)> = HashMap::new();
    // Kong gives a tie to the older route. Those of one age, or of none (that of the load), keep the order of the file.
    let mut by_age: Vec<_> = served.routes.iter().collect();
    by_age.sort_by_key(|served| served.route.created_at);
    let mut routes = Vec::with_capacity(by_age.len());
    let mut make = |placed: &[Arc<Owned>]| {
        let made = placed.iter().map(|plugin| match built.entry(Arc::as_ptr(plugin)) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(free) => {
                let made = build(plugin).map_err(|source| CompileError::Plugin {
                    name: plugin.plugin.name.clone(),
                    owner: plugin.owner.clone(),
                    source,
                })?;
                Ok(free.insert(made).clone())
            }
        });
        made.collect::<Result<Vec<_>, CompileError<E>>>()
    };
    for ServedRoute { service, route, plugins } in by_age {
        let compiled = match services.get(&service.id) {
            Some(known) => known.clone(),
            None => {
                services.entry(service.id).or_insert(Arc::new(self::service(service, destinations)?)).clone()
            }
        };
        routes.push(self::route(service, route, compiled, Chains::choose(&make(plugins)?))?);
    }
    let unrouted = Chains::choose(&make(&served.global)?);
    Ok(Router::new(routes)?.with_unrouted(unrouted))
}

fn service<E>(service: &entities::Service, destinations: &Destinations) -> Result<Service, CompileError<E>> {
    let host = if service.host.contains(':') { format!("[{}]", service.host) } else { service.host.clone() };
    let authority = if service.port == 80 { host } else { format!("{host}:{}", service.port) };
    Ok(Service {
        name: service.label(),
        destination: destinations.get(&service.host, service.port),
        host_header: HeaderValue::from_str(&authority).map_err(|_| CompileError::Host(service.label()))?,
        path: service.path.clone().unwrap_or_else(|| "/".into()),
        connect_timeout: service.connect_timeout,
        write_timeout: service.write_timeout,
        read_timeout: service.read_timeout,
    })
}

fn route<E>(
    service: &entities::Service,
    route: &entities::Route,
    compiled: Arc<Service>,
    chains: Chains,
) -> Result<Route, CompileError<E>> {
    let methods = route.methods.iter().map(|method| {
        let error = || CompileError::Method { route: route.label(), method: method.clone() };
        method.parse::<Method>().map_err(|_| error())
    });
    Ok(Route {
        name: route.label(),
        hosts: route.hosts.iter().map(|host| HostPattern::parse(host)).collect(),
        paths: route.paths.iter().map(|path| self::path(route, path)).collect::<Result<_, _>>()?,
        methods: methods.collect::<Result<_, _>>()?,
        regex_priority: route.regex_priority,
        strip_path: route.strip_path,
        preserve_host: route.preserve_host,
        request_buffering: route.request_buffering,
        service: Some(compiled),
        chains,
        facts: facts(route, service),
    })
}

/// What events say of a route of `service`: names, and Kong 0.8's `api` object. What is absent has no key.
fn facts(route: &entities::Route, service: &entities::Service) -> RouteFacts {
    let mut api = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            api.insert(key.to_owned(), value);
        }
    };
    put("id", Some(service.id.to_string().into()));
    put("name", service.name.clone().map(Value::from));
    put("upstream_url", Some(service.url().into()));
    put("request_path", route.paths.first().cloned().map(Value::from));
    put("request_host", route.hosts.first().cloned().map(Value::from));
    put("strip_request_path", Some(route.strip_path.into()));
    put("preserve_host", Some(route.preserve_host.into()));
    put("created_at", Some(service.created_at.as_millis().into()));
    let api = RawValue::from_string(Value::Object(api).to_string());
    RouteFacts { service: service.label(), route: route.label(), api: api.unwrap_or_default() }
}

/// A regex path is anchored at its start, as in Kong.
fn path<E>(route: &entities::Route, path: &str) -> Result<PathPattern, CompileError<E>> {
    let Some(regex) = path.strip_prefix('~') else { return Ok(PathPattern::Prefix(path.to_owned())) };
    let error = |source| CompileError::Path { route: route.label(), path: path.to_owned(), source };
    // In `(?x)` a comment at its end takes the bracket along, so that this does not compile; a line feed ends the comment there.
    let anchored = Regex::new(&format!("^(?:{regex})"));
    let anchored = anchored.or_else(|_| Regex::new(&format!("^(?:{regex}\n)")));
    Ok(PathPattern::Regex(anchored.map_err(error)?))
}

#[cfg(test)]
mod tests;
