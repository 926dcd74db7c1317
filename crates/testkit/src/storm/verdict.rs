//! The promises, as a comparison of records. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The reason of an outcome that a restart found open.
pub const RESTARTED: &str = "gateway_restarted";

/// How a request was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The upstream answers 200.
    Success,
    /// As [`Wish::Success`], with a body that streams.
    Large,
    /// As [`Wish::Success`], after a while.
    Slow,
    /// The upstream answers 500.
    Failure,
    /// The upstream executes and resets.
    Reset,
    /// A GET: no rule matches.
    Read,
    /// The client breaks off within a small body.
    HalfBody,
    /// The client breaks off within a body that streams.
    HalfLarge,
}

impl Wish {
    /// What tells the upstream.
    pub fn query(self) -> &'static str {
        match self {
            Self::Failure => "?status=500",
            Self::Reset => "?script=reset",
            Self::Slow => "?script=slow",
            Self::Success | Self::Large | Self::Read | Self::HalfBody | Self::HalfLarge => "",
        }
    }
}

/// Whose rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `durability: intent`.
    Intent,
    /// `durability: strict`.
    Strict,
}

impl Rule {
    /// As in the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Strict => "strict",
        }
    }
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing, or not all of it.
    Nothing,
    /// The upstream's whole answer.
    Whole(u16),
    /// An answer of the gateway's own.
    OfGateway(u16),
}

/// The client's record of a request.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its id.
    pub id: u64,
    /// Whose rule matched, if any.
    pub rule: Rule,
    /// How it was to go.
    pub wish: Wish,
    /// What the client was told.
    pub seen: Seen,
    /// A later request of the same client was answered by the upstream in the same life of the gateway: so its intent was durable, and
    /// with it the outcome of this one, which stood before it in the queue.
    pub sealed: bool,
}

/// An event's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// `succeeded`.
    Succeeded,
    /// `unknown`.
    Unknown,
    /// Anything else: a violation by itself.
    Other,
}

impl Outcome {
    /// As it is written.
    pub fn of(text: &str) -> Self {
        match text {
            "succeeded" => Self::Succeeded,
            "unknown" => Self::Unknown,
            _ => Self::Other,
        }
    }
}

/// What a subscriber was told of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The event's id.
    pub event: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Why it is unknown, where the subscriber is told.
    pub reason: Option<String>,
}

/// All records.
pub struct Records {
    /// The clients'.
    pub sent: Vec<Sent>,
    /// The upstream's: how often it executed each request.
    pub executed: BTreeMap<u64, u32>,
    /// The subscribers', by name.
    pub subscribers: Vec<(&'static str, Vec<(u64, Told)>)>,
}

impl Records {
    /// From the upstream's targets.
    pub fn new<'t>(
        sent: Vec<Sent>,
        targets: impl Iterator<Item = &'t str>,
        subscribers: Vec<(&'static str, Vec<(u64, Told)>)>,
    ) -> Self {
        let mut executed = BTreeMap::new();
        for id in targets.filter_map(id_in) {
            *executed.entry(id).or_default() += 1;
        }
        Self { sent, executed, subscribers }
    }
}

/// The id in a request's target.
pub fn id_in(target: &str) -> Option<u64> {
    let (_, rest) = target.split_once("/profiles/")?;
    rest.split(['?', '/']).next()?.parse().ok()
}

/// All that must not be.
pub fn judge(records: &Records) -> Vec<String> {
    let mut found = Vec::new();
    for (id, times) in records.executed.iter().filter(|(_, times)| **times > 1) {
        found.push(format!("request {id} was executed {times} times: the gateway sent it again"));
    }
    for (name, heard) in &records.subscribers {
        let mut by_request: BTreeMap<u64, BTreeSet<&Told>> = BTreeMap::new();
        for (id, told) in heard {
            by_request.entry(*id).or_default().insert(told);
        }
        for sent in &records.sent {
            let executed = records.executed.contains_key(&sent.id);
            let told = by_request.remove(&sent.id).unwrap_or_default();
            if let Err(problem) = judge_one(sent, executed, &told) {
                found.push(format!("{name}: {problem}: {sent:?}, executed: {executed}, told: {told:?}"));
            }
        }
        for (id, told) in by_request {
            found.push(format!("{name}: request {id} was never sent, but told: {told:?}"));
        }
    }
    found.extend(disagreements(records));
    found.extend(refusals(records));
    found
}

/// The upstream is always there, and so is the route: what the gateway answers by itself is no answer to what an upstream would have answered.
fn refusals(records: &Records) -> impl Iterator<Item = String> {
    let is_served = |sent: &&Sent| !matches!(sent.wish, Wish::Reset | Wish::HalfBody | Wish::HalfLarge);
    let refused =
        records.sent.iter().filter(is_served).filter(|sent| matches!(sent.seen, Seen::OfGateway(_)));
    refused.map(|sent| format!("the gateway refused a request: {sent:?}"))
}

fn judge_one(sent: &Sent, executed: bool, told: &BTreeSet<&Told>) -> Result<(), &'static str> {
    let told = match told.iter().collect::<Vec<_>>().as_slice() {
        [] => None,
        [told] => Some(**told),
        _ => return Err("two events of one request"),
    };
    let outcome = told.map(|told| told.outcome);
    match expectation(sent, executed) {
        Expectation::Nothing if outcome.is_some() => Err("an event of nothing"),
        Expectation::Succeeded if outcome.is_none() => Err("an event is missing"),
        Expectation::Succeeded if outcome != Some(Outcome::Succeeded) => Err("its outcome was committed"),
        Expectation::Some if outcome.is_none() => Err("an event is missing"),
        Expectation::Unknown if outcome.is_none() => Err("an event is missing"),
        Expectation::Unknown | Expectation::UnknownOrNothing if outcome == Some(Outcome::Succeeded) => {
            Err("succeeded without a success")
        }
        _ if outcome == Some(Outcome::Other) => Err("an outcome that there is not"),
        _ => judge_reason(sent, executed, told),
    }
}

