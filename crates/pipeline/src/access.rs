//! The role *access*: look at a request before it is forwarded, change it, answer it, or say who its consumer is.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};

use crate::Context;

/// Looks at each request of its routes, in the order of the chain, until one answers.
pub trait Access: Send + Sync + 'static {
    /// Whether it looks at the body. Then the body is read before, as far as it is no longer than 64 KiB, and the client waits for nothing else.
    fn reads_body(&self) -> bool {
        false
    }

    /// Judges a request. What it changes of the head is forwarded; who the consumer is, it writes into the context.
    fn access<'a>(&'a self, request: &'a mut RequestHead, context: &'a mut Context) -> Deciding<'a>;
}

/// What a client asked, as plug-ins see it before it is forwarded.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The raw request target. What `access` changes of its query is forwarded; its path is chosen already.
    pub uri: Uri,
    /// The client's headers without those that concern one connection and those that only the gateway sets; what `access` changes is
    /// forwarded.
    pub headers: HeaderMap,
    /// The body, once a plug-in looks at bodies; what `access` changes is forwarded. `None` if none does, or it is too long.
    pub body: Option<Bytes>,
}

/// What a plug-in says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// Go on with the next plug-in.
    Continue,
    /// Answer with this; later plug-ins of this role and the upstream are not asked.
    Respond(Response<Bytes>),
}

/// A verdict now, or one that must be waited for (a lookup in a remote store).
pub enum Deciding<'a> {
    /// At once: no allocation on the hot path.
    Now(Verdict),
    /// Later, on this core.
    Later(Pin<Box<dyn Future<Output = Verdict> + 'a>>),
}
