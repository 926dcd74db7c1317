//! One connection: its requests, and its end.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use delivery::AttemptRequest;
use delivery::sink::{AttemptError, Failure};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST};
use http::uri::Uri;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::MAX_HEAD;

/// A connection to a vetted address. Closed when it is dropped, whatever is still under way on it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
    address: IpAddr,
    opened: Instant,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection ended before anything that could be read as an answer.
    Unanswered(String),
    /// Something came that is no HTTP, or too much of it.
    Invalid(String),
}

impl Connection {
    pub(super) async fn open<S>(stream: S, address: IpAddr) -> Result<Self, AttemptError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| AttemptError { kind: Failure::Connect, text: error.to_string() })?;
        // Its errors come to the request too.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { sender, task, address, opened: Instant::now() })
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn send(&mut self, request: &AttemptRequest) -> Result<Response<Incoming>, SendError> {
        self.sender.ready().await.map_err(send_error)?;
        self.sender.send_request(to_http(request)).await.map_err(send_error)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn to_http(request: &AttemptRequest) -> Request<Full<Bytes>> {
    let endpoint = &request.endpoint;
    let mut sent = Request::new(Full::new(request.body.clone()));
    *sent.method_mut() = Method::POST;
    *sent.uri_mut() = Uri::from(endpoint.path.clone());
    let mut headers = request.headers.clone();
    headers.insert(HOST, endpoint.authority.clone());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(authorization) = &endpoint.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    *sent.headers_mut() = headers;
    sent
}

fn send_error(error: hyper::Error) -> SendError {
    if error.is_parse_too_large() {
        return SendError::Invalid("the answer's head is too large".into());
    }
    if error.is_parse() {
        return SendError::Invalid(format!("the answer is not HTTP: {error}"));
    }
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    SendError::Unanswered(match io {
        Some(io) => format!("the connection broke before an answer: {}", io.kind()),
        None => "the connection was closed before an answer".into(),
    })
}

impl From<SendError> for AttemptError {
    fn from(error: SendError) -> Self {
        let (SendError::Unanswered(text) | SendError::Invalid(text)) = error;
        Self { kind: Failure::Broken, text }
    }
}
