//! What became of a forwarded request, and what that makes of its event.
//!
//! A gateway cannot take part in the upstream's transaction. It has a durable note from before the request (the intent), and what it saw
//! afterwards (the fate). This module decides, from the fate, whether there is an event and with which outcome: the whole outcome table, as
//! pure functions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an event says about the request behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The upstream's head said success.
    Succeeded,
    /// The request was sent, and nobody knows whether the upstream executed it.
    Unknown(UnknownReason),
}

impl Outcome {
    /// `succeeded` or `unknown`, as it stands in the log, in attributes and in `x-retrohook-outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why nobody knows; `None` for a success.
    pub fn reason(self) -> Option<UnknownReason> {
        match self {
            Self::Succeeded => None,
            Self::Unknown(reason) => Some(reason),
        }
    }
}

/// Why an outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The upstream reset or closed the connection before a head.
    UpstreamReset,
    /// The upstream sent something that is no HTTP answer.
    UpstreamInvalid,
    /// No head came in time.
    UpstreamTimeout,
    /// The client's large or streaming body broke off after the head had been forwarded.
    RequestBodyBroken,
    /// The exchange took longer than it may.
    BoundReached,
    /// The gateway was told to stop and the exchange did not end in time.
    DrainDeadline,
    /// The gateway died; found at the next start.
    GatewayRestarted,
    /// The exchange ended without being settled: a panic in the gateway.
    Abandoned,
}

impl UnknownReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::UpstreamReset,
        Self::UpstreamInvalid,
        Self::UpstreamTimeout,
        Self::RequestBodyBroken,
        Self::BoundReached,
        Self::DrainDeadline,
        Self::GatewayRestarted,
        Self::Abandoned,
    ];

    /// The name in the log, in attributes and in metrics, `snake_case`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::RequestBodyBroken => "request_body_broken",
            Self::BoundReached => "bound_reached",
            Self::DrainDeadline => "drain_deadline",
            Self::GatewayRestarted => "gateway_restarted",
            Self::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no reason that this version knows.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a reason for an unknown outcome")]
pub struct ParseReasonError(String);

impl FromStr for UnknownReason {
    type Err = ParseReasonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| ParseReasonError(text.to_owned()))
    }
}

/// How a forwarded request ended, as far as the gateway could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing of it reached the upstream: no connection, or provably nothing written to a stale one.
    NotSent,
    /// The upstream's head arrived.
    Answered {
        /// The status of the upstream's head.
        status: u16,
    },
    /// It was sent, and no head arrived.
    Unanswered(UnknownReason),
}

/// What a fate makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No event: nothing happened upstream, or it said so.
    None,
    /// One event with this outcome.
    Publish(Outcome),
}

/// The statuses by which an upstream says success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuccessStatuses {
    /// 200 to 299.
    Any2xx,
    /// Exactly these.
    Only(Vec<u16>),
}

impl SuccessStatuses {
    /// Whether `status` says success.
    pub fn contains(&self, status: u16) -> bool {
        match self {
            Self::Any2xx => (200..300).contains(&status),
            Self::Only(statuses) => statuses.contains(&status),
        }
    }
}

/// The outcome table. `publish_unknown` is the rule's setting: whether an unknown outcome makes an event.
pub fn decide(fate: Fate, success: &SuccessStatuses, publish_unknown: bool) -> Decision {
    match fate {
        Fate::NotSent => Decision::None,
        Fate::Answered { status } if success.contains(status) => Decision::Publish(Outcome::Succeeded),
        Fate::Answered { .. } => Decision::None,
        Fate::Unanswered(reason) if publish_unknown => Decision::Publish(Outcome::Unknown(reason)),
        Fate::Unanswered(_) => Decision::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table() {
        let any = SuccessStatuses::Any2xx;
        let unanswered = Fate::Unanswered(UnknownReason::UpstreamReset);
        assert_eq!(decide(Fate::NotSent, &any, true), Decision::None);
        assert_eq!(decide(Fate::Answered { status: 204 }, &any, true), Decision::Publish(Outcome::Succeeded));
        assert_eq!(
            decide(Fate::Answered { status: 200 }, &any, false),
            Decision::Publish(Outcome::Succeeded)
        );
        assert_eq!(decide(Fate::Answered { status: 299 }, &any, true), Decision::Publish(Outcome::Succeeded));
        for status in [199, 300, 301, 404, 503] {
            assert_eq!(decide(Fate::Answered { status }, &any, true), Decision::None, "{status}");
        }
        assert_eq!(
            decide(unanswered, &any, true),
            Decision::Publish(Outcome::Unknown(UnknownReason::UpstreamReset))
        );
        assert_eq!(decide(unanswered, &any, false), Decision::None);
    }

    #[test]
    fn a_rules_own_statuses_replace_2xx() {
        let only = SuccessStatuses::Only(vec![303]);
        assert_eq!(
            decide(Fate::Answered { status: 303 }, &only, true),
            Decision::Publish(Outcome::Succeeded)
        );
        assert_eq!(decide(Fate::Answered { status: 200 }, &only, true), Decision::None);
    }

    #[test]
    fn every_reason_reads_back() {
        for reason in UnknownReason::ALL {
            assert_eq!(reason.as_str().parse::<UnknownReason>().unwrap(), reason);
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(reason.to_string(), reason.as_str());
            let outcome = Outcome::Unknown(reason);
            assert_eq!((outcome.as_str(), outcome.reason()), ("unknown", Some(reason)));
        }
        assert_eq!((Outcome::Succeeded.as_str(), Outcome::Succeeded.reason()), ("succeeded", None));
        let error = "bored".parse::<UnknownReason>().unwrap_err();
        assert_eq!(error.to_string(), "`bored` is not a reason for an unknown outcome");
    }
}
