//! The plug-ins of one route, in order: a list for each role.

use std::cmp::Reverse;
use std::sync::Arc;

use uuid::Uuid;

use crate::access::Access;
use crate::kind::Priority;
use crate::observe::Observe;
use crate::plugin::{Instance, Plugin};
use crate::record::Record;
use crate::respond::Respond;

/// Configured plug-ins by descending priority; equal priorities by descending name, as in Kong.
#[derive(Clone, Default)]
pub struct Chain {
    access: List<dyn Access>,
    respond: List<dyn Respond>,
    observe: List<dyn Observe>,
    record: List<dyn Record>,
}

type List<R> = Box<[Link<R>]>;

/// One plug-in in one of its roles.
pub struct Link<R: ?Sized> {
    /// Where in a chain it comes.
    pub rank: Rank,
    /// The instance's id.
    pub instance: Uuid,
    /// What it does.
    pub role: Arc<R>,
}

/// Where in a chain a plug-in comes: the lowest is first. The same in every chain that an instance is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(Reverse<(Priority, &'static str)>);

impl<R: ?Sized> Clone for Link<R> {
    fn clone(&self) -> Self {
        Self { rank: self.rank, instance: self.instance, role: self.role.clone() }
    }
}

impl Chain {
    /// Sorts the plug-ins of a route.
    pub fn new(mut instances: Vec<Instance>) -> Self {
        instances.sort_by_key(rank);
        Self {
            access: list(&instances, |plugin| plugin.access.clone()),
            respond: list(&instances, |plugin| plugin.respond.clone()),
            observe: list(&instances, |plugin| plugin.observe.clone()),
            record: list(&instances, |plugin| plugin.record.clone()),
        }
    }

    /// Those that look at requests.
    pub fn access(&self) -> &[Link<dyn Access>] {
        &self.access
    }

    /// The index in [`Chain::access`] of the first plug-in that comes after this rank.
    pub fn access_after(&self, rank: Rank) -> usize {
        self.access.partition_point(|link| link.rank <= rank)
    }

    /// Those that change answers.
    pub fn respond(&self) -> &[Link<dyn Respond>] {
        &self.respond
    }

    /// Those that are told how exchanges ended.
    pub fn observe(&self) -> &[Link<dyn Observe>] {
        &self.observe
    }

    /// Those that keep intents and outcomes.
    pub fn record(&self) -> &[Link<dyn Record>] {
        &self.record
    }
}

fn rank(instance: &Instance) -> Rank {
    Rank(Reverse((instance.priority, instance.kind)))
}

fn list<R: ?Sized>(instances: &[Instance], role: impl Fn(&Plugin) -> Option<Arc<R>>) -> List<R> {
    let playing = instances.iter().filter_map(|instance| {
        let role = role(&instance.plugin)?;
        Some(Link { rank: rank(instance), instance: instance.id, role })
    });
    playing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Observed;

    struct Silent;

    impl Observe for Silent {
        fn observed(&self, _: &Observed<'_>) {}
    }

    fn instance(kind: &'static str, priority: i32) -> Instance {
        let id = Uuid::from_u128(priority as u128);
        let plugin = Plugin { observe: Some(Arc::new(Silent)), ..Plugin::default() };
        Instance { id, kind, priority: Priority(priority), plugin }
    }

    #[test]
    fn runs_the_higher_priority_first_and_breaks_ties_by_name() {
        let chain = Chain::new(vec![instance("acl", 1), instance("jwt", 1), instance("cors", 9)]);
        let order: Vec<_> = chain.observe().iter().map(|link| link.rank.0.0.1).collect();
        assert_eq!(order, ["cors", "jwt", "acl"]);
        assert!(chain.access().is_empty(), "a list for each role");
    }
}
