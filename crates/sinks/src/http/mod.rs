//! Webhooks over HTTP/1.1, in the clear and over TLS.
//!
//! * Every address is vetted when it is dialled, and again before an idle connection is used; one forbidden answer of DNS rejects all.
//!   The connection goes to the vetted address, whatever DNS says next.
//! * A redirect is an answer like any other. No proxies, no cookies, no compression.
//! * Whatever the endpoint does, an attempt ends at its deadline: resolving, connecting, TLS, head and body all count. A head of more
//!   than 64 KiB is no answer; of a body 64 KiB are read, then the connection is closed.
//! * The answer's status decides: a body that breaks off, drips or never ends changes nothing.
//! * Connections are kept for [`pool::MAX_IDLE`]. A kept one that turns out closed before anything of an answer came is replaced once;
//!   receivers dedupe by id, so a request that did get through does no harm.

mod connection;
mod dial;
pub mod pool;
mod resolve;
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use delivery::guard::Allow;
use delivery::sink::{AttemptError, Failure, MAX_ANSWER};
use delivery::{AttemptReport, AttemptRequest, Sink};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use self::connection::{Connection, SendError};
use self::pool::{Pool, PoolKey};

pub use self::resolve::{Resolve, SystemResolver};
pub use self::tls::Roots;

/// The bytes of an answer's body that are read before the connection is closed.
pub const MAX_BODY: usize = 64 << 10;
/// The longest answer's head, in bytes.
pub const MAX_HEAD: usize = 64 << 10;
/// The longest `Retry-After` that is passed on, in bytes.
const MAX_RETRY_AFTER: usize = 64;

/// What the sink is built from.
pub struct Config {
    /// Exceptions from the guard.
    pub allow: Allow,
    /// Who is asked for addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Whose certificates are trusted.
    pub roots: Roots,
}

impl Config {
    /// The system's resolver and roots.
    pub fn new(allow: Allow) -> Self {
        Self { allow, resolver: Arc::new(SystemResolver::default()), roots: Roots::System }
    }
}

/// The sink. It spawns its connections on the runtime that it is used in.
pub struct HttpSink {
    allow: Allow,
    resolver: Arc<dyn Resolve>,
    tls: tls::Client,
    pool: Pool,
}

impl HttpSink {
    /// Builds the sink. Certificates are read when the first `https` endpoint is called.
    pub fn build(config: Config) -> Self {
        let Config { allow, resolver, roots } = config;
        Self { allow, resolver, tls: tls::Client::new(roots), pool: Pool::default() }
    }

    async fn exchange(&self, request: AttemptRequest) -> AttemptReport {
        let began = Instant::now();
        let deadline = request.deadline;
        let (response, connection) = match timeout_at(deadline, self.head(&request)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return failed(error, began),
            Err(_) => {
                let limit = deadline.saturating_duration_since(began);
                let text = format!("no answer within {limit:?}");
                return failed(AttemptError { kind: Failure::Timeout, text }, began);
            }
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Body::default();
        let read = timeout_at(deadline, body.read(response.into_body())).await;
        if matches!(read, Ok(End::Reached)) {
            self.pool.keep(PoolKey::of(&request.endpoint), connection);
        }
        AttemptReport {
            status: Some(status),
            took: began.elapsed(),
            answer: body.first.freeze(),
            error: None,
            retry_after,
        }
    }

    async fn head(&self, request: &AttemptRequest) -> Result<(Response<Incoming>, Connection), AttemptError> {
        let key = PoolKey::of(&request.endpoint);
        if let Some(mut kept) = self.pool.take(&key)
            && self.may_still_be_used(&request.endpoint, &kept)
        {
            match kept.send(request).await {
                Ok(response) => return Ok((response, kept)),
                Err(SendError::Unanswered(_)) => {}
                Err(error @ SendError::Invalid(_)) => return Err(error.into()),
            }
        }
        let mut fresh = self.dial(&request.endpoint, request.deadline).await?;
        let response = fresh.send(request).await?;
        Ok((response, fresh))
    }
}

impl Sink for HttpSink {
    fn attempt(&self, request: AttemptRequest) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>> {
        Box::pin(self.exchange(request))
    }
}

fn failed(error: AttemptError, began: Instant) -> AttemptReport {
    AttemptReport::failed(error.kind, error.text, began.elapsed())
}

fn retry_after(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    (value.len() <= MAX_RETRY_AFTER).then(|| value.to_owned())
}

/// How the reading of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At its end: the connection may be used again.
    Reached,
    /// At our limit, or the connection broke.
    CutShort,
}

#[derive(Default)]
struct Body {
    first: BytesMut,
}

impl Body {
    async fn read(&mut self, mut incoming: Incoming) -> End {
        let mut total = 0;
        while let Some(frame) = incoming.frame().await {
            let Ok(frame) = frame else { return End::CutShort };
            let data: Bytes = frame.into_data().unwrap_or_default();
            let room = MAX_ANSWER - self.first.len();
            self.first.extend_from_slice(&data[..data.len().min(room)]);
            total += data.len();
            if total > MAX_BODY {
                return End::CutShort;
            }
        }
        End::Reached
    }
}

/// What is left until a deadline, shared among `parts`.
fn share(deadline: Instant, parts: usize) -> Duration {
    deadline.saturating_duration_since(Instant::now()) / u32::try_from(parts.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
