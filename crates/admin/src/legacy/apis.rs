//! `/apis`: each a service and a route.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::service::{self, Address};
use entities::{Entity, Kind, Origin, PathHandling, Route, Service, Set, ids, normalise};
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{self, Field, Type};
use super::list::Row;
use super::{Legacy, new_id};

/// The fields of an api.
pub(super) const FIELDS: [&Field; 18] = [
    &Field::new("id", Type::Id),
    &Field::new("created_at", Type::Time),
    &Field::new("name", Type::Text),
    &Field::new("hosts", Type::List),
    &Field::new("uris", Type::List),
    &Field::new("methods", Type::List),
    &Field::new("strip_uri", Type::Flag),
    &Field::new("https_only", Type::Flag),
    &Field::new("http_if_terminated", Type::Flag),
    &Field::new("upstream_url", Type::Text),
    &Field::new("preserve_host", Type::Flag),
    &Field::new("retries", Type::Number),
    &Field::new("upstream_connect_timeout", Type::Number),
    &Field::new("upstream_send_timeout", Type::Number),
    &Field::new("upstream_read_timeout", Type::Number),
    &Field::new("request_host", Type::Text),
    &Field::new("request_path", Type::Text),
    &Field::new("strip_request_path", Type::Flag),
];

const MINUTE: Duration = Duration::from_secs(60);
const RETRIES: u16 = 5;
const MAX_RETRIES: u64 = 32_767;
const MAX_TIMEOUT: u64 = 2_147_483_646;

/// An api as the set has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Api {
    pub service: Service,
    pub route: Route,
}

/// What a path names.
pub(super) enum Found {
    Api(Box<Api>),
    /// A service that a file declares, with what it is called.
    OfFile {
        id: Uuid,
        label: String,
    },
}

/// All that can be shown as an api: those of the APIs, and services of files that have one route.
pub(super) fn rows(whole: &Whole) -> Vec<Row> {
    let all = whole.all();
    let mut routes: HashMap<Uuid, Vec<&Arc<Route>>> = HashMap::new();
    for route in &all.routes {
        if let Some(service) = route.service {
            routes.entry(service).or_default().push(route);
        }
    }
    let route_of = |service: &Service| match (service.origin, routes.get(&service.id)?.as_slice()) {
        (Origin::Api, routes) => {
            routes.iter().find(|route| route.id == ids::of_api_route(service.id)).copied()
        }
        (Origin::File, [only]) => Some(*only),
        (Origin::File, _) => None,
    };
    let row = |service: &Arc<Service>| {
        let route = route_of(service)?;
        let (created_at, id, origin) = (service.created_at, service.id, service.origin);
        Some(Row { created_at, id, origin, shown: shown(service, route) })
    };
    all.services.iter().filter_map(row).collect()
}

/// Finds an api, or a service of a file, by id or by name.
pub(super) fn find(set: &Set, id_or_name: &str) -> Option<Found> {
    let by_id = Uuid::try_parse(id_or_name).ok();
    let by_id = by_id.and_then(|id| set.services.iter().find(|one| one.id == id));
    let by_name = || set.services.iter().find(|one| one.name.as_deref() == Some(id_or_name));
    let service = by_id.or_else(by_name)?;
    if service.origin == Origin::File {
        return Some(Found::OfFile { id: service.id, label: service.label() });
    }
    let route = set.routes.iter().find(|one| one.id == ids::of_api_route(service.id))?;
    Some(Found::Api(Box::new(Api { service: (**service).clone(), route: (**route).clone() })))
}

/// As 0.x shows it; what is absent is left out.
fn shown(service: &Service, route: &Route) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    let millis = |time: Duration| Value::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    put("created_at", service.created_at.as_millis().into());
    put("id", service.id.to_string().into());
    if let Some(name) = &service.name {
        put("name", name.as_str().into());
    }
    put("upstream_url", service.url().into());
    if !route.hosts.is_empty() {
        put("hosts", json!(route.hosts));
    }
    if !route.paths.is_empty() {
        let uris = route.paths.iter().map(|path| path.strip_prefix('~').unwrap_or(path));
        put("uris", uris.collect());
    }
    if !route.methods.is_empty() {
        put("methods", json!(route.methods));
    }
    put("strip_uri", route.strip_path.into());
    put("preserve_host", route.preserve_host.into());
    put("https_only", false.into());
    put("http_if_terminated", false.into());
    put("retries", service.retries.into());
    put("upstream_connect_timeout", millis(service.connect_timeout));
    put("upstream_read_timeout", millis(service.read_timeout));
    put("upstream_send_timeout", millis(service.write_timeout));
    shown
}

