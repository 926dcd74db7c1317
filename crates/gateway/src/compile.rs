//! Compiles the checked configuration into what the hot path needs.

use std::sync::Arc;

use entities::service::Protocol;
use entities::{CaCertificate, Owned, Served, ServedRoute, ServedUpstream};
use foldhash::HashMap;
use foldhash::fast::RandomState;
use http::{HeaderValue, Method, StatusCode};
use pipeline::{Chains, Instance, RouteFacts, Scope};
use regex::Regex;
use serde::Serialize;
use serde_json::value;
use uuid::Uuid;

use crate::balance::{Backend, Turns};
use crate::conditions::Conditions;
use crate::destination::{Destinations, Trust};
use crate::rewriting::Rewrites;
use crate::router::{Router, TooManyRegexes};
use crate::service::Service;
use crate::stats::{Numbering, RouteNumber};
use crate::table::{HostPattern, HttpsOnly, PathPattern, Route};

/// Why a configuration that passed its checks cannot be compiled.
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
    /// A service's host is not valid in a Host header.
    #[error("service `{0}`: its host is not valid in a Host header")]
    Host(String),
    /// A service over https for which there can be no handshake.
    #[error("service `{service}`: TLS cannot be set up")]
    Tls {
        /// The service.
        service: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A service names an authority that is not there, or whose certificate cannot be read.
    #[error("service `{service}`: there is no authority {id} among the ca_certificates")]
    Authority {
        /// The service.
        service: String,
        /// The authority's id.
        id: Uuid,
    },
    /// A route's method.
    #[error("route `{route}`: `{method}` is not a method")]
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
        /// The service or route that it belongs to.
        owner: String,
        /// Why.
        #[source]
        source: E,
    },
}

/// Compiles the routes of all enabled services. `build` makes each configured plug-in once, however many routes share it, and says what it is
/// for: among several of one kind on a route, Kong's precedence chooses. `destinations` belong to the gateway and are the same for every
/// generation.
///
/// # Errors
/// Problems that the configuration's checks should have found.
pub fn compile<E, B>(
    served: &Served,
    destinations: &Destinations,
    build: B,
) -> Result<Router, CompileError<E>>
where
    B: FnMut(&Owned) -> Result<(Scope, Instance), E>,
{
    Compiled::default().next(served, destinations, build)
}

/// What was compiled last. The next generation shares with it everything that is the same, so that one changed route costs the work of one.
///
/// A service is the same if its entity is, and no authority and no upstream has changed; a plug-in if its entity and its owner are, and
/// [`Compiled::forget_plugins`] was not called; a route if its entity is, and its service and all its plug-ins are the same. If one of them
/// comes to depend on anything else, it must be compared here, too.
#[derive(Default)]
pub struct Compiled {
    authorities: Vec<Arc<CaCertificate>>,
    upstreams: Vec<ServedUpstream>,
    services: HashMap<Uuid, Made<entities::Service, Backend>>,
    plugins: HashMap<Uuid, Made<Owned, Placed>>,
    routes: HashMap<Uuid, (ServedRoute, Arc<Route>)>,
    numbering: Numbering,
    conditions: Conditions,
}

/// A plug-in that was made, with what it is for.
type Placed = (Scope, Instance);

/// An entity, and what was compiled from it.
struct Made<T, M> {
    of: Arc<T>,
    made: M,
    /// Whether it is that of the previous generation.
    is_old: bool,
}

impl Compiled {
    /// Compiles the next generation, as [`compile`] does. After an error, the generation after that shares with the last one that succeeded.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn next<E, B>(
        &mut self,
        served: &Served,
        destinations: &Destinations,
        build: B,
    ) -> Result<Router, CompileError<E>>
    where
        B: FnMut(&Owned) -> Result<(Scope, Instance), E>,
    {
        if self.authorities != served.authorities || self.upstreams != served.upstreams {
            self.services.clear();
        }
        let (authorities, upstreams) = (served.authorities.clone(), served.upstreams.clone());
        let routes = HashMap::with_capacity_and_hasher(served.routes.len(), RandomState::default());
        let (numbering, conditions) = (self.numbering.clone(), self.conditions.clone());
        let now = Self {
            authorities,
            upstreams,
            routes,
            numbering,
            conditions: conditions.clone(),
            ..Self::default()
        };
        let making = Making {
            authorities: Authorities::of(served),
            upstreams: upstreams_of(served),
            destinations,
            conditions,
        };
        let mut next = Next { before: self, now, making, build };
        // Of two equal routes, Kong prefers the older one. Routes of one age, and those without a time of their own (which have that of the
        // load), keep the order of the file.
        let mut by_age: Vec<_> = served.routes.iter().collect();
        by_age.sort_by_key(|served| served.route.created_at);
        let routes = by_age.into_iter().map(|served| next.route(served)).collect::<Result<Vec<_>, _>>()?;
        let unrouted = Chains::choose(&next.plugins(&served.global)?.0);
        let router = Router::new(routes)?.with_unrouted(unrouted);
        *self = next.now;
        self.conditions.forget_gone();
        Ok(router)
    }

    /// The numbers of all routes so far.
    pub fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    /// How all services do that have been served so far.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Makes the next generation build all plug-ins again, because something that they were built with has changed.
    pub fn forget_plugins(&mut self) {
        self.plugins.clear();
    }
}

