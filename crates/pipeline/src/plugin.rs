//! The Plugin trait and the verdicts of its phases.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use event::{EventId, Timestamp};
use http::{HeaderMap, Method, Response, Uri};

use crate::watch::{Forward, Watch};

/// One configured plug-in. Shared by all cores: state that changes is the plug-in's own affair, without locks on the hot path.
pub trait Plugin: Send + Sync + 'static {
    /// Its kind's name, `publish-sns`.
    fn name(&self) -> &'static str;

    /// Phase `access`: look at the request, change its headers, or answer it.
    fn access<'a>(&'a self, request: &'a mut RequestHead) -> Access<'a> {
        let _ = request;
        Access::Ready(Verdict::Continue)
    }

    /// Phase `watch`: the request is about to be forwarded. A plug-in that wants to settle what becomes of it returns a watch.
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        let _ = forward;
        None
    }
}

/// What a client asked, as plug-ins see it before it is forwarded.
#[derive(Debug)]
pub struct RequestHead {
    /// The request's id; becomes the event's.
    pub id: EventId,
    /// When its head had arrived.
    pub started_at: Timestamp,
    /// The method.
    pub method: Method,
    /// The raw request target.
    pub uri: Uri,
    /// The client's headers without those that concern one connection and those that only the gateway sets; what `access` changes is
    /// forwarded.
    pub headers: HeaderMap,
    /// The peer.
    pub peer: SocketAddr,
}

/// What phase `access` says.
#[derive(Debug)]
pub enum Verdict {
    /// Go on with the next plug-in.
    Continue,
    /// Answer with this; later plug-ins and the upstream are not asked.
    Respond(Response<Bytes>),
}

/// A verdict now, or one that must be waited for (a lookup in a remote store).
pub enum Access<'a> {
    /// At once: no allocation on the hot path.
    Ready(Verdict),
    /// Later, on this core.
    Pending(Pin<Box<dyn Future<Output = Verdict> + 'a>>),
}
