//! `Unsubscribe`: who knows a subscription's ARN may end it, as with SNS's own links. One that does not exist is ended already.
//!
//! A signed call ends a subscription that an API made: it is gone, with what it is owed. A link in a message, and whoever ends one of a file,
//! only stops it: its endpoint hears how to undo that.

use control::Edit;
use entities::Kind;

use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>) -> Result<String, Error> {
    let arn = arn::subscription(context)?;
    let made_by_api = |one: &std::sync::Arc<entities::Subscription>| one.id == arn.uuid;
    let control = context.control.filter(|_| context.is_signed);
    match control.filter(|control| control.whole().api().subscriptions.iter().any(made_by_api)) {
        Some(control) => {
            let edit = Edit { end: vec![(Kind::Subscription, arn.uuid)], ..Edit::default() };
            control.change(move |changes| changes.apply(edit).map(drop)).await?;
        }
        None => context.hub.unsubscribe(&arn).await?,
    }
    Ok(String::new())
}
