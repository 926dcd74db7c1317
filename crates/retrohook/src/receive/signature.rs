//! Whether what arrived was signed by whom it says.

use std::collections::HashMap;
use std::time::Duration;

use delivery::signing::Secret;
use delivery::wire::envelope::Envelope;
use http::HeaderMap;
use http::uri::Authority;
use tokio::sync::Mutex;

use super::origin::{self, Wanted};
use crate::client;

/// How long a hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many certificates are remembered: a hub has one.
const CERTIFICATES: usize = 16;
/// How far a timestamp of Standard Webhooks may be from this clock, in seconds, as its libraries have it.
const TOLERANCE: u64 = 300;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is good; by what.
    Good(String),
    /// It is wrong, and why.
    Bad(String),
    /// There is none, or it could not be checked; why.
    Not(String),
}

/// Checks signatures, and confirms subscriptions.
pub struct Checker {
    secrets: Vec<Secret>,
    hub: Option<Authority>,
    /// By URL.
    certificates: Mutex<HashMap<String, String>>,
}

impl Checker {
    pub fn new(secrets: Vec<Secret>, hub: Option<Authority>) -> Self {
        Self { secrets, hub, certificates: Mutex::default() }
    }

    /// Checks SNS's signature: that it was made by the key of the certificate at the address that the message names, which is asked only if it is
    /// the hub's. It proves that whoever serves that address signed the message.
    pub async fn sns(&self, envelope: &Envelope) -> Checked {
        let Some(claim) = envelope.claim() else { return Checked::Not("it has none".to_owned()) };
        let url = match origin::check(claim.certificate_url, Wanted::Certificate, self.hub.as_ref()) {
            Ok(url) => url,
            Err(why) => return Checked::Not(format!("its certificate: {why}")),
        };
        let certificate = match self.certificate(claim.certificate_url).await {
            Ok(certificate) => certificate,
            Err(why) => return Checked::Not(format!("its certificate: {why}")),
        };
        let host = url.authority().map_or("", Authority::as_str);
        match envelope.verify(claim.version, &certificate) {
            Ok(()) => Checked::Good(format!("version {} by {host}", claim.version.as_str())),
            Err(error) => Checked::Bad(error.to_string()),
        }
    }

    async fn certificate(&self, url: &str) -> Result<String, String> {
        let mut known = self.certificates.lock().await;
        if let Some(certificate) = known.get(url) {
            return Ok(certificate.clone());
        }
        let answer = client::send("GET", url, "", PATIENCE).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("the hub answered {}", answer.status));
        }
        if known.len() >= CERTIFICATES {
            known.clear();
        }
        known.insert(url.to_owned(), answer.body.clone());
        Ok(answer.body)
    }

    /// Visits the link that confirms.
    ///
    /// # Errors
    /// Why the subscription is not confirmed.
    pub async fn confirm(&self, envelope: &Envelope) -> Result<(), String> {
        let link = envelope.subscribe_url.as_deref().ok_or("it has no link")?;
        origin::check(link, Wanted::Confirmation, self.hub.as_ref())?;
        let answer = client::send("GET", link, "", PATIENCE).await.map_err(|error| error.to_string())?;
        if answer.status == 200 { Ok(()) } else { Err(format!("the hub answered {}", answer.status)) }
    }

    /// Checks the signature of Standard Webhooks, and that it is of now; `now` is in seconds since 1970.
    pub fn standard_webhooks(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Checked {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(at)) = (header("webhook-id"), header("webhook-timestamp")) else {
            return Checked::Bad("a header is missing: webhook-id or webhook-timestamp".to_owned());
        };
        let Some(signatures) = header("webhook-signature") else {
            return Checked::Not("it has none".to_owned());
        };
        if self.secrets.is_empty() {
            return Checked::Not("give the subscription's secret with --secret".to_owned());
        }
        if !self.secrets.iter().any(|secret| secret.verifies(id, at, body, signatures)) {
            return Checked::Bad("it was not made with this secret over this body".to_owned());
        }
        match at.parse::<u64>().map(|at| at.abs_diff(now)) {
            Ok(away) if away <= TOLERANCE => Checked::Good("by the secret".to_owned()),
            Ok(away) => Checked::Bad(format!("its timestamp is {away} s away from this clock")),
            Err(_) => Checked::Bad("its timestamp is not a number".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_webhook_is_good_by_its_secret_and_its_time() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let mut signature = String::new();
        secret.sign_into("id", "1000", b"body", &mut signature);
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static("id"));
        headers.insert("webhook-timestamp", HeaderValue::from_static("1000"));
        headers.insert("webhook-signature", HeaderValue::try_from(signature).unwrap());
        let checker = Checker::new(vec![secret], None);
        assert!(matches!(checker.standard_webhooks(&headers, b"body", 1_300), Checked::Good(_)));
        assert!(matches!(checker.standard_webhooks(&headers, b"body", 1_301), Checked::Bad(_)));
        assert!(matches!(checker.standard_webhooks(&headers, b"other", 1_000), Checked::Bad(_)));
        let without = Checker::new(Vec::new(), None);
        assert!(matches!(without.standard_webhooks(&headers, b"body", 1_000), Checked::Not(_)));
        headers.remove("webhook-signature");
        assert!(matches!(checker.standard_webhooks(&headers, b"body", 1_000), Checked::Not(_)));
        headers.remove("webhook-id");
        assert!(matches!(checker.standard_webhooks(&headers, b"body", 1_000), Checked::Bad(_)));
    }
}
