//! Webhooks over HTTP/1.1, with and without TLS.
//!
//! * Every address is checked when it is dialled, and again before an idle connection is used; a single forbidden address of a name refuses all.
//!   The connection goes to the checked address, whatever DNS says later.
//! * A redirect is an answer like any other. No proxies, no cookies, no compression.
//! * Whatever the endpoint does, an attempt ends after its timeout: connecting, TLS, head and body all count. Waiting for a free connection
//!   ([`Connections`]) does not count, nor does the look-up of a name, which has a limit of its own.
//! * The answer's status decides, as its first line has it: the rest of a head is read leniently ([`answer`]), and it does not matter if a body
//!   breaks off, is slow or never ends. If an answer does not follow the standard, the connection is closed. A head of more than 64 KiB is not
//!   an answer.
//! * A body is read so that the connection can be used again, and for the few bytes of it that are shown: for [`BODY_WITHIN`] after the head and
//!   up to 64 KiB, then the connection is closed. So an endpoint that answers and then keeps its connection open delays nothing.
//! * An endpoint that answers with success before it has read the whole request still gets all of it, as long as it takes some of it in
//!   every [`BODY_WITHIN`].
//! * Connections are kept for [`pool::MAX_IDLE`]. If a kept connection turns out to be closed before any byte of an answer came, the request is
//!   sent once more on a new one. Receivers deduplicate by id, so it does no harm if the first request did arrive.

pub mod answer;
mod connection;
mod dial;
pub mod pool;
mod retry_after;
mod target;
mod tls;
mod turns;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use delivery::Endpoint;
use delivery::guard::Allow;
use delivery::sink::Failure;
use dialing::Names;
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use self::answer::Head;
use self::connection::{Connection, End, SendError};
use self::pool::{Pool, PoolKey};
use self::turns::{Turn, Turns};

pub use self::retry_after::parse_retry_after;
pub use self::target::HttpSink;
pub use self::tls::Roots;
pub use self::turns::Connections;

/// The bytes of an answer's body that are read before the connection is closed.
pub const MAX_BODY: usize = 64 << 10;
/// How long after an answer's head its body is waited for.
pub const BODY_WITHIN: Duration = Duration::from_millis(500);
/// The longest answer's head, in bytes.
pub const MAX_HEAD: usize = 64 << 10;

/// What the client needs.
pub struct Config {
    /// Exceptions from the guard.
    pub allow: Allow,
    /// Finds the addresses of names.
    pub names: Names,
    /// The limits of connections.
    pub connections: Connections,
    /// The authorities whose certificates are trusted.
    pub roots: Roots,
}

/// One request to an endpoint.
#[derive(Clone, Debug)]
pub struct Request {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// All headers except those of the connection: `host`, `content-length`, `accept-encoding`, `authorization`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it may take: covers connecting, TLS, the answer's head and its body.
    pub timeout: Duration,
    /// How much of the answer's body is kept, in bytes; never more than [`MAX_BODY`].
    pub keep: usize,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, if there was an answer. Then it alone decides: what breaks off after the head changes nothing.
    pub status: Option<u16>,
    /// From the beginning to the end of what was read, without the wait for a free connection.
    pub took: Duration,
    /// The first bytes of the answer's body, as many as the request says.
    pub answer: Bytes,
    /// Why there was no answer.
    pub error: Option<AttemptError>,
    /// The `Retry-After` header, as it came.
    pub retry_after: Option<String>,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct AttemptError {
    /// For metrics.
    pub kind: Failure,
    /// For people; without the addresses of a name.
    pub text: String,
}

impl Reply {
    /// No answer.
    fn none(kind: Failure, text: impl Into<String>, took: Duration) -> Self {
        let error = Some(AttemptError { kind, text: text.into() });
        Self { status: None, took, answer: Bytes::new(), error, retry_after: None }
    }
}

/// Makes requests. Its connections belong to the runtime in which it is used.
pub struct Client {
    allow: Allow,
    names: Names,
    tls: tls::Client,
    pool: Pool,
    turns: Turns,
}

impl Client {
    /// Builds it. Certificates are read when the first `https` endpoint is called.
    pub fn build(config: Config) -> Self {
        let Config { allow, names, connections, roots } = config;
        let (pool, turns) = (Pool::default(), Turns::new(connections));
        Self { allow, names, tls: tls::Client::new(roots), pool, turns }
    }

