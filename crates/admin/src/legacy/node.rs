//! The paths about the node itself: `/`, `/status`, and its kinds of plug-ins.

use serde_json::{Map, Value, json};

use super::dispatch::Reply;
use super::error::Error;
use super::{Legacy, settings};

/// The version of Kong that this API claims to be. kongfig decides by it what it asks for, and in which form.
const VERSION: &str = "3.9.1";

/// `GET /`.
pub(super) fn index(legacy: &Legacy) -> Reply {
    let names: Vec<&str> = names(legacy).collect();
    let available: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), true.into())).collect();
    Reply::ok(json!({
        "version": VERSION,
        "tagline": "Welcome to retrohook",
        "retrohook": { "version": env!("CARGO_PKG_VERSION") },
        "plugins": { "available_on_server": available, "enabled_in_cluster": names },
        "configuration": {},
    }))
}

/// `GET /status`: shows only that the node answers. The admin port's `/status` says more.
pub(super) fn status() -> Reply {
    Reply::ok(
        json!({ "database": { "reachable": true }, "retrohook": { "hint": "see /status on the admin port" } }),
    )
}

/// `GET /plugins/enabled`.
pub(super) fn enabled(legacy: &Legacy) -> Reply {
    Reply::ok(json!({ "enabled_plugins": names(legacy).collect::<Vec<_>>() }))
}

/// `GET /plugins/schema/{name}`.
pub(super) fn schema(legacy: &Legacy, name: &str) -> Result<Reply, Error> {
    let kind = legacy.kind(name).ok_or_else(|| {
        Error::message(axum::http::StatusCode::NOT_FOUND, format!("No plugin named '{name}'"))
    })?;
    Ok(Reply::ok(settings::schema(kind)))
}

fn names(legacy: &Legacy) -> impl Iterator<Item = &'static str> {
    legacy.kinds.iter().map(|kind| kind.name())
}
