//! The plug-ins of one route, in order.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::kind::Priority;
use crate::plugin::Plugin;

/// Configured plug-ins by descending priority; equal priorities by descending name, as in Kong.
#[derive(Clone, Default)]
pub struct Chain {
    plugins: Vec<Arc<dyn Plugin>>,
}

impl Chain {
    /// Sorts the plug-ins of a route.
    pub fn new(mut plugins: Vec<(Priority, Arc<dyn Plugin>)>) -> Self {
        plugins.sort_by_key(|(priority, plugin)| Reverse((*priority, plugin.name())));
        Self { plugins: plugins.into_iter().map(|(_, plugin)| plugin).collect() }
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// The plug-ins in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Plugin>> {
        self.plugins.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);

    impl Plugin for Named {
        fn name(&self) -> &'static str {
            self.0
        }
    }

    #[test]
    fn runs_the_higher_priority_first_and_breaks_ties_by_name() {
        let plugin = |name| Arc::new(Named(name)) as Arc<dyn Plugin>;
        let chain = Chain::new(vec![
            (Priority(1), plugin("acl")),
            (Priority(1), plugin("jwt")),
            (Priority(9), plugin("cors")),
        ]);
        let order: Vec<_> = chain.iter().map(|plugin| plugin.name()).collect();
        assert_eq!(order, ["cors", "jwt", "acl"]);
    }
}
