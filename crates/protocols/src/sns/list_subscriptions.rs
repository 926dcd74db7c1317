//! `ListSubscriptions` and `ListSubscriptionsByTopic`: including those of files. A subscription that is not confirmed shows no ARN.

use control::Control;
use hub::subscription::Listed;
use storage::entities::{Protocol, SubscriptionState};

use super::page::page;
use super::{Context, Error, arn};
use crate::xml;

pub(super) fn call(context: &Context<'_>) -> Result<String, Error> {
    let page = paged(context, &context.hub.subscriptions())?;
    Ok(format!("<ListSubscriptionsResult>{page}</ListSubscriptionsResult>"))
}

pub(super) fn by_topic(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let topic = arn::topic(context)?;
    if !control.whole().all().has_topic(&topic) {
        return Err(Error::not_found("Topic"));
    }
    let mut all = context.hub.subscriptions();
    all.retain(|one| one.arn.topic.resource == topic);
    let page = paged(context, &all)?;
    Ok(format!("<ListSubscriptionsByTopicResult>{page}</ListSubscriptionsByTopicResult>"))
}

fn paged(context: &Context<'_>, all: &[Listed]) -> Result<String, Error> {
    page(context, "Subscriptions", all, |one| one.id.0, |one| member(context, one))
}

/// The endpoint as SNS writes it: a queue's ARN.
pub(super) fn endpoint(context: &Context<'_>, one: &Listed) -> String {
    match one.protocol {
        Protocol::Sqs => context.hub.names().queue_arn(&one.endpoint).to_string(),
        Protocol::Http | Protocol::Https | Protocol::Sns => one.endpoint.clone(),
    }
}

fn member(context: &Context<'_>, one: &Listed) -> String {
    let arn = match one.state {
        SubscriptionState::Pending { .. } => "PendingConfirmation".to_owned(),
        SubscriptionState::Confirmed | SubscriptionState::Disabled { .. } => one.arn.to_string(),
    };
    let fields = [
        ("SubscriptionArn", arn),
        ("Owner", context.hub.names().account.clone()),
        ("Protocol", one.protocol.as_str().to_owned()),
        ("Endpoint", endpoint(context, one)),
        ("TopicArn", one.arn.topic.to_string()),
    ];
    fields.iter().map(|(name, text)| format!("<{name}>{}</{name}>", xml::escape(text))).collect()
}
