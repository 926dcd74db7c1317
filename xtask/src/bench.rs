//! `cargo xtask bench`: builds what is measured and what measures, unpacks the peers, and runs the crate `bench` with them.
//!
//! The two builds are apart: together they would unite their features, and what is measured would not be what is shipped.

use std::path::Path;
use std::process::Command;

use crate::Places;
use crate::dist::{self, PROFILE};
use crate::process::{cargo, on_path};
use crate::tools::peers;

/// Sets everything up and measures. Options other than where things are, and `--trained`, go to the crate `bench`.
pub fn run(places: &Places, options: &[&str]) -> Result<(), String> {
    let trained = options.contains(&"--trained");
    let options: Vec<&str> = options.iter().copied().filter(|option| *option != "--trained").collect();
    on_path("setpriv").ok_or("`setpriv` is missing: install util-linux")?;
    // Two builds of Retrohook need no peers beside them.
    let peers = if options.contains(&"--against") { None } else { Some(peers::set_up(places)?) };
    let build = |package: &str| {
        let mut build = cargo();
        build.current_dir(&places.root).args(["build", "--profile", PROFILE, "-p", package]);
        if package == "retrohook" {
            build.arg("--features=aws");
        }
        well(&mut build, &format!("{package} does not build"))
    };
    let built = places.target.join(PROFILE);
    let bench = || {
        let mut bench = Command::new(built.join("bench"));
        bench.current_dir(&places.root);
        bench
    };
    build("bench")?;
    well(bench().arg("check").args(&options), "see `cargo xtask help`")?;
    let retrohook = if trained {
        dist::run(places)?
    } else {
        build("retrohook")?;
        built.join("retrohook")
    };
    let mut bench = bench();
    let place = |bench: &mut Command, name: &str, path: &Path| {
        bench.arg(name).arg(path);
    };
    place(&mut bench, "--retrohook", &retrohook);
    if let Some(folder) = &peers {
        place(&mut bench, "--peers", folder);
    }
    place(&mut bench, "--work", &places.target.join("bench"));
    well(bench.args(options), "the measurement did not end well")
}

fn well(command: &mut Command, otherwise: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(otherwise.to_owned()),
        Err(error) => Err(format!("{otherwise}: {error}")),
    }
}
