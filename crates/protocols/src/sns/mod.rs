//! SNS on the wire: topics, subscriptions and messages, the links that stand in its messages, and its signing certificate.
//!
//! The links are `GET /?Action=ConfirmSubscription&TopicArn=…&Token=…` and `GET /?Action=Unsubscribe&SubscriptionArn=…`, unsigned and
//! without `Version`. SDKs send the same actions as forms; both are read alike. Answers and errors are XML. An action that is
//! not there gets an error that says so.

use control::Control;
use http::StatusCode;
use hub::Hub;

use crate::query::Parameters;
use crate::reply::{Reply, RequestId};

mod arn;
pub mod certificate;
mod confirm_subscription;
mod create_topic;
mod delete_topic;
mod delivery_policy;
mod draft;
mod error;
mod get_subscription_attributes;
mod get_topic_attributes;
mod list_subscriptions;
mod list_topics;
mod page;
mod publish;
mod publish_batch;
mod set_subscription_attributes;
mod set_topic_attributes;
mod subscribe;
mod unsubscribe;

pub use error::Error;

/// The actions of SNS that are spoken here.
pub const SUPPORTED: [&str; 14] = [
    "ConfirmSubscription",
    "CreateTopic",
    "DeleteTopic",
    "GetSubscriptionAttributes",
    "GetTopicAttributes",
    "ListSubscriptions",
    "ListSubscriptionsByTopic",
    "ListTopics",
    "Publish",
    "PublishBatch",
    "SetSubscriptionAttributes",
    "SetTopicAttributes",
    "Subscribe",
    "Unsubscribe",
];

/// Those that messages link to.
const OF_LINKS: [&str; 2] = ["ConfirmSubscription", "Unsubscribe"];
/// Those that change no entity; where nobody changes any there are no others.
const UNCHANGING: [&str; 4] = ["ConfirmSubscription", "Publish", "PublishBatch", "Unsubscribe"];

/// What an action works with.
pub struct Context<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// Who changes topics and subscriptions, if anybody does.
    pub control: Option<&'a Control>,
    /// Whether only the links of messages are served.
    pub links_only: bool,
    /// What the request says.
    pub parameters: &'a Parameters<'a>,
    /// Whether it carries a signature, as every request of an SDK does and no link can; it is not verified.
    pub is_signed: bool,
    /// `X-Amzn-Trace-Id`.
    pub trace: Option<&'a str>,
}

impl Context<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }
}

/// Of all answers in the Query protocol.
pub(crate) const CONTENT_TYPE: &str = "text/xml";
const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

pub(crate) async fn answer(context: &Context<'_>, action: &str, id: RequestId) -> Reply {
    match call(context, action).await {
        Ok(result) => {
            let body = format!(
                "<{action}Response xmlns=\"{NAMESPACE}\">{result}<ResponseMetadata><RequestId>{id}</RequestId>\
                 </ResponseMetadata></{action}Response>"
            );
            Reply::new(StatusCode::OK, CONTENT_TYPE, body)
        }
        Err(error) => error.into_reply(id),
    }
}

/// The `Result` element, or nothing for an action without one. Only a supported action succeeds, so its name needs no escaping.
async fn call(context: &Context<'_>, action: &str) -> Result<String, Error> {
    match action {
        "ConfirmSubscription" => return confirm_subscription::call(context.hub, context.parameters).await,
        "Unsubscribe" => return unsubscribe::call(context).await,
        _ if context.links_only => return Err(Error::unknown_action(action, &OF_LINKS)),
        "Publish" => return publish::call(context).await,
        "PublishBatch" => return publish_batch::call(context).await,
        _ => {}
    }
    let Some(control) = context.control else { return Err(Error::unknown_action(action, &UNCHANGING)) };
    let control = &control.of("the SNS API");
    match action {
        "CreateTopic" => create_topic::call(context, control).await,
        "DeleteTopic" => delete_topic::call(context, control).await,
        "GetSubscriptionAttributes" => get_subscription_attributes::call(context, control),
        "GetTopicAttributes" => get_topic_attributes::call(context, control),
        "ListSubscriptions" => list_subscriptions::call(context),
        "ListSubscriptionsByTopic" => list_subscriptions::by_topic(context, control),
        "ListTopics" => list_topics::call(context, control),
        "SetSubscriptionAttributes" => set_subscription_attributes::call(context, control).await,
        "SetTopicAttributes" => set_topic_attributes::call(context, control).await,
        "Subscribe" => subscribe::call(context, control).await,
        _ => Err(Error::unknown_action(action, &SUPPORTED)),
    }
}

#[cfg(test)]
mod tests;
