//! One configured plug-in: which roles it plays, and with what.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::access::Access;
use crate::kind::Priority;
use crate::observe::Observe;
use crate::record::Record;
use crate::respond::Respond;

/// What a kind builds from a configuration: one part for each role that it plays. Shared by all cores: state that changes is its own
/// affair, without locks on the hot path. Several roles may share one [`Arc`].
#[derive(Clone, Default)]
pub struct Plugin {
    /// Looks at requests.
    pub access: Option<Arc<dyn Access>>,
    /// Changes answers.
    pub respond: Option<Arc<dyn Respond>>,
    /// Is told how exchanges ended.
    pub observe: Option<Arc<dyn Observe>>,
    /// Keeps intents and outcomes.
    pub record: Option<Arc<dyn Record>>,
}

/// Which roles a plug-in plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// [`Access`].
    pub access: bool,
    /// [`Respond`].
    pub respond: bool,
    /// [`Observe`].
    pub observe: bool,
    /// [`Record`].
    pub record: bool,
}

impl Plugin {
    /// Which roles it plays.
    pub fn roles(&self) -> Roles {
        Roles {
            access: self.access.is_some(),
            respond: self.respond.is_some(),
            observe: self.observe.is_some(),
            record: self.record.is_some(),
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.roles().fmt(f)
    }
}

/// A plug-in with what its rank in a chain depends on.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The instance's id: further events' ids are made of it.
    pub id: Uuid,
    /// Its kind's name, `publish-sns`.
    pub kind: &'static str,
    /// Its kind's.
    pub priority: Priority,
    /// What it does.
    pub plugin: Plugin,
}
