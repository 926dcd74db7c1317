//! A topic as a target: a client of the SDK, made at the first attempt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sns::Client as Sns;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use delivery::sink::{Content, Failure, Job, Target, TargetError, To};
use delivery::{AttemptReport, Endpoint, Sink};
use event::RemoteTopic;
use storage::entities::{Access, AccessKey, Protocol};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::answer::report;
use super::connector::Connector;
use super::message::{Order, fill};
use crate::http::{Client, HttpSink};

/// The name of the source of credentials in the SDK's log lines.
const PROVIDER: &str = "retrohook";

/// The sink of the protocol `sns`.
pub struct SnsSink(Arc<Client>);

impl SnsSink {
    /// Builds the sink over the client of webhooks: its guard, its connections, its authorities.
    pub fn build(webhooks: &HttpSink) -> Self {
        Self(webhooks.client().clone())
    }
}

impl Sink for SnsSink {
    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Sns]
    }

    fn open(&self, to: To) -> Result<Arc<dyn Target>, TargetError> {
        let To { endpoint, recipient: _, access, timeout } = to;
        let topic: RemoteTopic = endpoint.parse().map_err(Box::from)?;
        if let Some(at) = topic.endpoint() {
            at.parse::<Endpoint>().map_err(Box::from)?;
        }
        let access = access.unwrap_or(Access { region: None, key: None });
        let connector = Connector::new(self.0.clone(), timeout);
        Ok(Arc::new(Topic { arn: topic.arn().to_string(), topic, access, connector, sns: OnceCell::new() }))
    }

    /// The sink that owns the client counts the waiting attempts.
    fn waiting(&self) -> usize {
        0
    }
}

/// One topic.
struct Topic {
    arn: String,
    topic: RemoteTopic,
    access: Access,
    connector: Connector,
    sns: OnceCell<Sns>,
}

impl Topic {
    async fn publish(&self, job: Job) -> AttemptReport {
        let began = Instant::now();
        let Content::Event { message, number: _ } = &job.content else {
            let reason = "a topic of SNS is not asked to confirm; this is a bug in Retrohook";
            return AttemptReport::failed(Failure::Internal, reason, Duration::ZERO);
        };
        let sns = self.sns.get_or_init(|| self.connect()).await;
        let order = if self.topic.is_fifo() { Order::Fifo } else { Order::Standard };
        let said = fill(sns.publish().topic_arn(&self.arn), message, order).send().await;
        report(&said, began.elapsed(), job.at.plus(began.elapsed()))
    }

    /// The client, with its source of credentials.
    async fn connect(&self) -> Sns {
        let Access { region, key } = &self.access;
        let region = Region::new(region.clone().unwrap_or_else(|| self.topic.arn().region.clone()));
        let credentials = match key {
            Some(AccessKey { id, secret }) => Some(SharedCredentialsProvider::new(Credentials::new(
                id,
                secret.expose(),
                None,
                None,
                PROVIDER,
            ))),
            None => {
                let found =
                    aws_config::defaults(BehaviorVersion::latest()).region(region.clone()).load().await;
                found.credentials_provider()
            }
        };
        let mut config = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .http_client(self.connector.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.topic.endpoint().map(str::to_owned));
        config.set_credentials_provider(credentials);
        Sns::from_conf(config.build())
    }
}

impl Target for Topic {
    fn attempt(&self, job: Job) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>> {
        Box::pin(self.publish(job))
    }
}
