//! What arrived: a delivery in one of its forms, or any other request.

use delivery::wire::envelope::Envelope;
use http::{HeaderMap, Method, Uri};

use super::signature::Checked;

/// A request that arrived, with what is known of it.
pub struct Arrival {
    /// The port that it came to.
    pub port: u16,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub kind: Kind,
    /// Whether this event came to this address before.
    pub is_repeated: bool,
    /// The status that it is answered with.
    pub status: u16,
}

/// What it is.
pub enum Kind {
    /// SNS's envelope around a message.
    Notification { message: String, signature: Checked },
    /// A request to confirm: with how that went, if it was tried.
    Confirmation { kind: String, signature: Checked, confirmed: Result<(), String>, link: Option<String> },
    /// A message without an envelope.
    Raw,
    /// The form of Standard Webhooks.
    StandardWebhooks { signature: Checked },
    /// Not a delivery.
    Request,
}

/// What a request looks like before anything is checked.
pub enum Form {
    Sns(Box<Envelope>),
    Raw,
    StandardWebhooks,
    Request,
}

/// Tells the forms apart by their headers.
pub fn form(headers: &HeaderMap, body: &[u8]) -> Form {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_raw = header("x-amz-sns-rawdelivery") == Some("true");
    match header("x-amz-sns-message-type") {
        Some("Notification") if is_raw => Form::Raw,
        Some(_) => Envelope::read(body).map_or(Form::Request, |envelope| Form::Sns(envelope.into())),
        None if header("webhook-id").is_some() => Form::StandardWebhooks,
        None => Form::Request,
    }
}

impl Arrival {
    /// A header's text, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// In a word, for people and for programs.
    pub fn kind(&self) -> &str {
        match &self.kind {
            Kind::Notification { .. } => "notification",
            Kind::Confirmation { kind, .. } if kind == "UnsubscribeConfirmation" => {
                "unsubscribe-confirmation"
            }
            Kind::Confirmation { .. } => "subscription-confirmation",
            Kind::Raw => "raw",
            Kind::StandardWebhooks { .. } => "standard-webhook",
            Kind::Request => "request",
        }
    }

    /// The result of the check of its signature, where its form has one.
    pub fn signature(&self) -> Option<&Checked> {
        match &self.kind {
            Kind::Notification { signature, .. }
            | Kind::Confirmation { signature, .. }
            | Kind::StandardWebhooks { signature } => Some(signature),
            Kind::Raw | Kind::Request => None,
        }
    }

    /// What it says: the message in the envelope, or the body.
    pub fn message(&self) -> String {
        match &self.kind {
            Kind::Notification { message, .. } => message.clone(),
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}
