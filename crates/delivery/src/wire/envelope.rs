//! SNS's envelope as a receiver reads it: the other side of [`sns`](super::sns).

use serde::Deserialize;

use super::sns::pairs;
use crate::signing::{SignatureVersion, Unverified, verify_sns};

/// A message in SNS's form. What is not there is `None`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Envelope {
    /// `Notification`, `SubscriptionConfirmation` or `UnsubscribeConfirmation`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The event's id, or that of the request to confirm.
    pub message_id: String,
    /// The topic's ARN.
    pub topic_arn: String,
    /// Of a notification.
    pub subject: Option<String>,
    /// The message, or what to do, for people.
    pub message: String,
    /// When the event was recorded.
    pub timestamp: String,
    /// Of a request to confirm.
    pub token: Option<String>,
    /// The link that confirms.
    #[serde(rename = "SubscribeURL")]
    pub subscribe_url: Option<String>,
    /// `1` or `2`.
    pub signature_version: Option<String>,
    /// In base64.
    pub signature: Option<String>,
    /// Where the certificate is.
    #[serde(rename = "SigningCertURL")]
    pub signing_cert_url: Option<String>,
}

/// The version and the certificate's place of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The version.
    pub version: SignatureVersion,
    /// The URL of the certificate. Whoever made the message chose it: think before you fetch it.
    pub certificate_url: &'a str,
}

impl Envelope {
    /// The envelope that a body is. `None` if it is something else.
    pub fn read(body: &[u8]) -> Option<Self> {
        let envelope: Self = serde_json::from_slice(body).ok()?;
        (!envelope.kind.is_empty() && !envelope.message_id.is_empty()).then_some(envelope)
    }

    /// What its signature says of itself; `None` if there is none, or none of a version that is known.
    pub fn claim(&self) -> Option<Claim<'_>> {
        self.signature.as_ref()?;
        let version = match self.signature_version.as_deref()? {
            "1" => SignatureVersion::One,
            "2" => SignatureVersion::Two,
            _ => return None,
        };
        Some(Claim { version, certificate_url: self.signing_cert_url.as_deref()? })
    }

    /// What its signature covers.
    pub fn string_to_sign(&self) -> String {
        let mut fields = vec![("Message", &*self.message), ("MessageId", &self.message_id)];
        if self.kind == "Notification" {
            fields.extend(self.subject.as_deref().map(|subject| ("Subject", subject)));
        } else {
            fields.extend(self.subscribe_url.as_deref().map(|url| ("SubscribeURL", url)));
        }
        fields.push(("Timestamp", &self.timestamp));
        if self.kind != "Notification" {
            fields.extend(self.token.as_deref().map(|token| ("Token", token)));
        }
        fields.extend([("TopicArn", &*self.topic_arn), ("Type", &*self.kind)]);
        pairs(&fields)
    }

    /// Checks its signature with a certificate in PEM, which is the one at [`Claim::certificate_url`] if its maker is honest.
    ///
    /// # Errors
    /// If the certificate's key has not signed it.
    pub fn verify(&self, version: SignatureVersion, certificate_pem: &str) -> Result<(), Unverified> {
        let signature = self.signature.as_deref().unwrap_or_default();
        verify_sns(version, &self.string_to_sign(), signature, certificate_pem)
    }
}
