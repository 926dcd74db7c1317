//! What a configuration wants, reached step by step, and what becomes of it when that breaks off.

use super::{Case, Store, after, cases, push, stamp, to_queue};
use crate::backend::Backend;
use crate::entities::{Desired, DesiredSubscription, Entities};
use crate::memory::{Memory, sample_event};
use crate::steps::{Known, Step, Steps};

pub(super) const CASES: &[Case] = cases![
    steps_that_break_off_anywhere_lead_to_the_same_end,
    what_is_as_it_is_wanted_needs_no_step,
    a_step_that_was_taken_changes_nothing_when_it_is_taken_again,
    one_that_is_to_be_kept_and_is_gone_is_made_anew,
];

fn named(name: &str, wanted: DesiredSubscription) -> DesiredSubscription {
    DesiredSubscription { name: Some(name.into()), ..wanted }
}

fn desired(subscriptions: &[DesiredSubscription]) -> Desired {
    Desired { queues: vec!["jobs".into()], subscriptions: subscriptions.to_vec(), ..Desired::default() }
}

/// Configurations that follow each other, each with what identities can do: names and endpoints that are swapped, handed on, given and taken
/// away, queues that come and go and come back.
fn generations() -> Vec<Desired> {
    let (a, b, c) = (push("/a"), push("/b"), push("/c"));
    [
        vec![a.clone(), named("b", b.clone()), to_queue("q"), to_queue("r")],
        vec![named("a", a.clone()), named("b", c.clone()), to_queue("r"), b.clone()],
        vec![named("b", a.clone()), named("a", c.clone()), to_queue("q"), named("q", to_queue("r"))],
        vec![named("a", a.clone()), c.clone(), named("q", to_queue("s")), to_queue("q")],
        vec![named("q", push("/q")), named("s", to_queue("s"))],
        vec![],
        vec![named("a", c), named("b", a), b, to_queue("s"), to_queue("q")],
    ]
    .iter()
    .map(|wanted| desired(wanted))
    .collect()
}

/// What does not depend on the commit in which it was written.
fn seen(entities: &Entities) -> Vec<String> {
    let seen = |one: &crate::entities::Subscription| {
        let removed = one.removed_at.is_some();
        format!("{} {:?} {:?} {} {removed} {:?}", one.id.0, one.name, one.protocol, one.endpoint, one.state)
    };
    let mut all: Vec<_> = entities.subscriptions.iter().chain(&entities.removed).map(seen).collect();
    all.sort();
    all
}

fn steps_that_break_off_anywhere_lead_to_the_same_end(store: &mut Store) {
    // Where all of it is one change.
    let mut whole = Memory::default().open().backend;
    for (number, wanted) in (0..).zip(generations()) {
        store.append(&sample_event(number));
        let now = after(u64::from(number));
        whole.begin(stamp(u64::from(number))).unwrap();
        let expected = whole.tx().sync_entities(&wanted, now).unwrap();
        whole.commit().unwrap();
        // Each time it breaks off after one more.
        let mut taken = 0;
        while !store.take_steps(&wanted, now, taken % 3) {
            taken += 1;
            store.restart();
        }
        let reached = Known::read(store.reader()).unwrap().entities(&wanted);
        assert_eq!(seen(&reached), seen(&expected), "generation {number}");
        assert_eq!((&reached.topics, &reached.queues), (&expected.topics, &expected.queues));
    }
}

fn what_is_as_it_is_wanted_needs_no_step(store: &mut Store) {
    for wanted in generations() {
        assert!(store.take_steps(&wanted, after(0), usize::MAX));
        assert_eq!(Steps::between(&Known::read(store.reader()).unwrap(), &wanted), Steps::default());
    }
}

fn a_step_that_was_taken_changes_nothing_when_it_is_taken_again(store: &mut Store) {
    for wanted in generations() {
        let Steps { together, rest } = Steps::between(&Known::read(store.reader()).unwrap(), &wanted);
        store.write(|tx| together.iter().try_for_each(|step| tx.take_step(step, after(0))));
        for step in &rest {
            store.write(|tx| tx.take_step(step, after(0)));
            if matches!(step, Step::Add(_)) {
                continue;
            }
            let before = store.reader().subscriptions().unwrap();
            store.write(|tx| tx.take_step(step, after(9)));
            assert_eq!(store.reader().subscriptions().unwrap(), before, "{step:?}");
        }
    }
}

fn one_that_is_to_be_kept_and_is_gone_is_made_anew(store: &mut Store) {
    let wanted = named("a", push("/a"));
    let first = store.push_subscription();
    store.write(|tx| tx.unsubscribe(first.id));
    store.write(|tx| tx.take_step(&Step::Keep(first.id, wanted.clone()), after(0)));
    store.write(|tx| tx.take_step(&Step::Unname(first.id), after(0)));
    store.write(|tx| tx.take_step(&Step::Remove(first.id), after(0)));
    let made = Known::read(store.reader()).unwrap().entities(&desired(&[wanted])).subscriptions;
    assert_eq!(made.len(), 1);
    assert_ne!(made[0].id, first.id);
}
