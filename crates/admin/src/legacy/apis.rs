//! `/apis`: an api is a service and a route of its own.
//!
//! A service may be left without its route: when a file has adopted the route, or when files no longer declare a service that an entity of an API
//! still needs. It is shown as an api without `hosts`, `uris` and `methods`. It can be given some, and it can be deleted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use control::{Changes, Edit, Whole};
use entities::service;
use entities::{
    Entity, FieldError, Kind, Origin, PathForwarding, PathHandling, Route, Service, Set, ids, route,
};
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Legacy;
use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{Field, Type};
use super::form::{Around, Extent, Form, Given};
use super::list::Row;

mod body;
mod texts;

/// The fields of an api.
const FIELDS: [&Field; 21] = [
    &Field::new("id", Type::Id),
    &Field::new("created_at", Type::Time),
    &Field::new("name", Type::Text),
    &Field::new("hosts", Type::List),
    &Field::new("uris", Type::List),
    &Field::new("methods", Type::List),
    &Field::new("strip_uri", Type::Flag),
    &Field::new("path_forwarding", Type::Text),
    &Field::new("https_only", Type::Flag),
    &Field::new("http_if_terminated", Type::Flag),
    &Field::new("upstream_url", Type::Text),
    &Field::new("preserve_host", Type::Flag),
    &Field::new("rewrite_location", Type::Flag),
    &Field::new("rewrite_cookies", Type::Flag),
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

/// An api, as entities.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Api {
    pub service: Service,
    /// `None` if it has lost its route.
    pub route: Option<Route>,
}

/// What a path names.
pub(super) enum Found {
    Api(Box<Api>),
    /// A service that a file declares; `label` is its name for messages.
    OfFile {
        id: Uuid,
        label: String,
    },
}

/// Everything that can be shown as an api: the apis, services of files that have exactly one route, and routes of APIs on services of files.
pub(super) fn rows(whole: &Whole) -> Vec<Row> {
    let all = whole.all();
    let mut routes: HashMap<Uuid, Vec<&Route>> = HashMap::new();
    for route in &all.routes {
        if let Some(service) = route.service {
            routes.entry(service).or_default().push(route);
        }
    }
    let rows = |service: &Arc<Service>| {
        let routes = routes.get(&service.id).map_or(&[][..], Vec::as_slice);
        match service.origin {
            Origin::Api => {
                let route = routes.iter().find(|route| is_own(route, service.id)).copied();
                vec![Row::of(&**service, shown(service, route))]
            }
            Origin::File => {
                let (left, declared): (Vec<&Route>, Vec<&Route>) =
                    routes.iter().copied().partition(|route| route.origin == Origin::Api);
                let only = declared.first().filter(|_| declared.len() == 1);
                let only = only.map(|route| Row::of(&**service, shown(service, Some(route))));
                // Each is a row of its own, so that a page can end after it.
                let left = left.into_iter().map(|route| Row::of(route, shown(service, Some(route))));
                only.into_iter().chain(left).collect()
            }
        }
    };
    all.services.iter().flat_map(rows).collect()
}

/// Whether a route is the one that the api of this service was made with.
fn is_own(route: &Route, service: Uuid) -> bool {
    route.origin == Origin::Api && route.service == Some(service) && route.id == ids::of_api_route(service)
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
    let route = set.routes.iter().find(|one| is_own(one, service.id));
    let (service, route) = ((**service).clone(), route.map(|route| (**route).clone()));
    Some(Found::Api(Box::new(Api { service, route })))
}

/// An api as 0.x shows it. A field without a value is left out.
fn shown(service: &Service, route: Option<&Route>) -> Map<String, Value> {
    let mut shown = Map::new();
    let without = blank_route(service);
    let route = route.unwrap_or(&without);
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
    // Kong 0.x has no such field: it is shown where it was set, so that nobody's comparison finds a new one.
    if route.path_forwarding != PathForwarding::default() {
        put("path_forwarding", route.path_forwarding.as_str().into());
    }
    put("preserve_host", route.preserve_host.into());
    for (name, is_set) in
        [("rewrite_location", route.rewrite_location), ("rewrite_cookies", route.rewrite_cookies)]
    {
        if is_set {
            put(name, true.into());
        }
    }
    put("https_only", route.is_https_only().into());
    put("http_if_terminated", route.heeds_forwarded_proto.into());
    put("retries", service.retries.into());
    put("upstream_connect_timeout", millis(service.connect_timeout));
    put("upstream_read_timeout", millis(service.read_timeout));
    put("upstream_send_timeout", millis(service.write_timeout));
    shown
}

/// A service without values.
fn blank_service(id: Uuid, created_at: Timestamp) -> Service {
    Service {
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
        updated_at: created_at,
    }
}

