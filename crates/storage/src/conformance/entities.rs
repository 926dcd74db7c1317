//! Topics, queues and subscriptions; cursors.

use std::time::Duration;

use event::{Position, TopicId};

use super::{Case, Store, TOPIC, after, cases, event_of, pending, push, retry, row, stamp, to_queue, wanted};
use crate::entities::{
    Cursor, Desired, DesiredSubscription, Protocol, Queue, QueueId, Subscription, SubscriptionId,
    SubscriptionState, Topic,
};
use crate::memory::sample_event;
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    what_is_wanted_exists,
    what_only_a_subscription_names_exists_too,
    what_is_wanted_twice_exists_once,
    numbers_stay_across_reopening,
    log_lines_call_a_subscription_by_name_topic_and_endpoint,
    why_a_subscription_is_disabled_is_kept_until_it_is_not,
    identity_without_a_name_is_topic_protocol_and_endpoint,
    a_new_subscription_starts_at_the_head_of_the_log,
    what_is_gone_is_marked_once_and_unmarked_when_it_is_back,
    a_removed_queue_subscription_gets_no_messages,
    a_queue_that_is_back_gets_what_it_missed_once,
    what_a_queue_misses_is_kept_until_it_is_back_or_its_grace_is_over,
    a_disabled_queue_subscription_misses_nothing,
    a_disabled_queue_subscription_gets_no_messages,
    a_token_confirms,
    a_pending_subscription_stays_pending_across_syncs,
    a_disabled_subscription_stays_disabled,
    the_token_of_a_disabled_subscription_brings_it_back,
    a_disabled_subscription_is_enabled_where_it_was,
    a_queue_gets_messages_again_when_its_subscription_is_enabled,
    a_pending_subscription_is_enabled_where_it_was,
    what_is_confirmed_or_unknown_is_not_enabled,
    the_configuration_confirms_what_is_pending,
    the_configuration_does_not_bring_back_who_unsubscribed,
    a_disabled_subscription_that_was_gone_is_declared_anew,
    cursors_never_move_back,
];

fn log_lines_call_a_subscription_by_name_topic_and_endpoint(store: &mut Store) {
    let named = DesiredSubscription { name: Some("expire".into()), ..push("/a?key=secret") };
    let known = store.sync(&[named]).subscriptions.remove(0);
    let whose = store.opened().backend.whose(known.id).expect("it exists");
    assert_eq!((whose.name.as_deref(), &*whose.topic), (Some("expire"), TOPIC));
    assert_eq!(whose.endpoint, "http://localhost/a?...");
    store.write(|tx| tx.unsubscribe(known.id));
    assert_eq!(store.opened().backend.whose(known.id), None);
}

fn why_a_subscription_is_disabled_is_kept_until_it_is_not(store: &mut Store) {
    let id = store.push_subscription().id;
    let why = |store: &mut Store| store.subscription(id).expect("it exists").disabled_because;
    store.write(|tx| tx.note_why_disabled(id, "it is not disabled"));
    assert_eq!(why(store), None);
    for back in ["enable", "token", "disable"] {
        store.write(|tx| tx.disable_subscription(id, Some("back")));
        assert_eq!(why(store), None, "{back}");
        store.write(|tx| tx.note_why_disabled(id, "its owner is away"));
        store.reopen();
        assert_eq!(why(store).as_deref(), Some("its owner is away"), "{back}");
        let known = store.write(|tx| tx.disable_subscription(id, None)).expect("it exists");
        assert_eq!(known.disabled_because.as_deref(), Some("its owner is away"), "disabled once is enough");
        let known = match back {
            "token" => store.write(|tx| tx.confirm_subscription("back")),
            _ => store.write(|tx| tx.enable_subscription(id)),
        };
        assert_eq!(known.expect("it exists").disabled_because, None, "{back}");
        assert_eq!(why(store), None, "{back}");
    }
}

