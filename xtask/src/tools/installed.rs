//! Programs that cargo installs: built once, pinned, under `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use crate::Places;
use crate::process::{cargo, quiet};

/// A program of crates.io, at one version.
pub struct Installed {
    /// The package, and its program.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Installed {
    /// Builds it unless it is there; where it is.
    pub fn set_up(&self, places: &Places) -> Result<PathBuf, String> {
        let Self { name, version } = self;
        let folder = places.target.join("tools").join(name);
        let program = folder.join("bin").join(name);
        let is_right = program.is_file()
            && quiet(Command::new(&program).arg("--version")).is_ok_and(|text| text.contains(version));
        if !is_right {
            println!("building {name} {version} under {}", folder.display());
            let mut install = cargo();
            install.args(["install", "--locked", "--force", "--version", version, "--root"]).arg(&folder);
            install.arg("--target-dir").arg(places.target.join("installing").join(name)).arg(name);
            quiet(&mut install).map_err(|problem| format!("{name} could not be built.\n{problem}"))?;
        }
        Ok(program)
    }
}
