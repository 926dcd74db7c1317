//! The role *access*: look at a request before it is forwarded, change it, answer it, or say who its consumer is.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};

use crate::Context;

/// Looks at each request of its routes, in the order of the chain, until one answers.
pub trait Access: Send + Sync + 'static {
    /// Judges a request. What it changes of the head is forwarded; who the consumer is, it writes into the context.
    ///
    /// One that cannot judge without the body says [`Verdict::NeedsBody`], and has changed nothing until then. It is asked again when the
    /// body has been read, and must judge by what there is.
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
    /// The body, as far as it has been read for plug-ins.
    pub body: RequestBody,
}

/// A request's body, as plug-ins see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// No plug-in has needed it so far.
    Unread,
    /// All of it; what `access` changes is forwarded.
    Whole(Bytes),
    /// It is longer than 64 KiB. It is forwarded as it arrives, and no plug-in sees it.
    TooLong,
}

/// What a plug-in decides about a request.
#[derive(Debug)]
pub enum Verdict {
    /// Go on with the next plug-in.
    Continue,
    /// Answer with this; later plug-ins of this role and the upstream are not asked.
    Respond(Response<Bytes>),
    /// Ask again when the body has been read. A request whose body does not come is answered without asking again.
    NeedsBody,
}

/// A verdict now, or one that must be waited for (a lookup in a remote store).
pub enum Deciding<'a> {
    /// At once: no allocation on the hot path.
    Now(Verdict),
    /// Later, on this core.
    Later(Pin<Box<dyn Future<Output = Verdict> + 'a>>),
}
