//! `/apis`: each a service and a route.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::service;
use entities::{Entity, Kind, Origin, PathHandling, Route, Service, Set, ids};
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::dispatch::Reply;
use super::error::Error;
use super::fields::{Field, Type};
use super::list::Row;
use super::{Legacy, new_id};

mod body;
mod texts;

use body::{Given, How};

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
