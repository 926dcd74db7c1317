//! Kong's precedence, over every scope there is.

use std::sync::Arc;

use super::*;
use crate::kind::Priority;
use crate::observe::{Observe, Observed};
use crate::plugin::Plugin;

struct Silent;

impl Observe for Silent {
    fn observed(&self, _: &Observed<'_>) {}
}

const ROUTE: Uuid = Uuid::from_u128(1);
const SERVICE: Uuid = Uuid::from_u128(2);
const ADA: Uuid = Uuid::from_u128(3);
const BOB: Uuid = Uuid::from_u128(4);

fn instance(id: u128, kind: &'static str) -> Instance {
    let plugin = Plugin { observe: Some(Arc::new(Silent)), ..Plugin::default() };
    Instance { id: Uuid::from_u128(id), kind, priority: Priority(1), plugin }
}

fn consumer(id: Uuid) -> Consumer {
    Consumer { id, username: None, custom_id: None }
}

fn ids(chain: &Chain) -> Vec<u128> {
    chain.observe().iter().map(|link| link.instance.as_u128()).collect()
}

#[test]
fn the_most_specific_instance_of_a_kind_runs() {
    let scope = |route: bool, service: bool, consumer: bool| Scope {
        route: route.then_some(ROUTE),
        service: service.then_some(SERVICE),
        consumer: consumer.then_some(ADA),
    };
    // As Kong documents it, the most specific first.
    let order = [
        scope(true, true, true),
        scope(true, false, true),
        scope(false, true, true),
        scope(true, true, false),
        scope(false, false, true),
        scope(true, false, false),
        scope(false, true, false),
        scope(false, false, false),
    ];
    for (place, stronger) in order.iter().enumerate() {
        for weaker in &order[place + 1..] {
            for both in [[*stronger, *weaker], [*weaker, *stronger]] {
                let instances: Vec<_> = both
                    .into_iter()
                    .map(|scope| (scope, instance(u128::from(scope == *stronger), "acl")))
                    .collect();
                let chains = Chains::choose(&instances);
                let ada = consumer(ADA);
                assert_eq!(ids(chains.of(Some(&ada))), [1], "{stronger:?} before {weaker:?}");
            }
        }
    }
}

#[test]
fn what_is_for_a_consumer_runs_for_nobody_else() {
    let global = Scope::default();
    let of = |consumer| Scope { consumer: Some(consumer), ..Scope::default() };
    let chains = Chains::choose(&[
        (global, instance(1, "acl")),
        (of(ADA), instance(2, "acl")),
        (of(BOB), instance(3, "cors")),
        (global, instance(4, "jwt")),
    ]);
    assert_eq!(ids(chains.nobody()), [4, 1]);
    assert_eq!(ids(chains.of(None)), [4, 1]);
    assert_eq!(ids(chains.of(Some(&consumer(ADA)))), [4, 2]);
    assert_eq!(ids(chains.of(Some(&consumer(BOB)))), [4, 3, 1]);
    assert_eq!(ids(chains.of(Some(&consumer(Uuid::nil())))), [4, 1], "no instance is for them");
    assert_eq!(chains.all().count(), 3);
}

#[test]
fn a_route_without_consumers_has_one_chain() {
    let chains = Chains::choose(&[(Scope::default(), instance(1, "acl"))]);
    assert!(chains.by_consumer.is_none());
    assert!(std::ptr::eq(chains.of(Some(&consumer(ADA))), chains.nobody()));
}
