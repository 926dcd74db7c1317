//! `PublishBatch`: up to ten messages to one topic, each with its own result. As in SNS, one wrong message refuses the whole batch; only the
//! store can fail for some messages, which may be sent again.

use std::fmt::Write;

use event::EventId;
use event::message::MAX_PUBLISHED;

use super::{Context, Error, draft, publish};
use crate::query::Parameters;
use crate::xml;

const ENTRIES: &str = "PublishBatchRequestEntries.member";
const MAX_ENTRIES: usize = 10;
const MAX_ID: usize = 80;

pub(super) async fn call(context: &Context<'_>) -> Result<String, Error> {
    let topic = publish::topic(context, "TopicArn")?;
    let entries = context.parameters.numbers(ENTRIES);
    let ids = ids(context.parameters, &entries)?;
    let mut drafts = Vec::with_capacity(entries.len());
    let mut bytes = 0;
    for (number, entry) in (1..).zip(&entries) {
        let path = format!("publishBatchRequestEntries.{number}.member.");
        let prefix = format!("{ENTRIES}.{entry}.");
        let message = draft::read(context, draft::Place::InBatch, &prefix, &path)?;
        bytes += message.bytes;
        drafts.push(message.draft);
    }
    if bytes > MAX_PUBLISHED {
        let text = "The length of all the messages put together is more than the limit.";
        return Err(Error::of_batch("BatchRequestTooLong", text));
    }
    let published = context.hub.publish(topic, drafts).await.into_iter();
    let results = published.map(|one| one.map_err(Error::from)?.ok_or_else(|| Error::not_found("Topic")));
    let results: Vec<Result<EventId, Error>> = results.collect();
    // SDKs repeat a call that failed as a whole, but never single entries.
    if results.iter().all(Result::is_err)
        && let Some(Err(error)) = results.first()
    {
        return Err(error.clone());
    }
    Ok(written(ids.into_iter().zip(results)))
}

fn written<'a>(results: impl Iterator<Item = (&'a str, Result<EventId, Error>)>) -> String {
    let (mut successful, mut failed) = (String::new(), String::new());
    for (id, result) in results {
        // Writing to a String cannot fail.
        let _ = match result {
            Ok(message) => {
                write!(successful, "<member><Id>{id}</Id><MessageId>{message}</MessageId></member>")
            }
            Err(error) => write!(
                failed,
                "<member><Id>{id}</Id><Code>{}</Code><Message>{}</Message><SenderFault>{}</SenderFault></member>",
                error.code(),
                xml::escape(error.message()),
                error.is_of_sender()
            ),
        };
    }
    let (successful, failed) = (list("Successful", &successful), list("Failed", &failed));
    format!("<PublishBatchResult>{successful}{failed}</PublishBatchResult>")
}

fn list(name: &str, members: &str) -> String {
    if members.is_empty() { format!("<{name}/>") } else { format!("<{name}>{members}</{name}>") }
}

/// The ids of the entries; they have only characters that need no escaping in XML.
fn ids<'p>(parameters: &'p Parameters<'_>, entries: &[String]) -> Result<Vec<&'p str>, Error> {
    if entries.is_empty() {
        return Err(Error::of_batch("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > MAX_ENTRIES {
        let text = "The batch request contains more entries than permissible.";
        return Err(Error::of_batch("TooManyEntriesInBatchRequest", text));
    }
    let mut ids: Vec<&str> = Vec::with_capacity(entries.len());
    for (number, entry) in (1..).zip(entries) {
        let missing = || Error::missing(&[&format!("publishBatchRequestEntries.{number}.member.id")]);
        let id = parameters.get(&format!("{ENTRIES}.{entry}.Id")).ok_or_else(missing)?;
        if id.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
            let text = format!(
                "The Id of a batch entry in the batch request contains an impermissible character: {id}"
            );
            return Err(Error::of_batch("InvalidBatchEntryId", text));
        }
        if id.len() > MAX_ID {
            let text = format!("The Id of a batch entry in the batch request is too long: {id}");
            return Err(Error::of_batch("InvalidBatchEntryId", text));
        }
        if ids.contains(&id) {
            let text = "Two or more batch entries in the request have the same Id.";
            return Err(Error::of_batch("BatchEntryIdsNotDistinct", text));
        }
        ids.push(id);
    }
    Ok(ids)
}
