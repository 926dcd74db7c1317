//! What a configuration may say and probably does not mean: warnings, which keep nothing from starting.

use std::collections::HashMap;

use entities::{Served, Set};
use pipeline::{ConfigProblem, Mount, PluginKind};
use uuid::Uuid;

use super::declared::Declarations;
use crate::problem::{Problem, Problems, Spot};
use crate::tree::Source;

/// All warnings, in the order of the files and of their lines.
pub(super) fn find(
    served: &Served,
    set: &Set,
    declared: &Declarations,
    sources: &[Source],
    kinds: &[&dyn PluginKind],
) -> Vec<Problem> {
    let mut doubts = Problems::new(sources);
    let mounts = mounts(served);
    // Without a problem there is one plug-in of the set for each that is declared, in their order.
    for (plugin, declared) in set.plugins.iter().zip(&declared.plugins) {
        let Some(mounts) = mounts.get(&plugin.id) else { continue };
        let Some(kind) = kinds.iter().find(|kind| kind.name() == plugin.name) else { continue };
        let spot = &declared.entity.spot;
        let config = sources[spot.file].root.at(&spot.path).and_then(|node| node.get("config"));
        for ConfigProblem { pointer, message, hint } in kind.doubts(&plugin.config, mounts) {
            let path = spot.path.key("config");
            let path = config.map_or_else(|| path.clone(), |config| config.resolve_pointer(&path, &pointer));
            doubts.add(&Spot { file: spot.file, path }, message, hint);
        }
    }
    without_effect(declared, &mut doubts);
    unverified(declared, &mut doubts);
    doubts.into_report().map(|report| report.problems).unwrap_or_default()
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

/// Services whose certificate is not looked at: a wish that is granted, and said at every start.
fn unverified(declared: &Declarations, doubts: &mut Problems<'_>) {
    for service in &declared.services {
        let Some(raw) = service.raw.as_ref().filter(|raw| raw.tls_verify == Some(false)) else { continue };
        let hint =
            "remove the key; a certificate of an authority of your own is verified by `ca_certificates`";
        let message = "the service's certificate is not verified: whoever answers at its address is believed";
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

/// Kong's own default, and no retry at all, which is what there is.
const USUAL_RETRIES: [u16; 2] = [5, 0];

/// Keys that are accepted so that a file of Kong's loads, and that say something which does not happen. A value that is Kong's default is
/// no wish: exports write all of them.
fn without_effect(declared: &Declarations, doubts: &mut Problems<'_>) {
    for service in &declared.services {
        if service.raw.as_ref().is_some_and(|raw| !USUAL_RETRIES.contains(&raw.retries)) {
            let hint =
                "remove the key: what was sent is never sent again, because the service may have executed it";
            doubts.add(&service.spot.key("retries"), "`retries` has no effect", hint);
        }
    }
    for route in &declared.routes {
        let Some(raw) = &route.entity.raw else { continue };
        if !raw.response_buffering {
            let hint = "remove the key: answers stream as they come";
            let spot = route.entity.spot.key("response_buffering");
            doubts.add(&spot, "`response_buffering` has no effect", hint);
        }
    }
}
