//! Connects the SDK to the network: sends its requests through the client of webhooks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use delivery::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::{AttemptError, Client, Reply, Request};

/// How much of an answer's body the SDK reads: SNS's answers have less than 2 KiB.
const MAX_BODY: usize = 32 << 10;
/// What replaces a session token.
const HIDDEN: &str = "[session token]";

/// Headers that the client writes itself.
const OF_THE_CONNECTION: [&str; 4] = ["host", "content-length", "accept-encoding", "connection"];

/// Sends the SDK's requests.
#[derive(Clone)]
pub(super) struct Connector {
    client: Arc<Client>,
    timeout: Duration,
}

/// An answer, besides what the SDK makes of it.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// Without the wait for a free connection.
    pub(super) took: Duration,
    /// Without secrets.
    pub(super) body: Bytes,
    /// As it came.
    pub(super) retry_after: Option<String>,
}

/// The error if there was no answer.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Unanswered {
    pub(super) error: AttemptError,
    pub(super) took: Duration,
}

impl Connector {
    pub(super) fn new(client: Arc<Client>, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let token = request.headers().get("x-amz-security-token").map(str::to_owned);
        let request = self.translate(&request).map_err(ConnectorError::user)?;
        let Reply { status, took, answer, error, retry_after } = self.client.attempt(request).await;
        if let Some(error) = error {
            return Err(ConnectorError::other(Unanswered { error, took }.into(), None));
        }
        let status = StatusCode::try_from(status.unwrap_or_default());
        let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
        let body = without(answer, token.as_deref());
        let mut response = HttpResponse::new(status, SdkBody::from(body.clone()));
        response.add_extension(Answered { took, body, retry_after });
        Ok(response)
    }

    fn translate(&self, request: &HttpRequest) -> Result<Request, Box<dyn std::error::Error + Send + Sync>> {
        let endpoint: Endpoint = request.uri().parse()?;
        let mut headers = HeaderMap::with_capacity(16);
        for (name, value) in request.headers().iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(name)) {
            headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        let body = request.body().bytes().ok_or("a request that is a stream")?;
        Ok(Request {
            endpoint: Arc::new(endpoint),
            headers,
            body: Bytes::copy_from_slice(body),
            timeout: self.timeout,
            keep: MAX_BODY,
        })
    }
}

/// The answer without the session token: it may repeat what was signed.
fn without(answer: Bytes, token: Option<&str>) -> Bytes {
    match (token, std::str::from_utf8(&answer)) {
        (Some(token), Ok(text)) if !token.is_empty() && text.contains(token) => {
            text.replace(token, HIDDEN).into()
        }
        _ => answer,
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