/// The route of an api, without values.
fn blank_route(service: &Service) -> Route {
    Route {
        id: ids::of_api_route(service.id),
        origin: Origin::Api,
        name: None,
        service: Some(service.id),
        hosts: Vec::new(),
        paths: Vec::new(),
        methods: Vec::new(),
        strip_path: true,
        preserve_host: false,
        rewrite_location: false,
        rewrite_cookies: false,
        regex_priority: 0,
        path_handling: PathHandling::default(),
        path_forwarding: PathForwarding::default(),
        request_buffering: true,
        response_buffering: true,
        protocols: route::both_protocols(),
        https_redirect_status_code: route::UPGRADE_REQUIRED,
        heeds_forwarded_proto: false,
        tags: Vec::new(),
        created_at: service.created_at,
        updated_at: service.created_at,
    }
}

/// `GET /apis/{id or name}`.
pub(super) fn get(whole: &Whole, id_or_name: &str) -> Result<Reply, Error> {
    match find(whole.all(), id_or_name) {
        Some(Found::Api(api)) => Ok(Reply::ok(shown(&api.service, api.route.as_ref()).into())),
        Some(Found::OfFile { id, .. }) => {
            let is_it = |row: &Row| row.shown.get("id").is_some_and(|shown| *shown == id.to_string());
            let row = rows(whole).into_iter().find(is_it).ok_or_else(Error::not_found)?;
            Ok(Reply::ok(row.shown.into()))
        }
        None => Err(Error::not_found()),
    }
}

/// `DELETE /apis/{id or name}`: deletes an api with its routes and all its plug-ins. If a file has adopted its service, deletes the routes and
/// plug-ins of it that are still owned by an API.
pub(super) fn delete(changes: &mut dyn Changes, id_or_name: &str) -> Result<Reply, Error> {
    let whole = changes.whole();
    let (service, label) = match find(whole.all(), id_or_name) {
        Some(Found::Api(api)) => (api.service.id, None),
        Some(Found::OfFile { id, label }) => (id, Some(label)),
        None => return Err(Error::not_found()),
    };
    let routes = whole.api().routes.iter().filter(|route| route.service == Some(service));
    let mut end: Vec<_> = routes.map(|route| (Kind::Route, route.id)).collect();
    match label {
        None => end.push((Kind::Service, service)),
        Some(label) if end.is_empty() => return Err(Error::of_file(Kind::Service, &label)),
        Some(_) => {
            let plugins = whole.api().plugins.iter().filter(|plugin| plugin.service == Some(service));
            end.extend(plugins.map(|plugin| (Kind::Plugin, plugin.id)));
        }
    }
    let edit = whole.with_dependents(Edit { end, ..Edit::default() });
    changes.apply(edit)?;
    Ok(Reply::no_content())
}

impl Form for Api {
    const FIELDS: &'static [&'static Field] = &FIELDS;
    type Within = ();

    fn read(body: Map<String, Value>, extent: Extent) -> Result<Map<String, Value>, Error> {
        body::read(body, extent)
    }

    fn filters(query: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        body::filters(query)
    }

    fn blank((): (), id: Uuid, created_at: Timestamp) -> Self {
        Self { service: blank_service(id, created_at), route: None }
    }

    fn editable(set: &Set, (): (), id_or_name: &str) -> Result<Self, Error> {
        match find(set, id_or_name) {
            Some(Found::Api(api)) => Ok(*api),
            Some(Found::OfFile { label, .. }) => Err(Error::of_file(Kind::Service, &label)),
            None => Err(Error::not_found()),
        }
    }

    fn is_taken(set: &Set, id: Uuid) -> bool {
        set.services.iter().any(|one| one.id == id)
    }

    fn immutable(&self) -> (Uuid, Timestamp) {
        (self.service.id, self.service.created_at)
    }

    fn fill(self, (): (), _: &Around<'_>, given: &Given) -> Result<Self, Error> {
        body::fill(self, given)
    }

    fn changes(&mut self, before: Option<&Self>, now: Timestamp) -> Vec<Entity> {
        let mut put = Vec::new();
        if before.is_none_or(|before| before.service != self.service) {
            self.service.updated_at = now;
            put.push(Entity::Service(self.service.clone().into()));
        }
        if let Some(route) = &mut self.route
            && before.is_none_or(|before| before.route.as_ref() != Some(route))
        {
            route.updated_at = now;
            put.push(Entity::Route(route.clone().into()));
        }
        put
    }

    fn shown(&self, _: &Legacy) -> Value {
        shown(&self.service, self.route.as_ref()).into()
    }

    fn note(&self, kind: Kind, error: &FieldError, wrong: &mut Wrong) {
        match &self.route {
            Some(route) if kind == Kind::Route => texts::route_error(route, error, wrong),
            _ => texts::service_error(error, wrong),
        }
    }

    fn made(&self, given: &Given) {
        body::warn_of_what_changed_since_0_8(self, given);
    }
}
