//! Events: appended once, read after a position.

use event::attributes::AttributeValue;
use event::message::Details;
use event::{Event, NewEvent, Outcome, Position, TopicId, UnknownReason};

use super::{
    Case, Store, after, cases, dead, event_of, push, recorded_at, retry, row, secs_of, stamp, to_queue,
};
use crate::delivery::{DeliveryState, RowState};
use crate::memory::{sample_event, sample_exchange, sample_id, sample_message};
use crate::ports::{EventHead, Happened, LookBack};
use crate::retention::Retention;

pub(super) const CASES: &[Case] = cases![
    an_event_is_appended_as_it_was_given,
    an_event_of_a_known_id_is_not_appended_again,
    positions_grow_by_commit_and_not_by_id,
    the_next_of_a_topic_is_found_without_its_event,
    positions_are_never_used_twice,
    events_are_read_by_topic_within_limits,
    the_first_event_since_a_time_is_found,
    events_are_read_newest_first,
    a_look_back_sees_heads_newest_first,
    a_look_back_over_a_topic_passes_others_by,
    a_look_back_over_rows_sees_events_that_have_one_in_that_state,
    a_look_back_stops_after_its_rows_and_goes_on,
];

fn the_first_event_since_a_time_is_found(store: &mut Store) {
    assert_eq!(store.reader().first_since(stamp(0)).unwrap(), None);
    let recorded = [3, 3, 5, 8, 8, 8, 9];
    let positions: Vec<Position> =
        (1..).zip(recorded).map(|(n, secs)| store.append(&recorded_at(n, secs))).collect();
    for secs in 0..12 {
        let expected = recorded.iter().position(|at| *at >= secs).map(|index| positions[index]);
        assert_eq!(store.reader().first_since(stamp(secs)).unwrap(), expected, "{secs} s");
    }
    // Positions have gaps.
    let retention = Retention { history: std::time::Duration::from_secs(2), ..Retention::default() };
    store.housekeep(&retention, after(10));
    assert_eq!(store.reader().first_since(stamp(0)).unwrap(), Some(positions[6]));
    assert_eq!(store.reader().first_since(stamp(9)).unwrap(), Some(positions[6]));
    assert_eq!(store.reader().first_since(stamp(10)).unwrap(), None);
}

fn an_event_is_appended_as_it_was_given(store: &mut Store) {
    let mut bodies: Vec<NewEvent> = UnknownReason::ALL
        .into_iter()
        .zip(1..)
        .map(|(reason, n)| sample_exchange(n, |exchange| exchange.outcome = Outcome::Unknown(reason)))
        .collect();
    let odd = sample_exchange(100, |exchange| (exchange.overlapped, exchange.answer) = (true, None));
    bodies.push(NewEvent { key: "ä'\"\0".into(), ..odd });
    let details = Details {
        subject: Some("ä".into()),
        attributes: [("n".to_owned(), AttributeValue::number(7))].into(),
        ..Details::default()
    };
    bodies.push(sample_message(101, "no JSON: \0ä", &Details::default()));
    bodies.push(sample_message(102, "", &details));
    for body in bodies {
        let position = store.append(&body);
        let expected = Some(Event { position, stamp: stamp(secs_of(body.recorded_at)), body: body.clone() });
        assert_eq!(store.reader().event(body.id).unwrap(), expected);
        assert_eq!(store.reader().event_at(position).unwrap(), expected);
        let id = expected.map(|event| event.body.id);
        assert_eq!(store.reader().id_at(position).unwrap(), id);
        assert_eq!(store.reader().head().unwrap(), position);
    }
    assert_eq!(store.reader().event(sample_id(200)).unwrap(), None);
    assert_eq!(store.reader().event_at(Position(10_000)).unwrap(), None);
    assert_eq!(store.reader().id_at(Position(10_000)).unwrap(), None);
}

fn an_event_of_a_known_id_is_not_appended_again(store: &mut Store) {
    let queue = store.sync(&[to_queue("worker")]).queues[0].id;
    let first = store.append(&sample_event(1));
    let again = store.write(|tx| {
        let again = tx.append(&sample_event(1))?;
        assert_eq!(tx.append(&sample_event(1))?, again);
        Ok(again)
    });
    assert_eq!(again, first);
    assert_eq!(store.positions().len(), 1);
    assert_eq!(store.reader().queue_depth(queue, stamp(0)).unwrap().visible, 1, "and sent to no queue again");
}

