//! The queue by the official AWS SDK.

use std::net::SocketAddr;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;

use super::{BATCH, Message, WAIT_SECONDS};

pub use aws_sdk_sqs::Error;

/// What the worker is, for the story.
pub const KIND: &str = "a worker on the AWS SDK";

/// One queue.
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub async fn find(hub: SocketAddr, name: &str) -> Result<Self, Error> {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{hub}"))
            .credentials_provider(Credentials::new("test", "test", None, None, "demo"))
            .http_client(Builder::new().build_http())
            .build();
        let client = Client::from_conf(config);
        let found = client.get_queue_url().queue_name(name).send().await?;
        Ok(Self { client, url: found.queue_url.unwrap_or_default() })
    }

    pub async fn receive(&self) -> Result<Vec<Message>, Error> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive.max_number_of_messages(BATCH.into()).wait_time_seconds(WAIT_SECONDS.into());
        let received = receive.send().await?.messages.unwrap_or_default();
        let messages = received.into_iter().map(|message| Message {
            body: message.body.unwrap_or_default(),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
        });
        Ok(messages.collect())
    }

    pub async fn delete(&self, receipt_handle: &str) -> Result<(), Error> {
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle);
        delete.send().await?;
        Ok(())
    }
}
