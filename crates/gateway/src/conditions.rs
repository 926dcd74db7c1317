//! The conditions of all services, over all generations: a reload makes no service well, and takes no count away.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::condition::{Condition, Counts};
use crate::own_address::Remedy;
use crate::references::Referring;

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
    counts: BTreeMap<String, Arc<Counts>>,
}

/// A service whose answers named its own address lately, while its clients had asked for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamesItself {
    /// Its name, or its id if it has none.
    pub service: String,
    /// Host and port, as the gateway dials them.
    pub address: String,
    /// The header that last had it, in lower case.
    pub header: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Conditions {
    /// How the service of this name, or id if it has none, does at this address: a new generation goes on with what the last one saw.
    pub(crate) fn of(&self, service: &str, address: &str) -> Arc<Condition> {
        let mut known = self.known();
        let key = (service.to_owned(), address.to_owned());
        if let Some(condition) = known.conditions.get(&key).and_then(Weak::upgrade) {
            return condition;
        }
        let condition = Arc::new(Condition::new(known.counts_of(service)));
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
        let of = |(name, counts): (&String, &Arc<Counts>)| {
            let failures = counts.failures.by_reason();
            failures.map(|(reason, count)| (name.clone(), reason, count)).collect::<Vec<_>>()
        };
        known.counts.iter().flat_map(of).collect()
    }

    /// How many answers of each service named its own address since the process began, by its name and the header; as [`Conditions::failures`]
    /// otherwise.
    pub fn namings(&self) -> Vec<(String, &'static str, u64)> {
        let known = self.known();
        let of = |(name, counts): (&String, &Arc<Counts>)| {
            let namings = counts.namings.by_header();
            namings.map(|(header, count)| (name.clone(), header.as_str(), count)).collect::<Vec<_>>()
        };
        known.counts.iter().flat_map(of).collect()
    }

    /// The services that some generation has and whose answers named their own address no longer ago than `within`, in order.
    pub fn naming_themselves(&self, now: Instant, within: Duration) -> Vec<NamesItself> {
        let known = self.known();
        let of = |((service, address), condition): (&(String, String), &Weak<Condition>)| {
            let (header, remedy): (Referring, Remedy) = condition.upgrade()?.names_itself(now, within)?;
            let (service, address) = (service.clone(), address.clone());
            Some(NamesItself { service, address, header: header.as_str(), remedy: remedy.as_str() })
        };
        let mut found: Vec<_> = known.conditions.iter().filter_map(of).collect();
        found.sort_unstable();
        found
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn counts_of(&mut self, service: &str) -> Arc<Counts> {
        let is_one_too_many = self.counts.len() >= MAX_SERVICES && !self.counts.contains_key(service);
        let name = if is_one_too_many { OTHER } else { service };
        self.counts.entry(name.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
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
