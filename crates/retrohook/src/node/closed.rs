//! Closed routes: one of their plug-ins is not served, and it may be one that protects. Every request gets 503 with the reason, and nothing is
//! sent to the service.

use std::sync::Arc;

use entities::Plugin;
use http::StatusCode;
use pipeline::access::RequestHead;
use pipeline::kind::Priority;
use pipeline::{Access, Context, Deciding, Instance, Verdict, answer};

/// The kind of the plug-in that replaces one that is not served. One per route is enough.
const KIND: &str = "closed";

/// The plug-in that closes the routes of another one. It runs after all that are served, so that it runs whoever the consumer is.
pub fn instance(plugin: &Plugin) -> Instance {
    let closed = Arc::new(Closed { name: plugin.name.clone() });
    let plugin_roles = pipeline::Plugin { access: Some(closed), ..pipeline::Plugin::default() };
    Instance { id: plugin.id, kind: KIND, priority: Priority(i32::MIN), plugin: plugin_roles }
}

struct Closed {
    /// The plug-in that is not served.
    name: String,
}

impl Access for Closed {
    fn access<'a>(&'a self, _: &'a mut RequestHead, context: &'a mut Context) -> Deciding<'a> {
        let message = format!("closed: the plug-in {} is not served", self.name);
        let answer = answer::refusal(StatusCode::SERVICE_UNAVAILABLE, &message, context);
        Deciding::Now(Verdict::Respond(answer))
    }
}
