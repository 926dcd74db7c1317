//! Webhooks as a sink: renders a job, sends it, and judges the answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use delivery::sink::{Failure, Job, MAX_ANSWER, Target, TargetError, To};
use delivery::wire::Recipient;
use delivery::{AttemptReport, Endpoint, Sink};
use storage::entities::Protocol;
use tokio::time::Instant;

use super::verdict::verdict;
use super::{Client, Config, Reply, Request};

/// The sink of the protocols `http` and `https`.
pub struct HttpSink(Arc<Client>);

impl HttpSink {
    /// Builds the sink. Certificates are read when the first `https` endpoint is called.
    pub fn build(config: Config) -> Self {
        Self(Arc::new(Client::build(config)))
    }

    /// The client that makes its requests.
    #[cfg(feature = "sns")]
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.0
    }
}

impl Sink for HttpSink {
    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Http, Protocol::Https]
    }

    fn open(&self, to: To) -> Result<Arc<dyn Target>, TargetError> {
        let To { endpoint, recipient, access: _, timeout } = to;
        let endpoint: Endpoint = endpoint.parse().map_err(Box::from)?;
        Ok(Arc::new(Webhook { client: self.0.clone(), endpoint: Arc::new(endpoint), recipient, timeout }))
    }

    fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

/// One endpoint.
struct Webhook {
    client: Arc<Client>,
    endpoint: Arc<Endpoint>,
    recipient: Recipient,
    timeout: Duration,
}

impl Webhook {
    async fn deliver(&self, job: Job) -> AttemptReport {
        let (at, began) = (job.at, Instant::now());
        let outgoing = match self.recipient.request(job).await {
            Ok(outgoing) => outgoing,
            Err(error) => {
                return AttemptReport::failed(Failure::Internal, error.to_string(), Duration::ZERO);
            }
        };
        let (endpoint, timeout) = (self.endpoint.clone(), self.timeout);
        let (headers, body) = (outgoing.headers, outgoing.body);
        let request = Request { endpoint, headers, body, timeout, keep: MAX_ANSWER };
        let reply = self.client.attempt(request).await;
        // `Retry-After` may be a date: it is compared with the time at which it came.
        let verdict = verdict(&reply, at.plus(began.elapsed()));
        let Reply { status, took, answer, error, retry_after: _ } = reply;
        let answer = match answer.is_empty() {
            true => Bytes::new(),
            false => self.endpoint.without_query(answer),
        };
        AttemptReport { verdict, status, took, answer, failure: error.map(|error| error.kind) }
    }
}

impl Target for Webhook {
    fn attempt(&self, job: Job) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>> {
        Box::pin(self.deliver(job))
    }
}
