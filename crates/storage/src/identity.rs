//! Which stored subscription a wanted one is, and how its state changes.
//!
//! A *known* subscription is one that the store has; a *wanted* one is one that the configuration declares. These are the rules of
//! [`RegistryTx::sync_entities`](crate::ports::RegistryTx::sync_entities), as pure functions of both, so that every store decides in the same way.
//! A store applies the result in one transaction.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use entities::subscription::spelling;
use event::TopicId;
use url::Url;

use crate::entities::{
    DesiredSubscription, Protocol, Subscription, SubscriptionId, SubscriptionState, Topic,
};

/// A wanted subscription, with the number of its topic.
pub type Wanted<'w> = (TopicId, &'w DesiredSubscription);

/// The wanted subscriptions, each with the number of its topic. One whose topic is not in `topics` is left out.
pub fn of_topics<'w>(topics: &[Topic], wanted: &'w [DesiredSubscription]) -> Vec<Wanted<'w>> {
    let ids: HashMap<&str, TopicId> = topics.iter().map(|topic| (topic.name.as_str(), topic.id)).collect();
    wanted.iter().filter_map(|one| Some((*ids.get(one.topic.as_str())?, one))).collect()
}

/// The stored subscription that a wanted one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'k> {
    /// It is this one.
    Known(&'k Subscription),
    /// It is none of them: it is new.
    New,
    /// A wanted one before it has the same name or the same endpoint, and only that one counts.
    Repeated,
}

impl Match<'_> {
    fn id(&self) -> Option<SubscriptionId> {
        match self {
            Self::Known(row) => Some(row.id),
            Self::New | Self::Repeated => None,
        }
    }
}

/// What [`assign`] found.
#[derive(Clone, Debug, Default)]
pub struct Assignment<'k> {
    /// For each wanted subscription, in their order, which known one it is. No known one appears twice.
    pub matches: Vec<Match<'k>>,
    /// Known subscriptions that lose their name, because they get another one or none, or because another subscription gets it. A store removes
    /// these names before it sets new ones, so that no two subscriptions ever have the same name.
    pub unnamed: Vec<SubscriptionId>,
}

