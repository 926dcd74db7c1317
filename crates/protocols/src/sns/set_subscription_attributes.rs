//! `SetSubscriptionAttributes`: `RawMessageDelivery` of a subscription that an API made.

use control::{Control, Edit};
use entities::{Entity, Subscription};

use super::subscribe::{KNOWN, boolean};
use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let arn = arn::subscription(context)?;
    let listed = context.hub.subscriptions().into_iter().find(|one| one.arn == arn);
    let listed = listed.ok_or_else(|| Error::not_found("Subscription"))?;
    let raw = match context.get("AttributeName") {
        Some("RawMessageDelivery") => {
            let value = context.get("AttributeValue").unwrap_or_default();
            boolean(value).map_err(|text| Error::invalid(&format!("RawMessageDelivery: {text}")))?
        }
        Some(other) if KNOWN.contains(&other) => {
            return Err(Error::invalid(&format!("AttributeName Reason: {other} is not supported here yet")));
        }
        Some(_) => return Err(Error::invalid("AttributeName")),
        None => return Err(Error::missing(&["attributeName"])),
    };
    let now = context.hub.now();
    let changed = control.change(move |changes| {
        let declared = changes.whole().all().subscriptions.iter().find(|one| {
            (&one.topic, one.protocol, &one.endpoint)
                == (&arn.topic.resource, listed.protocol, &listed.endpoint)
        });
        let Some(one) = declared else { return Ok(false) };
        if one.raw_message_delivery == raw {
            return Ok(true);
        }
        let changed = Subscription { raw_message_delivery: raw, updated_at: now, ..(**one).clone() };
        changes.apply(Edit { put: vec![Entity::Subscription(changed.into())], ..Edit::default() })?;
        Ok(true)
    });
    if changed.await? { Ok(String::new()) } else { Err(Error::not_found("Subscription")) }
}
