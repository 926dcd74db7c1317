//! SQS in AWS JSON 1.0 and in the older Query protocol: one file for each action.
//!
//! In JSON an action's operation name stands in `X-Amz-Target`, its input is one JSON object and so is its output; what is absent from an output
//! is left out, never `null` or empty. Requests may come to `/` or to the path of a queue URL. A queue that a file declares is changed in that file.
//!
//! [`query`] turns the older protocol's forms into JSON, and the output into XML: no action knows which protocol its client uses.

use control::Control;
use http::{HeaderName, StatusCode};
use hub::Hub;
use hub::queue::Queue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::reply::Reply;

mod batch;
mod change_message_visibility;
mod change_message_visibility_batch;
mod create_queue;
mod delete_message;
mod delete_message_batch;
mod delete_queue;
pub mod digest;
mod error;
mod get_queue_attributes;
mod get_queue_url;
mod list_dead_letter_source_queues;
mod list_queues;
mod page;
mod purge_queue;
mod query;
mod queue_attributes;
mod queue_url;
mod range;
mod receive_message;
mod redrive_policy;
mod send;
mod send_message;
mod send_message_batch;
mod set_queue_attributes;

pub use error::Error;
use error::Kind;
pub(crate) use query::{answer as answer_query, refuse as refuse_query};

/// The actions of SQS that are spoken here.
pub const SUPPORTED: [&str; 15] = [
    "CreateQueue",
    "DeleteQueue",
    "SetQueueAttributes",
    "PurgeQueue",
    "SendMessage",
    "SendMessageBatch",
    "GetQueueUrl",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "GetQueueAttributes",
    "ListQueues",
    "ListDeadLetterSourceQueues",
];

/// All actions of SQS that SNS has none of the same name of: by these a request without a version is told to be SQS's.
pub const ACTIONS: [&str; 21] = [
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// What an action works with.
pub struct Context<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// Who changes queues, if anybody does.
    pub control: Option<&'a Control>,
    /// Scheme and host of queue URLs.
    pub origin: &'a str,
    /// The request's path: that of a queue's URL, with some clients.
    pub path: &'a str,
    /// `X-Amzn-Trace-Id`.
    pub trace: Option<&'a str>,
}

impl Context<'_> {
    /// The queue that a `QueueUrl` means; the one of the request's path where it is absent.
    fn queue(&self, url: Option<&str>) -> Result<Queue, Error> {
        let named = match url {
            Some(url) => queue_url::parse(url).ok_or_else(|| {
                let text = format!("The address {url} is not valid for this endpoint.");
                Error::new(Kind::InvalidAddress, text)
            })?,
            None => queue_url::parse_path(self.path).ok_or_else(|| Error::missing("QueueUrl"))?,
        };
        let ours = named.account.is_none_or(|account| account == self.hub.names().account);
        ours.then(|| self.hub.queue(named.queue)).flatten().ok_or_else(Error::no_such_queue)
    }

    /// Who changes queues.
    fn control(&self) -> Result<Control, Error> {
        let control =
            self.control.ok_or_else(|| Error::refused("Nothing is changed through this listener.".into()))?;
        Ok(control.of("the SQS API"))
    }

    fn url_of(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.origin, self.hub.names().account)
    }
}

pub(crate) async fn answer(context: &Context<'_>, operation: &str, body: &[u8]) -> Reply {
    match call(context, operation, body).await {
        Ok(body) => Reply::new(StatusCode::OK, CONTENT_TYPE, body),
        Err(error) => error.into_reply(),
    }
}

async fn call(context: &Context<'_>, operation: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    match operation {
        "GetQueueUrl" => write(get_queue_url::call(context, &read(body)?)?),
        "ReceiveMessage" => write(receive_message::call(context, &read(body)?).await?),
        "DeleteMessage" => write(delete_message::call(context, &read(body)?).await?),
        "DeleteMessageBatch" => write(delete_message_batch::call(context, &read(body)?).await?),
        "ChangeMessageVisibility" => write(change_message_visibility::call(context, &read(body)?).await?),
        "ChangeMessageVisibilityBatch" => {
            write(change_message_visibility_batch::call(context, &read(body)?).await?)
        }
        "GetQueueAttributes" => write(get_queue_attributes::call(context, &read(body)?).await?),
        "ListQueues" => write(list_queues::call(context, &read(body)?)?),
        "ListDeadLetterSourceQueues" => write(list_dead_letter_source_queues::call(context, &read(body)?)?),
        "CreateQueue" => write(create_queue::call(context, read(body)?).await?),
        "DeleteQueue" => write(delete_queue::call(context, &read(body)?).await?),
        "SetQueueAttributes" => write(set_queue_attributes::call(context, read(body)?).await?),
        "SendMessage" => write(send_message::call(context, &read(body)?).await?),
        "SendMessageBatch" => write(send_message_batch::call(context, &read(body)?).await?),
        "PurgeQueue" => write(purge_queue::call(context, &read(body)?).await?),
        _ => Err(Error::unknown_operation(operation)),
    }
}

/// An action's input. Members that this version does not know are ignored, as by SQS.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let body = if body.is_empty() { b"{}" } else { body };
    // serde would read a struct from an array, too.
    let text = body.trim_ascii_start();
    if !text.starts_with(b"{") {
        return Err(Error::malformed("the body is not a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| Error::malformed(&error.to_string()))
}

fn write<T: Serialize>(output: T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&output).map_err(|_| Error::internal())
}

/// The output of an action that has none.
#[derive(Serialize)]
struct Void {}

pub(crate) fn unknown_operation(operation: &str) -> Reply {
    Error::unknown_operation(operation).into_reply()
}

#[cfg(test)]
mod tests;
