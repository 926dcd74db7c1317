//! The ordered queue of the writer.

use std::sync::Arc;
use std::time::Duration;

use crate::writer::inbox::{Found, Inbox, Refused, Urgency, inbox};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(60);
const AWAITED: Urgency = Urgency { awaited: true, owed: false };
const UNAWAITED: Urgency = Urgency { awaited: false, owed: false };

fn taken(found: Found<u32>) -> Vec<u32> {
    match found {
        Found::Some(things) => things.into(),
        Found::Ended => panic!("there are senders"),
    }
}

#[test]
fn keeps_the_order_and_takes_no_more_than_asked() {
    let (outbox, inbox) = inbox(10);
    assert_eq!(taken(inbox.take(9, NOW, LONG)), [0; 0]);
    for n in 1..=5 {
        outbox.send(n, AWAITED).unwrap();
    }
    assert_eq!(taken(inbox.take(3, LONG, LONG)), [1, 2, 3]);
    assert_eq!(taken(inbox.take(3, LONG, LONG)), [4, 5], "what was left behind is not gathered");
}

#[test]
fn at_its_limit_it_takes_only_what_is_owed() {
    let (outbox, inbox) = inbox(2);
    outbox.send(1, AWAITED).unwrap();
    outbox.send(2, UNAWAITED).unwrap();
    assert_eq!(outbox.refuses(), Some(Refused::Full));
    assert_eq!(outbox.send(3, AWAITED), Err(Refused::Full));
    outbox.send(4, Urgency { owed: true, ..UNAWAITED }).unwrap();
    assert_eq!(taken(inbox.take(9, LONG, LONG)), [1, 2, 4]);
    assert_eq!(outbox.refuses(), None);
    outbox.send(5, AWAITED).unwrap();
    assert_eq!(outbox.refuses(), None, "one more is taken");
    outbox.send(6, AWAITED).unwrap();
    drop(inbox);
    assert_eq!(outbox.refuses(), Some(Refused::Closed), "however full it was");
    assert_eq!(outbox.send(7, AWAITED), Err(Refused::Closed));
}

#[test]
fn gathers_until_somebody_waits_or_enough_are_there() {
    for (last, urgency, most) in [(4, AWAITED, 9), (4, UNAWAITED, 4)] {
        let (outbox, inbox) = inbox(10);
        let reader = std::thread::spawn(move || taken(inbox.take(most, LONG, LONG)));
        outbox.send(1, UNAWAITED).unwrap();
        // Or the reader would find all of them there.
        while !Inbox::is_gathering(&outbox) {
            std::thread::yield_now();
        }
        for n in 2..last {
            outbox.send(n, UNAWAITED).unwrap();
        }
        outbox.send(last, urgency).unwrap();
        assert_eq!(reader.join().unwrap(), [1, 2, 3, 4]);
    }
    let (outbox, inbox) = inbox(10);
    outbox.send(1, UNAWAITED).unwrap();
    assert_eq!(taken(inbox.take(9, LONG, Duration::from_millis(1))), [1], "it does not wait for ever");
}

#[test]
fn enough_things_are_not_gathered_any_more() {
    let (outbox, inbox) = inbox(10);
    for n in 1..=4 {
        outbox.send(n, UNAWAITED).unwrap();
    }
    assert_eq!(taken(inbox.take(4, NOW, LONG)), [1, 2, 3, 4]);
}

#[test]
fn what_was_waited_for_and_taken_hurries_nothing_after_it() {
    let (outbox, inbox) = inbox(10);
    outbox.send(1, AWAITED).unwrap();
    assert_eq!(taken(inbox.take(9, NOW, LONG)), [1]);
    outbox.send(2, UNAWAITED).unwrap();
    let reader = std::thread::spawn(move || taken(inbox.take(9, LONG, LONG)));
    outbox.send(3, UNAWAITED).unwrap();
    outbox.send(4, AWAITED).unwrap();
    assert_eq!(reader.join().unwrap(), [2, 3, 4]);
}

#[test]
fn what_is_in_it_is_dropped_with_its_reader() {
    let (outbox, inbox) = inbox(10);
    let thing = Arc::new(());
    outbox.send(thing.clone(), AWAITED).unwrap();
    drop(inbox);
    assert_eq!(Arc::strong_count(&thing), 1);
}

#[test]
fn ends_with_its_last_sender_and_not_before_it_is_empty() {
    let (outbox, inbox) = inbox(10);
    let other = outbox.clone();
    outbox.send(1, UNAWAITED).unwrap();
    drop(outbox);
    let reader = std::thread::spawn(move || (inbox.take(9, LONG, LONG), inbox.take(9, LONG, LONG)));
    drop(other);
    assert_eq!(reader.join().unwrap(), (Found::Some([1].into()), Found::Ended));
}

#[test]
fn an_idle_reader_is_woken_by_anything() {
    let (outbox, inbox) = inbox(10);
    let reader = std::thread::spawn(move || taken(inbox.take(9, LONG, NOW)));
    outbox.send(1, UNAWAITED).unwrap();
    assert_eq!(reader.join().unwrap(), [1]);
}
