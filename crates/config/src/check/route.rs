//! Routes, read from files and checked.

use entities::{Origin, PathForwarding, PathHandling, Route, RouteProtocol, Service, ids, route};
use event::Timestamp;
use uuid::Uuid;

use super::declared::{Declarations, Nested};
use super::names::{Names, refer};
use super::service::times;
use crate::problem::{Problems, Spot};
use crate::raw;

/// Checks every route.
pub(super) fn check_all(
    declared: &Declarations,
    names: &Names,
    services: &[Option<Service>],
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Vec<Option<Route>> {
    let mut nameless = vec![0; services.len()];
    let mut nowhere = 0;
    let mut check = |Nested { entity, parent }: &Nested<raw::Route>| {
        let raw = entity.raw.as_ref()?;
        let route = check_one(&entity.spot, raw, now, problems);
        let named = refer(&names.services, &entity.spot, "service", raw.service.as_ref(), *parent, problems);
        if named.is_none() && raw.service.is_some() {
            return None;
        }
        // A service with a problem has no id. That does not matter, because the result is then only the report.
        let service = named.map(|index| services[index].as_ref().map_or(Uuid::nil(), |service| service.id));
        let id = raw.id.as_deref().and_then(|id| Uuid::try_parse(id).ok());
        let id = id.unwrap_or_else(|| match &raw.name {
            Some(name) => ids::of_name("routes", name),
            None => {
                let count = named.map_or(&mut nowhere, |index| &mut nameless[index]);
                *count += 1;
                let parent = service.map(|id| id.to_string()).unwrap_or_default();
                ids::of_position("routes", &parent, *count - 1)
            }
        });
        Some(Route { id, service, ..route })
    };
    declared.routes.iter().map(&mut check).collect()
}

/// The route, without its id and its service.
fn check_one(spot: &Spot, raw: &raw::Route, now: Timestamp, problems: &mut Problems<'_>) -> Route {
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let mut route = Route {
        id: Uuid::nil(),
        origin: Origin::File,
        name: raw.name.clone(),
        service: None,
        hosts: raw.hosts.clone().unwrap_or_default(),
        paths: raw.paths.clone().unwrap_or_default(),
        methods: raw.methods.clone().unwrap_or_default(),
        strip_path: raw.strip_path,
        preserve_host: raw.preserve_host,
        rewrite_location: raw.rewrite_location,
        rewrite_cookies: raw.rewrite_cookies,
        path_handling: match raw.path_handling {
            raw::PathHandling::V0 => PathHandling::V0,
            raw::PathHandling::V1 => PathHandling::V1,
        },
        path_forwarding: match raw.path_forwarding {
            raw::PathForwarding::Raw => PathForwarding::Raw,
            raw::PathForwarding::Normalised => PathForwarding::Normalised,
        },
        regex_priority: raw.regex_priority,
        request_buffering: raw.request_buffering,
        response_buffering: raw.response_buffering,
        protocols: raw.protocols.as_ref().map_or_else(route::both_protocols, |protocols| {
            protocols.iter().copied().map(protocol).collect()
        }),
        https_redirect_status_code: raw.https_redirect_status_code.unwrap_or(route::UPGRADE_REQUIRED),
        heeds_forwarded_proto: true,
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    route.check().into_iter().for_each(|error| problems.add_field(spot, error));
    route.hosts.iter_mut().for_each(|host| *host = host.to_lowercase());
    route
}

fn protocol(raw: raw::RouteProtocol) -> RouteProtocol {
    match raw {
        raw::RouteProtocol::Http => RouteProtocol::Http,
        raw::RouteProtocol::Https => RouteProtocol::Https,
    }
}
