//! Which instances of a kind run for whom: Kong's precedence.
//!
//! One instance of a kind runs on an exchange, the one that is for the least: of a route, a service, a consumer, or several of these at
//! once. Who the consumer is shows only while the chain runs; so a route has a chain for nobody, and one for each consumer that some
//! instance is for. A route without such instances has no table and pays nothing.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::chain::Chain;
use crate::context::Consumer;
use crate::plugin::Instance;

/// What an instance is for, besides what is left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// One route's requests.
    pub route: Option<Uuid>,
    /// One service's requests.
    pub service: Option<Uuid>,
    /// One consumer's requests.
    pub consumer: Option<Uuid>,
}

impl Scope {
    /// How little it is for: of two instances of a kind that are for a request, the greater one runs. The order is Kong's.
    pub fn precedence(&self) -> u8 {
        match (self.route.is_some(), self.service.is_some(), self.consumer.is_some()) {
            (true, true, true) => 7,
            (true, false, true) => 6,
            (false, true, true) => 5,
            (true, true, false) => 4,
            (false, false, true) => 3,
            (true, false, false) => 2,
            (false, true, false) => 1,
            (false, false, false) => 0,
        }
    }
}

/// The chains of one route.
#[derive(Clone, Default)]
pub struct Chains {
    nobody: Chain,
    by_consumer: Option<HashMap<Uuid, Chain>>,
}

impl Chains {
    /// From the instances that are for a route, its service or all, each with what it is for. Of two of a kind that are for the same, the
    /// first one runs.
    pub fn choose(instances: &[(Scope, Instance)]) -> Self {
        let consumers: HashSet<Uuid> = instances.iter().filter_map(|(scope, _)| scope.consumer).collect();
        let of = |consumer: Option<Uuid>| Chain::new(chosen(instances, consumer));
        let by_consumer = consumers.into_iter().map(|consumer| (consumer, of(Some(consumer))));
        let by_consumer: HashMap<_, _> = by_consumer.collect();
        Self {
            nobody: of(None),
            by_consumer: Some(by_consumer).filter(|by_consumer| !by_consumer.is_empty()),
        }
    }

    /// The chain that a request begins with.
    pub fn nobody(&self) -> &Chain {
        &self.nobody
    }

    /// The chain of a consumer.
    pub fn of(&self, consumer: Option<&Consumer>) -> &Chain {
        let Some(by_consumer) = &self.by_consumer else { return &self.nobody };
        consumer.and_then(|consumer| by_consumer.get(&consumer.id)).unwrap_or(&self.nobody)
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &Chain> {
        let others = self.by_consumer.iter().flat_map(|by_consumer| by_consumer.values());
        std::iter::once(&self.nobody).chain(others)
    }
}

fn chosen(instances: &[(Scope, Instance)], consumer: Option<Uuid>) -> Vec<Instance> {
    let mut best: Vec<(u8, &Instance)> = Vec::new();
    for (scope, instance) in instances {
        if scope.consumer.is_some() && scope.consumer != consumer {
            continue;
        }
        let precedence = scope.precedence();
        match best.iter_mut().find(|(_, other)| other.kind == instance.kind) {
            Some(other) if precedence > other.0 => *other = (precedence, instance),
            Some(_) => {}
            None => best.push((precedence, instance)),
        }
    }
    best.into_iter().map(|(_, instance)| instance.clone()).collect()
}

#[cfg(test)]
mod tests;
