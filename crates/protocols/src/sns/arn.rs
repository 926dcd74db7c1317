//! ARNs that a request names, read as SNS reads them.

use event::Arn;
use hub::names::{SubscriptionArn, SubscriptionArnError};

use super::{Context, Error};

/// The bare name in the parameter `TopicArn`. Whether there is such a topic is the caller's to see.
pub(super) fn topic(context: &Context<'_>) -> Result<String, Error> {
    topic_in(context, "TopicArn")
}

/// The bare name in a parameter that is the ARN of a topic.
pub(super) fn topic_in(context: &Context<'_>, parameter: &str) -> Result<String, Error> {
    let text = context.get(parameter).unwrap_or_default();
    let parts = text.split(':').count();
    if parts < 6 {
        let reason = format!("An ARN must have at least 6 elements, not {parts}");
        return Err(Error::invalid(&format!("{parameter} Reason: {reason}")));
    }
    let names = context.hub.names();
    let arn: Arn = text.parse().map_err(|_| Error::invalid(parameter))?;
    if arn.service != "sns" || arn.region != names.region {
        return Err(Error::invalid(parameter));
    }
    if arn.account != names.account {
        return Err(Error::not_found("Topic"));
    }
    Ok(arn.resource)
}

/// The parameter `SubscriptionArn`.
pub(super) fn subscription(context: &Context<'_>) -> Result<SubscriptionArn, Error> {
    let missing = || Error::invalid("SubscriptionArn Reason: no value for required parameter");
    let text = context.get("SubscriptionArn").ok_or_else(missing)?;
    text.parse().map_err(|error| match error {
        SubscriptionArnError::TooFewParts(parts) => {
            let reason = format!("An ARN must have at least 6 elements, not {parts}");
            Error::invalid(&format!("SubscriptionArn Reason: {reason}"))
        }
        SubscriptionArnError::NoSubscription => Error::invalid("SubscriptionId"),
    })
}
