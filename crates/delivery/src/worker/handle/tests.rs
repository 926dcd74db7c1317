//! Tests of what a handle says: results, counts and states.

use std::time::Duration;

use super::*;
use crate::sink::Verdict;

fn report(status: Option<u16>, failure: Option<Failure>) -> AttemptReport {
    let failed = AttemptReport::failed(Failure::Broken, "x", Duration::ZERO);
    let verdict = match status {
        Some(200..=299) => Verdict::Delivered,
        _ => failed.verdict,
    };
    AttemptReport { verdict, status, failure, ..failed }
}

#[test]
fn every_attempt_is_counted_once_under_its_result() {
    let taken = AttemptReport { verdict: Verdict::Delivered, ..report(None, None) };
    let table = [
        (taken, "success"),
        (report(Some(100), None), "1xx"),
        (report(Some(199), None), "1xx"),
        (report(Some(200), None), "success"),
        (report(Some(299), Some(Failure::Broken)), "success"),
        (report(Some(300), None), "3xx"),
        (report(Some(399), None), "3xx"),
        (report(Some(400), None), "4xx"),
        (report(Some(499), None), "4xx"),
        (report(Some(500), None), "5xx"),
        (report(Some(599), None), "5xx"),
        (report(Some(99), None), "5xx"),
        (report(None, None), "broken"),
        (report(None, Some(Failure::Blocked)), "blocked"),
        (report(None, Some(Failure::Dns)), "dns"),
        (report(None, Some(Failure::Connect)), "connect"),
        (report(None, Some(Failure::Tls)), "tls"),
        (report(None, Some(Failure::Timeout)), "timeout"),
        (report(None, Some(Failure::Broken)), "broken"),
        (report(None, Some(Failure::Internal)), "internal"),
    ];
    for (report, label) in table {
        let (handle, shared, _commands) = Handle::new(SubscriptionId(7));
        shared.count_attempt(&report);
        let counts = handle.counts();
        for result in AttemptResult::ALL {
            let expected = u64::from(result.as_str() == label);
            assert_eq!(counts.of(result), expected, "{report:?} under {result}");
        }
        assert_eq!(counts.attempts.iter().sum::<u64>(), 1);
    }
}

#[test]
fn counts_say_each_thing_by_itself() {
    let (handle, shared, _commands) = Handle::new(SubscriptionId(7));
    assert_eq!((handle.subscription(), handle.counts()), (SubscriptionId(7), Counts::default()));
    shared.count_delivered();
    shared.count_dead();
    shared.count_dead();
    (0..3).for_each(|_| shared.count_set_aside());
    (0..4).for_each(|_| shared.restarting("x".into()));
    let Counts { delivered, dead, set_aside, restarts, .. } = handle.counts();
    assert_eq!((delivered, dead, set_aside, restarts), (1, 2, 3, 4));
}

#[test]
fn states_have_names_and_two_are_final() {
    let failed = WorkerState::Failed("x".into());
    let all = [
        (WorkerState::Starting, "starting"),
        (WorkerState::Pending, "pending"),
        (WorkerState::WaitingForKey, "waiting_for_key"),
        (WorkerState::Running, "running"),
        (WorkerState::WaitingForStore, "waiting_for_store"),
        (WorkerState::Restarting, "restarting"),
        (WorkerState::Disabled, "disabled"),
        (WorkerState::Drained, "drained"),
        (failed.clone(), "failed"),
    ];
    for (state, name) in all {
        assert_eq!(state.as_str(), name);
        assert_eq!(state.is_final(), ["drained", "failed"].contains(&name), "{name}");
    }
    let (handle, shared, _commands) = Handle::new(SubscriptionId(7));
    assert_eq!((handle.state(), handle.trouble()), (WorkerState::Starting, None));
    shared.waits_for_store("full".into());
    assert_eq!((handle.state(), handle.trouble().as_deref()), (WorkerState::WaitingForStore, Some("full")));
    shared.set_state(WorkerState::Pending);
    assert_eq!(handle.trouble(), None);
    shared.waits_for_store("full".into());
    assert_eq!(
        (handle.state(), handle.trouble().is_some()),
        (WorkerState::Pending, true),
        "it is still pending"
    );
    shared.set_state(failed);
    assert_eq!(handle.trouble().as_deref(), Some("x"));
}
