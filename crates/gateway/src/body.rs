//! Bodies on their way through the gateway, and why one breaks off.

use std::time::Duration;

use crate::hold::Unkept;

pub(crate) mod answer;
pub(crate) mod request;
pub(crate) mod upload;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The sender's side broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// Nothing came for the service's read timeout.
    #[error("the upstream sent nothing for {0:?}")]
    Idle(Duration),
    /// Nothing came from the client for its patience.
    #[error("the client sent nothing for {0:?}")]
    Stalled(Duration),
    /// The answer was held for its event's outcome, and the outcome could not be made durable.
    #[error("the outcome of this request could not be stored")]
    Unstored(#[source] Unkept),
}