impl Api {
    fn blank(id: Uuid, created_at: Timestamp, now: Timestamp) -> Self {
        let service = Service {
            id,
            origin: Origin::Api,
            name: None,
            protocol: service::Protocol::Http,
            host: String::new(),
            port: 80,
            path: None,
            connect_timeout: MINUTE,
            write_timeout: MINUTE,
            read_timeout: MINUTE,
            retries: RETRIES,
            tls_verify: None,
            tls_verify_depth: None,
            ca_certificates: Vec::new(),
            enabled: true,
            tags: Vec::new(),
            created_at,
            updated_at: now,
        };
        let route = Route {
            id: ids::of_api_route(id),
            origin: Origin::Api,
            name: None,
            service: Some(id),
            hosts: Vec::new(),
            paths: Vec::new(),
            methods: Vec::new(),
            strip_path: true,
            preserve_host: false,
            regex_priority: 0,
            path_handling: PathHandling::default(),
            request_buffering: true,
            response_buffering: true,
            tags: Vec::new(),
            created_at,
            updated_at: now,
        };
        Self { service, route }
    }

    pub(super) fn shown(&self) -> Value {
        shown(&self.service, &self.route).into()
    }
}

/// `GET /apis/{id or name}`.
pub(super) fn get(whole: &Whole, id_or_name: &str) -> Result<Reply, Error> {
    match find(whole.all(), id_or_name) {
        Some(Found::Api(api)) => Ok(Reply::ok(api.shown())),
        Some(Found::OfFile { id, .. }) => {
            let row = rows(whole).into_iter().find(|row| row.id == id).ok_or_else(Error::not_found)?;
            Ok(Reply::ok(row.shown.into()))
        }
        None => Err(Error::not_found()),
    }
}

/// `POST /apis`, and `PUT /apis` without an id.
pub(super) fn create(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let given = Given::read(body, How::Whole)?;
    let now = legacy.clock.now();
    let api = Api::blank(given.id().unwrap_or_else(new_id), given.created_at().unwrap_or(now), now);
    if changes.whole().all().services.iter().any(|one| one.id == api.service.id) {
        let message = format!("already exists with value '{}'", api.service.id);
        return Err(Error::field(StatusCode::CONFLICT, "id", message));
    }
    let api = given.fill(api)?;
    given.warn_of_what_changed_since_0_8(&api);
    store(changes, &api, None)?;
    Ok(Reply::created(api.shown()))
}

/// `PATCH /apis/{id or name}`.
pub(super) fn update(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    id_or_name: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let before = found(changes.whole(), id_or_name)?;
    if body.is_empty() {
        return Err(Error::bad_request("empty body"));
    }
    let given = Given::read(body, How::Part)?;
    given.refuse_immutable(&before)?;
    let after = given.fill(before.clone())?;
    replace(legacy, changes, &before, after)
}

/// `PUT /apis`: with an id, all of the api that has it.
pub(super) fn put(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let Some(id) = body.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return create(legacy, changes, body);
    };
    let before = found(changes.whole(), &id)?;
    let given = Given::read(body, How::Whole)?;
    let created_at = given.created_at().unwrap_or(before.service.created_at);
    let blank = Api::blank(before.service.id, created_at, before.service.updated_at);
    let mut after = given.fill(blank)?;
    // What did not change keeps its time.
    after.route.updated_at = before.route.updated_at;
    replace(legacy, changes, &before, after)
}

/// `DELETE /apis/{id or name}`: with its plug-ins. Of one whose service a file has adopted, what is left of it.
pub(super) fn delete(changes: &mut dyn Changes, id_or_name: &str) -> Result<Reply, Error> {
    let whole = changes.whole();
    let (service, left) = match find(whole.all(), id_or_name) {
        Some(Found::Api(api)) => (api.service.id, vec![(Kind::Service, api.service.id)]),
        Some(Found::OfFile { id, label }) => {
            let route = ids::of_api_route(id);
            if !whole.api().routes.iter().any(|one| one.id == route) {
                return Err(Error::of_file(Kind::Service, &label));
            }
            (id, Vec::new())
        }
        None => return Err(Error::not_found()),
    };
    let route = ids::of_api_route(service);
    let is_its = |one: &entities::Plugin| one.service == Some(service) || one.route == Some(route);
    let plugins = whole.api().plugins.iter().filter(|one| is_its(one)).map(|one| (Kind::Plugin, one.id));
    let end = plugins.chain([(Kind::Route, route)]).chain(left).collect();
    changes.apply(Edit { end, ..Edit::default() })?;
    Ok(Reply::no_content())
}

