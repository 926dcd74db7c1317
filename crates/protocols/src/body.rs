//! Reads whole request bodies, within a limit of size and time, and within a budget that all requests of a listener share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest request body, in bytes: SQS's largest batch, percent-encoded.
pub const MAX_BODY: usize = 4 << 20;
/// The largest request body on the public listener, in bytes: a form with an ARN and a token.
pub const MAX_PUBLIC_BODY: usize = 16 << 10;
/// A body that has not arrived completely after this time is refused.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// The default of [`Options::body_budget`](crate::Options::body_budget), in bytes.
pub const BODY_BUDGET: usize = 64 << 20;
/// The part of each body that does not count against the budget, in bytes: only large bodies share it.
const FREE: usize = 16 << 10;
/// One permit of the budget, in bytes.
const PERMIT: usize = 1 << 10;

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
    /// Other bodies have used up the budget.
    #[error("The bodies of other requests take all the memory there is for them; try again later.")]
    NoRoom,
    /// The connection or its framing broke.
    #[error("The request's body broke off.")]
    BrokeOff,
}

/// The memory that large bodies share.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A body with its part of the budget.
pub(crate) struct Whole {
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Whole {
    pub fn empty() -> Self {
        Self { bytes: Bytes::new(), _room: None }
    }
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / PERMIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Reads a body.
    pub async fn read(&self, body: Body, limit: usize) -> Result<Whole, BodyError> {
        let whole = tokio::time::timeout(BODY_DEADLINE, self.collect(body, limit)).await;
        whole.map_err(|_| BodyError::TooSlow)?
    }

    async fn collect(&self, mut body: Body, limit: usize) -> Result<Whole, BodyError> {
        let mut bytes = BytesMut::new();
        let mut room = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::BrokeOff)?.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > limit {
                return Err(BodyError::TooLarge { limit });
            }
            self.make_room(&mut room, length)?;
            bytes.extend_from_slice(&data);
        }
        Ok(Whole { bytes: bytes.freeze(), _room: room })
    }

    /// Takes from the budget what a body of this length needs in addition to what it has.
    fn make_room(&self, room: &mut Option<OwnedSemaphorePermit>, length: usize) -> Result<(), BodyError> {
        let needed = length.saturating_sub(FREE).div_ceil(PERMIT);
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(needed.saturating_sub(held)).map_err(|_| BodyError::NoRoom)?;
        if missing == 0 {
            return Ok(());
        }
        let more = self.0.clone().try_acquire_many_owned(missing).map_err(|_| BodyError::NoRoom)?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_bodies_share_a_budget_and_give_it_back() {
        let budget = Budget::new(64 << 10);
        let read = async |kib: usize| budget.read(Body::from(vec![b' '; kib << 10]), MAX_BODY).await;
        let large = read(70).await.expect("there is room");
        assert_eq!(read(40).await.err(), Some(BodyError::NoRoom));
        assert_eq!(read(16).await.expect("small ones need none of it").bytes.len(), 16 << 10);
        drop(large);
        assert!(read(80).await.is_ok());
        assert_eq!(read(81).await.err(), Some(BodyError::NoRoom));
    }
}
