//! Dead-letter queues: who gives what up, when, and to whom.

use std::time::Duration;

use event::Timestamp;

use super::queues::{samples, sent};
use super::{Case, Store, after, cases, stamp};
use crate::backend::Committed;
use crate::entities::{Desired, QueueId};
use crate::queue::{Limits, QueueDepth, Received};
use crate::redrive::{MAX_GIVEN_UP, Redrive, Way, Why};
use crate::retention::Retention;
use crate::steps::Known;

pub(super) const CASES: &[Case] = cases![
    a_message_goes_to_the_dead_letter_queue_once_with_the_receive_that_would_be_one_too_many,
    a_message_that_is_given_up_makes_room_for_the_next_one,
    a_receive_gives_up_only_so_many,
    a_queue_without_its_dead_letter_queue_keeps_what_it_has_and_says_so,
    each_queue_counts_its_own_receives,
    a_hidden_message_is_not_given_up,
    a_message_that_was_given_up_is_as_old_as_before,
    what_is_past_its_time_goes_to_a_dead_letter_queue_that_keeps_it_for_longer,
    a_rollback_takes_the_move_back,
    a_purge_and_the_end_of_a_queue_leave_what_was_given_up,
    a_configuration_says_when_queues_give_up,
];

const NEVER_HIDDEN: Duration = Duration::ZERO;

fn redrive(to: &str, max_receives: u32) -> Redrive {
    Redrive { to: to.into(), max_receives }
}

fn made(store: &mut Store, name: &str, policy: Option<Redrive>) -> QueueId {
    let id = store.write(|tx| tx.create_queue(name, None)).0.id;
    assert!(store.write(|tx| tx.set_queue_redrive(id, policy.as_ref())));
    id
}

/// A queue that gives messages up after two receives, and its dead-letter queue.
fn with_dead_letters(store: &mut Store) -> (QueueId, QueueId) {
    let (worker, dead) = (made(store, "worker", Some(redrive("dead", 2))), made(store, "dead", None));
    assert!(store.write(|tx| tx.set_queue_redrive(worker, Some(&redrive("dead", 2)))), "once more");
    assert!(!store.write(|tx| tx.set_queue_redrive(QueueId(99), Some(&redrive("dead", 2)))));
    (worker, dead)
}

fn send(store: &mut Store, queue: QueueId, numbers: &[u8]) {
    for n in numbers {
        store.write(|tx| tx.send(&sent(*n), queue, Duration::ZERO));
    }
}

fn take(store: &mut Store, queue: QueueId, max: usize, secs: u64) -> (Vec<Received>, Committed) {
    store.at(secs).write_and_tell(|tx| tx.receive(queue, max, NEVER_HIDDEN, after(secs)))
}

fn taken(store: &mut Store, queue: QueueId, max: usize, secs: u64) -> Vec<u8> {
    samples(&take(store, queue, max, secs).0)
}

fn way(from: &str, to: &str, why: Why) -> Way {
    Way { from: from.into(), to: to.into(), why }
}

fn visible(store: &Store, queue: QueueId, secs: u64) -> u64 {
    store.reader().queue_depth(queue, stamp(secs)).unwrap().visible
}

fn a_message_goes_to_the_dead_letter_queue_once_with_the_receive_that_would_be_one_too_many(
    store: &mut Store,
) {
    let (worker, dead) = with_dead_letters(store);
    send(store, worker, &[1]);
    let first = take(store, worker, 1, 10).0.remove(0);
    assert_eq!(taken(store, worker, 1, 20), [1]);
    store.reopen();
    assert_eq!((visible(store, worker, 20), visible(store, dead, 20)), (1, 0), "not before that receive");
    let (received, committed) = take(store, worker, 9, 30);
    assert_eq!(samples(&received), [0; 0]);
    assert_eq!(committed.queues, [dead], "whoever waits there is woken");
    assert_eq!(committed.dead_lettered, [(way("worker", "dead", Why::Receives), 1)].into());
    assert_eq!((visible(store, worker, 30), visible(store, dead, 30)), (0, 1));
    store.reopen();
    assert_eq!(taken(store, worker, 9, 40), [0; 0]);
    let given_up = take(store, dead, 9, 40).0.remove(0);
    assert_eq!(given_up.receive_count, 3, "the count goes on");
    assert_eq!(given_up.given_up_by, Some(worker));
    assert_eq!((given_up.message_id, &given_up.event), (first.message_id, &first.event));
    assert_eq!((given_up.sent_at, given_up.first_received_at), (first.sent_at, after(10)));
    assert_eq!(first.given_up_by, None);
    assert_eq!(take(store, dead, 9, 50).0[0].receive_count, 4, "this one gives nothing up");
    let handle = given_up.handle;
    assert!(!store.write(|tx| tx.delete_message(worker, handle)), "it is this queue's no more");
    assert!(store.write(|tx| tx.delete_message(dead, handle)));
    assert_eq!(taken(store, dead, 9, 60), [0; 0]);
}

