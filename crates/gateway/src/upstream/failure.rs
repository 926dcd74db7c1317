//! Why an upstream gave no head, in the two kinds that the outcome table distinguishes.

use event::UnknownReason;

/// The largest head of an answer, in bytes; a larger one is an invalid answer.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// The most header lines of an answer; more are an invalid answer.
pub(super) const MAX_HEADERS: usize = 1_000;

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing of the request reached the upstream.
    Unsent(Unsent),
    /// The request, or a part of it, was sent.
    Lost(Lost),
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The service's name does not resolve.
    NameResolution,
    /// No address of the service accepts connections.
    Connect,
    /// No connection within the service's timeout.
    ConnectTimeout,
    /// Before anything was written, the connection was closed or had bytes that no request asked for.
    Closed,
    /// Before anything was written, the client's body ended early or made no progress for too long.
    Body(Lost),
}

/// Why a request that was sent, in part or whole, has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// The connection ended or was reset.
    #[error("the connection ended before the head of an answer")]
    Reset,
    /// What came is not HTTP/1.1.
    #[error("the answer is not valid HTTP/1.1")]
    Invalid,
    /// The head is larger than the gateway takes.
    #[error("the head of the answer has more than {MAX_HEADERS} lines or {} KiB", MAX_HEAD >> 10)]
    TooLarge,
    /// A 101 although no upgrade was asked for.
    #[error("the answer switches protocols, which nobody asked for")]
    Switched,
    /// The client's body ended early.
    #[error("the client's body broke off")]
    BodyBroken,
    /// The client's body made no progress for too long.
    #[error("the client's body made no progress for too long")]
    BodyStalled,
}

impl Lost {
    /// The reason in the event.
    pub fn reason(self) -> UnknownReason {
        match self {
            Self::Reset => UnknownReason::UpstreamReset,
            Self::Invalid | Self::TooLarge | Self::Switched => UnknownReason::UpstreamInvalid,
            Self::BodyBroken | Self::BodyStalled => UnknownReason::RequestBodyBroken,
        }
    }
}
