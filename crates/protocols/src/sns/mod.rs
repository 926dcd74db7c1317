//! SNS on the wire: the links that stand in its messages, and its signing certificate.
//!
//! The links are `GET /?Action=ConfirmSubscription&TopicArn=…&Token=…` and `GET /?Action=Unsubscribe&SubscriptionArn=…`, unsigned and
//! without `Version`. SDKs send the same actions as forms; both are read alike. Answers and errors are XML. Publishing and managing
//! topics through the API comes later: any other action gets an error that says so.

use http::StatusCode;
use hub::Hub;

use crate::query::Parameters;
use crate::reply::{Reply, RequestId};

pub mod certificate;
mod confirm_subscription;
mod error;
mod unsubscribe;

pub use error::Error;

/// The actions of SNS that are spoken here.
pub const SUPPORTED: [&str; 2] = ["ConfirmSubscription", "Unsubscribe"];

/// Of all answers in the Query protocol.
pub(crate) const CONTENT_TYPE: &str = "text/xml";
const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

pub(crate) async fn answer(hub: &Hub, action: &str, parameters: &Parameters<'_>, id: RequestId) -> Reply {
    match call(hub, action, parameters).await {
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
async fn call(hub: &Hub, action: &str, parameters: &Parameters<'_>) -> Result<String, Error> {
    match action {
        "ConfirmSubscription" => confirm_subscription::call(hub, parameters).await,
        "Unsubscribe" => unsubscribe::call(hub, parameters).await,
        _ => Err(Error::unknown_action(action)),
    }
}

#[cfg(test)]
mod tests;
