//! `GetTopicAttributes`. `EffectiveDeliveryPolicy` is left out: deliveries follow the gateway's own policy, which SNS's format cannot express.

use control::Control;
use entities::SIGNATURE_VERSION;
use serde_json::json;
use storage::entities::SubscriptionState;

use super::{Context, Error, arn};
use crate::xml;

pub(super) fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let name = arn::topic(context)?;
    let whole = control.whole();
    let topic = whole.all().topics.iter().find(|one| one.name == name);
    let topic = topic.ok_or_else(|| Error::not_found("Topic"))?;
    let all = context.hub.subscriptions();
    let count = |is_meant: fn(&SubscriptionState) -> bool| {
        let of_topic = all.iter().filter(|one| one.arn.topic.resource == name && is_meant(&one.state));
        of_topic.count().to_string()
    };
    let names = context.hub.names();
    let arn = names.topic_arn(&name).to_string();
    let policy = topic.attributes.get("Policy").cloned();
    let display_name = topic.attributes.get("DisplayName").cloned().unwrap_or_default();
    let mut attributes = vec![
        ("TopicArn", arn.clone()),
        ("Owner", names.account.clone()),
        ("Policy", policy.unwrap_or_else(|| default_policy(&arn, &names.account))),
        ("DisplayName", display_name),
        ("SubscriptionsConfirmed", count(|state| *state == SubscriptionState::Confirmed)),
        ("SubscriptionsPending", count(|state| matches!(state, SubscriptionState::Pending { .. }))),
        ("SubscriptionsDeleted", count(SubscriptionState::is_disabled)),
    ];
    // As on AWS, only where it was set.
    attributes
        .extend(topic.attributes.get(SIGNATURE_VERSION).map(|version| (SIGNATURE_VERSION, version.clone())));
    Ok(format!("<GetTopicAttributesResult>{}</GetTopicAttributesResult>", entries(&attributes)))
}

/// A map of attributes.
pub(super) fn entries(attributes: &[(&str, String)]) -> String {
    let entry = |(key, value): &(&str, String)| {
        format!("<entry><key>{key}</key><value>{}</value></entry>", xml::escape(value))
    };
    format!("<Attributes>{}</Attributes>", attributes.iter().map(entry).collect::<String>())
}

/// The policy that SNS shows for a topic without one.
fn default_policy(arn: &str, account: &str) -> String {
    let actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    ];
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": actions.map(|action| format!("SNS:{action}")),
            "Resource": arn,
            "Condition": { "StringEquals": { "AWS:SourceOwner": account } },
        }],
    })
    .to_string()
}
