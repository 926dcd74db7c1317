//! `GetSubscriptionAttributes`. `DeliveryPolicy` is there if it was given; `EffectiveDeliveryPolicy` is left out: deliveries follow the gateway's own policy.

use control::Control;
use storage::entities::SubscriptionState;

use super::get_topic_attributes::entries;
use super::list_subscriptions::endpoint;
use super::{Context, Error, arn, delivery_policy};

pub(super) fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let arn = arn::subscription(context)?;
    let listed = context.hub.subscriptions().into_iter().find(|one| one.arn == arn);
    let listed = listed.ok_or_else(|| Error::not_found("Subscription"))?;
    let whole = control.whole();
    let declared = whole.all().subscriptions.iter().find(|one| {
        (&one.topic, one.protocol, &one.endpoint) == (&arn.topic.resource, listed.protocol, &listed.endpoint)
    });
    let is_raw = declared.is_some_and(|one| one.raw_message_delivery);
    let is_pending = matches!(listed.state, SubscriptionState::Pending { .. });
    let account = &context.hub.names().account;
    let policy = declared.and_then(|one| one.content_type.as_deref()).map(delivery_policy::write);
    let mut attributes = vec![
        ("SubscriptionArn", arn.to_string()),
        ("TopicArn", arn.topic.to_string()),
        ("Owner", account.clone()),
        ("Protocol", listed.protocol.as_str().to_owned()),
        ("Endpoint", endpoint(context, &listed)),
        ("RawMessageDelivery", is_raw.to_string()),
        ("PendingConfirmation", is_pending.to_string()),
        ("ConfirmationWasAuthenticated", "false".to_owned()),
        ("SubscriptionPrincipal", format!("arn:aws:iam::{account}:root")),
    ];
    attributes.extend(policy.map(|policy| ("DeliveryPolicy", policy)));
    let entries = entries(&attributes);
    Ok(format!("<GetSubscriptionAttributesResult>{entries}</GetSubscriptionAttributesResult>"))
}
