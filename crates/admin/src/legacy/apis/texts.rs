//! The texts of an api, checked as 0.x checks them: names, addresses, hosts, uris and methods, with 0.x's messages.

use entities::field::Path;
use entities::service::{self, Address};
use entities::{FieldError, Route, normalise};

use crate::legacy::error::Wrong;

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-~".contains(c))
}

pub(super) fn address(url: &str) -> Result<Address, String> {
    let lower =
        url.split_once("://").map(|(scheme, rest)| format!("{}://{rest}", scheme.to_ascii_lowercase()));
    let Some(url) = lower else { return Err("upstream_url is not a url".into()) };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err("Supported protocols are HTTP and HTTPS".into());
    }
    service::address(&url)
        .map_err(|flaw| format!("upstream_url is not a url: {} ({})", flaw.message, flaw.hint))
}

pub(super) fn host(host: &str) -> Result<String, &'static str> {
    let host = host.trim().to_lowercase();
    if host.is_empty() {
        return Err("host is empty");
    }
    if host.contains(':') {
        return Err("Invalid hostname");
    }
    match host.matches('*').count() {
        0 => Ok(host),
        1 if host.starts_with("*.") || (host.ends_with(".*") && host.len() > 2) => Ok(host),
        1 => Err("Invalid wildcard placement"),
        _ => Err("Only one wildcard is allowed"),
    }
}

/// Whether a prefix of a path may have this byte.
pub(super) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.~/%-".contains(&byte)
}

/// A path of a route: a prefix, or `~` and a regular expression if the text has a character that no prefix may have.
pub(super) fn uri(uri: &str) -> Result<String, &'static str> {
    if uri.trim().is_empty() {
        return Err("uri is empty");
    }
    if !uri.starts_with('/') {
        return Err("must be prefixed with slash");
    }
    if !uri.bytes().all(is_plain) {
        return Ok(format!("~{uri}"));
    }
    if uri.contains("//") {
        return Err("invalid");
    }
    let mut escapes = uri.split('%').skip(1);
    if escapes.any(|rest| !rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
    {
        return Err("must use proper encoding");
    }
    let normal = normalise(uri);
    let trimmed = normal.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

pub(super) fn method(method: &str) -> Result<String, &'static str> {
    match method {
        "" => Err("method is empty"),
        method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(method.to_owned()),
        _ => Err("invalid value"),
    }
}

/// Notes what the rules of services find, which 0.x does not have.
pub(super) fn service_error(error: &FieldError, wrong: &mut Wrong) {
    let field = if error.path == Path::key("name") { "name" } else { "upstream_url" };
    wrong.add(field, format!("{field} {}", error.message));
}

/// Notes what the rules of routes find, which 0.x does not have.
pub(super) fn route_error(route: &Route, error: &FieldError, wrong: &mut Wrong) {
    let path = error.path.to_string();
    let (list, index) = path.split_once('[').unwrap_or((&path, ""));
    let index = index.trim_end_matches(']').parse().unwrap_or(usize::MAX);
    let (field, what, items) = match list {
        "hosts" => ("hosts", "host", &route.hosts),
        "paths" => ("uris", "uri", &route.paths),
        "methods" => ("methods", "method", &route.methods),
        _ => return wrong.add("name", format!("name {}", error.message)),
    };
    let item = items.get(index).map_or("", |item| item.strip_prefix('~').unwrap_or(item));
    wrong.add(field, format!("{what} with value '{item}' is invalid: {} ({})", error.message, error.hint));
}
