//! `SendMessageBatch`: up to ten messages into a queue, in one commit. If one message is wrong, only that one is refused.

use event::message::MAX_SENT;
use serde::{Deserialize, Serialize};

use super::error::Kind;
use super::{Context, Error, batch, send};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    id: Option<String>,
    #[serde(flatten)]
    message: send::Input,
}

/// A list that is empty is left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    successful: Vec<Successful>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<batch::Failed>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Successful {
    id: String,
    #[serde(flatten)]
    sent: send::Output,
}

pub(super) async fn call(context: &Context<'_>, input: &batch::Input<Entry>) -> Result<Output, Error> {
    let (queue, entries) =
        input.read(context, "SendMessageBatchRequestEntry", |entry| entry.id.as_deref())?;
    let bytes: usize = entries.iter().map(|(_, entry)| entry.message.size()).sum();
    if bytes > MAX_SENT {
        let text =
            format!("Batch requests cannot be longer than {MAX_SENT} bytes. You have sent {bytes} bytes.");
        return Err(Error::new(Kind::BatchTooLong, text));
    }
    let mut output = Output::default();
    let (mut messages, mut taken) = (Vec::new(), Vec::new());
    for (id, entry) in entries {
        match entry.message.read(send::Place::InBatch, context.trace) {
            Ok((message, digests)) => {
                messages.push(message);
                taken.push((id, digests));
            }
            Err(error) => output.failed.push(batch::Failed::of(id, error)),
        }
    }
    if messages.is_empty() {
        return Ok(output);
    }
    let sent = context.hub.send(&queue, messages).await?;
    let successful = taken.into_iter().zip(sent);
    let successful = successful
        .map(|((id, digests), message)| Successful { id: id.to_owned(), sent: digests.output(message) });
    output.successful = successful.collect();
    Ok(output)
}