fn a_message_that_is_given_up_makes_room_for_the_next_one(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    send(store, worker, &[1, 2, 3, 4]);
    for secs in [10, 20] {
        assert_eq!(taken(store, worker, 3, secs), [1, 2, 3]);
    }
    assert_eq!(taken(store, worker, 1, 30), [4], "in the same receive");
    assert_eq!(taken(store, dead, 9, 40), [1, 2, 3], "in the order in which they were sent");
    assert_eq!(taken(store, worker, 0, 50), [0; 0]);
}

fn a_receive_gives_up_only_so_many(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    let count = u8::try_from(MAX_GIVEN_UP).unwrap();
    send(store, worker, &(1..=count + 2).collect::<Vec<_>>());
    for secs in [10, 20] {
        assert_eq!(taken(store, worker, 200, secs).len(), usize::from(count) + 2);
    }
    let (received, committed) = take(store, worker, 1, 30);
    assert_eq!(samples(&received), [0; 0]);
    assert_eq!(committed.dead_lettered, [(way("worker", "dead", Why::Receives), MAX_GIVEN_UP)].into());
    assert_eq!(committed.queues, [dead, worker], "whoever waits here is to come again");
    assert_eq!((visible(store, worker, 30), visible(store, dead, 30)), (2, MAX_GIVEN_UP));
    assert_eq!(take(store, worker, 1, 30).1.queues, [dead]);
    assert_eq!(visible(store, dead, 30), MAX_GIVEN_UP + 2);
}

fn a_queue_without_its_dead_letter_queue_keeps_what_it_has_and_says_so(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    send(store, worker, &[1]);
    store.write(|tx| tx.delete_queue(dead));
    for (secs, kept) in [(1, 0), (2, 0), (3, 1), (4, 1)] {
        let (received, committed) = take(store, worker, 1, secs);
        assert_eq!((samples(&received), committed.kept.values().sum::<u64>()), (vec![1], kept));
    }
    let kept = take(store, worker, 1, 5).1.kept;
    assert_eq!(kept, [(("worker".to_owned(), "dead".to_owned()), 1)].into());
    let dead = made(store, "dead", None);
    assert_eq!(taken(store, worker, 1, 6), [0; 0]);
    assert_eq!(taken(store, dead, 1, 7), [1]);
    send(store, worker, &[2]);
    store.write(|tx| tx.set_queue_redrive(worker, None));
    for secs in 8..=12 {
        assert_eq!(taken(store, worker, 1, secs), [2], "it gives nothing up any more");
    }
}

/// A dead-letter queue of a dead-letter queue, and two queues that are each other's.
fn each_queue_counts_its_own_receives(store: &mut Store) {
    let a = made(store, "a", Some(redrive("b", 2)));
    let b = made(store, "b", Some(redrive("a", 1)));
    send(store, a, &[1]);
    let mut counts = Vec::new();
    // Two receives here, one there; the receive that moves it hands nothing out.
    let turns = (0..4).flat_map(|_| [(a, true), (a, true), (a, false), (b, true), (b, false)]);
    for (secs, (queue, is_handed_out)) in (0..).zip(turns) {
        let received = take(store, queue, 9, secs).0;
        assert_eq!(received.len(), usize::from(is_handed_out));
        counts.extend(
            received
                .iter()
                .map(|one| (queue == a, one.receive_count, one.given_up_by.map(|queue| queue == a))),
        );
    }
    let round = |n: u32| {
        let by_b = (n > 0).then_some(false);
        [(true, 3 * n + 1, by_b), (true, 3 * n + 2, by_b), (false, 3 * n + 3, Some(true))]
    };
    assert_eq!(counts, (0..4).flat_map(round).collect::<Vec<_>>());
}

fn a_hidden_message_is_not_given_up(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    send(store, worker, &[1]);
    assert_eq!(taken(store, worker, 1, 10), [1]);
    let visibility = Duration::from_secs(30);
    let handle = store.at(20).write(|tx| tx.receive(worker, 1, visibility, after(20)))[0].handle;
    assert_eq!(taken(store, worker, 1, 49), [0; 0]);
    assert_eq!(visible(store, dead, 49), 0, "a worker has it in hand, and may delete it");
    assert!(store.write(|tx| tx.delete_message(worker, handle)));
    assert_eq!((taken(store, worker, 1, 50), taken(store, dead, 1, 50)), (vec![], vec![]));
}

fn expire(store: &mut Store, secs: u64) -> Committed {
    let now: Timestamp = after(secs);
    let (_, committed) = store.at(secs).write_and_tell(|tx| tx.housekeep(&Retention::default(), now, 1_000));
    committed
}

fn a_message_that_was_given_up_is_as_old_as_before(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    store.write(|tx| tx.set_queue_retention(dead, Some(Duration::from_secs(60))));
    store.at(1).write(|tx| tx.send(&sent(1), worker, Duration::ZERO));
    (10..=12).for_each(|secs| drop(take(store, worker, 1, secs)));
    assert_eq!(store.reader().queue_depth(dead, stamp(12)).unwrap().oldest, Some(stamp(1)));
    assert!(expire(store, 60).expired.is_empty());
    assert_eq!(expire(store, 61).expired, [("dead".to_owned(), 1)].into(), "by the time of this queue");
}

