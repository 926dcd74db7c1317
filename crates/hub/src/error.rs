//! Why a command failed. Refusals that belong to one message or handle are values of the command's reply.

use storage::StoreError;

/// A result of the hub.
pub type Result<T, E = HubError> = std::result::Result<T, E>;

/// Why a command failed as a whole.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HubError {
    /// The store refused or failed; nothing of the command was kept.
    #[error("could not {operation}")]
    Store {
        /// What was being done.
        operation: &'static str,
        /// The store's own words.
        #[source]
        source: StoreError,
    },
    /// The store accepted the first of several commits of a change, and failed at a later one: the rest remains to be done.
    #[error("the store has the change, but not all of it was made")]
    Unfinished {
        /// The store's own words.
        #[source]
        source: StoreError,
    },
    /// The limit of waiting long polls is reached. The caller may try again later.
    #[error("{limit} long polls are waiting already")]
    TooManyPolls {
        /// The limit that was reached.
        limit: usize,
    },
    /// The queue was deleted, before the command or while it waited.
    #[error("there is no queue {name:?} any more")]
    NoSuchQueue {
        /// Its bare name.
        name: String,
    },
    /// There is no key yet to sign messages with.
    #[error("there is no key yet to sign messages with")]
    NoKey,
    /// The operating system gave no random bytes.
    #[error("no random bytes for {what}")]
    NoRandomness {
        /// What they were for.
        what: &'static str,
    },
    /// A task of the hub panicked or was stopped with its runtime.
    #[error("the task that had to {operation} ended unexpectedly")]
    BrokeOff {
        /// What was being done.
        operation: &'static str,
    },
}

impl HubError {
    pub(crate) fn store(operation: &'static str) -> impl FnOnce(StoreError) -> Self {
        move |source| Self::Store { operation, source }
    }

    /// Whether the same command may succeed later, without a restart.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } | Self::Unfinished { source } => {
                matches!(source, StoreError::Full(_) | StoreError::Overloaded { .. } | StoreError::Stalled(_))
            }
            Self::TooManyPolls { .. } | Self::NoKey | Self::NoRandomness { .. } => true,
            Self::BrokeOff { .. } | Self::NoSuchQueue { .. } => false,
        }
    }
}
