//! Which path and method does what.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use control::{Changes, Whole};
use entities::{Acl, Consumer, KeyAuthCredential, Plugin};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::apis::{self, Api};
use super::credentials::{self, Credential};
use super::error::{Error, JSON};
use super::{Legacy, Shared, consumers, form, list, node, plugins, request};

/// The methods of resources that can only be read.
pub(super) const READ: &str = "GET, HEAD";
const COLLECTION: &str = "GET, HEAD, POST, PUT";
const ENTITY: &str = "GET, HEAD, PATCH, DELETE";

/// An answer that is not an error.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    status: StatusCode,
    body: Option<Value>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body) }
    }

    pub(super) fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body: Some(body) }
    }

    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None }
    }

    fn into_response(self) -> Response {
        match self.body {
            Some(body) => (self.status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response(),
            None => self.status.into_response(),
        }
    }
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Key,
    Group,
    /// A kind of Kong's that is not supported here, and that no consumer has.
    Other(&'static str),
}

impl Of {
    fn named(name: &str) -> Option<Self> {
        match name {
            "key-auth" => Some(Self::Key),
            "acls" => Some(Self::Group),
            other => OTHERS.into_iter().find(|known| *known == other).map(Self::Other),
        }
    }
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    Index,
    Status,
    EnabledPlugins,
    PluginSchema {
        name: String,
    },
    Apis,
    Api {
        id: String,
    },
    Plugins {
        api: Option<String>,
    },
    Plugin {
        api: Option<String>,
        id: String,
    },
    Consumers,
    Consumer {
        id: String,
    },
    Credentials {
        consumer: String,
        of: Of,
    },
    Credential {
        consumer: String,
        of: Of,
        id: String,
    },
    /// A collection of Kong's that is not supported here, and is empty.
    Nothing {
        name: &'static str,
    },
}

impl Resource {
    fn of(path: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let path = path.strip_prefix('/')?;
        for part in path.strip_suffix('/').unwrap_or(path).split('/') {
            parts.push(percent_decode_str(part).decode_utf8().ok()?.into_owned());
        }
        let known: Vec<&str> = parts.iter().map(String::as_str).collect();
        let owned = str::to_owned;
        Some(match known[..] {
            [""] => Self::Index,
            ["status"] => Self::Status,
            ["plugins", "enabled"] => Self::EnabledPlugins,
            ["plugins", "schema", name] => Self::PluginSchema { name: owned(name) },
            ["apis"] => Self::Apis,
            ["apis", id] if !id.is_empty() => Self::Api { id: owned(id) },
            ["apis", api, "plugins"] => Self::Plugins { api: Some(owned(api)) },
            ["apis", api, "plugins", id] => Self::Plugin { api: Some(owned(api)), id: owned(id) },
            ["plugins"] => Self::Plugins { api: None },
            ["plugins", id] if !id.is_empty() => Self::Plugin { api: None, id: owned(id) },
            ["consumers"] => Self::Consumers,
            ["consumers", id] if !id.is_empty() => Self::Consumer { id: owned(id) },
            ["consumers", consumer, of] => {
                Self::Credentials { consumer: owned(consumer), of: Of::named(of)? }
            }
            ["consumers", consumer, of, id] => {
                Self::Credential { consumer: owned(consumer), of: Of::named(of)?, id: owned(id) }
            }
            [name] => Self::Nothing { name: EMPTY.into_iter().find(|empty| *empty == name)? },
            _ => return None,
        })
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Index | Self::Status | Self::EnabledPlugins | Self::PluginSchema { .. } => READ,
            Self::Apis
            | Self::Plugins { .. }
            | Self::Consumers
            | Self::Credentials { .. }
            | Self::Nothing { .. } => COLLECTION,
            Self::Api { .. } | Self::Plugin { .. } | Self::Consumer { .. } | Self::Credential { .. } => {
                ENTITY
            }
        }
    }
}

/// Collections that kongfig lists before it does anything, and that are not supported here yet.
const EMPTY: [&str; 3] = ["upstreams", "certificates", "snis"];
/// Kinds of credentials that kongfig lists, and that are not supported here yet.
const OTHERS: [&str; 4] = ["oauth2", "jwt", "basic-auth", "hmac-auth"];

