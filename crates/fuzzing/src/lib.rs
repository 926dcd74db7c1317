//! Fuzz targets: functions that take any bytes and panic when a promise is broken.
//!
//! Each module is one target: its comment says how the bytes are read and what must hold. `fuzz/` gives them to libFuzzer
//! (`cargo xtask fuzz`); the tests of this crate run them over the seeds in `fuzz/corpus-seeds` and over a bounded number of random
//! changes of these, so that no target rots.
//!
//! To add one: a module with `pub fn target(data: &[u8])`, its line in [`TARGETS`], a folder with a seed, and
//! `UPDATE_GENERATED=1 cargo test -p fuzzing`, which writes what cargo-fuzz wants.

pub mod answer;
pub mod capture;
pub mod config_file;
pub mod facts;
pub mod forwarding;
pub mod guard;
mod input;
pub mod interim;
pub mod keep_alive;
pub mod legacy_admin;
pub mod names;
pub mod path;
pub mod protocol;
pub mod queries;
pub mod render;
pub mod rereading;
pub mod rewriting;
mod route;
pub mod spelling;
mod tree;
pub mod variables;

/// A target and its name.
pub struct Target {
    /// As in `cargo xtask fuzz NAME` and of the folder with its seeds.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets. A target's name is that of its module.
pub const TARGETS: [Target; 18] = [
    Target { name: "answer", run: answer::target },
    Target { name: "capture", run: capture::target },
    Target { name: "config_file", run: config_file::target },
    Target { name: "facts", run: facts::target },
    Target { name: "forwarding", run: forwarding::target },
    Target { name: "guard", run: guard::target },
    Target { name: "interim", run: interim::target },
    Target { name: "keep_alive", run: keep_alive::target },
    Target { name: "legacy_admin", run: legacy_admin::target },
    Target { name: "names", run: names::target },
    Target { name: "path", run: path::target },
    Target { name: "protocol", run: protocol::target },
    Target { name: "queries", run: queries::target },
    Target { name: "render", run: render::target },
    Target { name: "rereading", run: rereading::target },
    Target { name: "rewriting", run: rewriting::target },
    Target { name: "spelling", run: spelling::target },
    Target { name: "variables", run: variables::target },
];

#[cfg(test)]
mod tests;
