//! Upstreams with their targets, and groups of consumers, read from files and checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use entities::{Algorithm, ConsumerGroup, Origin, Target, Upstream, ids};
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::consumer::given;
use super::declared::{Declarations, Declared, Nested};
use super::names::{Names, refer};
use super::service::times;
use crate::problem::{Problems, Spot};
use crate::raw;

/// All upstreams with their targets, and all groups; `None` for one with a problem.
pub(super) struct Checked {
    pub(super) upstreams: Vec<Option<Upstream>>,
    pub(super) targets: Vec<Option<Target>>,
    pub(super) consumer_groups: Vec<Option<ConsumerGroup>>,
}

/// Checks all of them.
pub(super) fn check_all(
    declared: &Declarations,
    names: &Names,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Checked {
    let upstreams: Vec<_> = declared.upstreams.iter().map(|one| upstream(one, now, problems)).collect();
    let mut taken = HashMap::new();
    let targets = declared.targets.iter().map(|one| {
        let (target, of) = target(one, names, &upstreams, now, problems)?;
        claim(&mut taken, (of, target.label()), &one.entity.spot, problems);
        Some(target)
    });
    let targets = targets.collect();
    let groups = declared.consumer_groups.iter().map(|one| group(one, now, problems));
    Checked { targets, consumer_groups: groups.collect(), upstreams }
}

fn upstream(
    Declared { spot, raw, .. }: &Declared<raw::Upstream>,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Option<Upstream> {
    let raw = raw.as_ref()?;
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let upstream = Upstream {
        id: given(raw.id.as_deref()).unwrap_or_else(|| ids::of_name("upstreams", &raw.name)),
        origin: Origin::File,
        name: raw.name.clone(),
        algorithm: match raw.algorithm {
            raw::Algorithm::RoundRobin => Algorithm::RoundRobin,
            raw::Algorithm::ConsistentHashing => Algorithm::ConsistentHashing,
            raw::Algorithm::LeastConnections => Algorithm::LeastConnections,
            raw::Algorithm::Latency => Algorithm::Latency,
        },
        host_header: raw.host_header.clone(),
        settings: settings(raw),
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    upstream.check().into_iter().for_each(|error| problems.add_field(spot, error));
    Some(upstream)
}

/// The settings that have no effect here, kept so that they can be read back.
fn settings(raw: &raw::Upstream) -> Map<String, Value> {
    let hash = |hash: Option<raw::Hash>| hash.map(|hash| hash.as_str());
    let all = [
        ("hash_on", json!(hash(raw.hash_on))),
        ("hash_fallback", json!(hash(raw.hash_fallback))),
        ("hash_on_header", json!(raw.hash_on_header)),
        ("hash_fallback_header", json!(raw.hash_fallback_header)),
        ("hash_on_cookie", json!(raw.hash_on_cookie)),
        ("hash_on_cookie_path", json!(raw.hash_on_cookie_path)),
        ("hash_on_query_arg", json!(raw.hash_on_query_arg)),
        ("hash_fallback_query_arg", json!(raw.hash_fallback_query_arg)),
        ("hash_on_uri_capture", json!(raw.hash_on_uri_capture)),
        ("hash_fallback_uri_capture", json!(raw.hash_fallback_uri_capture)),
        ("slots", json!(raw.slots)),
        ("healthchecks", json!(raw.healthchecks)),
    ];
    let said = all.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A target, with the index of its upstream.
fn target(
    Nested { entity, parent }: &Nested<raw::Target>,
    names: &Names,
    upstreams: &[Option<Upstream>],
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Option<(Target, usize)> {
    let (spot, raw) = (&entity.spot, entity.raw.as_ref()?);
    let address = problems.keep(&spot.key("target"), Target::parse(&raw.target));
    let of = refer(&names.upstreams, spot, "upstream", raw.upstream.as_ref(), *parent, problems);
    if parent.is_none() && raw.upstream.is_none() {
        let hint = "name the upstream, or put this under one";
        problems.add(spot, "required field missing: `upstream`", hint);
    }
    let ((host, port), of) = (address?, of?);
    let upstream = upstreams[of].as_ref().map_or(Uuid::nil(), |upstream| upstream.id);
    // Kong's exports have times with fractions.
    let seconds = |time: Option<f64>| time.map(|time| time as u32);
    let (created_at, updated_at) = times(seconds(raw.created_at), seconds(raw.updated_at), now);
    let target = Target {
        id: given(raw.id.as_deref()).unwrap_or_else(|| ids::of_target(upstream, &host, port)),
        origin: Origin::File,
        upstream,
        host,
        port,
        weight: raw.weight,
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    target.check().into_iter().for_each(|error| problems.add_field(spot, error));
    Some((target, of))
}

fn claim(
    taken: &mut HashMap<(usize, String), Spot>,
    key: (usize, String),
    spot: &Spot,
    problems: &mut Problems<'_>,
) {
    let message = format!(
        "uniqueness violation: 'targets' entity with this upstream and target set to '{}' already declared",
        key.1
    );
    match taken.entry(key) {
        Entry::Vacant(free) => drop(free.insert(spot.clone())),
        Entry::Occupied(first) => {
            let first = problems.whereabouts(&first.get().key("target"));
            let hint = format!("the first one is at {first}: add the two weights, and remove one");
            problems.add(&spot.key("target"), message, hint);
        }
    }
}

fn group(
    Declared { spot, raw, .. }: &Declared<raw::ConsumerGroup>,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Option<ConsumerGroup> {
    let raw = raw.as_ref()?;
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let group = ConsumerGroup {
        id: given(raw.id.as_deref()).unwrap_or_else(|| ids::of_name("consumer_groups", &raw.name)),
        origin: Origin::File,
        name: raw.name.clone(),
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    group.check().into_iter().for_each(|error| problems.add_field(spot, error));
    Some(group)
}