pub(super) async fn answer(shared: &Shared, request: Request) -> Response {
    match call(shared, request).await {
        Ok(reply) => reply.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn call(shared: &Shared, request: Request) -> Result<Reply, Error> {
    let (head, body) = request.into_parts();
    let resource = Resource::of(head.uri.path()).ok_or_else(Error::not_found)?;
    let allowed = resource.methods();
    if !allowed.split(", ").any(|allowed| allowed == head.method.as_str()) {
        return Err(Error::method_not_allowed(allowed));
    }
    let legacy = &shared.legacy;
    match head.method {
        Method::GET | Method::HEAD => read(legacy, &head, &resource),
        Method::DELETE => change(legacy, Method::DELETE, resource, Map::new()).await,
        _ => {
            let body = request::parameters(&head, body, &shared.bodies).await?;
            change(legacy, head.method, resource, body).await
        }
    }
}

fn read(legacy: &Arc<Legacy>, head: &Parts, resource: &Resource) -> Result<Reply, Error> {
    let whole = legacy.control.whole();
    let page = match resource {
        Resource::Index => return Ok(node::index(legacy)),
        Resource::Status => return Ok(node::status()),
        Resource::EnabledPlugins => return Ok(node::enabled(legacy)),
        Resource::PluginSchema { name } => return node::schema(legacy, name),
        Resource::Api { id } => return apis::get(&whole, id),
        Resource::Plugin { api, id } => return plugins::get(legacy, &whole, api.as_deref(), id),
        Resource::Apis => list::page::<Api>(head, apis::rows(&whole)),
        Resource::Plugins { api } => {
            let api = plugins::api_of_path(whole.all(), api.as_deref())?;
            list::page::<Plugin>(head, plugins::rows(legacy, &whole, api))
        }
        Resource::Consumer { id } => return consumers::get(&whole, id),
        Resource::Credential { consumer, of, id } => {
            return match of {
                Of::Key => credentials::get::<KeyAuthCredential>(&whole, consumer, id),
                Of::Group => credentials::get::<Acl>(&whole, consumer, id),
                Of::Other(_) => Err(Error::not_found()),
            };
        }
        Resource::Consumers => list::page::<Consumer>(head, consumers::rows(&whole)),
        Resource::Credentials { consumer, of } => match of {
            Of::Key => credentials_of::<KeyAuthCredential>(head, &whole, consumer),
            Of::Group => credentials_of::<Acl>(head, &whole, consumer),
            Of::Other(_) => {
                consumers::find(whole.all(), consumer)?;
                list::nothing(head)
            }
        },
        Resource::Nothing { .. } => list::nothing(head),
    };
    page.map(Reply::ok)
}

fn credentials_of<T: Credential>(head: &Parts, whole: &Whole, consumer: &str) -> Result<Value, Error> {
    list::page::<T>(head, credentials::rows::<T>(whole, consumer)?)
}

async fn change(
    legacy: &Arc<Legacy>,
    method: Method,
    resource: Resource,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    if let Resource::Nothing { name }
    | Resource::Credentials { of: Of::Other(name), .. }
    | Resource::Credential { of: Of::Other(name), .. } = resource
    {
        let message = format!("{name} are not supported by Retrohook yet");
        return Err(Error::message(StatusCode::NOT_IMPLEMENTED, message));
    }
    let job = move |legacy: &Legacy, changes: &mut dyn Changes| match (&resource, method.as_str()) {
        (Resource::Apis, "POST") => form::create::<Api>(legacy, changes, (), body),
        (Resource::Apis, _) => form::put::<Api>(legacy, changes, (), body),
        (Resource::Api { id }, "DELETE") => apis::delete(changes, id),
        (Resource::Api { id }, _) => form::update::<Api>(legacy, changes, (), id, body),
        (Resource::Consumers, "POST") => form::create::<Consumer>(legacy, changes, (), body),
        (Resource::Consumers, _) => form::put::<Consumer>(legacy, changes, (), body),
        (Resource::Consumer { id }, "DELETE") => consumers::delete(changes, id),
        (Resource::Consumer { id }, _) => form::update::<Consumer>(legacy, changes, (), id, body),
        (Resource::Plugins { api }, method) => {
            let api = plugins::api_of_path(changes.whole().all(), api.as_deref())?;
            match method {
                "POST" => form::create::<Plugin>(legacy, changes, api, body),
                _ => form::put::<Plugin>(legacy, changes, api, body),
            }
        }
        (Resource::Plugin { api, id }, method) => {
            let api = plugins::api_of_path(changes.whole().all(), api.as_deref())?;
            match method {
                "DELETE" => plugins::delete(changes, api, id),
                _ => form::update::<Plugin>(legacy, changes, api, id, body),
            }
        }
        (Resource::Credentials { consumer, of: Of::Key }, method) => {
            add::<KeyAuthCredential>(legacy, changes, method, consumer, body)
        }
        (Resource::Credentials { consumer, .. }, method) => {
            add::<Acl>(legacy, changes, method, consumer, body)
        }
        (Resource::Credential { consumer, of: Of::Key, id }, method) => {
            alter::<KeyAuthCredential>(legacy, changes, method, (consumer, id), body)
        }
        (Resource::Credential { consumer, id, .. }, method) => {
            alter::<Acl>(legacy, changes, method, (consumer, id), body)
        }
        _ => Err(Error::not_found()),
    };
    legacy.change(job).await
}

fn add<T: Credential>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    method: &str,
    consumer: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let consumer = consumers::find(changes.whole().all(), consumer)?.id;
    match method {
        "POST" => form::create::<T>(legacy, changes, consumer, body),
        _ => form::put::<T>(legacy, changes, consumer, body),
    }
}

fn alter<T: Credential>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    method: &str,
    (consumer, id): (&str, &str),
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let consumer = consumers::find(changes.whole().all(), consumer)?.id;
    match method {
        "DELETE" => credentials::delete::<T>(changes, consumer, id),
        _ => form::update::<T>(legacy, changes, consumer, id, body),
    }
}
