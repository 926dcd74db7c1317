//! Names of this installation: one account, one region.

use event::Arn;
use uuid::Uuid;

/// Account and region in every ARN of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// `us-east-1`, …
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Names {
    /// The ARN of a topic of this node.
    pub fn topic_arn(&self, topic: &str) -> Arn {
        Arn::topic(&self.region, &self.account, topic)
    }

    /// The ARN of a queue of this node.
    pub fn queue_arn(&self, queue: &str) -> Arn {
        Arn::queue(&self.region, &self.account, queue)
    }

    /// The ARN of a subscription to a topic of this node.
    pub fn subscription_arn(&self, topic: &str, uuid: Uuid) -> SubscriptionArn {
        SubscriptionArn { topic: self.topic_arn(topic), uuid }
    }
}

/// `<topic ARN>:<uuid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionArn {
    /// The topic.
    pub topic: Arn,
    /// The subscription's id.
    pub uuid: Uuid,
}

/// Why a text is not the ARN of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionArnError {
    /// Fewer than six parts: it is not an ARN.
    #[error("an ARN must have at least 6 elements, not {0}")]
    TooFewParts(usize),
    /// An ARN, but its last part names no subscription: that of a topic, for instance.
    #[error("the ARN names no subscription")]
    NoSubscription,
}

impl std::fmt::Display for SubscriptionArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.topic, self.uuid)
    }
}

impl std::str::FromStr for SubscriptionArn {
    type Err = SubscriptionArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(':').count();
        if parts < 6 {
            return Err(SubscriptionArnError::TooFewParts(parts));
        }
        let (topic, uuid) = text.rsplit_once(':').ok_or(SubscriptionArnError::NoSubscription)?;
        let uuid = Uuid::try_parse(uuid).map_err(|_| SubscriptionArnError::NoSubscription)?;
        let topic = topic.parse().map_err(|_| SubscriptionArnError::NoSubscription)?;
        Ok(Self { topic, uuid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";

    #[test]
    fn a_subscription_arn_reads_back() {
        let names = Names { region: "us-east-1".into(), account: "000000000000".into() };
        let arn = names.subscription_arn("profile-changes", Uuid::from_u128(7));
        assert_eq!(arn.to_string(), format!("{TOPIC}:00000000-0000-0000-0000-000000000007"));
        assert_eq!(arn.to_string().parse(), Ok(arn));
        assert_eq!(names.queue_arn("worker").to_string(), "arn:aws:sqs:us-east-1:000000000000:worker");
    }

    #[test]
    fn names_what_is_wrong() {
        let error = |text: &str| text.parse::<SubscriptionArn>().unwrap_err();
        assert_eq!(error(""), SubscriptionArnError::TooFewParts(1));
        assert_eq!(error("a:b:c"), SubscriptionArnError::TooFewParts(3));
        assert_eq!(error(TOPIC), SubscriptionArnError::NoSubscription);
        assert_eq!(error(&format!("{TOPIC}:PendingConfirmation")), SubscriptionArnError::NoSubscription);
        assert_eq!(
            error("a:b:c:d:e:00000000-0000-0000-0000-000000000007"),
            SubscriptionArnError::NoSubscription
        );
    }
}
