//! `ConfirmSubscription`: the token decides. Of the topic's ARN only the form and the region count, as in SNS: a wrong name in the right
//! region still confirms.
//!
//! `AuthenticateOnUnsubscribe` has no effect: it counts only in signed calls, and signatures are not verified here.

use event::Arn;
use hub::Hub;
use hub::subscription::Confirmation;

use super::Error;
use crate::query::Parameters;
use crate::xml;

pub(super) async fn call(hub: &Hub, parameters: &Parameters<'_>) -> Result<String, Error> {
    let (topic, token) = match (parameters.get("TopicArn"), parameters.get("Token")) {
        (Some(topic), Some(token)) => (topic, token),
        (None, Some(_)) => return Err(Error::missing(&["topicArn"])),
        (Some(_), None) => return Err(Error::missing(&["token"])),
        (None, None) => return Err(Error::missing(&["topicArn", "token"])),
    };
    let ours = topic.parse::<Arn>().is_ok_and(|arn| arn.service == "sns" && arn.region == hub.names().region);
    if !ours {
        return Err(Error::invalid("Topic"));
    }
    match hub.confirm(token).await? {
        Confirmation::Confirmed(arn) => {
            let arn = xml::escape(&arn.to_string());
            Ok(format!(
                "<ConfirmSubscriptionResult><SubscriptionArn>{arn}</SubscriptionArn></ConfirmSubscriptionResult>"
            ))
        }
        Confirmation::UnknownToken => Err(Error::invalid("Token")),
        Confirmation::MalformedToken => Err(Error::malformed_token()),
    }
}
