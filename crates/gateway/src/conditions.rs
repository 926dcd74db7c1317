//! The conditions of all services, over all generations: a reload makes no service well, and takes no count away.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::condition::{Condition, Failures};

/// Services whose failures are counted each for itself, since the process began; those of all further ones are counted together.
pub const MAX_SERVICES: usize = 1_000;
/// What these are called.
const OTHER: &str = "other";

/// Finds a service's condition again when the configuration changes. Clones share it. Locked for a moment by whoever compiles or scrapes, never
/// by a request.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By the service's name and its address, as long as some generation has the service.
    conditions: HashMap<(String, String), Weak<Condition>>,
    /// By the service's name.
    failures: BTreeMap<String, Arc<Failures>>,
}

impl Conditions {
    /// How the service of this name, or id if it has none, does at this address: a new generation goes on with what the last one saw.
    pub(crate) fn of(&self, service: &str, address: &str) -> Arc<Condition> {
        let mut known = self.known();
        let key = (service.to_owned(), address.to_owned());
        if let Some(condition) = known.conditions.get(&key).and_then(Weak::upgrade) {
            return condition;
        }
        let condition = Arc::new(Condition::new(known.failures_of(service)));
        known.conditions.insert(key, Arc::downgrade(&condition));
        condition
    }

    /// Forgets the conditions of services that no generation has any more. Their counts stay.
    pub(crate) fn forget_gone(&self) {
        self.known().conditions.retain(|_, condition| condition.strong_count() > 0);
    }

    /// How often each service has failed since the process began, by its name and the reason; nothing of what never happened. Those beyond
    /// [`MAX_SERVICES`] are together, as `other`.
    pub fn failures(&self) -> Vec<(String, &'static str, u64)> {
        let known = self.known();
        let of = |(name, failures): (&String, &Arc<Failures>)| {
            failures.by_reason().map(|(reason, count)| (name.clone(), reason, count)).collect::<Vec<_>>()
        };
        known.failures.iter().flat_map(of).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn failures_of(&mut self, service: &str) -> Arc<Failures> {
        let is_one_too_many = self.failures.len() >= MAX_SERVICES && !self.failures.contains_key(service);
        let name = if is_one_too_many { OTHER } else { service };
        self.failures.entry(name.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::condition::Reason;

    #[test]
    fn a_condition_is_kept_while_somebody_has_it_and_a_count_for_good() {
        let conditions = Conditions::default();
        let one = conditions.of("one", "a:80");
        one.failed(Reason::Connect, Instant::now());
        assert!(Arc::ptr_eq(&one, &conditions.of("one", "a:80")));
        let elsewhere = conditions.of("one", "b:80");
        assert!(!Arc::ptr_eq(&one, &elsewhere) && !elsewhere.is_failing(), "it fails at one address");
        elsewhere.failed(Reason::Connect, Instant::now());
        assert!(!conditions.of("other one", "a:80").is_failing());
        drop((one, elsewhere));
        conditions.forget_gone();
        assert!(conditions.known().conditions.is_empty());
        assert!(!conditions.of("one", "a:80").is_failing(), "it was gone");
        assert_eq!(conditions.failures(), [("one".to_owned(), "connect", 2)]);
    }

    #[test]
    fn services_beyond_the_limit_are_counted_together() {
        let conditions = Conditions::default();
        for number in 0..MAX_SERVICES + 2 {
            conditions.of(&format!("service {number}"), "a:80").failed(Reason::Reset, Instant::now());
        }
        let failures = conditions.failures();
        assert_eq!(failures.len(), MAX_SERVICES + 1);
        let others: Vec<_> = failures.iter().filter(|(_, _, count)| *count != 1).collect();
        assert_eq!(others, [&(OTHER.to_owned(), "reset", 2)]);
    }
}
