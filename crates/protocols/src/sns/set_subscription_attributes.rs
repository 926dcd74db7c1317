//! `SetSubscriptionAttributes`: `RawMessageDelivery` and [`DeliveryPolicy`](super::delivery_policy) of a subscription that an API made.

use control::{Control, Edit};
use entities::{Entity, Subscription};

use super::subscribe::{KNOWN, boolean, content_type};
use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let arn = arn::subscription(context)?;
    let listed = context.hub.subscriptions().into_iter().find(|one| one.arn == arn);
    let listed = listed.ok_or_else(|| Error::not_found("Subscription"))?;
    let value = context.get("AttributeValue").unwrap_or_default();
    let refused = |text: String| Error::invalid(&text);
    let wanted = match context.get("AttributeName") {
        Some("RawMessageDelivery") => {
            let raw = boolean(value).map_err(|text| refused(format!("RawMessageDelivery: {text}")))?;
            Wanted::Raw(raw)
        }
        Some("DeliveryPolicy") => {
            let read = content_type(value, listed.protocol);
            Wanted::ContentType(read.map_err(|text| refused(format!("DeliveryPolicy: {text}")))?)
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
        let mut changed = (**one).clone();
        match wanted {
            Wanted::Raw(raw) => changed.raw_message_delivery = raw,
            Wanted::ContentType(content_type) => changed.content_type = content_type,
        }
        if changed.is_as(one) {
            return Ok(true);
        }
        let changed = Subscription { updated_at: now, ..changed };
        changes.apply(Edit { put: vec![Entity::Subscription(changed.into())], ..Edit::default() })?;
        Ok(true)
    });
    if changed.await? { Ok(String::new()) } else { Err(Error::not_found("Subscription")) }
}

/// The attribute with its new value.
enum Wanted {
    Raw(bool),
    /// `None` for SNS's own.
    ContentType(Option<String>),
}
