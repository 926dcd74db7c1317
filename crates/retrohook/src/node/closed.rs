//! Routes that are closed: one of their plug-ins is not served, and it may be one that protects. Each request is answered with 503 and the
//! reason, and the service is not asked.

use std::sync::Arc;

use bytes::Bytes;
use entities::Plugin;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use pipeline::access::RequestHead;
use pipeline::kind::Priority;
use pipeline::{Access, Context, Deciding, Instance, Verdict};

/// The kind of all that stand in for a plug-in that is not served: one for a route is enough.
const KIND: &str = "closed";

/// What closes the routes of a plug-in. It has its turn after all that are served, so that it is asked whoever the consumer is.
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
        // Kong's shape of an error; a text is always JSON.
        let message = serde_json::Value::from(message);
        let mut buffer = [0; 32];
        let id = context.id.write_simple(&mut buffer);
        let body = format!("{{\n  \"message\":{message},\n  \"request_id\":\"{id}\"\n}}");
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        Deciding::Now(Verdict::Respond(answer))
    }
}
