//! Request bodies: whole, within a size and a time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// The largest request body, in bytes: SQS's largest batch, percent-encoded.
pub const MAX_BODY: usize = 4 << 20;
/// The largest request body on the public listener, in bytes: a form with an ARN and a token.
pub const MAX_PUBLIC_BODY: usize = 16 << 10;
/// A body that is not there after this time is refused.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit.
    #[error("Request size exceeded the limit of {limit} bytes.")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// It did not arrive before the deadline.
    #[error("The request's body did not arrive within {} seconds.", BODY_DEADLINE.as_secs())]
    TooSlow,
    /// The connection or its framing broke.
    #[error("The request's body broke off.")]
    BrokeOff,
}

pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let whole = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect()).await;
    match whole.map_err(|_| BodyError::TooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
        Err(_) => Err(BodyError::BrokeOff),
    }
}