fn what_is_wanted_exists(store: &mut Store) {
    let desired = Desired {
        topics: vec!["a".into(), "b".into()],
        queues: vec!["q".into()],
        subscriptions: vec![DesiredSubscription { topic: "b".into(), ..push("/x") }],
        ..Desired::default()
    };
    let entities = store.write(|tx| tx.sync_entities(&desired, after(3)));
    let names: Vec<&str> = entities.topics.iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(entities.queues, [Queue { id: entities.queues[0].id, name: "q".into() }]);
    let subscription = &entities.subscriptions[0];
    assert_eq!(subscription.topic, entities.topics[1].id);
    assert_eq!(subscription.uuid, push("/x").uuid);
    assert_eq!((subscription.protocol, &*subscription.endpoint), (Protocol::Http, "http://localhost/x"));
    assert_eq!(subscription.state, SubscriptionState::Confirmed);
    assert_eq!((subscription.created_at, subscription.removed_at), (after(3), None));
    assert_eq!(store.reader().subscriptions().unwrap(), entities.subscriptions);
    assert!(entities.removed.is_empty());
}

fn what_only_a_subscription_names_exists_too(store: &mut Store) {
    let entities = store.sync(&[to_queue("worker")]);
    assert_eq!(entities.topics, [Topic { id: entities.topics[0].id, name: TOPIC.into() }]);
    assert_eq!(entities.queues[0].name, "worker");
    store.append(&sample_event(1));
    assert_eq!(store.reader().queue_depth(entities.queues[0].id, stamp(0)).unwrap().visible, 1);
}

fn what_is_wanted_twice_exists_once(store: &mut Store) {
    let desired = Desired {
        topics: vec![TOPIC.into(), TOPIC.into()],
        queues: vec!["worker".into(), "worker".into()],
        subscriptions: vec![to_queue("worker"), to_queue("worker")],
        ..Desired::default()
    };
    let entities = store.write(|tx| tx.sync_entities(&desired, after(0)));
    assert_eq!((entities.topics.len(), entities.queues.len(), entities.subscriptions.len()), (1, 1, 1));
    store.append(&sample_event(1));
    assert_eq!(store.reader().queue_depth(entities.queues[0].id, stamp(0)).unwrap().visible, 1);
}

fn numbers_stay_across_reopening(store: &mut Store) {
    let all = [push("/a"), to_queue("worker")];
    let first = store.sync(&all);
    store.reopen();
    let second = store.sync_at(&all, after(9));
    assert_eq!(first.topics, second.topics);
    assert_eq!(first.queues, second.queues);
    assert_eq!(first.subscriptions, second.subscriptions);
    store.append(&sample_event(1));
    assert_eq!(store.reader().queue_depth(first.queues[0].id, stamp(0)).unwrap().visible, 1);
    store.reopen();
    store.append(&sample_event(2));
    let depth = store.reader().queue_depth(first.queues[0].id, stamp(0)).unwrap();
    assert_eq!(depth.visible, 2, "what is subscribed is known from the start, before any sync");
}

