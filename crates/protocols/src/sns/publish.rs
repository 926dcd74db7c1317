//! `Publish`: a message to a topic of this node, by `TopicArn` or `TargetArn`. When the call is answered, the message is durable and in every
//! subscribed queue; its `MessageId` is the event's id.

use hub::publish::Topic;

use super::{Context, Error, arn, draft};

pub(super) async fn call(context: &Context<'_>) -> Result<String, Error> {
    let message = draft::read(context, draft::Place::Alone, "", "")?;
    let topic = target(context)?;
    let published = context.hub.publish(topic, vec![message.draft]).await.pop();
    let id = published.ok_or_else(Error::internal)??.ok_or_else(|| Error::not_found("Topic"))?;
    Ok(format!("<PublishResult><MessageId>{id}</MessageId></PublishResult>"))
}

/// The topic of this node with an ARN.
pub(super) fn topic(context: &Context<'_>, parameter: &str) -> Result<Topic, Error> {
    let name = arn::topic_in(context, parameter)?;
    context.hub.topic(&name).ok_or_else(|| Error::not_found("Topic"))
}

/// The topic of the request. There is no way to send to apps.
fn target(context: &Context<'_>) -> Result<Topic, Error> {
    match (context.get("TopicArn"), context.get("TargetArn")) {
        (None, Some(arn)) if arn.contains(":endpoint/") => {
            Err(Error::invalid("TargetArn Reason: No endpoint found for the target arn specified"))
        }
        (None, Some(_)) => topic(context, "TargetArn"),
        (_, None) | (Some(_), Some(_)) => topic(context, "TopicArn"),
    }
}
