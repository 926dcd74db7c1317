//! `Unsubscribe`: anyone who knows a subscription's ARN may end it, as with SNS's own links. It is not an error if it does not exist.
//!
//! A signed call ends a subscription that an API made: it is deleted, and what it is owed is dropped. One that a file declares must be removed
//! from the file. A link in a message only stops a subscription, whoever made it; its endpoint gets a message how to undo that.

use control::{Control, Edit, NotApplied, Refusal};
use entities::{Kind, Subscription};
use hub::names::SubscriptionArn;

use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>) -> Result<String, Error> {
    let arn = arn::subscription(context)?;
    match context.control.filter(|_| context.is_signed) {
        Some(control) => end(context, control, arn).await?,
        None => context.hub.unsubscribe(&arn).await?,
    }
    Ok(String::new())
}

/// Ends a subscription for good, as its owner.
async fn end(context: &Context<'_>, control: &Control, arn: SubscriptionArn) -> Result<(), Error> {
    let names = context.hub.names();
    let made_by_api = |one: &Subscription| one.id == arn.uuid && names.topic_arn(&one.topic) == arn.topic;
    if !control.whole().api().subscriptions.iter().any(|one| made_by_api(one)) {
        let is_of_file = context.hub.subscriptions().iter().any(|one| one.arn == arn);
        return if is_of_file { Err(Error::of_file("The subscription")) } else { Ok(()) };
    }
    let edit = Edit { end: vec![(Kind::Subscription, arn.uuid)], ..Edit::default() };
    match control.change(move |changes| changes.apply(edit).map(drop)).await {
        // Another call has ended it in the meantime.
        Err(NotApplied::Refused(refusals)) if matches!(*refusals, [Refusal::Unknown { .. }]) => Ok(()),
        ended => Ok(ended?),
    }
}
