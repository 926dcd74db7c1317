//! Who gets a turn, and who waits.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn turns(max: usize, max_per_endpoint: usize) -> Turns {
    Turns::new(Connections { max, max_per_endpoint })
}

fn endpoint(name: &str) -> Arc<Endpoint> {
    Arc::new(format!("http://{name}.example.com/").parse().unwrap())
}

/// As many as an endpoint gets without waiting.
fn take_all(turns: &Turns, endpoint: &Arc<Endpoint>) -> Vec<Turn> {
    std::iter::from_fn(|| now(pin!(turns.take(endpoint)))).collect()
}

fn now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn endpoints_that_keep_their_turns_leave_some_for_others() {
    let turns = turns(256, 256);
    let mut kept = Vec::new();
    for hung in 0..5 {
        kept.push(take_all(&turns, &endpoint(&format!("hung-{hung}"))));
    }
    let shares: Vec<usize> = kept.iter().map(Vec::len).collect();
    assert_eq!(shares[0], 128, "one alone has half: {shares:?}");
    assert_eq!(take_all(&turns, &endpoint("good")).len(), 4, "{shares:?}");
    for more in 0..300 {
        kept.push(take_all(&turns, &endpoint(&format!("more-{more}"))));
    }
    assert_eq!(turns.state().taken, 256, "all can be used");
}

#[test]
fn no_endpoint_has_more_than_its_limit() {
    let turns = turns(256, 10);
    let kept = take_all(&turns, &endpoint("one"));
    assert_eq!(kept.len(), 10);
    assert_eq!(take_all(&turns, &endpoint("one")).len(), 0, "another value of the same endpoint");
    assert!(turns.try_take(&endpoint("one")).is_none());
    assert_eq!(take_all(&turns, &endpoint("other")).len(), 10);
}

#[test]
fn a_turn_that_is_given_back_goes_to_whom_has_the_fewest_and_then_to_the_first() {
    let turns = turns(4, 4);
    let (busy, idle) = (endpoint("busy"), endpoint("idle"));
    let mut kept = take_all(&turns, &busy);
    kept.extend(take_all(&turns, &endpoint("third")));
    kept.extend(take_all(&turns, &endpoint("fourth")));
    assert_eq!(turns.state().taken, 4);
    let mut waits = [&busy, &busy, &idle, &idle].map(|endpoint| Box::pin(turns.take(endpoint)));
    assert!(waits.iter_mut().all(|wait| now(wait.as_mut()).is_none()));
    kept.pop();
    let got: Vec<bool> = waits
        .iter_mut()
        .map(|wait| match now(wait.as_mut()) {
            Some(turn) => {
                kept.push(turn);
                true
            }
            None => false,
        })
        .collect();
    assert_eq!(got, [false, false, true, false]);
}

#[test]
fn who_gave_up_waiting_is_passed_over() {
    let turns = turns(1, 1);
    let (one, other) = (endpoint("one"), endpoint("other"));
    let mut kept = take_all(&turns, &one);
    let mut given_up: Vec<_> = (0..10_000).map(|_| Box::pin(turns.take(&one))).collect();
    assert!(given_up.iter_mut().all(|wait| now(wait.as_mut()).is_none()));
    let mut waits = Box::pin(turns.take(&other));
    assert!(now(waits.as_mut()).is_none());
    given_up.clear();
    kept.clear();
    assert!(now(waits.as_mut()).is_some());
    let state = turns.state();
    assert_eq!((state.taken, state.waiting, state.endpoints.len()), (0, 0, 0));
}

#[test]
fn the_limits_come_from_the_descriptors() {
    let of = Connections::within;
    assert_eq!(of(256), Connections { max: 256, max_per_endpoint: 128 });
    assert_eq!(of(usize::MAX), Connections { max: 4_096, max_per_endpoint: 256 });
    assert_eq!(of(0), Connections { max: 1, max_per_endpoint: 1 });
}