fn identity_without_a_name_is_topic_protocol_and_endpoint(store: &mut Store) {
    let endpoint = "http://localhost/a";
    let four = [
        wanted(Protocol::Http, endpoint),
        wanted(Protocol::Https, endpoint),
        wanted(Protocol::Http, "http://localhost/b"),
        DesiredSubscription { topic: "other".into(), ..wanted(Protocol::Http, endpoint) },
    ];
    let first = store.sync(&four);
    let mut ids: Vec<SubscriptionId> = first.subscriptions.iter().map(|known| known.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let renamed = four.map(|wanted| DesiredSubscription {
        uuid: uuid::Uuid::nil(),
        confirm_with: Some("new".into()),
        ..wanted
    });
    assert_eq!(store.sync(&renamed).subscriptions, first.subscriptions, "neither uuid nor token is identity");
}

fn a_new_subscription_starts_at_the_head_of_the_log(store: &mut Store) {
    let missed = store.append(&sample_event(1));
    let subscription = store.push_subscription();
    assert_eq!(subscription.cursor, Cursor { dispatched_to: missed, done_to: missed });
    let owned = store.append(&sample_event(2));
    assert_eq!(store.reader().lag(subscription.id, 100).unwrap().unread, 1);
    let second = store.sync(&[push("/a"), push("/b")]).subscriptions[1].clone();
    assert_eq!(second.cursor.done_to, owned);
    assert_eq!(store.subscription(subscription.id).unwrap().cursor.done_to, missed);
}

fn what_is_gone_is_marked_once_and_unmarked_when_it_is_back(store: &mut Store) {
    let before = store.push_subscription();
    for secs in [5, 6] {
        let entities = store.sync_at(&[], after(secs));
        assert!(entities.subscriptions.is_empty());
        assert_eq!(entities.removed.len(), 1);
        assert_eq!(entities.removed[0].removed_at, Some(after(5)), "since the first time");
    }
    let position = store.append(&sample_event(1));
    store.reopen();
    let back = store.sync_at(&[push("/a")], after(7));
    assert_eq!(back.subscriptions, std::slice::from_ref(&before));
    assert!(back.removed.is_empty());
    let events = store.reader().events_after(before.topic, before.cursor.done_to, 9, usize::MAX).unwrap();
    assert_eq!(events[0].position, position, "it owns what came in between");
}

fn a_removed_queue_subscription_gets_no_messages(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let visible =
        |store: &Store, queue: QueueId| store.reader().queue_depth(queue, stamp(0)).unwrap().visible;
    store.append(&sample_event(1));
    store.sync_at(&[], after(1));
    store.append(&sample_event(2));
    assert_eq!(visible(store, queue), 1, "what it had stays, nothing is added");
    store.reopen();
    store.append(&sample_event(3));
    assert_eq!(visible(store, queue), 1);
    store.sync_at(&[to_queue("worker")], after(2));
    store.append(&sample_event(4));
    assert_eq!(visible(store, queue), 2);
}

/// The positions of all messages of a queue, in its order.
pub(super) fn queued(store: &mut Store, queue: QueueId) -> Vec<Position> {
    let received = store.write(|tx| tx.receive(queue, 100, Duration::ZERO, after(0)));
    received.iter().map(|message| message.event.position).collect()
}

fn a_queue_that_is_back_gets_what_it_missed_once(store: &mut Store) {
    let both = [to_queue("worker"), to_queue("other")];
    let entities = store.sync(&both);
    let queues: Vec<QueueId> = entities.queues.iter().map(|queue| queue.id).collect();
    let topic = entities.topics[0].id;
    let append = |store: &mut Store, n| store.append(&event_of(n, topic));
    let consumed = append(store, 1);
    let received = store.write(|tx| tx.receive(queues[0], 9, Duration::ZERO, after(0)));
    assert!(store.write(|tx| tx.delete_message(queues[0], received[0].handle)));
    let before = append(store, 2);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0, "nobody missed anything");
    store.sync(&both[1..]);
    let missed: Vec<Position> = (3..=5).map(|n| append(store, n)).collect();
    store.append(&event_of(6, TopicId(topic.0 + 1)));
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0, "it is not back yet");
    store.reopen();
    store.sync(&both);
    let since = append(store, 7);
    let (copied, committed) = store.write_and_tell(|tx| tx.copy_missed(2));
    assert_eq!((copied, committed.queues), (2, vec![queues[0]]));
    store.restart();
    assert_eq!([9, 9].map(|limit| store.write(|tx| tx.copy_missed(limit))), [1, 0]);
    assert_eq!(queued(store, queues[0]), [before, since, missed[0], missed[1], missed[2]]);
    let all = [consumed, before, missed[0], missed[1], missed[2], since];
    assert_eq!(queued(store, queues[1]), all);
    // Again, and nothing comes meanwhile.
    store.sync(&both[1..]);
    store.sync(&both);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0);
    // In the middle of copying it is removed once more.
    store.sync(&both[1..]);
    let more = [append(store, 8), append(store, 9)];
    store.sync(&both);
    assert_eq!(store.write(|tx| tx.copy_missed(1)), 1);
    store.sync(&both[1..]);
    store.sync(&both);
    assert_eq!([9, 9].map(|limit| store.write(|tx| tx.copy_missed(limit))), [1, 0]);
    assert_eq!(queued(store, queues[0])[5..], more);
    assert_eq!(store.reader().check(true).unwrap(), [""; 0]);
}

