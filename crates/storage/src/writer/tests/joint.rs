//! The intents of one request that several recorders follow.

use super::*;

fn intents(n: [u8; 2]) -> [Intent; 2] {
    n.map(|n| Intent { key: "a".into(), ..sample_intent(n) })
}

#[test]
fn intents_together_are_durable_in_one_commit() {
    let world = World::new();
    let before = world.commits();
    let mut batch = world.writer.intents_together();
    let receipts = intents([1, 2]).map(|intent| batch.intend(intent));
    world.writer.transact(|_| Ok(())).wait().unwrap();
    assert_eq!(world.commits(), before + 1, "nothing is sent before all have been added");
    assert_eq!(world.reader.stats().unwrap().open_intents, 0);
    drop(batch);
    receipts.into_iter().for_each(|receipt| receipt.wait().unwrap());
    assert_eq!(world.commits(), before + 2);
    assert_eq!(world.reader.stats().unwrap().open_intents, 2);

    for n in [1, 2] {
        world.settle(n, "a").wait().unwrap();
        assert!(!world.overlapped(n), "a request does not overlap with itself");
    }
    assert_eq!(world.reader.stats().unwrap().open_intents, 0);
}

#[test]
fn intents_together_are_refused_together() {
    let world = World::new();
    let mut batch = world.writer.intents_together();
    let receipts = intents([1, 2]).map(|intent| batch.intend(intent));
    world.store.fail_next_commit(CommitFault::Full);
    drop(batch);
    for receipt in receipts {
        assert!(matches!(receipt.wait(), Err(StoreError::Full(_))));
    }
    assert_eq!(world.reader.stats().unwrap().open_intents, 0);
}

#[test]
fn a_batch_of_nothing_is_no_change() {
    let world = World::new();
    let before = world.commits();
    drop(world.writer.intents_together());
    world.writer.transact(|_| Ok(())).wait().unwrap();
    assert_eq!(world.commits(), before + 1);
}
