//! What a body says of an api: read in the names of 0.8 and those of 0.10, held against the rules of 0.x and of what it becomes.

use std::time::Duration;

use axum::http::StatusCode;
use entities::service::Address;
use entities::{Route, Service};
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::texts::{address, host, is_name, is_plain, method, route_error, uri};
use super::{Api, FIELDS, RETRIES, shown};
use crate::legacy::error::{Error, Wrong};
use crate::legacy::fields;

const MAX_RETRIES: u64 = 32_767;
const MAX_TIMEOUT: u64 = 2_147_483_646;

/// Whether a body has all of an api, or what is to be another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Whole,
    Part,
}

/// What a body says of an api.
pub(super) struct Given {
    fields: Map<String, Value>,
    how: How,
    /// Whether it has names of 0.8.
    is_of_0_8: bool,
}

impl Given {
    pub(super) fn read(body: Map<String, Value>, how: How) -> Result<Self, Error> {
        let mut fields = fields::read(&FIELDS, body)?;
        let old = ["request_host", "request_path", "strip_request_path"];
        let is_of_0_8 = old.iter().any(|name| fields.contains_key(*name));
        if is_of_0_8 {
            translate(&mut fields, how)?;
        }
        Ok(Self { fields, how, is_of_0_8 })
    }

    pub(super) fn id(&self) -> Option<Uuid> {
        Uuid::try_parse(self.fields.get("id")?.as_str()?).ok()
    }

    pub(super) fn created_at(&self) -> Option<Timestamp> {
        let millis = self.fields.get("created_at")?.as_u64()?;
        millis.checked_mul(1_000).map(Timestamp::from_micros)
    }

    pub(super) fn refuse_immutable(&self, before: &Api) -> Result<(), Error> {
        let is = shown(&before.service, &before.route);
        let mut wrong = Wrong::default();
        for name in ["id", "created_at"] {
            if self.fields.get(name).is_some_and(|given| is.get(name) != Some(given)) {
                wrong.add(name, format!("{name} cannot be updated"));
            }
        }
        wrong.check()
    }

    /// What a field is to be; `None` if it is to stay.
    fn value<T>(
        &self,
        name: &str,
        default: impl FnOnce() -> T,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        match (self.fields.get(name), self.how) {
            (None, How::Part) => None,
            (None | Some(Value::Null), _) => Some(default()),
            (Some(value), _) => read(value),
        }
    }

    /// The api with what is said of it; all that is wrong at once.
    pub(super) fn fill(&self, mut api: Api) -> Result<Api, Error> {
        let mut wrong = Wrong::default();
        self.fill_service(&mut api.service, &mut wrong);
        self.fill_route(&mut api.route, &mut wrong);
        api.route.name.clone_from(&api.service.name);
        wrong.check()?;
        let mut wrong = Wrong::default();
        for error in api.service.check() {
            let field = if error.path.to_string() == "name" { "name" } else { "upstream_url" };
            wrong.add(field, format!("{field} {}", error.message));
        }
        let is_aimless =
            api.route.hosts.is_empty() && api.route.paths.is_empty() && api.route.methods.is_empty();
        if is_aimless {
            wrong.check()?;
            return Err(self.aimless());
        }
        for error in api.route.check() {
            route_error(&api.route, &error, &mut wrong);
        }
        wrong.check().map(|()| api)
    }

    fn fill_service(&self, service: &mut Service, wrong: &mut Wrong) {
        if let Some(name) = self.value("name", || None, |name| Some(name.as_str().map(str::to_owned))) {
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
        match self.value("upstream_url", String::new, url).as_deref() {
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
            let items = self.value(name, Vec::new, |list| list.as_array().cloned())?;
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
        let strips = !(self.is_of_0_8 && self.how == How::Whole);
        route.strip_path = self.value("strip_uri", || strips, Value::as_bool).unwrap_or(route.strip_path);
        let keeps = self.value("preserve_host", || false, Value::as_bool);
        route.preserve_host = keeps.unwrap_or(route.preserve_host);
        if self.fields.get("https_only").and_then(Value::as_bool) == Some(true) {
            let message = "https_only is not supported yet: this gateway listens without TLS. Leave it out, and end TLS in front of it";
            wrong.add("https_only", message);
        }
    }

    fn number(&self, name: &str, default: u64, least: u64, most: u64, wrong: &mut Wrong) -> Option<u64> {
        // A number that is none of these is out of every range.
        let given = self.value(name, || default, |value| Some(value.as_u64().unwrap_or(u64::MAX)))?;
        if (least..=most).contains(&given) {
            return Some(given);
        }
        wrong.add(name, format!("must be an integer between {least} and {most}"));
        None
    }

    /// An api that no request would take, in the words of the version whose names the body has.
    fn aimless(&self) -> Error {
        if !self.is_of_0_8 {
            return Error::bad_request("at least one of 'hosts', 'uris' or 'methods' must be specified");
        }
        let mut wrong = Wrong::default();
        for name in ["request_host", "request_path"] {
            wrong.add(name, "At least a 'request_host' or a 'request_path' must be specified");
        }
        Error::fields(StatusCode::BAD_REQUEST, wrong)
    }

    /// What a file of 0.8 meant otherwise, said once, when its api is made.
    pub(super) fn warn_of_what_changed_since_0_8(&self, api: &Api) {
        let name = api.service.label();
        if !api.route.paths.is_empty() && !self.fields.contains_key("strip_uri") && !self.is_of_0_8 {
            tracing::info!(
                api = name,
                "`strip_uri` is not given: the matched path is cut off, as since Kong 0.10; before, it was kept (strip_request_path: false)"
            );
        }
        if !api.route.paths.is_empty() && !api.route.hosts.is_empty() {
            tracing::info!(
                api = name,
                "host and path must both match, as since Kong 0.10; before, either was enough"
            );
        }
    }
}

/// Gives what is written in the names of 0.8 those of 0.10. A name that is there already goes first.
fn translate(fields: &mut Map<String, Value>, how: How) -> Result<(), Error> {
    let mut take = |old: &str| fields.shift_remove(old);
    let (host, path, strips) = (take("request_host"), take("request_path"), take("strip_request_path"));
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
    if let Some(name) = name.filter(|_| how == How::Whole) {
        put("name", name.into());
    }
    Ok(())
}

/// 0.8's name of an api that is given none.
fn default_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-~".contains(c) { c } else { '-' };
    text.chars().map(plain).collect()
}