fn found(whole: &Whole, id_or_name: &str) -> Result<Api, Error> {
    match find(whole.all(), id_or_name) {
        Some(Found::Api(api)) => Ok(*api),
        Some(Found::OfFile { label, .. }) => Err(Error::of_file(Kind::Service, &label)),
        None => Err(Error::not_found()),
    }
}

/// Stores an api in the place of what it was, if it is another one.
fn replace(legacy: &Legacy, changes: &mut dyn Changes, before: &Api, mut after: Api) -> Result<Reply, Error> {
    let now = legacy.clock.now();
    if after.service != before.service {
        after.service.updated_at = now;
    }
    if after.route != before.route {
        after.route.updated_at = now;
    }
    store(changes, &after, Some(before))?;
    Ok(Reply::ok(after.shown()))
}

/// Only what is different is written.
fn store(changes: &mut dyn Changes, api: &Api, before: Option<&Api>) -> Result<(), Error> {
    let mut put = Vec::new();
    if before.is_none_or(|before| before.service != api.service) {
        put.push(Entity::Service(api.service.clone().into()));
    }
    if before.is_none_or(|before| before.route != api.route) {
        put.push(Entity::Route(api.route.clone().into()));
    }
    if !put.is_empty() {
        changes.apply(Edit { put, ..Edit::default() })?;
    }
    Ok(())
}

/// Whether a body has all of an api, or what is to be another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Whole,
    Part,
}

/// What a body says of an api.
struct Given {
    fields: Map<String, Value>,
    how: How,
    /// Whether it has names of 0.8.
    is_of_0_8: bool,
}

impl Given {
    fn read(body: Map<String, Value>, how: How) -> Result<Self, Error> {
        let mut fields = fields::read(&FIELDS, body)?;
        let old = ["request_host", "request_path", "strip_request_path"];
        let is_of_0_8 = old.iter().any(|name| fields.contains_key(*name));
        if is_of_0_8 {
            translate(&mut fields, how)?;
        }
        Ok(Self { fields, how, is_of_0_8 })
    }

    fn id(&self) -> Option<Uuid> {
        Uuid::try_parse(self.fields.get("id")?.as_str()?).ok()
    }

    fn created_at(&self) -> Option<Timestamp> {
        let millis = self.fields.get("created_at")?.as_u64()?;
        millis.checked_mul(1_000).map(Timestamp::from_micros)
    }

    fn refuse_immutable(&self, before: &Api) -> Result<(), Error> {
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
    fn fill(&self, mut api: Api) -> Result<Api, Error> {
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
    fn warn_of_what_changed_since_0_8(&self, api: &Api) {
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

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-~".contains(c))
}

fn address(url: &str) -> Result<Address, String> {
    let lower =
        url.split_once("://").map(|(scheme, rest)| format!("{}://{rest}", scheme.to_ascii_lowercase()));
    let Some(url) = lower else { return Err("upstream_url is not a url".into()) };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err("Supported protocols are HTTP and HTTPS".into());
    }
    service::address(&url)
        .map_err(|flaw| format!("upstream_url is not a url: {} ({})", flaw.message, flaw.hint))
}

fn host(host: &str) -> Result<String, &'static str> {
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

/// What a prefix is made of.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.~/%-".contains(&byte)
}

/// A prefix, or a regular expression if it has a character that no prefix has.
fn uri(uri: &str) -> Result<String, &'static str> {
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

fn method(method: &str) -> Result<String, &'static str> {
    match method {
        "" => Err("method is empty"),
        method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(method.to_owned()),
        _ => Err("invalid value"),
    }
}

/// What the rules of routes find beyond those of 0.x.
fn route_error(route: &Route, error: &entities::FieldError, wrong: &mut Wrong) {
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
