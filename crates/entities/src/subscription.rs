//! Subscriptions: who hears of each event of a topic.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::time::Duration;

use event::arn::{MAX_TOPIC_NAME, check_name};
use event::{RemoteTopic, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::field::{FieldError, Flaw, Path};
use crate::{Origin, Secret, media_type};

/// For a whole attempt, where the subscription does not say otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// Deliveries under way at the same time, where the subscription does not say otherwise.
pub const MAX_IN_FLIGHT: u16 = 256;

/// How a subscription is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A webhook over plain HTTP.
    Http,
    /// A webhook over TLS.
    Https,
    /// A queue of ours; its endpoint is the queue's bare name.
    Sqs,
    /// A topic of Amazon SNS, or of whatever else speaks its API; its endpoint is written as a [`RemoteTopic`]. Nobody subscribes so: it is there because a
    /// plug-in publishes to such a topic.
    Sns,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Sqs, Self::Sns];

    /// As SNS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Sqs => "sqs",
            Self::Sns => "sns",
        }
    }

    /// Whether events are pushed to it, by a worker that has a cursor.
    pub fn is_push(self) -> bool {
        match self {
            Self::Http | Self::Https | Self::Sns => true,
            Self::Sqs => false,
        }
    }

    /// Whether events wait in a queue of ours until somebody asks for them. Its endpoint is the queue's bare name.
    pub fn is_pull(self) -> bool {
        !self.is_push()
    }

    /// Whether whoever is there is asked first, unless the subscription says that it is not.
    pub fn is_confirmed(self) -> bool {
        match self {
            Self::Http | Self::Https => true,
            Self::Sqs | Self::Sns => false,
        }
    }

    /// Whether its endpoint is the URL of a webhook.
    pub fn is_webhook(self) -> bool {
        match self {
            Self::Http | Self::Https => true,
            Self::Sqs | Self::Sns => false,
        }
    }
}

/// Who hears of each event of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id; of one that an API made, the last part of its ARN.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// The topic's bare name.
    pub topic: String,
    /// Its own name, unique in its topic, if it has one.
    pub name: Option<String>,
    /// How it is reached.
    pub protocol: Protocol,
    /// The URL as written, or the queue's bare name.
    pub endpoint: String,
    /// Send the message alone, without SNS's envelope.
    pub raw_message_delivery: bool,
    /// The shape of a delivery.
    pub format: Format,
    /// The `Content-Type` of a notification in SNS's form, raw or not; `None` for SNS's own, `text/plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How SNS's envelopes and requests to confirm are signed; `None` for the version of its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_version: Option<SignatureVersion>,
    /// Whether the endpoint must answer SNS's handshake first.
    pub confirm: bool,
    /// Keep the order of events that have the same key.
    pub fifo: bool,
    /// For a whole attempt.
    #[serde(with = "crate::millis")]
    pub timeout: Duration,
    /// Deliveries under way at the same time.
    pub max_in_flight: u16,
    /// How requests to AWS are signed; `None` for other protocols, and for whatever AWS's SDK finds in its surroundings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The shape of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As SNS delivers.
    Sns,
    /// As standardwebhooks.com says.
    StandardWebhooks {
        /// At least one; a delivery is signed with each.
        secrets: Vec<Secret>,
    },
}

/// The version of the signature in SNS's envelopes, as `SignatureVersion` writes it: RSA (PKCS #1 v1.5) with this hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureVersion {
    /// SHA-1: what topics of AWS have by default, and the only one of old validators.
    #[serde(rename = "1")]
    One,
    /// SHA-256.
    #[default]
    #[serde(rename = "2")]
    Two,
}

impl SignatureVersion {
    /// As SNS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
        }
    }

    /// As a file writes it.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The version that has this number.
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::One, Self::Two].into_iter().find(|version| version.number() == number)
    }

    /// The version that SNS writes like this.
    pub fn of_text(text: &str) -> Option<Self> {
        [Self::One, Self::Two].into_iter().find(|version| version.as_str() == text)
    }
}

/// How requests to AWS are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The region of the signature; that of the ARN if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// An access key; `None` for whatever AWS's SDK finds in its surroundings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<AccessKey>,
}

/// An access key of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its id, which is no secret.
    pub id: String,
    /// What signs.
    pub secret: Secret,
}

