//! What a configuration may say and probably does not mean: warnings, which keep nothing from starting.

use pipeline::{ConfigProblem, PluginKind};

use super::assemble::Placed;
use super::declared::Declarations;
use crate::problem::{Problem, Problems, Spot};
use crate::tree::Source;

/// All warnings, in the order of the files and of their lines.
pub(super) fn find(
    placed: &[Placed],
    declared: &Declarations,
    sources: &[Source],
    kinds: &[&dyn PluginKind],
) -> Vec<Problem> {
    let mut doubts = Problems::new(sources);
    for Placed { index, plugin, mounts } in placed {
        let Some(kind) = kinds.iter().find(|kind| kind.name() == plugin.name) else { continue };
        let spot = &declared.plugins[*index].entity.spot;
        let config = sources[spot.file].root.at(&spot.path).and_then(|node| node.get("config"));
        for ConfigProblem { pointer, message, hint } in kind.doubts(&plugin.config, mounts) {
            let path = spot.path.key("config");
            let path = config.map_or_else(|| path.clone(), |config| config.resolve_pointer(&path, &pointer));
            doubts.add(&Spot { file: spot.file, path }, message, hint);
        }
    }
    without_effect(declared, &mut doubts);
    doubts.into_report().map(|report| report.problems).unwrap_or_default()
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
