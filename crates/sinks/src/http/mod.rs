//! Webhooks over HTTP/1.1, in the clear and over TLS.
//!
//! * Every address is vetted when it is dialled, and again before an idle connection is used; one forbidden answer of DNS rejects all.
//!   The connection goes to the vetted address, whatever DNS says next.
//! * A redirect is an answer like any other. No proxies, no cookies, no compression.
//! * Whatever the endpoint does, an attempt ends at its deadline: resolving, connecting, TLS, head and body all count. A head of more
//!   than 64 KiB is no answer; of a body 64 KiB are read, then the connection is closed.
//! * The answer's status decides: a body that breaks off, drips or never ends changes nothing.
//! * An endpoint that answers with success before it has read the whole request still gets all of it.
//! * Connections are kept for [`pool::MAX_IDLE`]. A kept one that turns out closed before anything of an answer came is replaced once;
//!   receivers dedupe by id, so a request that did get through does no harm.

pub mod answer;
mod connection;
mod dial;
pub mod pool;
mod resolve;
mod tls;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use delivery::guard::Allow;
use delivery::sink::{AttemptError, Failure, MAX_ANSWER};
use delivery::{AttemptReport, AttemptRequest, Sink};
use tokio::time::{Instant, timeout_at};

use self::answer::Head;
use self::connection::{Connection, End, SendError};
use self::pool::{Pool, PoolKey};

pub use self::resolve::{Resolve, SystemResolver};
pub use self::tls::Roots;

/// The bytes of an answer's body that are read before the connection is closed.
pub const MAX_BODY: usize = 64 << 10;
/// The longest answer's head, in bytes.
pub const MAX_HEAD: usize = 64 << 10;

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

/// The sink. Its connections belong to the runtime that it is used in.
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
        let mut seen = Seen::default();
        let ended = timeout_at(request.deadline, self.converse(&request, &mut seen)).await;
        match (seen.status, ended) {
            (Some(status), _) => AttemptReport {
                status: Some(status),
                took: began.elapsed(),
                answer: seen.first.freeze(),
                error: None,
                retry_after: seen.retry_after,
            },
            (None, Ok(Err(error))) => failed(error, began),
            (None, _) => {
                let limit = request.deadline.saturating_duration_since(began);
                let text = format!("no answer within {limit:?}");
                failed(AttemptError { kind: Failure::Timeout, text }, began)
            }
        }
    }

    /// What was seen stands, wherever the deadline ends this.
    async fn converse(&self, request: &AttemptRequest, seen: &mut Seen) -> Result<(), AttemptError> {
        let (head, mut connection) = self.head(request).await?;
        seen.status = Some(head.status);
        seen.retry_after = head.retry_after;
        let end = connection.read_body(head.framing, |data| seen.keep(data)).await;
        if (200..300).contains(&head.status) {
            connection.finish_sending().await;
        }
        // What was not read of the request would be taken for the next one.
        if end == End::Reached && head.keep && connection.is_sent() {
            self.pool.keep(PoolKey::of(&request.endpoint), connection);
        }
        Ok(())
    }

    async fn head(&self, request: &AttemptRequest) -> Result<(Head, Connection), AttemptError> {
        let key = PoolKey::of(&request.endpoint);
        if let Some(mut kept) = self.pool.take(&key)
            && self.may_still_be_used(&request.endpoint, &kept)
        {
            match kept.send(request).await {
                Ok(head) => return Ok((head, kept)),
                Err(SendError::Unanswered(_)) => {}
                Err(error @ SendError::Invalid(_)) => return Err(error.into()),
            }
        }
        let mut fresh = self.dial(&request.endpoint, request.deadline).await?;
        let head = fresh.send(request).await?;
        Ok((head, fresh))
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

/// What came of an answer.
#[derive(Default)]
struct Seen {
    status: Option<u16>,
    retry_after: Option<String>,
    /// The first bytes of its body.
    first: BytesMut,
}

impl Seen {
    fn keep(&mut self, data: &[u8]) {
        let room = MAX_ANSWER - self.first.len();
        self.first.extend_from_slice(&data[..data.len().min(room)]);
    }
}

/// What is left until a deadline, shared among `parts`.
fn share(deadline: Instant, parts: usize) -> Duration {
    deadline.saturating_duration_since(Instant::now()) / u32::try_from(parts.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
