//! SNS over HTTP: envelopes, headers and what is signed, byte for byte as AWS writes them.

use std::sync::Arc;

use event::{Event, Timestamp};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::{Message, ascii, headers_with};
use crate::signing::{SignatureVersion, SnsKey, SnsKeyError};

const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";
const USER_AGENT: &str = "Amazon Simple Notification Service Agent";
const SUBSCRIPTION_ARN: HeaderName = HeaderName::from_static("x-amz-sns-subscription-arn");

/// The names in a subscription's deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The ARN of the topic.
    pub topic_arn: String,
    /// The ARN of the subscription.
    pub subscription_arn: String,
    /// `--hub-url`: the address at which subscribers reach the hub, without a slash at its end.
    pub hub_url: String,
    /// How they are signed.
    pub signature_version: SignatureVersion,
}

/// A signature and the URL of its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    version: SignatureVersion,
    signature: String,
    certificate_url: String,
}

/// Whether a notification is in its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In SNS's JSON.
    Envelope,
    /// The message alone.
    Raw,
}

/// A request to an endpoint to confirm its subscription, or a note that it can undo its unsubscription. It is the same at every try.
#[derive(Clone, Debug)]
pub struct Confirmation {
    /// Which of the two it is.
    pub kind: ConfirmationKind,
    /// The message's id.
    pub id: Uuid,
    /// The token in the SubscribeURL.
    pub token: String,
    /// When the subscription was made, or ended.
    pub at: Timestamp,
}

/// The link by which an endpoint confirms its subscription. Whoever has it can confirm that one subscription, and do nothing else with it.
pub fn subscribe_url(hub_url: &str, topic_arn: &str, token: &str) -> String {
    format!("{hub_url}/?Action=ConfirmSubscription&TopicArn={topic_arn}&Token={token}")
}

/// The two kinds of messages other than notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmationKind {
    /// The endpoint was subscribed: its deliveries begin when it visits the SubscribeURL.
    Subscription,
    /// It was unsubscribed: they begin again when it visits the SubscribeURL.
    Unsubscription,
}

impl ConfirmationKind {
    /// As SNS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "SubscriptionConfirmation",
            Self::Unsubscription => "UnsubscribeConfirmation",
        }
    }
}

/// Signs a text on a blocking thread.
///
/// # Errors
/// If the key refuses.
pub async fn sign(names: &Names, text: String, key: Arc<SnsKey>) -> Result<Signed, SnsKeyError> {
    let certificate_url = format!("{}/{}", names.hub_url, key.file_name());
    let version = names.signature_version;
    let signing = tokio::task::spawn_blocking(move || key.sign(version, text.as_bytes()));
    let signature = signing.await.map_err(|_| SnsKeyError::Sign)??;
    Ok(Signed { version, signature, certificate_url })
}

/// What the signature of a notification covers. The same for all subscriptions of the topic.
pub fn string_to_sign(names: &Names, message: &Message, text: &[u8]) -> String {
    let Event { body, .. } = &**message.event();
    let (text, id, time) = (String::from_utf8_lossy(text), body.id.to_string(), body.recorded_at.to_string());
    let mut fields = vec![("Message", &*text), ("MessageId", &id)];
    fields.extend(message.subject().map(|subject| ("Subject", subject)));
    fields.extend([("Timestamp", &*time), ("TopicArn", &names.topic_arn), ("Type", "Notification")]);
    pairs(&fields)
}

