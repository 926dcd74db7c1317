//! A second cache, expired by a queue worker on the official AWS SDK: it knows of nothing but SQS.

use std::net::SocketAddr;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;
use serde_json::Value;
use tokio::sync::mpsc;

use super::forum::{Cache, Heard, path_of};

/// Between two tries while the gateway is away.
const PAUSE: Duration = Duration::from_millis(50);

/// Works until the process ends.
pub async fn work(hub: SocketAddr, queue: &'static str, cache: Cache, heard: mpsc::UnboundedSender<Heard>) {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{hub}"))
        .credentials_provider(Credentials::new("test", "test", None, None, "demo"))
        .http_client(Builder::new().build_http())
        .build();
    let client = Client::from_conf(config);
    loop {
        // The gateway is killed once in this story: the worker asks again, as workers do.
        if poll(&client, queue, &cache, &heard).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn poll(
    client: &Client,
    queue: &str,
    cache: &Cache,
    heard: &mpsc::UnboundedSender<Heard>,
) -> Result<(), aws_sdk_sqs::Error> {
    let url = client.get_queue_url().queue_name(queue).send().await?;
    let url = url.queue_url().unwrap_or_default();
    loop {
        let received = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .wait_time_seconds(20)
            .send()
            .await?;
        for message in received.messages() {
            if let Some(event) = event_of(message.body().unwrap_or_default()) {
                if let Heard::Event { path, .. } = &event {
                    cache.expire(path);
                }
                // The story may have ended.
                let _ = heard.send(event);
            }
            let handle = message.receipt_handle().unwrap_or_default();
            client.delete_message().queue_url(url).receipt_handle(handle).send().await?;
        }
    }
}

/// What an SNS notification in a queue says.
fn event_of(body: &str) -> Option<Heard> {
    let envelope: Value = serde_json::from_str(body).ok()?;
    let attribute =
        |name: &str| envelope["MessageAttributes"][name]["Value"].as_str().unwrap_or_default().to_owned();
    Some(Heard::Event {
        by: "worker",
        path: path_of(envelope["Message"].as_str()?)?,
        outcome: attribute("retrohook_outcome"),
        id: attribute("retrohook_event_id"),
    })
}
