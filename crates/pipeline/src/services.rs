//! What a node gives to its plug-ins, by type.
//!
//! A recorder needs the writer of a store, a rate limiter counters, a logger a queue of lines. Each kind asks for what its roles need by
//! its type; who builds the node puts it in. So this crate knows none of them: see ADR 0012.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use crate::kind::ConfigProblem;

/// Values by their types, at most one of each. Clones share them.
#[derive(Clone, Default)]
pub struct Services(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Services {
    /// These and one more, in the place of one of the same type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, service: T) -> Self {
        self.0.insert(TypeId::of::<T>(), Arc::new(service));
        self
    }

    /// The one of this type.
    ///
    /// # Errors
    /// If the node has none.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<&T, ConfigProblem> {
        let found = self.0.get(&TypeId::of::<T>()).and_then(|service| service.downcast_ref());
        found.ok_or_else(|| ConfigProblem {
            pointer: String::new(),
            message: format!("this node has no `{}`, which the plug-in needs", std::any::type_name::<T>()),
            hint: "this is a bug in Retrohook: whoever builds the node gives it to the plug-ins".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_type_and_a_missing_one_is_named() {
        let services = Services::default().with(7_u32).with("eight").with(9_u32);
        assert_eq!(services.get::<u32>(), Ok(&9));
        assert_eq!(services.get::<&str>(), Ok(&"eight"));
        let problem = services.get::<u64>().unwrap_err();
        assert_eq!(problem.message, "this node has no `u64`, which the plug-in needs");
    }
}
