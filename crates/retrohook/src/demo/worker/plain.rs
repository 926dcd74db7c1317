//! The queue by plain requests in SQS's JSON protocol.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{BATCH, Message, WAIT_SECONDS};
use crate::client;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What the worker is, for the story.
pub const KIND: &str = "a worker of the SQS queue";

/// Longer than a receive waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// One queue.
pub struct Queue {
    hub: SocketAddr,
    url: Value,
}

impl Queue {
    pub async fn find(hub: SocketAddr, name: &str) -> Result<Self, Error> {
        let found = ask(hub, "GetQueueUrl", &json!({ "QueueName": name })).await?;
        Ok(Self { hub, url: found["QueueUrl"].clone() })
    }

    pub async fn receive(&self) -> Result<Vec<Message>, Error> {
        let receive = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": WAIT_SECONDS,
        });
        let received = ask(self.hub, "ReceiveMessage", &receive).await?;
        let messages = received["Messages"].as_array().into_iter().flatten().map(|message| {
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            Message { body: text("Body"), receipt_handle: text("ReceiptHandle") }
        });
        Ok(messages.collect())
    }

    pub async fn delete(&self, receipt_handle: &str) -> Result<(), Error> {
        let delete = json!({ "QueueUrl": self.url, "ReceiptHandle": receipt_handle });
        ask(self.hub, "DeleteMessage", &delete).await.map(drop)
    }
}

/// Sends one action. Its answer is null where it has no body.
async fn ask(hub: SocketAddr, action: &str, body: &Value) -> Result<Value, Error> {
    let target = format!("AmazonSQS.{action}");
    let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
    let answer =
        client::send_with("POST", &format!("http://{hub}/"), &headers, &body.to_string(), PATIENCE).await?;
    if answer.status != 200 {
        return Err(format!("{action} was answered with {}: {}", answer.status, answer.body).into());
    }
    Ok(serde_json::from_str(&answer.body).unwrap_or_default())
}