fn what_is_past_its_time_goes_to_a_dead_letter_queue_that_keeps_it_for_longer(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    let keep = |store: &mut Store, queue, secs: u64| {
        store.write(|tx| tx.set_queue_retention(queue, Some(Duration::from_secs(secs))));
    };
    keep(store, worker, 60);
    keep(store, dead, 100);
    for (n, secs) in [(1, 1), (2, 1), (3, 45)] {
        store.at(secs).write(|tx| tx.send(&sent(n), worker, Duration::ZERO));
    }
    assert_eq!(taken(store, worker, 1, 50), [1]);
    // A worker has this one in hand.
    store.at(55).write(|tx| tx.receive(worker, 1, Duration::from_secs(10), after(55)));
    let committed = expire(store, 61);
    assert_eq!(committed.dead_lettered, [(way("worker", "dead", Why::Age), 1)].into());
    assert_eq!((committed.queues, committed.expired.len()), (vec![dead], 0), "nothing is lost");
    store.reopen();
    let given_up = take(store, dead, 1, 62).0.remove(0);
    assert_eq!((samples(std::slice::from_ref(&given_up)), given_up.receive_count), (vec![2], 1));
    assert_eq!((given_up.given_up_by, given_up.event.stamp), (Some(worker), stamp(1)));
    assert_eq!(expire(store, 65).dead_lettered.values().sum::<u64>(), 1, "when it was given back");
    assert_eq!(taken(store, dead, 9, 65), [1, 2], "in their old order");
    // Both queues would have kept them no longer by then.
    assert_eq!(expire(store, 101).expired, [("dead".to_owned(), 2)].into());
    let committed = expire(store, 145);
    assert_eq!((committed.expired, committed.dead_lettered.len()), ([("worker".to_owned(), 1)].into(), 0));
    // A queue that is gone keeps nothing.
    send(store, worker, &[4]);
    store.write(|tx| tx.delete_queue(dead));
    assert_eq!(expire(store, 300).expired, [("worker".to_owned(), 1)].into());
    assert_eq!(store.reader().queue_depth(worker, stamp(300)).unwrap(), QueueDepth::default());
}

fn a_rollback_takes_the_move_back(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    send(store, worker, &[1]);
    (10..=11).for_each(|secs| drop(take(store, worker, 1, secs)));
    let backend = &mut store.opened().backend;
    backend.begin(stamp(12)).unwrap();
    assert_eq!(backend.tx().receive(worker, 1, NEVER_HIDDEN, after(12)).unwrap(), []);
    backend.rollback();
    assert_eq!((visible(store, worker, 12), visible(store, dead, 12)), (1, 0));
    assert_eq!((taken(store, worker, 1, 13), taken(store, dead, 1, 13)), (vec![], vec![1]));
}

fn a_purge_and_the_end_of_a_queue_leave_what_was_given_up(store: &mut Store) {
    let (worker, dead) = with_dead_letters(store);
    send(store, worker, &[1]);
    (10..=12).for_each(|secs| drop(take(store, worker, 1, secs)));
    send(store, worker, &[2]);
    assert_eq!(store.write(|tx| tx.purge_queue(worker)).messages, 1);
    assert_eq!(store.write(|tx| tx.delete_queue(worker)).messages, 0);
    store.housekeep(&Retention::default(), after(13));
    let given_up = take(store, dead, 9, 14).0;
    assert_eq!((samples(&given_up), given_up[0].given_up_by), (vec![1], Some(worker)));
    // A purged dead-letter queue gets what comes afterwards.
    let worker = made(store, "worker", Some(redrive("dead", 1)));
    assert_eq!(store.write(|tx| tx.purge_queue(dead)).messages, 1);
    send(store, worker, &[3]);
    (20..=21).for_each(|secs| drop(take(store, worker, 1, secs)));
    assert_eq!(taken(store, dead, 9, 22), [3]);
}

fn a_configuration_says_when_queues_give_up(store: &mut Store) {
    let named = |policy: Option<Redrive>| Desired {
        queues: vec!["worker".into(), "dead".into()],
        redrive: policy.into_iter().map(|policy| ("worker".to_owned(), policy)).collect(),
        ..Desired::default()
    };
    for (policy, secs) in [(Some(redrive("dead", 1)), 1), (Some(redrive("dead", 2)), 2), (None, 3)] {
        let wanted = named(policy.clone());
        if store.by_steps {
            assert!(store.take_steps(&wanted, after(secs), usize::MAX));
        } else {
            store.at(secs).write(|tx| tx.sync_entities(&wanted, after(secs)));
        }
        store.reopen();
        let known = Known::read(store.reader()).unwrap().queues;
        let limits: Vec<_> = known.into_iter().map(|(queue, limits)| (queue.name, limits)).collect();
        let worker = Limits { retention: None, redrive: policy };
        assert_eq!(limits, [("worker".to_owned(), worker), ("dead".to_owned(), Limits::default())]);
    }
}