fn positions_grow_by_commit_and_not_by_id(store: &mut Store) {
    let positions: Vec<Position> = [9, 3, 5].map(|n| store.append(&sample_event(n))).into();
    assert!(positions.is_sorted());
    let read = store.reader().events_after(TopicId(1), Position(0), 9, usize::MAX).unwrap();
    let ids: Vec<_> = read.iter().map(|event| event.body.id).collect();
    assert_eq!(ids, [9, 3, 5].map(sample_id));
}

fn the_next_of_a_topic_is_found_without_its_event(store: &mut Store) {
    let next =
        |store: &Store, topic, after| store.reader().next_position(TopicId(topic), Position(after)).unwrap();
    assert_eq!(next(store, 1, 0), None);
    let of = |topic, n| NewEvent { topic: TopicId(topic), ..sample_event(n) };
    let positions = [of(1, 1), of(2, 2), of(1, 3)].map(|event| store.append(&event));
    assert_eq!(next(store, 1, 0), Some(positions[0]));
    assert_eq!(next(store, 1, positions[0].0), Some(positions[2]));
    assert_eq!(next(store, 1, positions[0].0 - 1), Some(positions[0]));
    assert_eq!(next(store, 1, positions[2].0), None);
    assert_eq!(next(store, 2, 0), Some(positions[1]));
}