/// What makes a subscription the same one: its name in its topic if it has one, else how and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// By its own name.
    Name {
        /// The topic's bare name.
        topic: String,
        /// Its own.
        name: String,
    },
    /// By its endpoint.
    Endpoint {
        /// The topic's bare name.
        topic: String,
        /// As SNS writes it.
        protocol: &'static str,
        /// As written.
        endpoint: String,
    },
}

impl Subscription {
    /// What makes it the same one.
    pub fn identity(&self) -> Identity {
        let topic = self.topic.clone();
        match &self.name {
            Some(name) => Identity::Name { topic, name: name.clone() },
            None => Identity::Endpoint {
                topic,
                protocol: self.protocol.as_str(),
                endpoint: self.endpoint.clone(),
            },
        }
    }

    /// All that makes it the same one: its name, if it has one, and where it leads, whatever its name is and however that is spelt.
    pub fn identities(&self) -> Vec<Identity> {
        let topic = self.topic.clone();
        let place = Identity::Endpoint {
            topic: topic.clone(),
            protocol: self.protocol.as_str(),
            endpoint: spelling(self.protocol, &self.endpoint).into_owned(),
        };
        let name = self.name.clone().map(|name| Identity::Name { topic, name });
        name.into_iter().chain([place]).collect()
    }

    /// What messages call it: its name, or its topic and where it leads, without what may be a secret.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} of {}", self.topic),
            None => {
                let endpoint = self.endpoint.split(['?', '#']).next().unwrap_or_default();
                format!("{} to {} {endpoint}", self.topic, self.protocol.as_str())
            }
        }
    }

    /// Whether both deliver alike: all but id, owner and times is the same.
    pub fn is_as(&self, other: &Self) -> bool {
        let Self { id, origin, created_at, updated_at, .. } = *self;
        *self == Self { id, origin, created_at, updated_at, ..other.clone() }
    }

    /// All that is wrong with its own fields; whether its topic and its queue exist is not theirs to say.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(name) = &self.name {
            errors.extend(self::name(name).err().map(|flaw| flaw.at(Path::key("name"))));
        }
        if self.protocol == Protocol::Sns {
            let flaw = self.endpoint.parse::<RemoteTopic>().err();
            errors.extend(flaw.map(|error| {
                Flaw::invalid(error.to_string(), "give a topic's ARN").at(Path::key("endpoint"))
            }));
        }
        if self.protocol.is_webhook() {
            errors
                .extend(url(self.protocol, &self.endpoint).err().map(|flaw| flaw.at(Path::key("endpoint"))));
        }
        errors.extend(self.check_content_type().err().map(|flaw| flaw.at(Path::key("content_type"))));
        errors
    }

    /// Only a webhook in SNS's form has a content type of its own.
    fn check_content_type(&self) -> Result<(), Flaw> {
        let Some(text) = &self.content_type else { return Ok(()) };
        if !self.protocol.is_webhook() {
            let message = format!("`content_type` has no meaning with protocol `{}`", self.protocol.as_str());
            return Err(Flaw::invalid(message, "remove it: only a webhook has one"));
        }
        if self.format != Format::Sns {
            return Err(Flaw::invalid("it belongs to `format: sns`", CONTENT_TYPE_OF_STANDARD_WEBHOOKS));
        }
        media_type::check(text)
    }
}

/// What to do about a content type on a subscription in the form of Standard Webhooks.
pub const CONTENT_TYPE_OF_STANDARD_WEBHOOKS: &str =
    "remove it: this format is application/json, and application/cloudevents+json for CloudEvents";

/// The rule for a subscription's own name.
///
/// # Errors
/// If it does not keep it.
pub fn name(name: &str) -> Result<(), Flaw> {
    check_name(name, MAX_TOPIC_NAME)
        .map_err(|error| Flaw::invalid(error.to_string(), "rename it, or remove the key: a name is optional"))
}

