//! Warnings about what a configuration may say but probably does not mean. A warning never prevents a start.

use std::collections::HashMap;

use entities::service::{self, Address, Protocol};
use entities::{Served, Set};
use pipeline::{ConfigProblem, Mount};
use serde_json::Value;
use uuid::Uuid;

use super::Options;
use super::declared::{Declarations, Nested};
use super::skip::Fate;
use crate::dialect;
use crate::problem::{Doubt, Problem, Problems, Spot};
use crate::raw::{self, ServiceProtocol};
use crate::tree::{Kind, Source, TreePath};

/// A configuration without a problem.
pub(super) struct Seen<'a> {
    pub(super) served: &'a Served,
    pub(super) set: &'a Set,
    /// For each declared plug-in, its id in the set.
    pub(super) plugins: &'a [Option<Uuid>],
    pub(super) declared: &'a Declarations,
}

/// All warnings, in the order of the files and of their lines, including those in `known`.
pub(super) fn find(
    known: Vec<Doubt>,
    seen: &Seen<'_>,
    sources: &[Source],
    options: &Options<'_>,
    mut doubts: Problems<'_>,
) -> Vec<Problem> {
    of_plugins(seen, sources, options, &mut doubts);
    of_files(known, seen.declared, sources, options, doubts)
}

/// Those that the files alone are enough for: of a configuration that has problems, too.
pub(super) fn of_files(
    known: Vec<Doubt>,
    declared: &Declarations,
    sources: &[Source],
    options: &Options<'_>,
    mut doubts: Problems<'_>,
) -> Vec<Problem> {
    for Doubt { spot, message, hint } in known {
        doubts.say(&spot, message, hint);
    }
    not_served(declared, options, &mut doubts);
    without_effect(declared, &mut doubts);
    of_deck(sources, &mut doubts);
    beside_url(declared, &mut doubts);
    unverified(declared, &mut doubts);
    odd_methods(declared, &mut doubts);
    kept_for_less(declared, &mut doubts);
    doubts.into_report().map(|report| report.problems).unwrap_or_default()
}

/// The warnings of the kinds of plug-in about their settings.
fn of_plugins(seen: &Seen<'_>, sources: &[Source], options: &Options<'_>, doubts: &mut Problems<'_>) {
    let mounts = mounts(seen.served);
    let by_id: HashMap<Uuid, _> = seen.set.plugins.iter().map(|plugin| (plugin.id, plugin)).collect();
    for (id, declared) in seen.plugins.iter().zip(&seen.declared.plugins) {
        let Some((mounts, plugin)) = id.and_then(|id| Some((mounts.get(&id)?, by_id.get(&id)?))) else {
            continue;
        };
        let Some(kind) = options.kinds.iter().find(|kind| kind.name() == plugin.name) else { continue };
        let spot = &declared.entity.spot;
        let config = sources[spot.file].root.at(&spot.path).and_then(|node| node.get("config"));
        for ConfigProblem { pointer, message, hint } in kind.doubts(&plugin.config, mounts) {
            let path = spot.path.key("config");
            let path = config.map_or_else(|| path.clone(), |config| config.resolve_pointer(&path, &pointer));
            doubts.add(&Spot { file: spot.file, path }, message, hint);
        }
    }
}

/// Plug-ins that are not served, and what happens instead. One that is not enabled would do nothing anyway.
fn not_served(declared: &Declarations, options: &Options<'_>, doubts: &mut Problems<'_>) {
    for plugin in &declared.plugins {
        let Some(raw) = plugin.entity.raw.as_ref().filter(|raw| raw.enabled) else { continue };
        if let Some((message, hint)) = Fate::of(&raw.name, options).warning(&raw.name) {
            doubts.add(&plugin.entity.spot.key("name"), message, hint);
        }
    }
}

/// The routes that each plug-in runs on, by the plug-in's id.
fn mounts(served: &Served) -> HashMap<Uuid, Vec<Mount>> {
    let mut mounts: HashMap<Uuid, Vec<Mount>> = HashMap::new();
    for route in &served.routes {
        let mount = || Mount { paths: route.route.paths.clone(), strip_path: route.route.strip_path };
        for owned in &route.plugins {
            mounts.entry(owned.plugin.id).or_default().push(mount());
        }
    }
    mounts
}

/// decK's notes about where a file belongs.
fn of_deck(sources: &[Source], doubts: &mut Problems<'_>) {
    for (file, source) in sources.iter().enumerate() {
        let top = Spot { file, path: TreePath::default() };
        let elsewhere = |key: &str| {
            let node = source.root.get(key);
            node.is_some_and(|node| !matches!(node.kind, Kind::Null) && node.text() != Some("default"))
        };
        for key in ["_workspace", "_konnect"].into_iter().filter(|key| elsewhere(key)) {
            let message = format!("`{key}` has no effect: it tells decK which Kong the file is for");
            doubts.add(&top.key(key), message, "remove the key if decK does not read this file");
        }
    }
}

/// Keys besides `url` that contradict it: the `url` wins.
fn beside_url(declared: &Declarations, doubts: &mut Problems<'_>) {
    for service in &declared.services {
        let Some(raw) = &service.raw else { continue };
        let Some(Ok(won)) = raw.url.as_deref().map(service::address) else { continue };
        for key in differing(raw, &won) {
            doubts.add(&service.spot.key(key), dialect::overruled(key), dialect::OVERRULED);
        }
    }
}