fn positions_are_never_used_twice(store: &mut Store) {
    let mut last = store.append(&sample_event(1));
    for n in 2..5 {
        store.housekeep(&Retention::default(), after(1_000_000));
        assert_eq!(store.positions(), [0; 0], "everything is deleted");
        assert_eq!(store.reader().head().unwrap(), last, "the head stays where it was");
        store.reopen();
        assert_eq!(store.reader().head().unwrap(), last);
        let next = store.append(&sample_event(n));
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

fn events_are_read_by_topic_within_limits(store: &mut Store) {
    let positions: Vec<Position> =
        (1..=6).map(|n| store.append(&event_of(n, TopicId(1 + i64::from(n % 2))))).collect();
    let odd = |after: Position, limit, bytes| {
        let events = store.reader().events_after(TopicId(2), after, limit, bytes).unwrap();
        events.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    let of_odd = [positions[0], positions[2], positions[4]];
    assert_eq!(odd(Position(0), 9, usize::MAX), of_odd);
    assert_eq!(odd(positions[0], 9, usize::MAX), of_odd[1..]);
    assert_eq!(odd(Position(0), 2, usize::MAX), of_odd[..2]);
    assert_eq!(odd(Position(0), 9, 1), of_odd[..1], "at least one, however large");
    assert_eq!(odd(Position(0), 0, usize::MAX), []);
    assert_eq!(odd(positions[5], 9, usize::MAX), []);
    let event = sample_event(1);
    let size = event.bytes();
    assert_eq!(odd(Position(0), 9, 2 * size + 1), of_odd[..2]);
}

fn events_are_read_newest_first(store: &mut Store) {
    let positions: Vec<Position> = (1..=4).map(|n| store.append(&sample_event(n))).collect();
    let page = |before, limit, max_bytes| {
        let page = store.reader().events_before(before, limit, max_bytes).unwrap();
        (page.events.iter().map(|event| event.position).collect::<Vec<_>>(), page.next, page.is_cut)
    };
    let newest_first: Vec<Position> = positions.iter().rev().copied().collect();
    let from = |first: usize, last: usize| newest_first[first..=last].to_vec();
    let none = usize::MAX;
    assert_eq!(page(None, 2, none), (from(0, 1), Some(positions[2]), false));
    assert_eq!(page(Some(positions[2]), 9, none), (from(2, 3), None, false));
    assert_eq!(page(Some(positions[2]), 2, none), (from(2, 3), None, false), "there is no more");
    assert_eq!(page(Some(positions[0]), 9, none), (vec![], None, false));
    let size = sample_event(1).bytes();
    assert_eq!(page(None, 9, 3 * size), (from(0, 2), Some(positions[1]), true));
    assert_eq!(page(None, 9, 3 * size - 1), (from(0, 1), Some(positions[2]), true));
    assert_eq!(page(None, 2, 2 * size), (from(0, 1), Some(positions[2]), false));
    assert_eq!(page(None, 9, 4 * size), (from(0, 3), None, false));
    assert_eq!(page(None, 9, 0), (from(0, 0), Some(positions[3]), true), "at least one, however large");
}

fn looked(store: &Store, over: LookBack) -> (Vec<Position>, Option<Position>) {
    let looked = store.reader().look_back(over).unwrap();
    (looked.heads.iter().map(|head| head.position).collect(), looked.next)
}

fn a_look_back_sees_heads_newest_first(store: &mut Store) {
    let unknown = |exchange: &mut event::Exchange| {
        exchange.outcome = Outcome::Unknown(UnknownReason::UpstreamTimeout);
    };
    let message = sample_message(3, "m", &Details::default());
    let bodies = [sample_event(1), sample_exchange(2, unknown), message];
    let positions: Vec<Position> = bodies.iter().map(|body| store.append(body)).collect();
    let expected =
        bodies.iter().zip(&positions).zip([Happened::Succeeded, Happened::Unknown, Happened::Published]);
    let mut expected: Vec<EventHead> = expected
        .map(|((body, position), what)| EventHead {
            position: *position,
            topic: body.topic,
            key: body.key.clone(),
            recorded_at: body.recorded_at,
            what,
        })
        .collect();
    expected.reverse();
    assert_eq!(store.reader().look_back(LookBack::over(9)).unwrap().heads, expected);
    let before = LookBack { before: Some(positions[2]), ..LookBack::over(9) };
    assert_eq!(looked(store, before), (vec![positions[1], positions[0]], None));
    let none = LookBack { before: Some(positions[0]), ..LookBack::over(9) };
    assert_eq!(looked(store, none), (vec![], None));
}

fn a_look_back_over_a_topic_passes_others_by(store: &mut Store) {
    let positions: Vec<Position> =
        (1..=6).map(|n| store.append(&event_of(n, TopicId(1 + i64::from(n % 2))))).collect();
    let over = LookBack { topic: Some(TopicId(2)), ..LookBack::over(2) };
    assert_eq!(looked(store, over), (vec![positions[4], positions[2]], Some(positions[2])));
    let over = LookBack { before: Some(positions[2]), ..over };
    assert_eq!(looked(store, over), (vec![positions[0]], None));
}

fn a_look_back_over_rows_sees_events_that_have_one_in_that_state(store: &mut Store) {
    let mut both = store.sync(&[push("/a"), push("/b")]).subscriptions;
    let (second, first) = (both.remove(1), both.remove(0));
    let positions: Vec<Position> =
        (1..=5).map(|n| store.append(&event_of(n, TopicId(1 + i64::from(n == 4))))).collect();
    for (subscription, n, state) in [
        (&first, 0, retry(5)),
        (&first, 1, DeliveryState::Behind),
        (&second, 1, dead(5)),
        (&second, 3, retry(5)),
    ] {
        store.write(|tx| tx.put_delivery(&row(subscription, positions[n], state.clone())));
    }
    let over = |row| LookBack { row: Some(row), ..LookBack::over(99) };
    assert_eq!(looked(store, over(RowState::Retry)), (vec![positions[3], positions[0]], None));
    assert_eq!(looked(store, over(RowState::Behind)), (vec![positions[1]], None));
    assert_eq!(looked(store, over(RowState::Dead)), (vec![positions[1]], None));
    let of_topic = LookBack { topic: Some(TopicId(1)), ..over(RowState::Retry) };
    assert_eq!(looked(store, of_topic), (vec![positions[0]], None));
    let before = LookBack { before: Some(positions[3]), ..over(RowState::Retry) };
    assert_eq!(looked(store, before), (vec![positions[0]], None));
}

fn a_look_back_stops_after_its_rows_and_goes_on(store: &mut Store) {
    let subscription = store.push_subscription();
    let positions: Vec<Position> = (1..=5).map(|n| store.append(&sample_event(n))).collect();
    for position in &positions {
        let state = if *position == positions[0] { dead(5) } else { retry(5) };
        store.write(|tx| tx.put_delivery(&row(&subscription, *position, state)));
    }
    for row in [None, Some(RowState::Dead)] {
        let (mut found, mut before, mut looks) = (Vec::new(), None, 0);
        loop {
            let (some, next) = looked(store, LookBack { topic: None, row, before, rows: 1 });
            looks += 1;
            found.extend(some);
            match next {
                Some(_) => before = next,
                None => break,
            }
        }
        assert!(looks >= 5, "{looks}: one row at a time");
        let expected =
            if row.is_none() { positions.iter().rev().copied().collect() } else { vec![positions[0]] };
        assert_eq!(found, expected);
    }
}
