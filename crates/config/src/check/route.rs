//! Routes: read from what stands in a file, and checked.

use entities::{Origin, Route, Service, ids};
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
        // A service with a problem has no id yet, and the report is all that comes of it.
        let service = services[service].as_ref().map_or(Uuid::nil(), |service| service.id);
        Some(Route { id, service, ..route })
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

/// The route, but for its id and its service.
fn check_one(spot: &Spot, raw: &raw::Route, now: Timestamp, problems: &mut Problems<'_>) -> Route {
    check_protocols(spot, raw.protocols.as_deref(), problems);
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let mut route = Route {
        id: Uuid::nil(),
        origin: Origin::File,
        name: raw.name.clone(),
        service: Uuid::nil(),
        hosts: raw.hosts.clone().unwrap_or_default(),
        paths: raw.paths.clone().unwrap_or_default(),
        methods: raw.methods.clone().unwrap_or_default(),
        strip_path: raw.strip_path,
        preserve_host: raw.preserve_host,
        regex_priority: raw.regex_priority,
        request_buffering: raw.request_buffering,
        response_buffering: raw.response_buffering,
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    route.check().into_iter().for_each(|error| problems.add_field(spot, error));
    route.hosts.iter_mut().for_each(|host| *host = host.to_lowercase());
    route
}

fn check_protocols(spot: &Spot, protocols: Option<&[raw::RouteProtocol]>, problems: &mut Problems<'_>) {
    if protocols.is_some_and(|protocols| !protocols.contains(&raw::RouteProtocol::Http)) {
        let hint = "add `http`: the gateway listens without TLS, and end TLS in front of it";
        problems.add(&spot.key("protocols"), "a route without `http` is not supported yet", hint);
    }
}