fn what_a_queue_misses_is_kept_until_it_is_back_or_its_grace_is_over(store: &mut Store) {
    let limits = Retention {
        history: Duration::from_secs(10),
        removed_grace: Duration::from_secs(1_000),
        ..Retention::default()
    };
    let wanted = [to_queue("worker")];
    let queue = store.sync(&wanted).queues[0].id;
    let topic = store.sync(&wanted).topics[0].id;
    store.sync_at(&[], after(50));
    let missed = store.append(&event_of(1, topic));
    store.housekeep(&limits, after(1_049));
    assert_eq!(store.positions(), [missed.0]);
    store.at(1_049).write(|tx| tx.make_room(&limits, after(1_049), 9));
    assert_eq!(store.positions(), [missed.0], "it is owed");
    store.sync(&wanted);
    store.housekeep(&limits, after(1_049));
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 1);
    assert_eq!(queued(store, queue), [missed]);
    let handle = store.write(|tx| tx.receive(queue, 1, Duration::ZERO, after(0))).remove(0).handle;
    store.write(|tx| tx.delete_message(queue, handle));
    store.sync_at(&[], after(2_000));
    let too_late = store.append(&event_of(2, topic));
    store.housekeep(&limits, after(2_999));
    assert_eq!(store.positions(), [too_late.0], "the first was sent and taken");
    store.housekeep(&limits, after(3_000));
    assert_eq!(store.positions(), [0; 0]);
    store.append(&event_of(3, topic));
    store.sync(&wanted);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0, "it begins as a new one");
}

fn a_disabled_queue_subscription_misses_nothing(store: &mut Store) {
    let wanted = [to_queue("worker")];
    let entities = store.sync(&wanted);
    let (id, topic) = (entities.subscriptions[0].id, entities.topics[0].id);
    store.write(|tx| tx.disable_subscription(id, None));
    store.sync(&[]);
    store.append(&event_of(1, topic));
    store.sync(&wanted);
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0);
    store.sync(&[]);
    store.append(&event_of(2, topic));
    store.sync(&wanted);
    store.write(|tx| tx.disable_subscription(id, None));
    store.write(|tx| tx.enable_subscription(id));
    assert_eq!(store.write(|tx| tx.copy_missed(9)), 0, "it was unsubscribed meanwhile");
}

fn a_disabled_queue_subscription_gets_no_messages(store: &mut Store) {
    let entities = store.sync(&[to_queue("worker")]);
    store.write(|tx| tx.disable_subscription(entities.subscriptions[0].id, None));
    store.append(&event_of(1, entities.topics[0].id));
    assert_eq!(store.reader().queue_depth(entities.queues[0].id, stamp(0)).unwrap().visible, 0);
}

fn a_token_confirms(store: &mut Store) {
    let subscription = store.sync(&[pending("/a", "t1"), pending("/b", "t2")]).subscriptions.remove(0);
    assert_eq!(subscription.state, SubscriptionState::Pending { token: "t1".into() });
    assert_eq!(store.write(|tx| tx.confirm_subscription("t3")), None);
    for _ in 0..2 {
        let confirmed = store.write(|tx| tx.confirm_subscription("t1")).unwrap();
        assert_eq!((confirmed.id, confirmed.state), (subscription.id, SubscriptionState::Confirmed));
        store.reopen();
    }
    let states: Vec<_> =
        store.reader().subscriptions().unwrap().into_iter().map(|known| known.state).collect();
    assert_eq!(states, [SubscriptionState::Confirmed, SubscriptionState::Pending { token: "t2".into() }]);
}

fn a_pending_subscription_stays_pending_across_syncs(store: &mut Store) {
    let first = store.sync(&[pending("/a", "t1")]).subscriptions;
    let again = store.sync_at(&[pending("/a", "t2")], after(9)).subscriptions;
    assert_eq!(again, first, "a restart does not change what the endpoint must present");
    store.write(|tx| tx.confirm_subscription("t1"));
    let confirmed = store.sync_at(&[pending("/a", "t3")], after(9)).subscriptions;
    assert_eq!(confirmed[0].state, SubscriptionState::Confirmed, "nor does it ask again");
}

fn a_disabled_subscription_stays_disabled(store: &mut Store) {
    let subscription = store.sync(&[pending("/a", "t1")]).subscriptions.remove(0);
    store.write(|tx| tx.confirm_subscription("t1"));
    let disabled = store.write(|tx| tx.disable_subscription(subscription.id, Some("back"))).unwrap();
    assert_eq!(disabled.state, SubscriptionState::Disabled { token: Some("back".into()) });
    assert_eq!(store.write(|tx| tx.confirm_subscription("t1")), None, "the old token confirms nothing");
    let again = store.write(|tx| tx.disable_subscription(subscription.id, Some("other")));
    assert_eq!(again, Some(disabled.clone()), "once more changes nothing");
    store.reopen();
    assert_eq!(store.sync(&[push("/a")]).subscriptions, [disabled]);
    assert_eq!(store.write(|tx| tx.disable_subscription(SubscriptionId(999), None)), None);
}

