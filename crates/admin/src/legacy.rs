//! Kong's Admin API as it was from 0.8 to 0.14, the generation of `/apis`, in the shapes that kongfig drives: `--legacy-admin-listen`.
//!
//! An *api* is a service and a route of origin `api`. Its id is the service's; the route's is derived from it ([`entities::ids::of_api_route`]).
//! Both have the api's name, so that a file which declares a service and a route of that name adopts both. The api's plug-ins are on its
//! service. A change is one commit, and one that changes nothing writes nothing.
//!
//! What is absent is left out, not null; times are in milliseconds; `next` is an absolute URL, and there only if there is more; an error is
//! flat, `{"name": "already exists with value 'x'"}`, or a `message`. Dotted keys nest, in JSON as in forms; a text with commas is a list where
//! one is due. The names of 0.8 (`request_path`, `request_host`, `strip_request_path`) are read as those of 0.10 and later, which are answered.
//!
//! What files declare is left out of lists (`?origin=file` or `all` shows it) and is read-only.

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

/// What the API works with.
pub struct Legacy {
    /// Who changes entities, and knows what is served.
    pub control: Control,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The kinds of plug-in that there are.
    pub kinds: Vec<&'static dyn PluginKind>,
    /// `--region`.
    pub region: String,
    /// `--account-id`.
    pub account: String,
    /// Where the gateway's own SNS API is reached, `host:port`.
    pub hubs: Vec<String>,
}

/// What all requests of a listener share.
struct Shared {
    legacy: Arc<Legacy>,
    /// A place for each large body that is being read.
    bodies: Semaphore,
}

/// The API.
pub fn router(legacy: Legacy) -> Router {
    let shared = Shared { legacy: Arc::new(legacy), bodies: Semaphore::new(MAX_LARGE_BODIES) };
    // A path means the same with a slash at its end and without: `dispatch` reads them all in one place.
    Router::new().fallback(answer).with_state(Arc::new(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    dispatch::answer(&shared, request).await
}

/// An answer to a request that does not reach the API.
pub fn refusal(status: StatusCode, message: &str, hint: &str) -> Response {
    Error::message(status, format!("{message}: {hint}")).into_response()
}

impl Legacy {
    /// Does something where the configuration changes.
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