/// Finds the stored subscription for each wanted one: first by name, then by endpoint.
pub fn assign<'k>(known: &'k [Subscription], wanted: &[Wanted<'_>]) -> Assignment<'k> {
    let mut matches = first_of_each(wanted);
    let by_name = by_name(known);
    settle(&mut matches, wanted, |topic, one| {
        let row = *by_name.get(&(topic, one.name.as_deref()?))?;
        (is_push(row.protocol) == is_push(one.protocol)).then_some(row)
    });
    let taken: HashSet<SubscriptionId> = matches.iter().filter_map(Match::id).collect();
    let as_written =
        by_endpoint(known.iter().filter(|row| !taken.contains(&row.id)), |row| (&*row.endpoint).into());
    settle(&mut matches, wanted, |topic, one| {
        as_written.get(&(topic, one.protocol, (&*one.endpoint).into())).copied()
    });
    // Another spelling of an endpoint is the same endpoint.
    if matches.contains(&Match::New) {
        let taken: HashSet<SubscriptionId> = matches.iter().filter_map(Match::id).collect();
        let left = known.iter().filter(|row| !taken.contains(&row.id));
        let as_meant = by_endpoint(left, |row| spelling(row.protocol, &row.endpoint));
        let mut taken = HashSet::new();
        settle(&mut matches, wanted, |topic, one| {
            let row = *as_meant.get(&(topic, one.protocol, spelling(one.protocol, &one.endpoint)))?;
            taken.insert(row.id).then_some(row)
        });
    }
    let unnamed = unnamed(known, wanted, &matches);
    Assignment { matches, unnamed }
}

/// Asks `find` about each wanted subscription that has no match yet.
fn settle<'k>(
    matches: &mut [Match<'k>],
    wanted: &[Wanted<'_>],
    mut find: impl FnMut(TopicId, &DesiredSubscription) -> Option<&'k Subscription>,
) {
    for (found, (topic, one)) in matches.iter_mut().zip(wanted) {
        if let (Match::New, Some(row)) = (*found, find(*topic, one)) {
            *found = Match::Known(row);
        }
    }
}

fn by_name(known: &[Subscription]) -> HashMap<(TopicId, &str), &Subscription> {
    known.iter().filter_map(|row| Some(((row.topic, row.name.as_deref()?), row))).collect()
}

fn by_endpoint<'k>(
    known: impl Iterator<Item = &'k Subscription>,
    endpoint: impl Fn(&'k Subscription) -> Cow<'k, str>,
) -> HashMap<(TopicId, Protocol, Cow<'k, str>), &'k Subscription> {
    let mut by_endpoint = HashMap::new();
    for row in known {
        let best = by_endpoint.entry((row.topic, row.protocol, endpoint(row))).or_insert(row);
        if preference(row) > preference(best) {
            *best = row;
        }
    }
    by_endpoint
}

/// Among known subscriptions with the same endpoint the greatest is preferred: one that is not removed, then one without a name, then the newest.
fn preference(row: &Subscription) -> (bool, bool, SubscriptionId) {
    (row.removed_at.is_none(), row.name.is_none(), row.id)
}

/// See [`Assignment::unnamed`].
fn unnamed(known: &[Subscription], wanted: &[Wanted<'_>], matches: &[Match<'_>]) -> Vec<SubscriptionId> {
    let taken: HashSet<(TopicId, &str)> =
        wanted.iter().filter_map(|(topic, one)| Some((*topic, one.name.as_deref()?))).collect();
    let names: HashMap<SubscriptionId, Option<&str>> = matches
        .iter()
        .zip(wanted)
        .filter_map(|(found, (_, one))| Some((found.id()?, one.name.as_deref())))
        .collect();
    let loses = |row: &&Subscription| {
        row.name.as_deref().is_some_and(|name| match names.get(&row.id) {
            Some(now) => *now != Some(name),
            None => taken.contains(&(row.topic, name)),
        })
    };
    known.iter().filter(loses).map(|row| row.id).collect()
}

/// `Repeated` for each whose name or endpoint one before it has, otherwise `New`.
fn first_of_each<'k>(wanted: &[Wanted<'_>]) -> Vec<Match<'k>> {
    let (mut names, mut endpoints) = (HashSet::new(), HashSet::new());
    let mut is_first = |(topic, one): &Wanted<'_>| {
        let name = one.name.clone().map(|name| (*topic, name));
        let endpoint = (*topic, one.protocol, one.endpoint.clone());
        let is_new = !endpoints.contains(&endpoint) && name.as_ref().is_none_or(|name| !names.contains(name));
        if is_new {
            names.extend(name);
            endpoints.insert(endpoint);
        }
        is_new
    };
    wanted.iter().map(|one| if is_first(one) { Match::New } else { Match::Repeated }).collect()
}

fn is_push(protocol: Protocol) -> bool {
    protocol.is_push()
}

/// Which known subscription a single wanted one is, beside all that are wanted already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneMore<'k> {
    /// It is one that is wanted already, whose state changes like this. Its name and endpoint stay.
    Wanted(&'k Subscription, Change),
    /// It is a removed one, which is wanted again. These lose their names first.
    Back(&'k Subscription, Vec<SubscriptionId>),
    /// It is new. These lose their names first.
    New(Vec<SubscriptionId>),
}

/// Finds which known subscription a single wanted one is, beside all that are wanted already. `known` must have the subscriptions of its topic
/// with the same name, those with the same protocol and endpoint, and all removed ones with the same protocol.
///
/// Endpoints of removed subscriptions are compared by what they mean, whatever their spelling. Endpoints of wanted ones are compared as they are
/// written, because the caller can look them up.
pub fn one_more<'k>(known: &'k [Subscription], wanted: Wanted<'_>) -> OneMore<'k> {
    let (topic, one) = wanted;
    let of_topic = || known.iter().filter(move |row| row.topic == topic && row.removed_at.is_none());
    let has_endpoint = |row: &Subscription| (row.protocol, &row.endpoint) == (one.protocol, &one.endpoint);
    let by_name = of_topic().find(|row| one.name.is_some() && row.name == one.name);
    if let Some(row) = by_name.or_else(|| of_topic().find(|row| has_endpoint(row))) {
        let change = match row.state {
            _ if !has_endpoint(row) => Change::None,
            SubscriptionState::Disabled { .. } => Change::DeclaredAnew,
            _ => change(row, one),
        };
        return OneMore::Wanted(row, change);
    }
    let removed: Vec<Subscription> = known.iter().filter(|row| row.removed_at.is_some()).cloned().collect();
    let Assignment { matches, unnamed } = assign(&removed, &[wanted]);
    let found = matches.first().and_then(Match::id);
    match known.iter().find(|row| Some(row.id) == found) {
        Some(row) => OneMore::Back(row, unnamed),
        None => OneMore::New(unnamed),
    }
}

/// How the state of a known subscription changes because it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    None,
    /// It was pending and is confirmed now, because the configuration asks for no confirmation. Its token stays.
    Vouched,
    /// It was disabled. It gets the state, the token and the uuid of a new one.
    DeclaredAnew,
    /// Its endpoint has another origin now. It gets the state and the token of a new one.
    Moved {
        /// See [`Subscription::reconfirms`].
        reconfirms: bool,
    },
}