fn the_token_of_a_disabled_subscription_brings_it_back(store: &mut Store) {
    let entities = store.sync(&[push("/a"), to_queue("worker")]);
    let queue = entities.queues[0].id;
    for (known, token) in entities.subscriptions.iter().zip(["back", "queue-back"]) {
        store.write(|tx| tx.disable_subscription(known.id, Some(token)));
        for _ in 0..2 {
            let confirmed = store.write(|tx| tx.confirm_subscription(token));
            assert_eq!(confirmed.as_ref(), Some(known));
            store.reopen();
        }
    }
    store.append(&sample_event(1));
    assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap().visible, 1);
}

fn a_disabled_subscription_is_enabled_where_it_was(store: &mut Store) {
    let subscription = store.push_subscription();
    let positions: Vec<Position> = (1..=2).map(|n| store.append(&sample_event(n))).collect();
    let waiting = row(&subscription, positions[0], retry(5));
    store.write(|tx| tx.put_delivery(&waiting));
    let cursor = Cursor { dispatched_to: positions[1], done_to: positions[0] };
    store.write(|tx| tx.advance_cursor(subscription.id, cursor));
    store.write(|tx| tx.disable_subscription(subscription.id, None));
    store.reopen();
    let enabled = store.write(|tx| tx.enable_subscription(subscription.id)).unwrap();
    assert_eq!((enabled.state.clone(), enabled.cursor), (SubscriptionState::Confirmed, cursor));
    store.reopen();
    assert_eq!(store.subscription(subscription.id), Some(enabled.clone()));
    assert_eq!(store.reader().delivery(waiting.id).unwrap(), Some(waiting));
    assert_eq!(store.sync(&[push("/a")]).subscriptions, [enabled], "a restart leaves it enabled");
}

fn a_queue_gets_messages_again_when_its_subscription_is_enabled(store: &mut Store) {
    let entities = store.sync(&[to_queue("worker")]);
    let (id, topic) = (entities.subscriptions[0].id, entities.topics[0].id);
    store.write(|tx| tx.disable_subscription(id, None));
    store.append(&event_of(1, topic));
    store.write(|tx| tx.enable_subscription(id));
    store.append(&event_of(2, topic));
    assert_eq!(store.reader().queue_depth(entities.queues[0].id, stamp(0)).unwrap().visible, 1);
}

fn a_pending_subscription_is_enabled_where_it_was(store: &mut Store) {
    let before = store.sync(&[pending("/a", "t1")]).subscriptions.remove(0);
    let owed = store.append(&event_of(1, before.topic));
    let enabled = store.write(|tx| tx.enable_subscription(before.id)).unwrap();
    assert_eq!((enabled.state.clone(), enabled.cursor), (SubscriptionState::Confirmed, before.cursor));
    store.reopen();
    assert_eq!(store.subscription(before.id), Some(enabled.clone()));
    let events = store.reader().events_after(before.topic, enabled.cursor.done_to, 9, usize::MAX).unwrap();
    assert_eq!(events[0].position, owed, "it owns what came while it was pending");
    assert_eq!(store.sync(&[pending("/a", "t2")]).subscriptions, std::slice::from_ref(&enabled));
    assert_eq!(store.write(|tx| tx.confirm_subscription("t1")), Some(enabled), "a late visit is no error");
}

fn what_is_confirmed_or_unknown_is_not_enabled(store: &mut Store) {
    let known = store.push_subscription();
    assert_eq!(store.write(|tx| tx.enable_subscription(known.id)), Some(known), "it stays as it is");
    assert_eq!(store.write(|tx| tx.enable_subscription(SubscriptionId(999))), None);
}