/// What succeeded, or failed, in the upstream's words can only be unknown because of a restart.
fn judge_reason(sent: &Sent, executed: bool, told: Option<&Told>) -> Result<(), &'static str> {
    let reason = told.and_then(|told| told.reason.as_deref());
    let answered = match sent.wish {
        Wish::Success | Wish::Slow | Wish::Failure => true,
        // The client may have left within it.
        Wish::Large => executed,
        Wish::Reset | Wish::Read | Wish::HalfBody | Wish::HalfLarge => false,
    };
    match reason {
        Some(reason) if answered && reason != RESTARTED => Err("unknown for a reason that did not happen"),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Expectation {
    Nothing,
    UnknownOrNothing,
    Unknown,
    /// Either outcome.
    Some,
    Succeeded,
}

fn expectation(sent: &Sent, executed: bool) -> Expectation {
    match (sent.wish, sent.seen) {
        (Wish::Read | Wish::HalfBody, _) => Expectation::Nothing,
        // An intent may have stood when the process died.
        _ if !executed => Expectation::UnknownOrNothing,
        (Wish::Reset, _) => Expectation::Unknown,
        (Wish::Failure, Seen::Whole(_)) if sent.sealed => Expectation::Nothing,
        (Wish::Failure | Wish::HalfLarge, _) => Expectation::UnknownOrNothing,
        (_, Seen::Whole(200..=299)) if sent.sealed || sent.rule == Rule::Strict => Expectation::Succeeded,
        (Wish::Success | Wish::Large | Wish::Slow, _) => Expectation::Some,
    }
}

/// All subscribers hear of the same events.
fn disagreements(records: &Records) -> Vec<String> {
    let mut found = Vec::new();
    for pair in records.subscribers.windows(2) {
        let [(first, left), (second, right)] = pair else { continue };
        let (left, right) = (facts(left), facts(right));
        let difference: Vec<_> = left.symmetric_difference(&right).collect();
        if !difference.is_empty() {
            found.push(format!("{first} and {second} do not agree: {difference:?}"));
        }
    }
    found
}

/// Events that came before an earlier one of their key: `order` has the key and the position of each event when it first came.
pub fn disorder(order: &[(String, i64)]) -> Vec<String> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut found = Vec::new();
    for (key, position) in order {
        let before = last.insert(key, *position).unwrap_or(i64::MIN);
        if before > *position {
            found.push(format!("of the key {key}, event {position} came behind event {before}"));
        }
    }
    found
}

fn facts(heard: &[(u64, Told)]) -> BTreeSet<(u64, &str, Outcome)> {
    heard.iter().map(|(id, told)| (*id, told.event.as_str(), told.outcome)).collect()
}

#[cfg(test)]
mod tests;
