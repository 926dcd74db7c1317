//! `Unsubscribe`: who knows a subscription's ARN may end it, as with SNS's own links. One that does not exist is ended already.
//!
//! A signed call ends a subscription that an API made: it is gone, with what it is owed. A link in a message, and whoever ends one of a file,
//! only stops it: its endpoint hears how to undo that.

use control::{Edit, NotApplied, Refusal};
use entities::{Kind, Subscription};

use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>) -> Result<String, Error> {
    let arn = arn::subscription(context)?;
    let names = context.hub.names();
    let made_by_api = |one: &Subscription| one.id == arn.uuid && names.topic_arn(&one.topic) == arn.topic;
    let control = context.control.filter(|_| context.is_signed);
    match control.filter(|control| control.whole().api().subscriptions.iter().any(|one| made_by_api(one))) {
        Some(control) => {
            let edit = Edit { end: vec![(Kind::Subscription, arn.uuid)], ..Edit::default() };
            match control.change(move |changes| changes.apply(edit).map(drop)).await {
                // Somebody else was faster.
                Err(NotApplied::Refused(refusals)) if matches!(*refusals, [Refusal::Unknown { .. }]) => {}
                ended => ended?,
            }
        }
        None => context.hub.unsubscribe(&arn).await?,
    }
    Ok(String::new())
}
