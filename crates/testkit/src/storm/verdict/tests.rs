//! A comparison that finds nothing proves nothing: what it must find, and what it must let pass.

use super::*;

const OK: Seen = Seen::Whole(200);

fn told(event: &str, outcome: Outcome, reason: Option<&str>) -> (u64, Told) {
    (7, Told { event: event.into(), outcome, reason: reason.map(str::to_owned) })
}

fn succeeded() -> (u64, Told) {
    told("a", Outcome::Succeeded, None)
}

fn unknown() -> (u64, Told) {
    told("a", Outcome::Unknown, Some(RESTARTED))
}

/// The first words of what is found about request 7.
fn found(
    rule: Rule,
    wish: Wish,
    seen: Seen,
    sealed: bool,
    executed: u32,
    heard: &[(u64, Told)],
) -> Vec<String> {
    let sent = vec![Sent { id: 7, rule, wish, seen, sealed }];
    let targets = (0..executed).map(|_| "/profiles/7?status=200");
    let found = judge(&Records::new(sent, targets, vec![("hook", heard.to_vec())]));
    found.iter().map(|text| text.split(": ").nth(1).unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn well(found: Vec<String>) {
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_was_executed_must_be_told() {
    assert_eq!(found(Rule::Intent, Wish::Success, Seen::Nothing, false, 1, &[]), ["an event is missing"]);
    assert_eq!(found(Rule::Intent, Wish::Reset, Seen::Nothing, false, 1, &[]), ["an event is missing"]);
    well(found(Rule::Intent, Wish::Success, Seen::Nothing, false, 1, &[unknown()]));
    well(found(Rule::Intent, Wish::Success, Seen::Nothing, false, 1, &[succeeded(), succeeded()]));
}

#[test]
fn a_committed_outcome_stays_what_it_is() {
    let committed = ["its outcome was committed"];
    assert_eq!(found(Rule::Strict, Wish::Success, OK, false, 1, &[unknown()]), committed);
    assert_eq!(found(Rule::Intent, Wish::Large, OK, true, 1, &[unknown()]), committed);
    well(found(Rule::Intent, Wish::Success, OK, false, 1, &[unknown()]));
    well(found(Rule::Strict, Wish::Success, Seen::Nothing, false, 1, &[unknown()]));
}

#[test]
fn nothing_is_told_of_what_did_not_succeed() {
    let without = ["succeeded without a success"];
    assert_eq!(found(Rule::Intent, Wish::Failure, Seen::Nothing, false, 1, &[succeeded()]), without);
    assert_eq!(found(Rule::Intent, Wish::Success, Seen::Nothing, false, 0, &[succeeded()]), without);
    let nothing = ["an event of nothing"];
    assert_eq!(found(Rule::Intent, Wish::HalfBody, Seen::Nothing, false, 0, &[unknown()]), nothing);
    assert_eq!(found(Rule::Intent, Wish::Read, OK, false, 1, &[succeeded()]), nothing);
    assert_eq!(found(Rule::Intent, Wish::Failure, Seen::Whole(500), true, 1, &[unknown()]), nothing);
    well(found(Rule::Intent, Wish::Failure, Seen::Whole(500), false, 1, &[unknown()]));
    well(found(Rule::Intent, Wish::Success, Seen::Nothing, false, 0, &[unknown()]));
}

#[test]
fn one_request_is_one_event_and_one_execution() {
    let twice = [succeeded(), told("b", Outcome::Succeeded, None)];
    assert_eq!(found(Rule::Intent, Wish::Success, OK, false, 1, &twice), ["two events of one request"]);
    assert_eq!(
        found(Rule::Intent, Wish::Success, OK, false, 2, &[succeeded()]),
        ["the gateway sent it again"]
    );
    let strange = found(Rule::Intent, Wish::Success, OK, false, 1, &[succeeded(), (8, unknown().1)]);
    assert!(strange[0].contains("never sent"), "{strange:?}");
    let reset = told("a", Outcome::Unknown, Some("upstream_reset"));
    let reason = ["unknown for a reason that did not happen"];
    assert_eq!(found(Rule::Intent, Wish::Success, OK, false, 1, &[reset]), reason);
}

#[test]
fn subscribers_must_agree() {
    let sent = vec![Sent { id: 7, rule: Rule::Intent, wish: Wish::Success, seen: OK, sealed: false }];
    let subscribers = vec![("hook", vec![succeeded()]), ("queue", vec![unknown()])];
    let found = judge(&Records::new(sent, ["/profiles/7"].into_iter(), subscribers));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("do not agree"), "{found:?}");
}

#[test]
fn the_order_within_a_key_is_that_of_the_log() {
    let order = |keys: &[(&str, i64)]| -> Vec<(String, i64)> {
        keys.iter().map(|(key, position)| ((*key).to_owned(), *position)).collect()
    };
    well(disorder(&order(&[("a", 1), ("b", 7), ("a", 3), ("b", 9), ("a", 8)])));
    assert_eq!(disorder(&order(&[("a", 1), ("b", 7), ("a", 3), ("a", 2)])).len(), 1);
}
