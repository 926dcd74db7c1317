//! `Unsubscribe`: who knows a subscription's ARN may end it, as with SNS's own links. One that does not exist is ended already.

use hub::Hub;
use hub::names::SubscriptionArnError;

use super::Error;
use crate::query::Parameters;

pub(super) async fn call(hub: &Hub, parameters: &Parameters<'_>) -> Result<String, Error> {
    let arn = parameters
        .get("SubscriptionArn")
        .ok_or_else(|| Error::invalid("SubscriptionArn Reason: no value for required parameter"))?;
    let arn = arn.parse().map_err(|error| match error {
        SubscriptionArnError::TooFewParts(parts) => {
            let reason = format!("An ARN must have at least 6 elements, not {parts}");
            Error::invalid(&format!("SubscriptionArn Reason: {reason}"))
        }
        SubscriptionArnError::NoSubscription => Error::invalid("SubscriptionId"),
    })?;
    hub.unsubscribe(&arn).await?;
    Ok(String::new())
}