/// The keys of a service's address that contradict its `url`.
fn differing(raw: &raw::Service, won: &Address) -> Vec<&'static str> {
    let protocol = match won.protocol {
        Protocol::Http => ServiceProtocol::Http,
        Protocol::Https => ServiceProtocol::Https,
    };
    let same_host = |text: &String| service::host(text).is_ok_and(|host| host == won.host);
    let path = |path: Option<&str>| path.filter(|path| !path.is_empty()).unwrap_or("/").to_owned();
    let keys = [
        ("protocol", raw.protocol.is_some_and(|said| said != protocol)),
        ("host", raw.host.as_ref().is_some_and(|said| !same_host(said))),
        ("port", raw.port.is_some_and(|said| said != won.port)),
        ("path", raw.path.as_ref().is_some_and(|said| path(Some(said)) != path(won.path.as_deref()))),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Services whose certificate is not verified. That is allowed, and every start warns about it.
fn unverified(declared: &Declarations, doubts: &mut Problems<'_>) {
    for service in &declared.services {
        let Some(raw) = service.raw.as_ref().filter(|raw| raw.tls_verify == Some(false)) else { continue };
        let hint =
            "remove the key; a certificate of an authority of your own is verified by `ca_certificates`";
        let message =
            "the service's certificate is not verified: anyone who answers at its address is trusted";
        doubts.add(&service.spot.key("tls_verify"), message, hint);
        for (key, is_said) in [
            ("tls_verify_depth", raw.tls_verify_depth.is_some()),
            ("ca_certificates", raw.ca_certificates.as_ref().is_some_and(|ids| !ids.is_empty())),
        ] {
            if is_said {
                let message = format!("`{key}` has no effect beside `tls_verify: false`");
                doubts.add(&service.spot.key(key), message, "remove one of the two");
            }
        }
    }
}

/// Methods of routes that are more often a slip.
fn odd_methods(declared: &Declarations, doubts: &mut Problems<'_>) {
    for Nested { entity, .. } in &declared.routes {
        for (index, method) in entity.raw.iter().flat_map(|raw| raw.methods.iter().flatten().enumerate()) {
            let otherwise = "requests with another method do not match this route";
            if let Some((message, hint)) = entities::method::doubt(method, otherwise) {
                doubts.add(&entity.spot.key("methods").index(index), message, hint);
            }
        }
    }
}

/// Dead-letter queues that keep messages for less time than the queue that gives them up. A message keeps its age when it moves, so it may be
/// deleted there as soon as it arrives.
fn kept_for_less(declared: &Declarations, doubts: &mut Problems<'_>) {
    let kept = |queue: &raw::Queue| queue.message_retention_period;
    let named: HashMap<&str, &raw::Queue> =
        declared.queues.iter().filter_map(|one| Some((one.name.as_deref()?, one.raw.as_ref()?))).collect();
    for one in &declared.queues {
        let Some((raw, policy)) = one.raw.as_ref().and_then(|raw| Some((raw, raw.redrive_policy.as_ref()?)))
        else {
            continue;
        };
        let name = &policy.dead_letter_queue;
        let Some(there) =
            named.get(name.as_str()).map(|there| kept(there)).filter(|there| *there < kept(raw))
        else {
            continue;
        };
        let message = format!(
            "the dead-letter queue `{name}` keeps messages for {there} seconds, less than this queue's {}; a message that moves keeps its age, and may be deleted at once",
            kept(raw)
        );
        let hint =
            format!("give `{name}` a longer `message_retention_period` (14 days if the key is absent)");
        doubts.add(&one.spot.key("redrive_policy").key("dead_letter_queue"), message, hint);
    }
}

/// Kong's default, and 0, which is what Retrohook does.
const USUAL_RETRIES: [u16; 2] = [5, 0];

/// Whether health checks are switched on: with an interval or a threshold other than Kong's default 0.
fn is_on(checks: &Value) -> bool {
    const NUMBERS: [&str; 5] = ["interval", "successes", "http_failures", "tcp_failures", "timeouts"];
    let Value::Object(checks) = checks else { return false };
    let counts = |key: &str, value: &Value| NUMBERS.contains(&key) && value.as_f64().is_some_and(|n| n > 0.0);
    checks.iter().any(|(key, value)| counts(key, value) || is_on(value))
}

/// Keys that are accepted so that a file for Kong loads, but that ask for something which does not happen. There is no warning for Kong's
/// default values, because exports contain all of them.
fn without_effect(declared: &Declarations, doubts: &mut Problems<'_>) {
    for service in &declared.services {
        if service.raw.as_ref().is_some_and(|raw| !USUAL_RETRIES.contains(&raw.retries)) {
            let hint = "remove the key: a request that was sent is never sent again, because the service may have executed it";
            doubts.add(&service.spot.key("retries"), "`retries` has no effect", hint);
        }
    }
    for upstream in &declared.upstreams {
        let Some(raw) = &upstream.raw else { continue };
        let hashes = [("hash_on", raw.hash_on), ("hash_fallback", raw.hash_fallback)];
        let hashes = hashes.into_iter().filter(|(_, hash)| hash.is_some_and(|hash| hash != raw::Hash::None));
        let others = [
            ("algorithm", raw.algorithm != raw::Algorithm::RoundRobin),
            ("healthchecks", raw.healthchecks.iter().flatten().any(|(_, checks)| is_on(checks))),
        ];
        let others = others.into_iter().filter(|(_, is_said)| *is_said).map(|(key, _)| key);
        for key in others.chain(hashes.map(|(key, _)| key)) {
            let hint = "targets take turns, each as often as its weight says, and all are assumed to be healthy: check that this is enough";
            doubts.add(&upstream.spot.key(key), format!("`{key}` has no effect"), hint);
        }
    }
    for route in &declared.routes {
        let Some(raw) = &route.entity.raw else { continue };
        if !raw.response_buffering {
            let hint = "remove the key: answers are forwarded as they arrive";
            let spot = route.entity.spot.key("response_buffering");
            doubts.add(&spot, "`response_buffering` has no effect", hint);
        }
    }
}
