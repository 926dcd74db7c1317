//! Kong's rules for services.

use std::time::Duration;

use event::Timestamp;
use url::{Host, Url};
use uuid::Uuid;

use super::declared::{Declarations, Declared};
use super::names::{check_entity_name, check_tags};
use crate::entities::Service;
use crate::ids;
use crate::normalise::is_unreserved;
use crate::problem::{Problems, Spot};
use crate::raw;

/// Protocols of Kong's that we do not speak to a service yet.
const SCHEMES_NOT_YET: [&str; 7] = ["https", "grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp"];

/// Checks every service; its routes come later.
pub(super) fn check_all(
    declared: &Declarations,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Vec<Option<Service>> {
    let check = |(index, service): (usize, &Declared<raw::Service>)| {
        check_one(&service.spot, service.raw.as_ref()?, index, now, problems)
    };
    declared.services.iter().enumerate().map(check).collect()
}

fn check_one(
    spot: &Spot,
    raw: &raw::Service,
    index: usize,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Option<Service> {
    check_entity_name(spot, raw.name.as_deref(), problems);
    let tags = check_tags(spot, raw.tags.as_ref(), problems);
    let Address { host, port, path } = address(spot, raw, problems)?;
    Some(Service {
        id: id(raw.id.as_deref(), raw.name.as_deref(), index),
        name: raw.name.clone(),
        host,
        port,
        path,
        connect_timeout: Duration::from_millis(raw.connect_timeout.into()),
        write_timeout: Duration::from_millis(raw.write_timeout.into()),
        read_timeout: Duration::from_millis(raw.read_timeout.into()),
        retries: raw.retries,
        enabled: raw.enabled,
        tags,
        created_at: created_at(raw.created_at, now),
        routes: Vec::new(),
    })
}

fn id(id: Option<&str>, name: Option<&str>, index: usize) -> Uuid {
    let given = id.and_then(|id| Uuid::try_parse(id).ok());
    given.unwrap_or_else(|| match name {
        Some(name) => ids::of_name("services", name),
        None => ids::of_position("services", "", index),
    })
}

/// The `created_at` of an entity, in seconds in the file.
pub(super) fn created_at(given: Option<u32>, now: Timestamp) -> Timestamp {
    given.map_or(now, |seconds| Timestamp::from_millis(u64::from(seconds) * 1_000))
}

struct Address {
    host: String,
    port: u16,
    path: Option<String>,
}

fn address(spot: &Spot, raw: &raw::Service, problems: &mut Problems<'_>) -> Option<Address> {
    let Some(url) = &raw.url else {
        let path = raw.path.clone();
        check_path(&spot.key("path"), path.as_deref(), problems);
        let Some(host) = &raw.host else {
            problems.add(
                spot,
                "required field missing: `host`",
                "add `url: http://host:port`, or `host` and `port`",
            );
            return None;
        };
        let host = check_host(&spot.key("host"), host, problems)?;
        return Some(Address { host, port: raw.port.unwrap_or(80), path });
    };
    let beside = [
        ("protocol", raw.protocol.is_some()),
        ("host", raw.host.is_some()),
        ("port", raw.port.is_some()),
        ("path", raw.path.is_some()),
    ];
    for (key, _) in beside.iter().filter(|(_, is_there)| *is_there) {
        let message = format!("`{key}` stands beside `url`");
        problems.add(&spot.key(key), message, "`url` says it already: keep one of the two");
    }
    from_url(&spot.key("url"), url, problems)
}

fn from_url(spot: &Spot, text: &str, problems: &mut Problems<'_>) -> Option<Address> {
    let mut refuse = |message: String, hint: &str| {
        problems.add(spot, message, hint);
        None
    };
    let example = "write it like http://localhost:9000/path";
    let Some((scheme, rest)) = text.split_once("://") else {
        return refuse("not a URL: it does not begin with http://".into(), example);
    };
    if SCHEMES_NOT_YET.contains(&scheme) {
        let hint =
            "services are reached over plain http for now; put a TLS client such as stunnel in between";
        return refuse(format!("`{scheme}` is not supported yet"), hint);
    }
    if scheme != "http" {
        return refuse("a service is reached over http".into(), example);
    }
    let (authority, path) = rest.find('/').map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
    if authority.is_empty() {
        return refuse("missing host in url".into(), example);
    }
    if authority.contains('@') {
        return refuse("a user or password in the url is not supported".into(), "remove it");
    }
    if text.contains(['?', '#']) {
        return refuse("a url of a service has no `?` and no `#`".into(), "end it with the path");
    }
    let url = match Url::parse(&format!("http://{authority}/")) {
        Ok(url) => url,
        Err(error) => return refuse(format!("not a URL: {error}"), example),
    };
    let Some(host) = url.host().map(plain_host) else {
        return refuse("missing host in url".into(), example);
    };
    let port = url.port().unwrap_or(80);
    check_path(spot, path, problems);
    Some(Address { host, port, path: path.map(str::to_owned) })
}

fn check_host(spot: &Spot, text: &str, problems: &mut Problems<'_>) -> Option<String> {
    let bracketed =
        if text.contains(':') && !text.starts_with('[') { format!("[{text}]") } else { text.to_owned() };
    match Host::parse(&bracketed) {
        Ok(host) => Some(plain_host(host)),
        Err(_) => {
            let hint = "a host is a name or an IP address, without port and path";
            problems.add(spot, "invalid hostname", hint);
            None
        }
    }
}

fn plain_host<S: AsRef<str>>(host: Host<S>) -> String {
    match host {
        Host::Domain(name) => name.as_ref().to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

/// Kong's rules for the path of a service.
fn check_path(spot: &Spot, path: Option<&str>, problems: &mut Problems<'_>) {
    let Some(path) = path else { return };
    if !path.starts_with('/') {
        problems.add(spot, "should start with: /", "put a slash in front");
    } else if path.contains("//") {
        problems.add(spot, "must not have empty segments", "write one slash in the place of two");
    } else if let Some(bad) = foreign_character(path) {
        problems.add(spot, format!("{bad:?} cannot stand in a path"), "write it percent-encoded, as %xx");
    }
}

/// The first character that RFC 3986 does not let stand in a path.
pub(super) fn foreign_character(path: &str) -> Option<char> {
    let fits = |c: char| c.is_ascii() && is_unreserved(c as u8) || "/%:@!$&'()*+,;=".contains(c);
    path.chars().find(|&c| !fits(c))
}
