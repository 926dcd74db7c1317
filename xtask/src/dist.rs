//! `cargo xtask dist`: the binary that packages have.
//!
//! The path of a request is long and mostly straight; what it costs is above all fetching its instructions. A compiler that knows which
//! branches are taken puts these next to each other. So the binary is built twice: once to count, while the crate `bench` asks for every
//! kind of request, and once with what was counted. C code (SQLite, AWS-LC) is built as ever.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Places;
use crate::process::{cargo, quiet, show};

/// What packages are built with.
pub const PROFILE: &str = "dist";
/// How long each kind of request runs, in seconds.
const SECONDS: &str = "3";

/// Builds it; where it is.
pub fn run(places: &Places) -> Result<PathBuf, String> {
    let host = Host::find()?;
    let folder = places.target.join("trained");
    let raw = folder.join("raw");
    let flags = format!("-Cprofile-generate={}", raw.display());
    let counting = host.build(places, &folder.join("counting"), &flags, "release")?;
    let counts = folder.join("counts.profdata");
    if !is_newer(&counts, &counting) {
        // What another build counted would be taken for counts of this one.
        if raw.exists() {
            let problem = |error| format!("cannot remove {}: {error}", raw.display());
            std::fs::remove_dir_all(&raw).map_err(problem)?;
        }
        train(places, &counting)?;
        quiet(Command::new(&host.profdata).args(["merge", "-o"]).arg(&counts).arg(&raw))?;
    }
    let flags = format!("-Cprofile-use={}", counts.display());
    // The folder's name is what the benchmark calls it.
    let built = host.build(places, &folder.join("using"), &flags, PROFILE)?;
    let trained = places.target.join("dist-trained");
    std::fs::create_dir_all(&trained)
        .map_err(|error| format!("cannot make {}: {error}", trained.display()))?;
    let place = trained.join("retrohook");
    std::fs::copy(&built, &place).map_err(|error| format!("cannot write {}: {error}", place.display()))?;
    Ok(place)
}

/// Asks a build that counts for every kind of request.
fn train(places: &Places, counting: &Path) -> Result<(), String> {
    let mut build = cargo();
    build.current_dir(&places.root).args(["build", "--release", "-p", "bench"]);
    well(&mut build)?;
    let mut train = Command::new(places.target.join("release/bench"));
    train.current_dir(&places.root).arg("train").args(["--seconds", SECONDS]);
    train.arg("--retrohook").arg(counting);
    train.arg("--work").arg(places.target.join("bench"));
    well(&mut train)
}

/// Whether a file was made after another one.
fn is_newer(file: &Path, than: &Path) -> bool {
    let made = |file: &Path| file.metadata().and_then(|facts| facts.modified());
    matches!((made(file), made(than)), (Ok(file), Ok(than)) if file > than)
}

/// The toolchain's own machine. With `--target`, flags are for what runs on it and not for build scripts and macros.
struct Host {
    triple: String,
    profdata: PathBuf,
}

impl Host {
    fn find() -> Result<Self, String> {
        let version = quiet(Command::new("rustc").arg("-vV"))?;
        let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
        let triple = triple.ok_or("`rustc -vV` does not name its host")?.to_owned();
        let root = quiet(Command::new("rustc").args(["--print", "sysroot"]))?;
        let tools = Path::new(root.trim()).join("lib/rustlib").join(&triple).join("bin");
        let profdata = tools.join("llvm-profdata");
        if !profdata.is_file() {
            return Err("`llvm-profdata` is missing: `rustup component add llvm-tools`".into());
        }
        Ok(Self { triple, profdata })
    }

    fn build(&self, places: &Places, folder: &Path, flags: &str, profile: &str) -> Result<PathBuf, String> {
        let mut build = cargo();
        // Encoded, so that a path may have blanks in it.
        build.current_dir(&places.root).env("CARGO_ENCODED_RUSTFLAGS", flags).env("CARGO_TARGET_DIR", folder);
        build.args(["build", "-p", "retrohook", "--features=aws", "--profile", profile]);
        build.args(["--target", &self.triple]);
        well(&mut build)?;
        Ok(folder.join(&self.triple).join(profile).join("retrohook"))
    }
}

fn well(command: &mut Command) -> Result<(), String> {
    if show(command)?.ok { Ok(()) } else { Err("that did not end well".into()) }
}
