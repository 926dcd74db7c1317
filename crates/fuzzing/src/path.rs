//! Paths: normalisation, the router, and what becomes of a path behind `strip_path`.
//!
//! Read as: a line `METHOD HOST PATH`, then routes one a line, `METHODS HOSTS PATHS STRIP`, lists with commas, `-` for none. What must
//! hold: a normal path is its own normal form and has one spelling; a route that is found matches, one that matches is found, and none
//! that matches by more or by a longer prefix is passed over; the path behind `strip_path` begins with a slash.

use entities::PathHandling;
use gateway::path::{service_path, upstream_path};
use gateway::router::{Router, without_port};
use gateway::table::{HostPattern, PathPattern, Route};
use http::Method;
use regex::Regex;

use crate::input::Input;
use crate::route::route as bare;

const PORT: u16 = 8000;
const MAX_ROUTES: usize = 16;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let line = input.line();
    let mut words = line.splitn(3, ' ');
    let method = words.next().and_then(|method| method.parse().ok()).unwrap_or(Method::GET);
    let host = words.next().filter(|host| *host != "-").map(str::to_ascii_lowercase);
    let path = entities::normalise(words.next().unwrap_or("/"));
    is_normal(&path);
    if !path.starts_with('/') {
        return;
    }
    let mut routes = Vec::new();
    while !input.is_empty() && routes.len() < MAX_ROUTES {
        routes.extend(route(&input.line(), routes.len()));
    }
    let alone: Vec<Route> = routes.iter().map(copy).collect();
    let Ok(router) = Router::new(routes) else { return };
    finds(&router, &alone, &method, host.as_deref(), &path);
}

fn is_normal(path: &str) {
    assert_eq!(entities::normalise(path), path, "a normal form is its own");
    assert!(!path.contains("//"), "{path}");
    assert!(!path.split('/').any(|segment| segment == "." || segment == ".."), "{path}");
    let mut escapes = path.split('%');
    escapes.next();
    for escape in escapes {
        let byte = escape.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.unwrap_or_else(|| panic!("{path} has a % that is no escape"));
        assert_eq!(format!("{byte:02X}"), escape[..2], "{path}: escapes are in upper case");
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(!plain, "{path}: %{byte:02X} needs no escape");
    }
}

fn route(line: &str, index: usize) -> Option<Route> {
    let mut words = line.split(' ');
    let mut list = || words.next().unwrap_or("-").split(',').filter(|word| !word.is_empty() && *word != "-");
    let methods = list().filter_map(|method| method.parse().ok()).collect();
    let hosts = list().map(HostPattern::parse).collect();
    let paths = list().filter_map(path).collect();
    let strip_path = list().next() == Some("strip");
    Some(Route { hosts, methods, ..bare(index.to_string(), paths, strip_path) })
}

fn path(text: &str) -> Option<PathPattern> {
    match text.strip_prefix('~') {
        Some(regex) => Regex::new(&format!("^(?:{regex})")).ok().map(PathPattern::Regex),
        None => text.starts_with('/').then(|| PathPattern::Prefix(entities::normalise(text).into_owned())),
    }
}

fn copy(route: &Route) -> Route {
    let (hosts, methods) = (route.hosts.clone(), route.methods.clone());
    Route { hosts, methods, ..bare(route.name.clone(), route.paths.clone(), route.strip_path) }
}

fn finds(router: &Router, routes: &[Route], method: &Method, host: Option<&str>, path: &str) {
    let fitting: Vec<&Route> = routes.iter().filter(|route| fits(route, method, host, path)).collect();
    let Some(found) = router.find(method, host, PORT, path) else {
        let names: Vec<_> = fitting.iter().map(|route| &route.name).collect();
        assert!(names.is_empty(), "{names:?} are not found for {method} {host:?} {path}");
        return;
    };
    let route = found.route;
    assert!(fits(route, method, host, path), "{} is found for {method} {host:?} {path}", route.name);
    for other in &fitting {
        assert!(attributes(other) <= attributes(route), "{} is passed over for {}", other.name, route.name);
        if kinds(other) == kinds(route) && plain(other) && plain(route) {
            assert!(
                longest(other, path) <= found.matched,
                "{} is passed over for {}",
                other.name,
                route.name
            );
        }
    }
    assert!(path.is_char_boundary(found.matched));
    for strip in [route.strip_path, !route.strip_path] {
        let service = service_path(path, found.matched, strip);
        assert!(service.starts_with('/'), "{service} of {path}");
        assert!(strip || service == path);
        for base in ["/", "/base", "/base/"] {
            for handling in [PathHandling::V0, PathHandling::V1] {
                let upstream = upstream_path(handling, base, path, found.matched, strip);
                assert!(
                    upstream.starts_with(base.trim_end_matches('/')) && upstream.starts_with('/'),
                    "{upstream}"
                );
            }
        }
    }
}

fn fits(route: &Route, method: &Method, host: Option<&str>, path: &str) -> bool {
    let by_method = route.methods.is_empty() || route.methods.contains(method);
    let by_host = route.hosts.is_empty()
        || host.is_some_and(|host| {
            let bare = without_port(host);
            let full = if bare.len() < host.len() { host.to_owned() } else { format!("{host}:{PORT}") };
            route.hosts.iter().any(|pattern| host_fits(pattern, bare, &full))
        });
    let by_path = route.paths.is_empty() || route.paths.iter().any(|pattern| path_fits(pattern, path));
    by_method && by_host && by_path
}

/// A wildcard without a port sees the host without one.
fn host_fits(pattern: &HostPattern, bare: &str, full: &str) -> bool {
    let seen_by = |pattern: &str| if pattern.contains(':') { full } else { bare };
    let rest = match pattern {
        HostPattern::Exact(name) => return name == bare || name == full,
        HostPattern::Suffix(end) => seen_by(end).strip_suffix(end.as_str()),
        HostPattern::Prefix { begin, port } => {
            seen_by(port).strip_suffix(port.as_str()).and_then(|host| host.strip_prefix(begin.as_str()))
        }
    };
    rest.is_some_and(|rest| !rest.is_empty())
}

fn path_fits(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()),
        PathPattern::Regex(regex) => regex.is_match(path),
    }
}

/// By what a route matches.
fn kinds(route: &Route) -> [bool; 3] {
    [!route.hosts.is_empty(), !route.paths.is_empty(), !route.methods.is_empty()]
}

fn attributes(route: &Route) -> usize {
    kinds(route).into_iter().filter(|kind| *kind).count()
}

/// Whether only lengths of prefixes decide between it and others.
fn plain(route: &Route) -> bool {
    let prefixes = route.paths.iter().all(|path| matches!(path, PathPattern::Prefix(_)));
    prefixes && route.hosts.iter().all(|host| matches!(host, HostPattern::Exact(_)))
}

fn longest(route: &Route, path: &str) -> usize {
    let lengths =
        route.paths.iter().filter(|pattern| path_fits(pattern, path)).map(|pattern| match pattern {
            PathPattern::Prefix(prefix) => prefix.len(),
            PathPattern::Regex(_) => 0,
        });
    lengths.max().unwrap_or(0)
}
