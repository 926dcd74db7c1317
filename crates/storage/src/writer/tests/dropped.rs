//! Events that the log never has are counted, each once and with its reason.

use super::*;

#[test]
fn what_the_queue_has_no_place_for_is_dropped_and_counted() {
    let world = World::new();
    let blocked = world.block();
    for _ in 0..MAX_QUEUED + 3 {
        world.writer.offer_unawaited(sample_event(1));
    }
    drop(blocked);
    assert_eq!(dropped(&world), [0, 3, 0, 0]);
}

#[test]
fn a_latched_writer_counts_what_it_had_put_off_what_it_has_in_hand_and_what_comes() {
    let world = World::new();
    let blocked = world.block();
    // The first try is put off, the second latches.
    world.store.spare_next_commit();
    world.store.fail_next_commit(CommitFault::Full);
    world.store.fail_next_commit(CommitFault::Io);
    let promised = world.writer.publish(sample_event(1));
    world.writer.offer_unawaited(sample_event(2));
    world.writer.settle_unawaited(sample_id(3), Some(sample_event(3)));
    drop(blocked);
    assert!(promised.wait().is_err());
    wait_until("the writer latches", || world.writer.is_latched());
    world.writer.offer_unawaited(sample_event(4));
    let asked = world.writer.append(sample_message(5, "text", &event::message::Details::default()));
    assert!(asked.wait().is_err(), "its sender was told, and may send it again");
    // An intent is on the disk: the next start makes an event of it.
    wait_until("all to be counted", || dropped(&world) == [0, 0, 3, 0]);
}

#[test]
fn what_still_waits_for_room_at_the_stop_is_counted() {
    let mut world = World::new();
    for _ in 0..1_000 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    world.writer.offer_unawaited(sample_event(1));
    world.writer.settle_unawaited(sample_id(2), Some(sample_event(2)));
    wait_until("a try", || world.failures() > 0);
    world.stop();
    assert_eq!(dropped(&world), [0, 0, 0, 1]);
    world.writer.offer_unawaited(sample_event(3));
    assert_eq!(dropped(&world), [0, 0, 0, 2]);
}
