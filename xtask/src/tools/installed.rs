//! Programs that cargo installs: built once, pinned, under `target/tools`.

use std::path::PathBuf;

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
        // Not every program has a `--version` of its own.
        let record = std::fs::read_to_string(folder.join(".crates.toml")).unwrap_or_default();
        let is_right = program.is_file() && is_recorded(&record, name, version);
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

/// Whether cargo's record of what it installed, `.crates.toml`, has this version.
fn is_recorded(record: &str, name: &str, version: &str) -> bool {
    record.lines().any(|line| line.starts_with(&format!("\"{name} {version} (")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_one_version() {
        let record =
            "[v1]\n\"cargo-mutants 27.1.0 (registry+https://example.com/index)\" = [\"cargo-mutants\"]\n";
        assert!(is_recorded(record, "cargo-mutants", "27.1.0"));
        for (name, version) in
            [("cargo-mutants", "27.1"), ("cargo-mutants", "27.1.1"), ("cargo-fuzz", "27.1.0")]
        {
            assert!(!is_recorded(record, name, version), "{name} {version}");
        }
    }
}