/// A generation that is being compiled.
struct Next<'a, B> {
    before: &'a Compiled,
    now: Compiled,
    making: Making<'a>,
    build: B,
}

impl<B> Next<'_, B> {
    fn route<E>(&mut self, served: &ServedRoute) -> Result<Arc<Route>, CompileError<E>>
    where
        B: FnMut(&Owned) -> Result<(Scope, Instance), E>,
    {
        let ServedRoute { service, route, plugins } = served;
        let (compiled, has_old_service) = match service {
            Some(service) => {
                let (compiled, is_old) = self.service(service)?;
                (Some(compiled), is_old)
            }
            None => (None, true),
        };
        let (instances, are_old) = self.plugins(plugins)?;
        let before = self
            .before
            .routes
            .get(&route.id)
            .filter(|(before, _)| has_old_service && are_old && before == served);
        let made = match before {
            Some((_, made)) => made.clone(),
            None => {
                let mut made = self::route(service.as_deref(), route, compiled, Chains::choose(&instances))?;
                made.number = self.now.numbering.number(&made.facts.service, &made.facts.route);
                Arc::new(made)
            }
        };
        self.now.routes.insert(route.id, (served.clone(), made.clone()));
        Ok(made)
    }

    /// The backend of a service, and whether it is that of the previous generation.
    fn service<E>(&mut self, of: &Arc<entities::Service>) -> Result<(Backend, bool), CompileError<E>> {
        if let Some(known) = self.now.services.get(&of.id) {
            return Ok((known.made.clone(), known.is_old));
        }
        let before = self.before.services.get(&of.id).filter(|before| before.of == *of);
        let made = match before {
            Some(before) => before.made.clone(),
            None => self.making.backend(of)?,
        };
        let is_old = before.is_some();
        self.now.services.insert(of.id, Made { of: of.clone(), made: made.clone(), is_old });
        Ok((made, is_old))
    }

    /// The plug-ins of a route, and whether all of them are those of the previous generation.
    fn plugins<E>(&mut self, placed: &[Arc<Owned>]) -> Result<(Vec<Placed>, bool), CompileError<E>>
    where
        B: FnMut(&Owned) -> Result<(Scope, Instance), E>,
    {
        let (mut instances, mut are_old) = (Vec::with_capacity(placed.len()), true);
        for of in placed {
            let (made, is_old) = match self.now.plugins.get(&of.plugin.id) {
                Some(known) => (known.made.clone(), known.is_old),
                None => self.plugin(of)?,
            };
            are_old &= is_old;
            instances.push(made);
        }
        Ok((instances, are_old))
    }

    fn plugin<E>(&mut self, of: &Arc<Owned>) -> Result<(Placed, bool), CompileError<E>>
    where
        B: FnMut(&Owned) -> Result<(Scope, Instance), E>,
    {
        let before = self.before.plugins.get(&of.plugin.id).filter(|before| before.of == *of);
        let is_old = before.is_some();
        let made = match before {
            Some(before) => before.made.clone(),
            None => (self.build)(of).map_err(|source| CompileError::Plugin {
                name: of.plugin.name.clone(),
                owner: of.owner.clone(),
                source,
            })?,
        };
        self.now.plugins.insert(of.plugin.id, Made { of: of.clone(), made: made.clone(), is_old });
        Ok((made, is_old))
    }
}

/// The certificates of authorities, in DER, by id.
struct Authorities(HashMap<Uuid, Arc<[u8]>>);

impl Authorities {
    fn of(served: &Served) -> Self {
        let read = |authority: &Arc<CaCertificate>| Some((authority.id, authority.der().ok()?.into()));
        Self(served.authorities.iter().filter_map(read).collect())
    }

    /// Which authorities a service trusts. If one that it names is missing, this is an error: trusting the others alone would hide that.
    fn trust<E>(&self, service: &entities::Service) -> Result<Trust, CompileError<E>> {
        let depth = service.tls_verify_depth;
        if service.tls_verify == Some(false) {
            return Ok(Trust::Anyone);
        }
        if service.ca_certificates.is_empty() {
            return Ok(Trust::System { depth });
        }
        let known = service.ca_certificates.iter().map(|id| match self.0.get(id) {
            Some(der) => Ok(der.clone()),
            None => Err(CompileError::Authority { service: service.label(), id: *id }),
        });
        Ok(Trust::only(known.collect::<Result<Vec<_>, _>>()?, depth))
    }
}

