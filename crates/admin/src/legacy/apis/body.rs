//! The body of a request for an api: read with the names of 0.8 or of 0.10, and checked by the rules of 0.x and by those of services and routes.

use std::time::Duration;

use axum::http::StatusCode;
use entities::service::Address;
use entities::{PathForwarding, Route, RouteProtocol, Service, route};
use serde_json::{Map, Value, json};

use super::texts::{address, host, is_name, is_plain, method, route_error, service_error, uri};
use super::{Api, FIELDS, RETRIES};
use crate::legacy::error::{Error, Wrong};
use crate::legacy::fields;
use crate::legacy::form::{Extent, Given};

const MAX_RETRIES: u64 = 32_767;
const MAX_TIMEOUT: u64 = 2_147_483_646;

/// The names of fields that 0.8 has and 0.10 does not have.
const NAMES_OF_0_8: [&str; 3] = ["request_host", "request_path", "strip_request_path"];

/// The fields of a body. Those with names of 0.8 are there under the names of 0.10, too.
pub(super) fn read(body: Map<String, Value>, extent: Extent) -> Result<Map<String, Value>, Error> {
    let mut fields = fields::read(&FIELDS, body)?;
    if is_of_0_8(&fields) {
        translate(&mut fields, extent)?;
    }
    Ok(fields)
}

fn is_of_0_8(fields: &Map<String, Value>) -> bool {
    NAMES_OF_0_8.iter().any(|name| fields.contains_key(*name))
}

/// The values that a query asks for, in the form in which apis are shown. A value that no api can have stays as it is, and matches nothing.
pub(super) fn filters(query: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let mut wanted = read(query, Extent::Part)?;
    wanted.retain(|name, _| !NAMES_OF_0_8.contains(&name.as_str()));
    for (name, value) in &mut wanted {
        match (name.as_str(), &mut *value) {
            ("upstream_url", Value::String(url)) => {
                if let Ok(address) = address(url) {
                    *url = address.url();
                }
            }
            ("uris", Value::Array(uris)) => uris.iter_mut().for_each(|one| respell(one, uri)),
            ("hosts", Value::Array(hosts)) => hosts.iter_mut().for_each(|one| respell(one, host)),
            _ => {}
        }
    }
    Ok(wanted)
}

/// Gives a text the spelling in which it is shown.
fn respell(text: &mut Value, read: fn(&str) -> Result<String, &'static str>) {
    if let Some(Ok(read)) = text.as_str().map(read) {
        *text = read.strip_prefix('~').unwrap_or(&read).into();
    }
}

/// The api with the values of a body.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub(super) fn fill(Api { mut service, route }: Api, given: &Given) -> Result<Api, Error> {
    let mut route = route.unwrap_or_else(|| super::blank_route(&service));
    let (said, mut wrong) = (Body(given), Wrong::default());
    said.fill_service(&mut service, &mut wrong);
    said.fill_route(&mut route, &mut wrong);
    route.name.clone_from(&service.name);
    wrong.check()?;
    let mut wrong = Wrong::default();
    service.check().iter().for_each(|error| service_error(error, &mut wrong));
    if route.hosts.is_empty() && route.paths.is_empty() && route.methods.is_empty() {
        wrong.check()?;
        return Err(said.aimless());
    }
    route.check().iter().for_each(|error| route_error(&route, error, &mut wrong));
    wrong.check().map(|()| Api { service, route: Some(route) })
}

/// The body of a request for an api.
struct Body<'g>(&'g Given);

