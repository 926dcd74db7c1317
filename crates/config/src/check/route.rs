//! Kong's rules for routes.

use event::Timestamp;
use pipeline::method::{self, MethodProblem};
use regex::Regex;
use url::Host;
use uuid::Uuid;

use super::declared::{Declarations, Nested};
use super::names::{Names, check_entity_name, check_tags, refer};
use super::service::{created_at, foreign_character};
use crate::entities::{Route, Service};
use crate::ids;
use crate::normalise::normalise;
use crate::problem::{Problems, Spot};
use crate::raw;

/// A route with its service, by index.
pub(super) struct Checked {
    pub(super) service: usize,
    pub(super) route: Route,
}

/// Checks every route; its plug-ins come later.
pub(super) fn check_all(
    declared: &Declarations,
    names: &Names,
    services: &[Option<Service>],
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Vec<Option<Checked>> {
    let mut nameless = vec![0; services.len()];
    let mut check = |Nested { entity, parent }: &Nested<raw::Route>| {
        let raw = entity.raw.as_ref()?;
        let route = check_one(&entity.spot, raw, now, problems);
        let service = service_of(&entity.spot, raw, *parent, names, problems)?;
        let id =
            raw.id.as_deref().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_else(|| match &raw.name {
                Some(name) => ids::of_name("routes", name),
                None => {
                    nameless[service] += 1;
                    let parent = services[service].as_ref().map(|service| service.id.to_string());
                    ids::of_position("routes", &parent.unwrap_or_default(), nameless[service] - 1)
                }
            });
        Some(Checked { service, route: Route { id, ..route } })
    };
    declared.routes.iter().map(&mut check).collect()
}

fn service_of(
    spot: &Spot,
    raw: &raw::Route,
    parent: Option<usize>,
    names: &Names,
    problems: &mut Problems<'_>,
) -> Option<usize> {
    if parent.is_none() && raw.service.is_none() {
        let hint = "name the service that it leads to, or put the route under one; routes without a service are not supported yet";
        problems.add(spot, "required field missing: `service`", hint);
        return None;
    }
    refer(&names.services, spot, "service", raw.service.as_ref(), parent, problems)
}

/// The route, but for its id.
fn check_one(spot: &Spot, raw: &raw::Route, now: Timestamp, problems: &mut Problems<'_>) -> Route {
    check_entity_name(spot, raw.name.as_deref(), problems);
    check_protocols(spot, raw.protocols.as_deref(), problems);
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if is_empty(&raw.hosts) && is_empty(&raw.paths) && is_empty(&raw.methods) {
        let hint = "`paths: [/]` matches every request";
        problems.add(spot, "must set one of 'methods', 'hosts', 'paths'", hint);
    }
    for (index, path) in raw.paths.iter().flatten().enumerate() {
        check_path(&spot.key("paths").index(index), path, problems);
    }
    for (index, method) in raw.methods.iter().flatten().enumerate() {
        check_method(&spot.key("methods").index(index), method, problems);
    }
    let mut hosts = Vec::new();
    for (index, host) in raw.hosts.iter().flatten().enumerate() {
        check_host(&spot.key("hosts").index(index), host, problems);
        hosts.push(host.to_lowercase());
    }
    Route {
        id: Uuid::nil(),
        name: raw.name.clone(),
        hosts,
        paths: raw.paths.clone().unwrap_or_default(),
        methods: raw.methods.clone().unwrap_or_default(),
        strip_path: raw.strip_path,
        preserve_host: raw.preserve_host,
        regex_priority: raw.regex_priority,
        request_buffering: raw.request_buffering,
        response_buffering: raw.response_buffering,
        tags: check_tags(spot, raw.tags.as_ref(), problems),
        created_at: created_at(raw.created_at, now),
        plugins: Vec::new(),
    }
}

fn check_protocols(spot: &Spot, protocols: Option<&[raw::RouteProtocol]>, problems: &mut Problems<'_>) {
    if protocols.is_some_and(|protocols| !protocols.contains(&raw::RouteProtocol::Http)) {
        let hint = "add `http`: the gateway listens without TLS, and end TLS in front of it";
        problems.add(&spot.key("protocols"), "a route without `http` is not supported yet", hint);
    }
}

fn check_path(spot: &Spot, path: &str, problems: &mut Problems<'_>) {
    if let Some(regex) = path.strip_prefix('~') {
        check_regex(spot, regex, problems);
    } else if !path.starts_with('/') {
        let hint = "put a slash in front";
        problems.add(spot, "should start with: / (fixed path) or ~/ (regex path)", hint);
    } else if path.contains("//") {
        problems.add(
            spot,
            "must not have empty segments",
            "requests have their double slashes merged: write one",
        );
    } else if let Some(bad) = foreign_character(path) {
        let hint = match bad {
            '?' | '#' => "a path ends before the query".to_owned(),
            _ if bad.is_ascii() && !bad.is_ascii_control() && bad != ' ' => {
                "if it is a regular expression, put a ~ in front".to_owned()
            }
            _ => "write it percent-encoded, as %xx".to_owned(),
        };
        problems.add(spot, format!("{bad:?} cannot stand in a fixed path"), hint);
    } else {
        let normal = normalise(path);
        if normal != path {
            let message = format!("non-normalized path, consider use '{normal}' instead");
            problems.add(
                spot,
                message,
                "requests are normalised before they are matched: this path never would be",
            );
        }
    }
}

fn check_regex(spot: &Spot, regex: &str, problems: &mut Problems<'_>) {
    if !regex.starts_with('/') {
        let hint = "a regex path is matched from the begin of the request's path, which is a slash";
        problems.add(spot, "should start with: / (fixed path) or ~/ (regex path)", hint);
        return;
    }
    if let Err(error) = Regex::new(regex) {
        let text = error.to_string();
        let reason =
            text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(text.as_str());
        let message = format!("invalid regex: '{regex}' ({})", reason.replace('\n', " "));
        let hint =
            "the engine is Rust's `regex` crate, not PCRE: linear time, no look-around, no back-references";
        problems.add(spot, message, hint);
    }
}

fn check_method(spot: &Spot, method: &str, problems: &mut Problems<'_>) {
    if let Some(problem @ MethodProblem::NotForwarded) = method::problem(method) {
        let hint = "remove it from `methods`";
        problems.add(spot, format!("`{method}` never matches: {problem}"), hint);
        return;
    }
    if !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return;
    }
    let hint = match method.bytes().all(|byte| byte.is_ascii_alphabetic()) && !method.is_empty() {
        true => "methods are upper case",
        false => "a method is made of the letters A to Z",
    };
    problems.add(spot, "invalid method", hint);
}

fn check_host(spot: &Spot, host: &str, problems: &mut Problems<'_>) {
    let stars = host.matches('*').count();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let wildcard = name.strip_prefix("*.").or_else(|| name.strip_suffix(".*"));
    let hint = if stars > 1 || (stars == 1 && wildcard.is_none()) {
        "one wildcard, as the first or last label: *.example.com or example.*"
    } else if !host.contains('/')
        && port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0))
    {
        "the port is a number from 1 to 65535"
    } else if Host::parse(wildcard.unwrap_or(name)).is_err() {
        "a host is a name or an IP address, with or without :port, without http:// and path"
    } else {
        return;
    };
    problems.add(spot, "invalid hostname", hint);
}
