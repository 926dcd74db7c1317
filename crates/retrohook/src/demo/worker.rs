//! A second cache, expired by a queue worker: it knows of nothing but SQS, by AWS's SDK or, in a build without it, by plain requests.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use super::forum::{Cache, Heard, path_of};

#[cfg_attr(feature = "aws", path = "worker/sdk.rs")]
#[cfg_attr(not(feature = "aws"), path = "worker/plain.rs")]
mod queue;

pub use queue::KIND;
use queue::Queue;

/// Between two tries while the gateway is away.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest wait that SQS allows, in seconds.
const WAIT_SECONDS: u8 = 20;
/// The most messages that SQS gives at once.
const BATCH: u8 = 10;

/// A message of the queue.
struct Message {
    body: String,
    receipt_handle: String,
}

/// Works until the process ends.
pub async fn work(hub: SocketAddr, queue: &'static str, cache: Cache, heard: mpsc::UnboundedSender<Heard>) {
    loop {
        // The gateway is killed once in this story: the worker asks again, as workers do.
        if poll(hub, queue, &cache, &heard).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn poll(
    hub: SocketAddr,
    queue: &str,
    cache: &Cache,
    heard: &mpsc::UnboundedSender<Heard>,
) -> Result<(), queue::Error> {
    let queue = Queue::find(hub, queue).await?;
    loop {
        for message in queue.receive().await? {
            if let Some(event) = event_of(&message.body) {
                if let Heard::Event { path, .. } = &event {
                    cache.expire(path);
                }
                // The story may have ended.
                let _ = heard.send(event);
            }
            queue.delete(&message.receipt_handle).await?;
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