/// The lines that a signature covers.
pub(super) fn pairs(fields: &[(&str, &str)]) -> String {
    let mut text =
        String::with_capacity(fields.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
    for (name, value) in fields {
        text.extend([name, "\n", value, "\n"]);
    }
    text
}

/// The `Notification` envelope around a text of the message.
pub fn notification(names: &Names, message: &Message, text: &[u8], signed: Option<&Signed>) -> Vec<u8> {
    let Event { body, .. } = &**message.event();
    let mut json = Json::with_capacity(text.len() * 5 / 4 + 2_048);
    json.field("Type", "Notification");
    json.field("MessageId", &body.id.to_string());
    json.field("TopicArn", &names.topic_arn);
    if let Some(subject) = message.subject() {
        json.field("Subject", subject);
    }
    json.field("Message", &String::from_utf8_lossy(text));
    json.field("Timestamp", &body.recorded_at.to_string());
    json.signature(signed);
    let unsubscribe =
        format!("{}/?Action=Unsubscribe&SubscriptionArn={}", names.hub_url, names.subscription_arn);
    json.field("UnsubscribeURL", &unsubscribe);
    json.attributes(message);
    json.finish()
}

/// The headers of a notification.
pub fn headers(names: &Names, message: &Message, delivery: Delivery) -> HeaderMap {
    let id = message.event().body.id;
    let mut headers = base_headers("Notification", &id.to_string(), &names.topic_arn);
    let name = HeaderName::from_static;
    headers.insert(SUBSCRIPTION_ARN, ascii(&names.subscription_arn));
    if delivery == Delivery::Raw {
        headers.insert(name("x-amz-sns-rawdelivery"), HeaderValue::from_static("true"));
    }
    headers
}

fn base_headers(kind: &'static str, id: &str, topic_arn: &str) -> HeaderMap {
    let mut headers = headers_with(CONTENT_TYPE, USER_AGENT);
    let name = HeaderName::from_static;
    headers.insert(name("x-amz-sns-message-type"), HeaderValue::from_static(kind));
    headers.insert(name("x-amz-sns-message-id"), ascii(id));
    headers.insert(name("x-amz-sns-topic-arn"), ascii(topic_arn));
    headers
}

impl Confirmation {
    fn message(&self, names: &Names) -> String {
        match self.kind {
            ConfirmationKind::Subscription => format!(
                "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included in this message.",
                names.topic_arn
            ),
            ConfirmationKind::Unsubscription => format!(
                "You have chosen to deactivate subscription {}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
                names.subscription_arn
            ),
        }
    }

    fn subscribe_url(&self, names: &Names) -> String {
        subscribe_url(&names.hub_url, &names.topic_arn, &self.token)
    }

    /// What its signature covers.
    pub fn string_to_sign(&self, names: &Names) -> String {
        pairs(&[
            ("Message", &self.message(names)),
            ("MessageId", &self.id.to_string()),
            ("SubscribeURL", &self.subscribe_url(names)),
            ("Timestamp", &self.at.to_string()),
            ("Token", &self.token),
            ("TopicArn", &names.topic_arn),
            ("Type", self.kind.as_str()),
        ])
    }

    /// The request; it is always JSON, even if deliveries are raw.
    pub fn request(&self, names: &Names, signed: &Signed) -> super::Outgoing {
        let id = self.id.to_string();
        let mut json = Json::with_capacity(2_048);
        json.field("Type", self.kind.as_str());
        json.field("MessageId", &id);
        json.field("Token", &self.token);
        json.field("TopicArn", &names.topic_arn);
        json.field("Message", &self.message(names));
        json.field("SubscribeURL", &self.subscribe_url(names));
        json.field("Timestamp", &self.at.to_string());
        json.signature(Some(signed));
        let mut headers = base_headers(self.kind.as_str(), &id, &names.topic_arn);
        if self.kind == ConfirmationKind::Unsubscription {
            headers.insert(SUBSCRIPTION_ARN, ascii(&names.subscription_arn));
        }
        super::Outgoing { headers, body: json.finish().into() }
    }
}

/// JSON with AWS's spaces and line breaks.
struct Json(Vec<u8>);

impl Json {
    fn with_capacity(capacity: usize) -> Self {
        let mut text = Vec::with_capacity(capacity);
        text.push(b'{');
        Self(text)
    }

    fn name(&mut self, name: &str) {
        let separator: &[u8] = if self.0.len() == 1 { b"\n  " } else { b",\n  " };
        self.0.extend_from_slice(separator);
        self.string(name);
        self.0.extend_from_slice(b" : ");
    }

    fn field(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    fn signature(&mut self, signed: Option<&Signed>) {
        let Some(signed) = signed else { return };
        self.field("SignatureVersion", signed.version.as_str());
        self.field("Signature", &signed.signature);
        self.field("SigningCertURL", &signed.certificate_url);
    }

    fn attributes(&mut self, message: &Message) {
        if message.attributes().is_empty() {
            return;
        }
        self.name("MessageAttributes");
        let mut separator: &[u8] = b"{\n    ";
        for (name, value) in message.attributes() {
            self.0.extend_from_slice(separator);
            separator = b",\n    ";
            self.string(name);
            self.0.extend_from_slice(b" : {\"Type\":");
            self.string(&value.data_type);
            self.0.extend_from_slice(b",\"Value\":");
            self.string(&value.value);
            self.0.push(b'}');
        }
        self.0.extend_from_slice(b"\n  }");
    }

    fn string(&mut self, text: &str) {
        // Writing to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\n}");
        self.0
    }
}
