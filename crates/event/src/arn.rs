//! Topic and queue names, and the ARNs that AWS clients write them as.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest topic name, in bytes (SNS's limit).
pub const MAX_TOPIC_NAME: usize = 256;
/// The longest queue name, in bytes (SQS's limit).
pub const MAX_QUEUE_NAME: usize = 80;

/// Why a text is no ARN or no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Fewer than six parts.
    #[error("an ARN must have at least 6 elements, not {0}")]
    TooFewParts(usize),
    /// Six parts, but not `arn:`.
    #[error("an ARN begins with `arn:`")]
    NoArn,
    /// A part that must be there is empty.
    #[error("the ARN's {0} is empty")]
    EmptyPart(&'static str),
    /// An ARN of another service where a topic or queue was expected.
    #[error("this ARN belongs to `{found}`, not to `{expected}`")]
    WrongService {
        /// What was expected: `sns` or `sqs`.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A character or a length that SNS and SQS refuse.
    #[error("a name has 1 to {max} letters, digits, hyphens or underscores")]
    BadName {
        /// The longest name allowed, in bytes.
        max: usize,
    },
}

/// `arn:<partition>:<service>:<region>:<account>:<resource>`, split but otherwise as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// `sns` or `sqs`.
    pub service: String,
    /// `us-east-1`, …
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// All behind the fifth colon.
    pub resource: String,
}

impl Arn {
    /// The ARN of one of our topics.
    pub fn topic(region: &str, account: &str, name: &str) -> Self {
        Self::local("sns", region, account, name)
    }

    /// The ARN of one of our queues.
    pub fn queue(region: &str, account: &str, name: &str) -> Self {
        Self::local("sqs", region, account, name)
    }

    fn local(service: &str, region: &str, account: &str, name: &str) -> Self {
        Self {
            partition: "aws".into(),
            service: service.into(),
            region: region.into(),
            account: account.into(),
            resource: name.into(),
        }
    }

    /// Fails unless the ARN belongs to `expected` (`sns`, `sqs`).
    pub fn expect_service(&self, expected: &'static str) -> Result<(), NameError> {
        if self.service == expected {
            return Ok(());
        }
        Err(NameError::WrongService { expected, found: self.service.clone() })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl FromStr for Arn {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else {
            return Err(NameError::TooFewParts(parts.len()));
        };
        if arn != "arn" {
            return Err(NameError::NoArn);
        }
        let named = [
            ("partition", partition),
            ("service", service),
            ("region", region),
            ("account", account),
            ("resource", resource),
        ];
        if let Some((part, _)) = named.iter().find(|(_, value)| value.is_empty()) {
            return Err(NameError::EmptyPart(part));
        }
        Ok(Self {
            partition: partition.into(),
            service: service.into(),
            region: region.into(),
            account: account.into(),
            resource: resource.into(),
        })
    }
}

/// The bare name of a topic of ours: 1 to 256 of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicName(String);

impl TopicName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_name(text, MAX_TOPIC_NAME)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fails unless `name` is one that SNS (`max` 256) or SQS (`max` 80) would take for a standard topic or queue.
pub fn check_name(name: &str, max: usize) -> Result<(), NameError> {
    let fits = (1..=max).contains(&name.len());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits && plain { Ok(()) } else { Err(NameError::BadName { max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "arn:aws:sns:us-east-1:000000000000:profile-changes";
        let arn: Arn = text.parse().unwrap();
        assert_eq!(arn, Arn::topic("us-east-1", "000000000000", "profile-changes"));
        assert_eq!(arn.to_string(), text);
    }

    #[test]
    fn names_what_is_wrong() {
        let error = |text: &str| text.parse::<Arn>().unwrap_err();
        assert_eq!(error("profile"), NameError::TooFewParts(1));
        assert_eq!(error("arn:aws:sns:x"), NameError::TooFewParts(4));
        assert_eq!(error("urn:aws:sns:r:a:t"), NameError::NoArn);
        assert_eq!(error("arn:aws:sns::0:t"), NameError::EmptyPart("region"));
        let queue = Arn::queue("r", "a", "q");
        assert_eq!(queue.to_string(), "arn:aws:sqs:r:a:q");
        assert_eq!(queue.expect_service("sqs"), Ok(()));
        let found = NameError::WrongService { expected: "sns", found: "sqs".into() };
        assert_eq!(queue.expect_service("sns"), Err(found));
    }

    #[test]
    fn topic_names_are_those_of_sns() {
        let name: TopicName = "profile-changes_2".parse().unwrap();
        assert_eq!((name.as_str(), &*name.to_string()), ("profile-changes_2", "profile-changes_2"));
        assert!("x".repeat(MAX_TOPIC_NAME).parse::<TopicName>().is_ok());
        assert!(check_name(&"x".repeat(MAX_QUEUE_NAME), MAX_QUEUE_NAME).is_ok());
        assert_eq!(
            check_name(&"x".repeat(MAX_QUEUE_NAME + 1), MAX_QUEUE_NAME),
            Err(NameError::BadName { max: MAX_QUEUE_NAME })
        );
        for bad in ["", "a.b", "a b", "ä", &"x".repeat(257)] {
            assert!(bad.parse::<TopicName>().is_err(), "{bad}");
        }
    }
}