/// The rules for a webhook's URL. Gives its one spelling, by which two are the same.
///
/// # Errors
/// If it does not keep them.
pub fn url(protocol: Protocol, text: &str) -> Result<String, Flaw> {
    let scheme = protocol.as_str();
    let example = format!("write it like {scheme}://example.com/path");
    let url = Url::parse(text).map_err(|error| {
        let why = match error {
            url::ParseError::RelativeUrlWithoutBase => format!("it does not begin with {scheme}://"),
            error => error.to_string(),
        };
        Flaw::invalid(format!("not a URL: {why}"), &example)
    })?;
    if url.scheme() != scheme {
        let message = format!("the endpoint of protocol `{scheme}` is not {scheme}://…");
        let hint = match url.scheme() {
            other @ ("http" | "https") => {
                format!("write `protocol: {other}`, or {scheme}:// in the endpoint")
            }
            _ => example,
        };
        return Err(Flaw::invalid(message, hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "remove it: a secret in the query is shown nowhere, and `format: standard-webhooks` signs each message";
        return Err(Flaw::unsupported("a user or password in the endpoint is not supported yet", hint));
    }
    if url.fragment().is_some() {
        return Err(Flaw::invalid("a `#` cannot be sent to an endpoint", "remove it and what follows"));
    }
    Ok(url.into())
}

/// An endpoint as logs and answers show it: without user info and query, which may hold secrets; three dots stand for a query. The name
/// of a queue is its own, and so is the ARN of a topic elsewhere.
pub fn shown(endpoint: &str) -> String {
    if endpoint.starts_with("arn:") {
        return match endpoint.parse::<RemoteTopic>() {
            Ok(topic) => match topic.endpoint() {
                Some(at) => format!("{} via {}", topic.arn(), shown(at)),
                None => topic.to_string(),
            },
            Err(_) => "an ARN that cannot be read".to_owned(),
        };
    }
    let Ok(url) = Url::parse(endpoint) else {
        let (endpoint, query) = match endpoint.find(['?', '#']) {
            Some(mark) => (&endpoint[..mark], "?..."),
            None => (endpoint, ""),
        };
        return endpoint.rsplit_once('@').map_or(endpoint, |(_, host)| host).to_owned() + query;
    };
    let authority = url.authority().rsplit_once('@').map_or(url.authority(), |(_, host)| host);
    let query = if url.query().is_some() { "?..." } else { "" };
    format!("{}://{authority}{}{query}", url.scheme(), url.path())
}

/// The one spelling of an endpoint, by which two are the same: that of [`url`]; a queue's name, and what is no URL, as it is.
pub fn spelling(protocol: Protocol, endpoint: &str) -> Cow<'_, str> {
    if !protocol.is_webhook() || is_plain(endpoint) {
        return Cow::Borrowed(endpoint);
    }
    Url::parse(endpoint).map_or(Cow::Borrowed(endpoint), |url| Cow::Owned(url.into()))
}

/// Whether a URL is surely spelt as [`url`] spells it, without the work of reading it; thousands are compared for one change.
fn is_plain(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let Some((authority, path)) = rest.split_once('/') else { return false };
    let (host, port) = authority.split_once(':').unzip();
    let host = host.unwrap_or(authority);
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
    let last = host.rsplit('.').next().unwrap_or_default();
    // Whatever ends in a number is an IPv4 address, and `xn--` may be no name.
    let is_host = match last.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        true => host.parse::<Ipv4Addr>().is_ok(),
        false => !last.is_empty() && !host.contains("xn--") && !host.contains("..") && !host.starts_with('.'),
    };
    let port = port.is_none_or(|port| {
        !port.starts_with('0')
            && port.parse::<u16>().is_ok_and(|number| number != 80 && number != 443)
            && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~/?=&+:@!$()*,;.".contains(&byte);
    let is_path = path.bytes().all(plain) && !path.starts_with('.') && !path.contains("/.");
    ["http", "https"].contains(&scheme) && is_name && is_host && port && is_path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_endpoint_has_one_spelling() {
        for text in
            ["http://A.example", "http://a.example:80/", "HTTP://a.example/./", "http://a.example/x/.."]
        {
            assert_eq!(spelling(Protocol::Http, text), "http://a.example/", "{text}");
        }
        assert_eq!(spelling(Protocol::Sqs, "A.b"), "A.b");
        assert_eq!(spelling(Protocol::Http, "http://127.1/x"), "http://127.0.0.1/x");
        assert!(is_plain("http://127.0.0.1:9100/hook?a=b"));
        for text in [
            "http://a",
            "http://A/",
            "http://127.1/",
            "http://a:80/",
            "http://a/./",
            "http://a/%2e/",
            "http://a/x#y",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    proptest! {
        /// What is taken for plain is spelt as a reader of URLs spells it.
        #[test]
        fn what_is_plain_is_spelt_so(text in "https?://[a-z0-9.:x@-]{1,12}/[a-zA-Z0-9._~/?=&+:@!$()*,;%#' -]{0,12}") {
            if is_plain(&text) && let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(url.as_str(), text);
            }
        }
    }
}