    /// Makes one request within its timeout; waiting for a free connection and for the addresses of a name comes on top of that. Never follows a
    /// redirect.
    pub async fn attempt(&self, request: Request) -> Reply {
        let turn = self.turns.take(&request.endpoint).await;
        let mut attempt = Attempt::begin(&request, turn);
        let mut seen = Seen::default();
        match (self.converse(&mut attempt, &mut seen).await, seen.status) {
            (_, Some(status)) => Reply {
                status: Some(status),
                took: attempt.took(),
                answer: seen.first.freeze(),
                error: None,
                retry_after: seen.retry_after,
            },
            (Err(error), None) => Reply::none(error.kind, error.text, attempt.took()),
            (Ok(()), None) => attempt.timed_out(),
        }
    }

    /// How many requests wait for a free connection now.
    pub fn waiting(&self) -> usize {
        self.turns.waiting()
    }

    /// What was seen counts, even if the deadline ends this early.
    async fn converse(&self, attempt: &mut Attempt<'_>, seen: &mut Seen) -> Result<(), AttemptError> {
        let request = attempt.request;
        let Some((head, mut connection)) = self.head(attempt).await? else { return Ok(()) };
        seen.status = Some(head.status);
        seen.retry_after = head.retry_after;
        let until = attempt.deadline.min(Instant::now() + BODY_WITHIN);
        let end =
            timeout_at(until, connection.read_body(head.framing, |data| seen.keep(data, request.keep))).await;
        if (200..300).contains(&head.status) {
            connection.finish_sending(attempt.deadline).await;
        }
        // The endpoint would take the unread rest of the request for the next one.
        if end == Ok(End::Reached) && head.keep && connection.is_sent() {
            self.pool.keep(PoolKey::of(&request.endpoint), connection);
        }
        Ok(())
    }

    /// The answer's head, or nothing if the deadline came first.
    async fn head(&self, attempt: &mut Attempt<'_>) -> Result<Option<(Head, Connection)>, AttemptError> {
        let request = attempt.request;
        if let Some(mut kept) = self.kept(request) {
            match timeout_at(attempt.deadline, kept.send(request)).await {
                Err(_) => return Ok(None),
                Ok(Ok(head)) => return Ok(Some((head, kept))),
                Ok(Err(SendError::Unanswered(_))) => {}
                Ok(Err(error @ SendError::Invalid(_))) => return Err(error.into()),
            }
        }
        let addresses = self.addresses(attempt).await?;
        let fresh = async {
            let mut fresh = self.dial(&request.endpoint, &addresses, attempt.deadline).await?;
            let head = fresh.send(request).await?;
            Ok((head, fresh))
        };
        match timeout_at(attempt.deadline, fresh).await {
            Ok(answered) => answered.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// A connection that is open and may be used.
    fn kept(&self, request: &Request) -> Option<Connection> {
        let mut kept = self.pool.take(&PoolKey::of(&request.endpoint))?;
        self.refresh_name_of(&request.endpoint, &mut kept);
        self.may_still_be_used(&request.endpoint, &kept).then_some(kept)
    }
}

/// An attempt that has its turn.
struct Attempt<'r> {
    request: &'r Request,
    began: Instant,
    deadline: Instant,
    /// `None` while it waits for the addresses of a name.
    turn: Option<Turn>,
}

impl<'r> Attempt<'r> {
    fn begin(request: &'r Request, turn: Turn) -> Self {
        let began = Instant::now();
        Self { request, began, deadline: began + request.timeout, turn: Some(turn) }
    }

    fn took(&self) -> Duration {
        self.began.elapsed()
    }

    fn timed_out(&self) -> Reply {
        let text = format!("no answer within {:?}", self.request.timeout);
        Reply::none(Failure::Timeout, text, self.took())
    }
}

/// What was read of an answer.
#[derive(Default)]
struct Seen {
    status: Option<u16>,
    retry_after: Option<String>,
    /// The first bytes of its body.
    first: BytesMut,
}

impl Seen {
    fn keep(&mut self, data: &[u8], most: usize) {
        let room = most.saturating_sub(self.first.len());
        self.first.extend_from_slice(&data[..data.len().min(room)]);
    }
}

#[cfg(test)]
pub(crate) mod tests;