/// The upstreams by their names, in lower case as the hosts of services are.
fn upstreams_of(served: &Served) -> HashMap<String, &ServedUpstream> {
    served.upstreams.iter().map(|one| (one.upstream.name.to_ascii_lowercase(), one)).collect()
}

/// What is needed to compile services.
struct Making<'a> {
    authorities: Authorities,
    upstreams: HashMap<String, &'a ServedUpstream>,
    destinations: &'a Destinations,
    conditions: Conditions,
}

impl Making<'_> {
    /// A service, or one at each target if its host is the name of an upstream.
    fn backend<E>(&self, service: &entities::Service) -> Result<Backend, CompileError<E>> {
        let Some(ServedUpstream { upstream, targets }) = self.upstreams.get(&service.host) else {
            return Ok(Backend::One(Arc::new(self.service(service, &service.host, service.port)?)));
        };
        let at = |target: &Arc<entities::Target>| {
            let mut made = self.service(service, &target.host, target.port)?;
            if let Some(host) = &upstream.host_header {
                made.host_header =
                    HeaderValue::from_str(host).map_err(|_| CompileError::Host(service.label()))?;
            }
            Ok((Arc::new(made), target.weight))
        };
        let targets = targets.iter().map(at).collect::<Result<_, CompileError<E>>>()?;
        Ok(Backend::Turns(Arc::new(Turns::new(upstream.id, targets))))
    }

    /// A service at this address.
    fn service<E>(
        &self,
        service: &entities::Service,
        host: &str,
        port: u16,
    ) -> Result<Service, CompileError<E>> {
        let name = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = if port == service.protocol.port() { name } else { format!("{name}:{port}") };
        let destination = match service.protocol {
            Protocol::Http => self.destinations.get(host, port),
            Protocol::Https => self
                .destinations
                .get_over_tls(host, port, self.authorities.trust(service)?)
                .map_err(|source| CompileError::Tls { service: service.label(), source })?,
        };
        let label = service.label();
        Ok(Service {
            condition: self.conditions.of(&label, &destination.to_string()),
            name: label,
            destination,
            host_header: HeaderValue::from_str(&authority)
                .map_err(|_| CompileError::Host(service.label()))?,
            path: service.path.clone().unwrap_or_else(|| "/".into()),
            connect_timeout: service.connect_timeout,
            write_timeout: service.write_timeout,
            read_timeout: service.read_timeout,
        })
    }
}

fn route<E>(
    service: Option<&entities::Service>,
    route: &entities::Route,
    compiled: Option<Backend>,
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
        path_handling: route.path_handling,
        path_forwarding: route.path_forwarding,
        preserve_host: route.preserve_host,
        rewrites: Rewrites { location: route.rewrite_location, cookies: route.rewrite_cookies },
        request_buffering: route.request_buffering,
        https_only: route.is_https_only().then(|| HttpsOnly {
            status: StatusCode::from_u16(route.https_redirect_status_code)
                .unwrap_or(StatusCode::UPGRADE_REQUIRED),
            heeds_forwarded_proto: route.heeds_forwarded_proto,
        }),
        service: compiled,
        chains,
        facts: facts(route, service),
        number: RouteNumber::default(),
    })
}

/// Kong 0.8's `api` object. Absent values have no key.
#[derive(Serialize)]
struct Api<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_host: Option<&'a str>,
    strip_request_path: bool,
    preserve_host: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<u64>,
}

/// What events say of a route of `service`: names, and Kong 0.8's `api` object.
fn facts(route: &entities::Route, service: Option<&entities::Service>) -> RouteFacts {
    let api = Api {
        id: service.map(|service| service.id),
        name: service.and_then(|service| service.name.as_deref()),
        upstream_url: service.map(entities::Service::url),
        request_path: route.paths.first().map(String::as_str),
        request_host: route.hosts.first().map(String::as_str),
        strip_request_path: route.strip_path,
        preserve_host: route.preserve_host,
        created_at: service.map(|service| service.created_at.as_millis()),
    };
    let api = value::to_raw_value(&api);
    let service = service.map(entities::Service::label).unwrap_or_default();
    RouteFacts { service, route: route.label(), api: api.unwrap_or_default() }
}

/// A regex path is anchored at its start, as in Kong.
fn path<E>(route: &entities::Route, path: &str) -> Result<PathPattern, CompileError<E>> {
    let Some(regex) = path.strip_prefix('~') else { return Ok(PathPattern::Prefix(path.to_owned())) };
    let error = |source| CompileError::Path { route: route.label(), path: path.to_owned(), source };
    // With `(?x)`, a comment at the end would swallow the closing bracket, and this would not compile; a line feed ends the comment.
    let anchored = Regex::new(&format!("^(?:{regex})"));
    let anchored = anchored.or_else(|_| Regex::new(&format!("^(?:{regex}\n)")));
    Ok(PathPattern::Regex(anchored.map_err(error)?))
}

#[cfg(test)]
mod tests;
