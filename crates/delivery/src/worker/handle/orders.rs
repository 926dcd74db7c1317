//! The commands as their callers give them: each waits until the worker has obeyed or refused.

use event::Position;
use tokio::sync::oneshot;

use super::{Command, Handle, RedeliverError, Redrive, Redriven};

/// Which waiting deliveries to try again: those at positions after `after`, up to `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The last position of the previous part, or the last one that is not meant.
    pub after: Position,
    /// The last position that is meant.
    pub until: Position,
}

/// The result of one part of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retried {
    /// How many deliveries begin their waits anew: those that are due now, those that wait for an earlier one of their key, and those with an
    /// attempt under way.
    pub count: u64,
    /// Where the next part begins; `None` when there is none.
    pub next: Option<Position>,
}

/// Why an endpoint is not asked to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It is confirmed or disabled.
    #[error("the subscription is not pending")]
    NotPending,
    /// Its format has no request to confirm.
    #[error("the subscription's format has no request to confirm: a person confirms it")]
    ByHand,
    /// Its worker cannot reach the store, or the process stops.
    #[error("the subscription is not served just now")]
    NotServed,
}

impl Handle {
    /// Sends a part of the subscription's dead letters again, the oldest first: each is due at once, with a policy that starts again, and in a
    /// FIFO subscription after what its key has under way. Durable when this returns. Call it with the answer's `next` until that is `None`.
    ///
    /// # Errors
    /// If the subscription is not delivering.
    pub async fn redrive(&self, part: Redrive) -> Result<Redriven, RedeliverError> {
        self.order(|reply| Command::Redrive { part, reply }, RedeliverError::NotDelivering).await
    }

    /// Sends one event again, whether it was delivered, waits or is dead: its delivery is due at once, with a policy that starts again. Durable
    /// when this returns.
    ///
    /// # Errors
    /// If it cannot be sent again.
    pub async fn redeliver(&self, position: Position) -> Result<(), RedeliverError> {
        self.order(|reply| Command::Redeliver { position, reply }, RedeliverError::NotDelivering).await
    }

    /// Tries one waiting delivery again: it is due at once, and its waits begin anew. If an attempt is under way, its waits begin anew with that
    /// one. Durable when this returns.
    ///
    /// # Errors
    /// If it does not wait, or waits for an earlier one of its key.
    pub async fn retry(&self, position: Position) -> Result<(), RedeliverError> {
        self.order(|reply| Command::Retry { position, reply }, RedeliverError::NotDelivering).await
    }

    /// Tries a part of the waiting deliveries again, by position: as [`Handle::retry`] each; those behind an earlier one of their key follow it,
    /// with waits that begin anew. Durable when this returns. Call it with the answer's `next` until that is `None`.
    ///
    /// # Errors
    /// If the subscription is not delivering.
    pub async fn retry_all(&self, part: Retry) -> Result<Retried, RedeliverError> {
        self.order(|reply| Command::RetryAll { part, reply }, RedeliverError::NotDelivering).await
    }

    /// Gives a waiting delivery up: it becomes a dead letter with this reason, and the next one of its key goes on. An attempt that is under way
    /// is cut off. Durable when this returns. It works also while the subscription is pending or disabled.
    ///
    /// # Errors
    /// If it does not wait, or the subscription's worker cannot reach the store.
    pub async fn give_up(&self, position: Position, reason: String) -> Result<(), RedeliverError> {
        self.order(|reply| Command::GiveUp { position, reason, reply }, RedeliverError::NotDelivering).await
    }

    /// Asks the endpoint of a pending subscription at once to confirm, and again after waits that begin anew. Returns when the worker has taken it
    /// on; the endpoint's answer is then the [last attempt](Handle::last_attempt).
    ///
    /// # Errors
    /// If it is not pending, or its format knows no such request.
    pub async fn ask_to_confirm(&self) -> Result<(), AskError> {
        self.order(|reply| Command::AskToConfirm { reply }, AskError::NotServed).await
    }

    /// Gives a command and waits for the answer; `gone` is the answer if nobody can obey it any more.
    async fn order<T, E: Copy>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Command,
        gone: E,
    ) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| gone)?;
        answer.await.unwrap_or(Err(gone))
    }
}
