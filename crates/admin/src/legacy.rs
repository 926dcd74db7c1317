//! Kong's Admin API as it was from 0.8 to 0.14, when there was `/apis`, as far as kongfig uses it: `--legacy-admin-listen`.
//!
//! An *api* is a service and a route of origin `api`. Its id is the service's; the route's is derived from it ([`entities::ids::of_api_route`]).
//! Both have the api's name, so that a file which declares a service and a route of that name adopts both. The api's plug-ins are on its
//! service. A change is one commit, and one that changes nothing writes nothing.
//!
//! A field without a value is left out, not null. Times are in milliseconds since 1970. `next` is an absolute URL, and is present only if there are
//! more entities. An error is flat, `{"name": "already exists with value 'x'"}`, or a `message`. Dotted keys are read as nested objects, in JSON as
//! in forms. Where a list is expected, a text with commas is read as one. The names of 0.8 (`request_path`, `request_host`, `strip_request_path`)
//! are read as those of 0.10 and later; answers have only the latter.
//!
//! Entities of files are read-only, and are left out of lists (`?origin=file` or `all` shows them).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use control::{Changes, Control};
use event::timestamp::Clock;
use pipeline::PluginKind;
use tokio::sync::Semaphore;
use uuid::Uuid;

mod apis;
mod consumers;
mod credentials;
mod dispatch;
mod error;
mod fields;
mod form;
mod list;
mod nest;
mod node;
mod plugins;
mod request;
mod settings;

use error::Error;
use request::MAX_LARGE_BODIES;

/// Everything that the API works with.
pub struct Legacy {
    /// Makes changes of entities, and has all that are served.
    pub control: Control,
    /// The wall clock, for the times of entities.
    pub clock: Arc<dyn Clock>,
    /// The kinds of plug-ins that this node knows.
    pub kinds: Vec<&'static dyn PluginKind>,
    /// The AWS region of this gateway's topics (`--region`).
    pub region: String,
    /// The AWS account of this gateway's topics (`--account-id`).
    pub account: String,
    /// The addresses of this gateway's own SNS API, each as `host:port`.
    pub hubs: Vec<String>,
}

/// The state that all requests of a listener share.
struct Shared {
    legacy: Arc<Legacy>,
    /// The permits for reading large bodies.
    bodies: Semaphore,
}

/// The router of this API.
pub fn router(legacy: Legacy) -> Router {
    let shared = Shared { legacy: Arc::new(legacy), bodies: Semaphore::new(MAX_LARGE_BODIES) };
    // A path means the same with and without a slash at its end. axum's router would tell them apart, so `dispatch` reads all paths.
    Router::new().fallback(answer).with_state(Arc::new(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    dispatch::answer(&shared, request).await
}

/// An error in this API's form, for a request that the listener refuses before it reaches the API.
pub fn refusal(status: StatusCode, message: &str, hint: &str) -> Response {
    Error::message(status, format!("{message}: {hint}")).into_response()
}

impl Legacy {
    /// Runs a job on the thread that changes the configuration.
    async fn change<T, F>(self: &Arc<Self>, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Self, &mut dyn Changes) -> Result<T, Error> + Send + 'static,
    {
        let legacy = self.clone();
        self.control.of("Kong's 0.x Admin API").change(move |changes| Ok(job(&legacy, changes))).await?
    }

    fn kind(&self, name: &str) -> Option<&'static dyn PluginKind> {
        self.kinds.iter().find(|kind| kind.name() == name).copied()
    }
}

/// The id of an entity that an API makes: a UUIDv4.
fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}