/// How the state of a known subscription changes. Call it before the known one gets the wanted endpoint.
pub fn change(known: &Subscription, wanted: &DesiredSubscription) -> Change {
    if known.state.is_disabled() && known.removed_at.is_some() {
        return Change::DeclaredAnew;
    }
    if !has_same_origin(known, wanted) {
        let was_confirmed = known.state == SubscriptionState::Confirmed || known.reconfirms;
        return Change::Moved { reconfirms: was_confirmed && wanted.confirm_with.is_some() };
    }
    match known.state {
        SubscriptionState::Pending { .. } if wanted.confirm_with.is_none() => Change::Vouched,
        _ => Change::None,
    }
}

/// Whether both endpoints have the same origin: scheme, host and port of a webhook, or the name of a queue.
fn has_same_origin(known: &Subscription, wanted: &DesiredSubscription) -> bool {
    if known.protocol == wanted.protocol && known.endpoint == wanted.endpoint {
        return true;
    }
    let origin = |endpoint: &str| Url::parse(endpoint).ok().map(|url| url.origin());
    match (origin(&known.endpoint), origin(&wanted.endpoint)) {
        (Some(before), Some(now)) => is_push(wanted.protocol) && before == now,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use event::{Stamp, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::entities::Cursor;

    const TOPIC: TopicId = TopicId(1);

    /// `name@endpoint`; `@endpoint` has no name, and a bare word as endpoint is a queue.
    fn wanted(text: &str) -> DesiredSubscription {
        let (name, endpoint) = text.split_once('@').unwrap();
        DesiredSubscription {
            topic: "t".into(),
            name: (!name.is_empty()).then(|| name.to_owned()),
            protocol: match endpoint.split_once("://") {
                Some(("https", _)) => Protocol::Https,
                Some(_) => Protocol::Http,
                None => Protocol::Sqs,
            },
            endpoint: endpoint.to_owned(),
            confirm_with: None,
            uuid: Uuid::nil(),
        }
    }

    /// As [`wanted`]; with a `-` before it, it was removed.
    fn known(id: i64, text: &str) -> Subscription {
        let (is_removed, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let DesiredSubscription { name, protocol, endpoint, uuid, .. } = wanted(text);
        Subscription {
            id: SubscriptionId(id),
            uuid,
            topic: TOPIC,
            name,
            protocol,
            endpoint,
            state: SubscriptionState::Confirmed,
            reconfirms: false,
            disabled_because: None,
            created_at: Timestamp::default(),
            created: Stamp::default(),
            removed_at: is_removed.then(Timestamp::default),
            cursor: Cursor::default(),
        }
    }

    /// The numbers of the wanted ones (0 for a new one, -1 for a repeated one) and of those that lose their names.
    #[track_caller]
    fn check(before: &[&str], now: &[&str], matches: &[i64], unnamed: &[i64]) {
        let known: Vec<_> = (1..).zip(before).map(|(id, text)| known(id, text)).collect();
        let wanted: Vec<_> = now.iter().map(|text| wanted(text)).collect();
        let wanted: Vec<_> = wanted.iter().map(|one| (TOPIC, one)).collect();
        let found = assign(&known, &wanted);
        let numbers: Vec<i64> = found
            .matches
            .iter()
            .map(|found| match found {
                Match::Known(row) => row.id.0,
                Match::New => 0,
                Match::Repeated => -1,
            })
            .collect();
        let lost: Vec<i64> = found.unnamed.iter().map(|id| id.0).collect();
        assert_eq!((&*numbers, &*lost), (matches, unnamed), "{before:?} {now:?}");
    }

    #[test]
    fn a_name_comes_before_an_endpoint() {
        check(&["a@http://x", "@http://y"], &["a@http://y"], &[1], &[]);
        check(&["a@http://x", "b@http://y"], &["b@http://x", "a@http://y"], &[2, 1], &[]);
        check(&["@http://x"], &["a@http://x"], &[1], &[]);
        check(&["@http://x"], &["a@http://y"], &[0], &[]);
        check(&["a@http://x"], &["a@https://x"], &[1], &[]);
        // In whatever order they are wanted.
        check(&["a@http://x"], &["@http://x", "a@http://y"], &[0, 1], &[]);
        check(&["-a@http://x"], &["a@http://y"], &[1], &[]);
    }

    #[test]
    fn who_loses_a_name_or_gets_another_is_known_by_the_endpoint() {
        check(&["a@http://x"], &["@http://x"], &[1], &[1]);
        check(&["a@http://x"], &["b@http://x"], &[1], &[1]);
        check(&["a@http://x", "b@http://y"], &["b@http://x"], &[2], &[]);
        // One that is gone keeps its name until another one has it.
        check(&["a@http://x"], &[], &[], &[]);
    }

    #[test]
    fn of_several_with_one_endpoint_the_one_that_is_wanted_still() {
        check(&["-@http://x", "a@http://x", "-b@http://x"], &["@http://x"], &[2], &[2]);
        check(&["-a@http://x", "-@http://x", "-b@http://x"], &["c@http://x"], &[2], &[]);
        check(&["-a@http://x", "-b@http://x"], &["c@http://x"], &[2], &[2]);
    }

    #[test]
    fn another_spelling_is_no_other_endpoint() {
        check(&["@http://x"], &["@http://X/"], &[1], &[]);
        check(&["@http://x"], &["a@http://X:80/"], &[1], &[]);
        // Whoever has it as it is written comes first, and each is one only.
        check(&["@http://x", "@http://x/"], &["@http://x/", "@http://x"], &[2, 1], &[]);
        check(&["@http://x"], &["@http://X", "@http://x/"], &[1, 0], &[]);
        check(&["@q"], &["@Q"], &[0], &[]);
    }

    #[test]
    fn a_webhook_and_a_queue_are_never_one() {
        check(&["a@http://x"], &["a@queue"], &[0], &[1]);
        check(&["@http://x", "a@queue"], &["a@http://x"], &[1], &[2]);
        check(&["a@http://x"], &["a@queue", "@http://x"], &[0, 1], &[1]);
        check(&["a@queue"], &["a@other"], &[1], &[]);
    }

    #[test]
    fn what_is_wanted_twice_counts_once() {
        check(&[], &["@queue", "@queue"], &[0, -1], &[]);
        check(&["a@http://x"], &["a@http://x", "a@http://y", "b@http://x"], &[1, -1, -1], &[]);
    }

    #[test]
    fn one_more_is_the_one_that_is_wanted_already_or_a_removed_one_or_new() {
        let of = |before: &[&str], now: &str| {
            let known: Vec<_> = (1..).zip(before).map(|(id, text)| known(id, text)).collect();
            match one_more(&known, (TOPIC, &wanted(now))) {
                OneMore::Wanted(row, change) => format!("{} {change:?}", row.id.0),
                OneMore::Back(row, unnamed) => format!("{} back {unnamed:?}", row.id.0),
                OneMore::New(unnamed) => format!("new {unnamed:?}"),
            }
        };
        for (before, now, expected) in [
            (&["@http://x"][..], "@http://x", "1 None"),
            (&["@http://x"], "a@http://x", "1 None"),
            (&["a@http://x"], "@http://x", "1 None"),
            (&["a@http://x"], "b@http://x", "1 None"),
            (&["a@http://x"], "a@http://y", "1 None"),
            (&["@http://x", "a@http://y"], "a@http://x", "2 None"),
            (&["a@http://x"], "a@queue", "1 None"),
            (&["@http://x"], "@https://x", "new []"),
            (&["@http://x"], "@http://y", "new []"),
            (&["-@http://x"], "@http://x", "1 back []"),
            (&["-@http://x", "@http://x"], "@http://x", "2 None"),
            (&["-a@http://x", "@http://z"], "a@http://y", "1 back []"),
            (&["-a@http://x", "-@http://x"], "@http://x", "2 back []"),
            (&["-a@http://x"], "@http://x", "1 back [SubscriptionId(1)]"),
            (&["-a@http://x"], "a@queue", "new [SubscriptionId(1)]"),
        ] {
            assert_eq!(of(before, now), expected, "{before:?} {now}");
        }
        let elsewhere = [Subscription { topic: TopicId(2), ..known(1, "a@http://x") }];
        assert_eq!(one_more(&elsewhere, (TOPIC, &wanted("a@http://x"))), OneMore::New(Vec::new()));
    }

    #[test]
    fn one_more_that_is_wanted_already_is_vouched_for_or_declared_anew_at_its_own_endpoint_alone() {
        let pending = SubscriptionState::Pending { token: "old".into() };
        let disabled = SubscriptionState::Disabled { token: None };
        for (state, now, expected) in [
            (&pending, "a@http://x", Change::Vouched),
            (&disabled, "a@http://x", Change::DeclaredAnew),
            (&pending, "a@http://y", Change::None),
            (&disabled, "a@http://y", Change::None),
            (&SubscriptionState::Confirmed, "a@http://x", Change::None),
        ] {
            let known = [Subscription { state: state.clone(), ..known(1, "a@http://x") }];
            assert_eq!(one_more(&known, (TOPIC, &wanted(now))), OneMore::Wanted(&known[0], expected));
        }
        let asks_again = DesiredSubscription { confirm_with: Some("new".into()), ..wanted("a@http://x") };
        let known = [Subscription { state: pending, ..known(1, "a@http://x") }];
        assert_eq!(one_more(&known, (TOPIC, &asks_again)), OneMore::Wanted(&known[0], Change::None));
    }

    #[test]
    fn topics_are_apart() {
        let (known, one) = ([known(1, "a@http://x")], wanted("a@http://x"));
        assert_eq!(assign(&known, &[(TopicId(2), &one)]).matches, [Match::New]);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let moves = |before: &str, now: &str| change(&known(1, before), &wanted(now)) != Change::None;
        for (before, now, is_elsewhere) in [
            ("a@http://x/1", "a@http://x/2?q", false),
            ("a@http://x/1", "a@http://X:80/1", false),
            ("a@https://x", "a@https://x:443/", false),
            ("a@http://x", "a@https://x", true),
            ("a@http://x", "a@http://x:81", true),
            ("a@http://x", "a@http://y", true),
            ("a@queue", "a@queue", false),
            ("a@queue", "a@other", true),
        ] {
            assert_eq!(moves(before, now), is_elsewhere, "{before} {now}");
        }
    }

    #[test]
    fn what_was_confirmed_is_confirmed_anew_elsewhere() {
        let token = || Some("new".to_owned());
        let elsewhere = |confirm_with| DesiredSubscription { confirm_with, ..wanted("a@http://y") };
        let here = |confirm_with| DesiredSubscription { confirm_with, ..wanted("a@http://x") };
        let pending = SubscriptionState::Pending { token: "old".into() };
        let disabled = SubscriptionState::Disabled { token: None };
        let of = |state: &SubscriptionState| Subscription { state: state.clone(), ..known(1, "a@http://x") };
        let moved = |reconfirms| Change::Moved { reconfirms };
        for (before, wanted, expected) in [
            (of(&SubscriptionState::Confirmed), elsewhere(token()), moved(true)),
            (of(&SubscriptionState::Confirmed), elsewhere(None), moved(false)),
            (of(&SubscriptionState::Confirmed), here(token()), Change::None),
            (of(&pending), elsewhere(token()), moved(false)),
            (Subscription { reconfirms: true, ..of(&pending) }, elsewhere(token()), moved(true)),
            (of(&pending), here(token()), Change::None),
            (of(&pending), here(None), Change::Vouched),
            (of(&disabled), elsewhere(token()), moved(false)),
            (of(&disabled), here(None), Change::None),
            (
                Subscription { state: disabled.clone(), ..known(1, "-a@http://x") },
                here(None),
                Change::DeclaredAnew,
            ),
        ] {
            assert_eq!(change(&before, &wanted), expected, "{before:?} {wanted:?}");
        }
    }
}