impl Body<'_> {
    fn fill_service(&self, service: &mut Service, wrong: &mut Wrong) {
        if let Some(name) = self.0.value("name", || None, |name| Some(name.as_str().map(str::to_owned))) {
            match &name {
                None => wrong.add("name", "name is required"),
                Some(name) if !is_name(name) => {
                    wrong.add("name", "name must only contain alphanumeric and '., -, _, ~' characters");
                }
                Some(_) => {}
            }
            service.name = name;
        }
        let url = |url: &Value| Some(url.as_str().unwrap_or_default().to_owned());
        match self.0.value("upstream_url", String::new, url).as_deref() {
            None => {}
            Some("") => wrong.add("upstream_url", "upstream_url is required"),
            Some(url) => match address(url) {
                Ok(Address { protocol, host, port, path }) => {
                    (service.protocol, service.host, service.port, service.path) =
                        (protocol, host, port, path);
                }
                Err(message) => wrong.add("upstream_url", message),
            },
        }
        if let Some(retries) = self.number("retries", RETRIES.into(), 0, MAX_RETRIES, wrong) {
            service.retries = retries as u16;
        }
        let mut timeout = |name| self.number(name, 60_000, 1, MAX_TIMEOUT, wrong).map(Duration::from_millis);
        let timeouts = [
            (timeout("upstream_connect_timeout"), &mut service.connect_timeout),
            (timeout("upstream_send_timeout"), &mut service.write_timeout),
            (timeout("upstream_read_timeout"), &mut service.read_timeout),
        ];
        for (given, timeout) in timeouts {
            *timeout = given.unwrap_or(*timeout);
        }
    }

    fn fill_route(&self, route: &mut Route, wrong: &mut Wrong) {
        let mut texts = |name: &str, what: &str, read: fn(&str) -> Result<String, &'static str>| {
            let items = self.0.value(name, Vec::new, |list| list.as_array().cloned())?;
            let mut texts: Vec<String> = Vec::new();
            for item in &items {
                let read = item.as_str().ok_or("must be a string").and_then(read);
                match read {
                    Ok(text) if texts.contains(&text) => {}
                    Ok(text) => texts.push(text),
                    Err(message) => {
                        let item = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                        wrong.add(name, format!("{what} with value '{item}' is invalid: {message}"));
                    }
                }
            }
            Some(texts)
        };
        let lists = [
            (texts("hosts", "host", host), &mut route.hosts),
            (texts("uris", "uri", uri), &mut route.paths),
            (texts("methods", "method", method), &mut route.methods),
        ];
        for (given, list) in lists {
            if let Some(given) = given {
                *list = given;
            }
        }
        let strips = !(is_of_0_8(&self.0.fields) && self.0.extent == Extent::Whole);
        route.strip_path = self.0.value("strip_uri", || strips, Value::as_bool).unwrap_or(route.strip_path);
        let text = |value: &Value| Some(value.as_str().unwrap_or_default().to_owned());
        let raw = || PathForwarding::Raw.as_str().to_owned();
        match self.0.value("path_forwarding", raw, text).as_deref() {
            None => {}
            Some("raw") => route.path_forwarding = PathForwarding::Raw,
            Some("normalised") => route.path_forwarding = PathForwarding::Normalised,
            Some(_) => wrong.add("path_forwarding", "must be 'raw' or 'normalised'"),
        }
        let keeps = self.0.value("preserve_host", || false, Value::as_bool);
        route.preserve_host = keeps.unwrap_or(route.preserve_host);
        let rewrites = |name: &str| self.0.value(name, || false, Value::as_bool);
        route.rewrite_location = rewrites("rewrite_location").unwrap_or(route.rewrite_location);
        route.rewrite_cookies = rewrites("rewrite_cookies").unwrap_or(route.rewrite_cookies);
        if let Some(https_only) = self.0.value("https_only", || false, Value::as_bool) {
            route.protocols = if https_only { vec![RouteProtocol::Https] } else { route::both_protocols() };
        }
        let heeds = self.0.value("http_if_terminated", || false, Value::as_bool);
        route.heeds_forwarded_proto = heeds.unwrap_or(route.heeds_forwarded_proto);
    }

    fn number(&self, name: &str, default: u64, least: u64, most: u64, wrong: &mut Wrong) -> Option<u64> {
        // A number that is not a u64 is out of every range.
        let given = self.0.value(name, || default, |value| Some(value.as_u64().unwrap_or(u64::MAX)))?;
        if (least..=most).contains(&given) {
            return Some(given);
        }
        wrong.add(name, format!("must be an integer between {least} and {most}"));
        None
    }

    /// The error for an api that no request would match, in the words of the version whose names the body has.
    fn aimless(&self) -> Error {
        if !is_of_0_8(&self.0.fields) {
            return Error::bad_request("at least one of 'hosts', 'uris' or 'methods' must be specified");
        }
        let mut wrong = Wrong::default();
        for name in ["request_host", "request_path"] {
            wrong.add(name, "At least a 'request_host' or a 'request_path' must be specified");
        }
        Error::fields(StatusCode::BAD_REQUEST, wrong)
    }
}

/// Log lines about what a file for Kong 0.8 means differently here, once, when its api is made.
pub(super) fn warn_of_what_changed_since_0_8(api: &Api, given: &Given) {
    let name = api.service.label();
    let Some(route) = &api.route else { return };
    if !route.paths.is_empty() && !given.fields.contains_key("strip_uri") && !is_of_0_8(&given.fields) {
        tracing::info!(
            api = name,
            "`strip_uri` is not given: the matched path is cut off, as since Kong 0.10; before, it was kept (strip_request_path: false)"
        );
    }
    if !route.paths.is_empty() && !route.hosts.is_empty() {
        tracing::info!(
            api = name,
            "host and path must both match, as since Kong 0.10; before, either was enough"
        );
    }
}

/// Adds the fields with names of 0.8 under the names of 0.10, unless those are there already.
fn translate(fields: &mut Map<String, Value>, extent: Extent) -> Result<(), Error> {
    let [host, path, strips] = NAMES_OF_0_8.map(|old| fields.get(old).cloned());
    if path.as_ref().and_then(Value::as_str).is_some_and(|path| !path.bytes().all(is_plain)) {
        let message = "must only contain alphanumeric and '., -, _, ~, /, %' characters";
        return Err(Error::field(StatusCode::BAD_REQUEST, "request_path", message));
    }
    let name = match (&host, &path) {
        (Some(Value::String(host)), _) if !host.is_empty() => Some(default_name(host)),
        (_, Some(Value::String(path))) if path.len() > 1 => Some(default_name(path.trim_matches('/'))),
        _ => None,
    };
    let mut put = |new: &str, value: Value| {
        fields.entry(new).or_insert(value);
    };
    for (new, old) in [("hosts", host), ("uris", path)] {
        if let Some(value) = old {
            put(
                new,
                if value.as_str().is_some_and(|text| !text.is_empty()) {
                    json!([value])
                } else {
                    Value::Null
                },
            );
        }
    }
    if let Some(strips) = strips {
        put("strip_uri", if strips.is_null() { false.into() } else { strips });
    }
    if let Some(name) = name.filter(|_| extent == Extent::Whole) {
        put("name", name.into());
    }
    Ok(())
}

/// The name that 0.8 gives to an api without one.
fn default_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-~".contains(c) { c } else { '-' };
    text.chars().map(plain).collect()
}
