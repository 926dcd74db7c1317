//! What the writer is handed.

use event::{EventId, Intent, NewEvent, Position};

use super::bell::Rings;
use super::inbox::Urgency;
use super::receipt::Reply;
use crate::{Result, StoreError, Tx};

/// A change on its way to the writer.
pub(super) enum Change {
    Intend(Noted),
    /// Those of one request, which stand in one commit.
    IntendTogether(Vec<Noted>),
    Settle(Settlement),
    Transact(Box<dyn Transaction>),
    Stop,
}

impl Change {
    /// An outcome that was promised must get in, however many wait: its request was forwarded on that promise. One that nobody waits for
    /// may wait for company.
    pub(super) fn urgency(&self) -> Urgency {
        match self {
            Self::Settle(settlement) => {
                Urgency { awaited: settlement.reply.is_some(), owed: settlement.is_owed() }
            }
            Self::Stop => Urgency { awaited: true, owed: true },
            Self::Intend(_) | Self::IntendTogether(_) | Self::Transact(_) => {
                Urgency { awaited: true, owed: false }
            }
        }
    }
}

/// An intent on its way into the store.
pub(super) struct Noted {
    pub(super) intent: Intent,
    pub(super) reply: Reply<()>,
    pub(super) request: Request,
}

/// Which request an intent is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// One of its own.
    New,
    /// That of the intent before it: two recorders follow it.
    SameAsBefore,
}

/// The outcome of a request.
pub(super) struct Settlement {
    pub(super) claim: Claim,
    pub(super) event: Option<NewEvent>,
    pub(super) reply: Option<Reply<Option<Position>>>,
}

/// What an outcome may ask of a store that has little room.
#[derive(Clone, Copy)]
pub(super) enum Claim {
    /// It ends this intent: it is owed.
    Intent(EventId),
    /// It had no intent, and is owed.
    Owed,
    /// Nobody was promised anything.
    Nothing,
    /// Nobody was promised anything, and who asks hears of a refusal and may ask again: so nothing is kept for later.
    Asked,
}

impl Settlement {
    pub(super) fn is_owed(&self) -> bool {
        !matches!(self.claim, Claim::Nothing | Claim::Asked)
    }

    /// Whether who asked will ask again if it is refused.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.claim, Claim::Asked)
    }

    pub(super) fn intent(&self) -> Option<EventId> {
        match self.claim {
            Claim::Intent(id) => Some(id),
            Claim::Owed | Claim::Nothing | Claim::Asked => None,
        }
    }
}

/// A closure with its reply, so that the queue can hold any of them.
pub(super) trait Transaction: Send {
    fn growth(&self) -> Growth;
    fn apply(&mut self, tx: &mut dyn Tx) -> Result<()>;
    fn finish(self: Box<Self>, result: Result<()>, rings: &mut Rings);
}

pub(super) struct Closure<F, T> {
    pub(super) run: F,
    pub(super) value: Option<T>,
    pub(super) reply: Reply<T>,
    pub(super) growth: Growth,
}

/// Whether a transaction is refused where there is no room for what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// It is of what is there, or makes room.
    None,
    /// It adds to what is kept.
    Kept,
}

impl<F, T> Transaction for Closure<F, T>
where
    F: FnMut(&mut dyn Tx) -> Result<T> + Send,
    T: Send,
{
    fn growth(&self) -> Growth {
        self.growth
    }

    fn apply(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.value = Some((self.run)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<()>, rings: &mut Rings) {
        let Self { value, reply, .. } = *self;
        reply.send(result.and_then(|()| value.ok_or(StoreError::Closed)), rings);
    }
}
