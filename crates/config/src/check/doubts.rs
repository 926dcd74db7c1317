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
    doubts.into_report().map(|report| report.problems).unwrap_or_default()
}
