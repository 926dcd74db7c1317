//! What a request means, before anything is done with it: its method, its path in every reading, its route.
//!
//! Pure, and public for the fuzz targets: a request whose readings lead to different routes is refused here.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use entities::method::{self, MethodProblem};
use entities::network::Network;
use entities::normalise;
use http::Method;
use pipeline::reading;

use crate::hops::NodeId;
use crate::router::{Match, Router};
use crate::table::Route;

/// What is true of every request of a node.
#[derive(Clone, Debug)]
pub struct Front {
    /// What to do with paths that services read in different ways.
    pub ambiguous_paths: AmbiguousPaths,
    /// Counts how often a request has passed through this process.
    pub node: NodeId,
    /// Proxies in front of this one, whose headers are believed about how a request came to them (`X-Forwarded-Proto`, `-Host`, `-Port`, `-Path`
    /// and `-Prefix`).
    pub trusted: Arc<[Network]>,
}

impl Front {
    /// Whether this peer is one of the trusted proxies.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

impl Default for Front {
    fn default() -> Self {
        Self { ambiguous_paths: AmbiguousPaths::default(), node: NodeId::random(), trusted: Arc::default() }
    }
}

/// What to do with a path that services read in different ways if all readings lead to the same route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AmbiguousPaths {
    /// It is forwarded, and matches a rule by any reading.
    #[default]
    Match,
    /// It is refused.
    Refuse,
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// The method cannot be a method.
    Method(MethodProblem),
    /// The path is not a path, or has a zero byte (`%00`), at which it would end for services that are written in C.
    Path,
    /// The path has different readings, and they lead to different routes, or [`AmbiguousPaths::Refuse`] is set.
    Ambiguous,
    /// No route matches.
    NoRoute,
}

/// A request's path on its route.
pub struct Found<'r, 'p> {
    /// The route.
    pub route: &'r Route,
    /// Its index among the router's routes.
    pub index: usize,
    /// The path as the client sent it, in normal form.
    pub plain: Reading<'p>,
    /// Other readings of it, the preferred first; empty for nearly every path.
    pub others: Vec<Reading<'p>>,
}

/// A path as a service may read it.
pub struct Reading<'p> {
    /// The path.
    pub path: Cow<'p, str>,
    /// How many bytes of it the route's path matched.
    pub matched: usize,
}

/// Whether requests of this method are forwarded at all.
///
/// # Errors
/// If they are not.
pub fn check_method(method: &Method) -> Result<(), Unrouted> {
    match method::problem(method.as_str()) {
        Some(problem) => Err(Unrouted::Method(problem)),
        None => Ok(()),
    }
}

/// Routes a request by every reading of its path. `host` and `port` are those of [`Router::find`], `path` is as the client sent it.
///
/// # Errors
/// If there is no route, or more than one.
pub fn find<'r, 'p>(
    router: &'r Router,
    policy: AmbiguousPaths,
    method: &Method,
    host: Option<&str>,
    port: u16,
    path: &'p str,
) -> Result<Found<'r, 'p>, Unrouted> {
    let plain = normalise(path);
    if !plain.starts_with('/') || plain.contains("%00") {
        return Err(Unrouted::Path);
    }
    let texts = reading::others(&plain);
    if !texts.is_empty() && policy == AmbiguousPaths::Refuse {
        return Err(Unrouted::Ambiguous);
    }
    let found = router.find(method, host, port, &plain);
    let mut others = Vec::new();
    for text in texts {
        let other = router.find(method, host, port, &text);
        match (&found, other) {
            (Some(found), Some(other)) if std::ptr::eq(found.route, other.route) => {
                others.push(Reading { path: Cow::Owned(text), matched: other.matched });
            }
            (None, None) => {}
            _ => return Err(Unrouted::Ambiguous),
        }
    }
    let Match { route, index, matched } = found.ok_or(Unrouted::NoRoute)?;
    Ok(Found { route, index, plain: Reading { path: plain, matched }, others })
}
