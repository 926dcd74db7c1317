//! Services, read from files and checked.
//!
//! As in Kong, `url` wins over the keys that say the same. If they differ, there is a warning ([`super::doubts`]).

use std::time::Duration;

use entities::field::{FieldError, Path};
use entities::service::{self, Address, Protocol};
use entities::{Origin, Service, ids};
use event::Timestamp;
use uuid::Uuid;

use super::certificate::Authorities;
use super::declared::{Declarations, Declared};
use crate::problem::{Problems, Spot};
use crate::raw::{self, ServiceProtocol};

/// Checks every service.
pub(super) fn check_all(
    declared: &Declarations,
    authorities: &Authorities,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Vec<Option<Service>> {
    let check = |(index, service): (usize, &Declared<raw::Service>)| {
        check_one(&service.spot, service.raw.as_ref()?, index, authorities, now, problems)
    };
    declared.services.iter().enumerate().map(check).collect()
}

fn check_one(
    spot: &Spot,
    raw: &raw::Service,
    index: usize,
    authorities: &Authorities,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Option<Service> {
    let address = address(spot, raw, problems);
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let is_there = address.is_some();
    let Address { protocol, host, port, path } = address.unwrap_or_default();
    let list = spot.key("ca_certificates");
    let named = raw.ca_certificates.iter().flatten().enumerate();
    let named = named.filter_map(|(index, id)| authorities.resolve(&list.index(index), &id.0, problems));
    let ca_certificates = named.collect();
    let service = Service {
        id: id(raw.id.as_deref(), raw.name.as_deref(), index),
        origin: Origin::File,
        name: raw.name.clone(),
        protocol,
        host,
        port,
        path,
        connect_timeout: Duration::from_millis(raw.connect_timeout.into()),
        write_timeout: Duration::from_millis(raw.write_timeout.into()),
        read_timeout: Duration::from_millis(raw.read_timeout.into()),
        retries: raw.retries,
        tls_verify: raw.tls_verify,
        tls_verify_depth: raw.tls_verify_depth,
        ca_certificates,
        enabled: raw.enabled,
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    // If the address is missing, errors that depend on the protocol cannot be judged.
    for mut error in service.check().into_iter().filter(|error| is_there || !of_protocol(error)) {
        // The value comes from `url`, so that is its place.
        if raw.url.is_some() && [Path::key("path"), Path::key("host")].contains(&error.path) {
            error.path = Path::key("url");
        }
        problems.add_field(spot, error);
    }
    is_there.then_some(service)
}

/// Whether an error depends on the protocol.
fn of_protocol(error: &FieldError) -> bool {
    ["host", "tls_verify", "tls_verify_depth", "ca_certificates"].map(Path::key).contains(&error.path)
}

fn id(id: Option<&str>, name: Option<&str>, index: usize) -> Uuid {
    let given = id.and_then(|id| Uuid::try_parse(id).ok());
    given.unwrap_or_else(|| match name {
        Some(name) => ids::of_name("services", name),
        None => ids::of_position("services", "", index),
    })
}

/// When an entity was made and changed; the file has seconds.
pub(super) fn times(created: Option<u32>, updated: Option<u32>, now: Timestamp) -> (Timestamp, Timestamp) {
    let time = |seconds: u32| Timestamp::from_millis(u64::from(seconds) * 1_000);
    let created = created.map_or(now, time);
    (created, updated.map_or(created, time))
}

fn address(spot: &Spot, raw: &raw::Service, problems: &mut Problems<'_>) -> Option<Address> {
    let Some(url) = &raw.url else {
        let Some(host) = &raw.host else {
            problems.add(
                spot,
                "required field missing: `host`",
                "add `url: http://host:port`, or `host` and `port`",
            );
            return None;
        };
        let host = problems.keep(&spot.key("host"), service::host(host))?;
        let protocol = match raw.protocol {
            None | Some(ServiceProtocol::Http) => Protocol::Http,
            Some(ServiceProtocol::Https) => Protocol::Https,
        };
        let port = raw.port.unwrap_or(protocol.port());
        return Some(Address { protocol, host, port, path: raw.path.clone() });
    };
    problems.keep(&spot.key("url"), service::address(url))
}
