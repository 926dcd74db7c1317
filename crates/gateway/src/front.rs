//! What a request means, before anything is done with it: its method, its path in every reading, its route.
//!
//! Pure, and public for the fuzz targets: a request whose readings lead to different routes is refused here.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use entities::method::{self, MethodProblem};
use entities::network::Network;
use entities::{PathForwarding, normal_escapes, normalise};
use http::Method;
use listener::connection::NameCase;
use pipeline::reading;

use crate::hops::NodeId;
use crate::path;
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
    /// How the names of headers are written, to clients and to services.
    pub name_case: NameCase,
    /// What services are told about the request, as far as a setting decides it.
    pub telling: Telling,
}

/// What services are told about a request, as far as a setting decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Whether they see this gateway in `Via`.
    pub via: bool,
    /// The port in `X-Forwarded-Host`.
    pub host_port: HostPort,
    /// `X-Script-Name`: the part of the path that `strip_path` removed, as WSGI servers want it.
    pub script_name: bool,
    /// `Forwarded` (RFC 7239).
    pub forwarded: bool,
}

impl Default for Telling {
    fn default() -> Self {
        Self { via: true, host_port: HostPort::default(), script_name: false, forwarded: false }
    }
}

/// What becomes of the port that a client's `Host` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostPort {
    /// It stays, unless it is the scheme's own: with it a service makes URLs that lead back here.
    #[default]
    Keep,
    /// It is removed, as Kong does.
    Strip,
}

impl Front {
    /// Whether this peer is one of the trusted proxies.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

impl Default for Front {
    fn default() -> Self {
        Self {
            ambiguous_paths: AmbiguousPaths::default(),
            node: NodeId::random(),
            trusted: Arc::default(),
            name_case: NameCase::Lower,
            telling: Telling::default(),
        }
    }
}

/// What to do with a path that services read in different ways: if all readings of its normal form lead to the same route, but it has several;
/// and if only readings of the client's spelling lead to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AmbiguousPaths {
    /// It is forwarded, and matches a rule by any reading. The client's spelling is not forwarded if a reading of it leads to another route.
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
    /// The path's normal form has different readings, and they lead to different routes, or [`AmbiguousPaths::Refuse`] is set. Or it is set, and
    /// readings of the client's spelling lead to different routes.
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
    /// The path as the client spelt it, if the upstream may get that. `None` if it has to get the normal form, or if that is what the client sent.
    pub spelt: Option<Box<Spelt<'p>>>,
}

/// A path that is not in normal form, as the client spelt it; all of its readings lead to the route of its normal form.
pub struct Spelt<'p> {
    /// The path.
    pub path: &'p str,
    /// How many bytes of it are cut off; what is left begins with a slash.
    pub cut: usize,
    /// Whether some service may see a dot segment in it. Then nothing may come before it: dots could lead out of that.
    pub has_dots: bool,
    /// The readings that the normal form has not.
    pub readings: Vec<Reading<'p>>,
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
    let find = |path: &str| router.find(method, host, port, path);
    let found = find(&plain);
    let others = if texts.is_empty() { Vec::new() } else { others(find, found, texts, &plain)? };
    let found = found.ok_or(Unrouted::NoRoute)?;
    let spelt = match &plain {
        Cow::Owned(normal) if normal != path && found.route.path_forwarding == PathForwarding::Raw => {
            match spelt(find, found, path, normal) {
                Err(Elsewhere) if policy == AmbiguousPaths::Refuse => return Err(Unrouted::Ambiguous),
                Err(Elsewhere) => None,
                Ok(spelt) => spelt,
            }
        }
        Cow::Owned(_) | Cow::Borrowed(_) => None,
    };
    let Match { route, index, matched } = found;
    Ok(Found { route, index, plain: Reading { path: plain, matched }, others, spelt })
}

/// The readings of a path in normal form, which has several; `found` is the route of the path as it stands.
#[inline(never)]
fn others<'r>(
    find: impl Fn(&str) -> Option<Match<'r>>,
    found: Option<Match<'_>>,
    mut texts: Vec<String>,
    normal: &str,
) -> Result<Vec<Reading<'static>>, Unrouted> {
    if let Some(Match { route, matched, .. }) = found
        && route.strip_path
    {
        let (prefix, stripped) = (&normal[..matched], path::service_path(normal, matched, true));
        texts.extend(reading::without_authority(&stripped).iter().map(|rest| format!("{prefix}{rest}")));
    }
    let mut others = Vec::with_capacity(texts.len());
    for text in texts {
        match (found, find(&text)) {
            (Some(found), Some(other)) if std::ptr::eq(found.route, other.route) => {
                others.push(Reading { path: Cow::Owned(text), matched: other.matched });
            }
            (None, None) => {}
            _ => return Err(Unrouted::Ambiguous),
        }
    }
    Ok(others)
}

/// Some reading of a client's spelling leads to another route than its normal form.
struct Elsewhere;

/// The longest path that is forwarded as the client spelt it if that is not the normal form, in bytes: each reading of it takes time. The
/// longest key of S3 has 1,024 bytes, and an escape three.
const MAX_SPELT: usize = 8 << 10;

/// Whether and how a path may be forwarded as it was spelt; `found` is the route of its normal form. Out of the way of the paths that are in
/// normal form.
#[inline(never)]
fn spelt<'r, 'p>(
    find: impl Fn(&str) -> Option<Match<'r>>,
    found: Match<'_>,
    path: &'p str,
    normal: &str,
) -> Result<Option<Box<Spelt<'p>>>, Elsewhere> {
    if path.len() > MAX_SPELT || path::has_wide_escape(path) {
        return Ok(None);
    }
    let Match { route, matched, .. } = found;
    let cut = path::cut_of_spelt(route.path_handling, path, normal, matched, route.strip_path);
    let mut texts = reading::as_spelt(path, &normal_escapes(path), normal);
    if let Some(cut @ 1..) = cut {
        let (prefix, rest) = path.split_at(cut);
        texts.extend(reading::without_authority(rest).into_iter().map(|rest| format!("{prefix}{rest}")));
    }
    let mut readings = Vec::with_capacity(texts.len());
    for text in texts {
        match find(&text) {
            Some(other) if std::ptr::eq(other.route, route) => {
                readings.push(Reading { path: Cow::Owned(text), matched: other.matched });
            }
            Some(_) | None => return Err(Elsewhere),
        }
    }
    let has_dots = path::has_dot_segment(path);
    let cut = cut.filter(|cut| *cut == 0 || !has_dots);
    Ok(cut.map(|cut| Box::new(Spelt { path, cut, has_dots, readings })))
}