fn the_configuration_confirms_what_is_pending(store: &mut Store) {
    let both = store.sync(&[pending("/a", "t1"), pending("/b", "t2")]).subscriptions;
    store.append(&event_of(1, both[0].topic));
    let synced = store.sync_at(&[push("/a"), pending("/b", "t3")], after(9)).subscriptions;
    let confirmed = Subscription { state: SubscriptionState::Confirmed, ..both[0].clone() };
    assert_eq!(synced, [confirmed.clone(), both[1].clone()], "its cursor and number stay");
    store.reopen();
    assert_eq!(store.subscription(confirmed.id), Some(confirmed.clone()));
    assert_eq!(store.write(|tx| tx.confirm_subscription("t1")), Some(confirmed), "a late visit is no error");
    store.sync_at(&[push("/a")], after(10));
    let back = store.sync_at(&[push("/a"), push("/b")], after(11)).subscriptions;
    assert_eq!(back[1].state, SubscriptionState::Confirmed, "also one that was gone meanwhile");
    assert_eq!(back[1].cursor, both[1].cursor);
}

fn the_configuration_does_not_bring_back_who_unsubscribed(store: &mut Store) {
    let known = store.sync(&[pending("/a", "t1")]).subscriptions.remove(0);
    let disabled = store.write(|tx| tx.disable_subscription(known.id, Some("back"))).unwrap();
    assert_eq!(store.sync(&[push("/a")]).subscriptions, [disabled]);
}

fn a_disabled_subscription_that_was_gone_is_declared_anew(store: &mut Store) {
    let first = store.sync(&[pending("/a", "t1"), push("/b"), push("/c")]).subscriptions;
    store.write(|tx| tx.confirm_subscription("t1"));
    for known in &first {
        store.write(|tx| tx.disable_subscription(known.id, None));
    }
    store.append(&sample_event(1));
    let kept = DesiredSubscription { uuid: uuid::Uuid::from_u128(3), ..push("/c") };
    store.sync_at(std::slice::from_ref(&kept), after(5));
    store.reopen();
    let again = |path, token: Option<&str>, uuid| DesiredSubscription {
        confirm_with: token.map(Into::into),
        uuid: uuid::Uuid::from_u128(uuid),
        ..push(path)
    };
    let second = store.sync_at(&[again("/a", Some("t2"), 1), again("/b", None, 2), kept], after(9));
    let [a, b, c] = &second.subscriptions[..] else { panic!("{second:?}") };
    assert_eq!(a.state, SubscriptionState::Pending { token: "t2".into() });
    assert_eq!(b.state, SubscriptionState::Confirmed);
    assert!(c.state.is_disabled(), "one that stayed in the file stays disabled");
    assert_eq!((c.id, c.uuid), (first[2].id, first[2].uuid));
    for (known, before, uuid) in [(a, &first[0], 1), (b, &first[1], 2)] {
        assert_eq!((known.id, known.cursor, known.removed_at), (before.id, before.cursor, None));
        assert_eq!((known.created_at, known.uuid), (before.created_at, uuid::Uuid::from_u128(uuid)));
    }
    assert_eq!(store.write(|tx| tx.confirm_subscription("t1")), None, "the old token is gone");
    let confirmed = store.write(|tx| tx.confirm_subscription("t2")).unwrap();
    assert_eq!((confirmed.id, confirmed.state), (a.id, SubscriptionState::Confirmed));
}

fn cursors_never_move_back(store: &mut Store) {
    for n in 1..=9 {
        store.append(&sample_event(n));
    }
    let other = store.sync(&[push("/a"), push("/b")]).subscriptions.remove(1);
    let subscription = store.sync(&[push("/a"), push("/b")]).subscriptions.remove(0);
    for n in 10..=19 {
        store.append(&sample_event(n));
    }
    let cursor = |dispatched_to, done_to| Cursor {
        dispatched_to: Position(dispatched_to),
        done_to: Position(done_to),
    };
    let mut advance = |to: Cursor| {
        store.write(|tx| tx.advance_cursor(subscription.id, to));
        store.subscription(subscription.id).unwrap().cursor
    };
    assert_eq!(advance(cursor(15, 12)), cursor(15, 12));
    assert_eq!(advance(cursor(11, 14)), cursor(15, 14), "each part for itself");
    assert_eq!(advance(cursor(16, 1)), cursor(16, 14));
    store.reopen();
    assert_eq!(store.subscription(subscription.id).unwrap().cursor, cursor(16, 14));
    assert_eq!(store.subscription(other.id), Some(other));
}
