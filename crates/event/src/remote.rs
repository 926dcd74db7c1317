//! Topics of Amazon SNS or of another service with its API: how one is named, at which address, and which topic of ours stands for it in the log.

use std::fmt;
use std::str::FromStr;

use uuid::{Uuid, uuid};

use crate::TopicName;
use crate::arn::{Arn, MAX_TOPIC_NAME, NameError, check_name};

/// Between the ARN and the address, where there is one.
const VIA: &str = " via ";
/// How much of a topic's name is in the name of the one that stands for it, in bytes.
const KEPT: usize = 200;
/// How many hexadecimal digits tell two of the same name from each other.
const DIGITS: usize = 12;
const FIFO: &str = ".fifo";

const NAMES: Uuid = uuid!("7a3e2c54-5d0e-4c0b-9b39-4c1d3a1f9f60");

/// A topic of Amazon SNS, or of whatever else speaks its API. Written as its ARN, with ` via ` and the address where one was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteTopic {
    arn: Arn,
    endpoint: Option<String>,
}

/// Why a text is not a [`RemoteTopic`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The ARN is not that of a topic.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not twelve digits.
    #[error("the ARN's account is not twelve digits")]
    Account,
    /// Neither `http://` nor `https://`, or with spaces.
    #[error("the address of SNS's API does not begin with http:// or https://")]
    Endpoint,
}

impl RemoteTopic {
    /// A topic, asked for at AWS's own address of its region, or at another one.
    ///
    /// # Errors
    /// If the ARN is not that of a topic, or the address is not one.
    pub fn new(arn: Arn, endpoint: Option<String>) -> Result<Self, RemoteError> {
        arn.expect_service("sns")?;
        let plain = arn.resource.strip_suffix(FIFO).unwrap_or(&arn.resource);
        check_name(plain, MAX_TOPIC_NAME - (arn.resource.len() - plain.len()))?;
        if arn.account.len() != 12 || !arn.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RemoteError::Account);
        }
        let is_address = |text: &String| {
            let is_web = ["http://", "https://"]
                .iter()
                .any(|begin| text.len() > begin.len() && text.starts_with(begin));
            is_web && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !endpoint.as_ref().is_none_or(is_address) {
            return Err(RemoteError::Endpoint);
        }
        Ok(Self { arn, endpoint })
    }

    /// Which topic.
    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    /// The URL of the API, if it is not AWS's own in the ARN's region.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether it keeps the order within a message group.
    pub fn is_fifo(&self) -> bool {
        self.arn.resource.ends_with(FIFO)
    }

    /// The name of the topic of ours that stands for it: `aws-<its name>-<12 hexadecimal digits>`, the same for the same ARN and address.
    pub fn stand_in(&self) -> TopicName {
        let digits = Uuid::new_v5(&NAMES, self.to_string().as_bytes()).simple().to_string();
        let plain = self.arn.resource.replace('.', "-");
        let name = format!("aws-{}-{}", &plain[..plain.len().min(KEPT)], &digits[..DIGITS]);
        // Letters, digits, hyphens and underscores, and fewer than 256 of them.
        name.parse().expect("a topic's name")
    }
}

impl fmt::Display for RemoteTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Some(endpoint) => write!(f, "{}{VIA}{endpoint}", self.arn),
            None => self.arn.fmt(f),
        }
    }
}

impl FromStr for RemoteTopic {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let (arn, endpoint) =
            text.split_once(VIA).map_or((text, None), |(arn, at)| (arn, Some(at.to_owned())));
        Self::new(arn.parse()?, endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-west-1:123456789012:orders";

    #[test]
    fn reads_what_it_writes() {
        for text in [
            ARN,
            &format!("{ARN}.fifo"),
            &format!("{ARN} via http://127.0.0.1:5000"),
            "arn:aws-cn:sns:cn-north-1:123456789012:a_b-c",
        ] {
            let topic: RemoteTopic = text.parse().unwrap();
            assert_eq!(topic.to_string(), text);
            assert_eq!(topic.is_fifo(), text.ends_with(".fifo"));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| text.parse::<RemoteTopic>().unwrap_err();
        let name = RemoteError::Name(NameError::BadName { max: MAX_TOPIC_NAME });
        assert_eq!(error("arn:aws:sns:eu-west-1:123456789012:a.b"), name);
        assert_eq!(error("arn:aws:sns:eu-west-1:12:orders"), RemoteError::Account);
        for at in ["ftp://a", "http://", "a", "http://a b"] {
            assert_eq!(error(&format!("{ARN} via {at}")), RemoteError::Endpoint, "{at}");
        }
        assert!(matches!(error("arn:aws:sqs:eu-west-1:123456789012:orders"), RemoteError::Name(_)));
    }

    /// The name is stored in databases: under another name it would be another topic, without the events that are owed.
    #[test]
    fn what_stands_for_it_keeps_its_name() {
        let name = |text: &str| text.parse::<RemoteTopic>().unwrap().stand_in().to_string();
        assert_eq!(name(ARN), "aws-orders-092a62caf383");
        assert_eq!(name(&format!("{ARN}.fifo")), "aws-orders-fifo-dc6d79218328");
        assert_ne!(name(ARN), name(&format!("{ARN} via http://127.0.0.1:5000")));
        assert!(name(&format!("arn:aws:sns:eu-west-1:123456789012:{}", "x".repeat(256))).len() < 256);
    }
}
