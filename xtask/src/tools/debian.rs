//! Debian's fault injection, time and tracing tools, nginx and promtool, unpacked beside the build results: nothing is installed, root is not needed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Stamp, empty_folder};
use crate::process::{on_path, quiet};

/// Where the programs are.
pub struct Debian {
    /// Shows the system calls of a process.
    pub strace: PathBuf,
    /// Starts a program with failing system calls; knows where its libraries are.
    pub fiu_run: PathBuf,
    /// Turns the failures of a running program on and off.
    pub fiu_ctrl: PathBuf,
    /// The folder of the libraries that `fiu-run` loads.
    pub fiu_lib: PathBuf,
    /// The library that gives a program another wall clock.
    pub faketime_lib: PathBuf,
    /// A service that routes decoded paths.
    pub nginx: PathBuf,
    /// Looks through the metrics.
    pub promtool: PathBuf,
}

/// What the machine has already.
#[derive(Clone, Default)]
struct Installed {
    strace: Option<PathBuf>,
    nginx: Option<PathBuf>,
    promtool: Option<PathBuf>,
}

/// The one for programs with threads.
const FAKETIME: &str = "libfaketimeMT.so.1";

/// libfiu and libfaketime always; strace, nginx and promtool, with the libraries they may need, only where the machine has none.
fn packages(installed: &Installed) -> Vec<&'static str> {
    let mut packages = vec!["fiu-utils", "libfaketime", "libfiu0"];
    if installed.strace.is_none() {
        packages.extend(["libunwind8", "strace"]);
    }
    if installed.nginx.is_none() {
        packages.extend(["libpcre2-8-0", "nginx"]);
    }
    if installed.promtool.is_none() {
        packages.push("prometheus");
    }
    packages
}

/// Unpacks the packages unless they are there.
pub fn set_up(tools: &Path, python: &Path) -> Result<Debian, String> {
    let installed =
        Installed { strace: on_path("strace"), nginx: on_path("nginx"), promtool: on_path("promtool") };
    let packages = packages(&installed);
    let folder = tools.join("debian");
    let found = |folder: &Path| locate(folder, installed.clone());
    let release = std::fs::read_to_string("/etc/debian_version").unwrap_or_default();
    let stamp = Stamp { file: tools.join("debian.stamp"), text: format!("{release}{packages:?}\n") };
    if stamp.is_right()
        && let Some(debian) = found(&folder)
    {
        eprintln!("debian: {} is up to date", folder.display());
        return Ok(debian);
    }
    stamp.remove();
    empty_folder(&folder)?;
    eprintln!("debian: unpacking {} into {}", packages.join(", "), folder.display());
    let archives = tools.join("archives");
    empty_folder(&archives)?;
    let lost = "the black-box tests that make disks fail and look at system calls cannot run without them; all other \
                steps can";
    download(tools, &archives, &packages, lost)?;
    unpack(&archives, &folder)?;
    wrap(&folder)?;
    let debian = found(&folder).ok_or("The Debian packages do not hold what they should hold.")?;
    self_check(&debian, python)?;
    stamp.write()?;
    Ok(debian)
}

/// With the machine's own package lists; where these are missing or old, with fresh ones of our own. `lost` says what does not go
/// without the packages.
pub(super) fn download(tools: &Path, archives: &Path, packages: &[&str], lost: &str) -> Result<(), String> {
    let fetch = |options: &[String]| {
        let mut command = apt_get(options);
        quiet(command.current_dir(archives).arg("download").args(packages))
    };
    if fetch(&[]).is_ok() {
        return Ok(());
    }
    eprintln!("debian: the machine's package lists do not serve; fetching lists of our own");
    let state = tools.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        empty_folder(&state.join(part))?;
    }
    let options = [
        format!("Dir::State::lists={}", state.join("lists").display()),
        format!("Dir::Cache={}", state.join("cache").display()),
    ];
    let fetched = quiet(apt_get(&options).arg("update")).and_then(|_| fetch(&options));
    fetched.map(drop).map_err(|problem| {
        format!(
            "The Debian packages {} could not be fetched. If Debian's archive cannot be reached from here, that is \
             why: {lost}.\n{problem}",
            packages.join(", ")
        )
    })
}

fn apt_get(options: &[String]) -> Command {
    let mut command = Command::new("apt-get");
    // The folder is ours, not the sandbox user's.
    command.args(["-qq", "-o", "APT::Sandbox::User=root"]);
    for option in options {
        command.arg("-o").arg(option);
    }
    command
}

/// Unpacks all packages of a folder into another.
pub(super) fn unpack(archives: &Path, folder: &Path) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", archives.display());
    for entry in std::fs::read_dir(archives).map_err(unreadable)? {
        let archive = entry.map_err(unreadable)?.path();
        if archive.extension().is_some_and(|end| end == "deb") {
            quiet(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(folder))?;
        }
    }
    Ok(())
}

/// Small scripts that tell the programs where their libraries are, by their own place: the folder may be moved.
fn wrap(folder: &Path) -> Result<(), String> {
    let preload =
        find(&folder.join("usr/lib"), "fiu_run_preload.so").ok_or("libfiu0 has no fiu_run_preload.so")?;
    let libfiu = find(&folder.join("usr/lib"), "libfiu.so.0").ok_or("libfiu0 has no libfiu.so.0")?;
    let inside = |file: &Path| {
        let place = file.parent().and_then(|parent| parent.strip_prefix(folder).ok());
        place.map(|place| place.display().to_string()).unwrap_or_default()
    };
    let head = "#!/bin/sh\nhere=$(cd \"$(dirname \"$0\")/..\" && pwd)\n";
    let library = |place: &str| {
        format!("export LD_LIBRARY_PATH=\"$here/{place}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n")
    };
    let fiu = format!(
        "{head}{}exec \"$here/usr/bin/fiu-run\" -l \"$here/{}\" \"$@\"\n",
        library(&inside(&libfiu)),
        inside(&preload)
    );
    script(&folder.join("bin/fiu-run"), &fiu)?;
    if let Some(libpcre) = find(&folder.join("usr/lib"), "libpcre2-8.so.0") {
        let nginx = format!("{head}{}exec \"$here/usr/sbin/nginx\" \"$@\"\n", library(&inside(&libpcre)));
        script(&folder.join("bin/nginx"), &nginx)?;
    }
    if let Some(libunwind) = find(&folder.join("usr/lib"), "libunwind.so.8") {
        // `-E` takes the variable from the traced program again.
        let strace = format!(
            "{head}{}exec \"$here/usr/bin/strace\" -E LD_LIBRARY_PATH \"$@\"\n",
            library(&inside(&libunwind))
        );
        script(&folder.join("bin/strace"), &strace)?;
    }
    Ok(())
}

/// A program made of this text.
pub(super) fn script(file: &Path, text: &str) -> Result<(), String> {
    let unwritable = |error: std::io::Error| format!("cannot write {}: {error}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    std::fs::write(file, text).map_err(unwritable)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).map_err(unwritable)
}

fn locate(folder: &Path, installed: Installed) -> Option<Debian> {
    let strace = installed.strace.unwrap_or_else(|| folder.join("bin/strace"));
    let nginx = installed.nginx.unwrap_or_else(|| folder.join("bin/nginx"));
    let promtool = installed.promtool.unwrap_or_else(|| folder.join("usr/bin/promtool"));
    let fiu_run = folder.join("bin/fiu-run");
    let fiu_ctrl = folder.join("usr/bin/fiu-ctrl");
    let fiu_lib = find(&folder.join("usr/lib"), "fiu_posix_preload.so")?.parent()?.to_path_buf();
    let faketime_lib = find(&folder.join("usr/lib"), FAKETIME)?;
    let there = [&strace, &fiu_run, &fiu_ctrl, &nginx, &promtool].iter().all(|file| file.is_file());
    there.then_some(Debian { strace, fiu_run, fiu_ctrl, fiu_lib, faketime_lib, nginx, promtool })
}

/// The file of this name, however deep: releases of Debian put libraries into different folders.
pub(super) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let direct = folder.join(name);
    if direct.exists() {
        return Some(direct);
    }
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().filter(|entry| entry.path().is_dir()).find_map(|entry| find(&entry.path(), name))
}

/// What the tests build on: an fsync that fails when told to, another wall clock, a traced program, and a mount namespace without root.
fn self_check(debian: &Debian, python: &Path) -> Result<(), String> {
    const FSYNC_FAILS: &str = "\
import os, tempfile
with tempfile.TemporaryFile() as file:
    try:
        os.fsync(file.fileno())
    except OSError:
        raise SystemExit(0)
raise SystemExit('fsync did not fail')";
    let mut fsync = Command::new(&debian.fiu_run);
    fsync
        .args(["-x", "-f", "", "-c", "enable name=posix/io/sync/fsync"])
        .arg(python)
        .args(["-c", FSYNC_FAILS]);
    quiet(&mut fsync).map_err(|problem| format!("libfiu does not make fsync fail here.\n{problem}"))?;
    let mut years_ago = Command::new(python);
    years_ago
        .args(["-c", "import time; raise SystemExit(0 if time.time() < 1e9 else 'the clock is right')"])
        .env("LD_PRELOAD", &debian.faketime_lib)
        .env("FAKETIME", "@2000-01-01 00:00:00");
    quiet(&mut years_ago)
        .map_err(|problem| format!("libfaketime does not set the clock here.\n{problem}"))?;
    quiet(Command::new(&debian.strace).args(["-f", "-o", "/dev/null", "true"])).map_err(|problem| {
        format!(
            "strace may not trace here (a container without ptrace?): black-box tests need it.\n{problem}"
        )
    })?;
    quiet(Command::new(&debian.nginx).arg("-v"))
        .map_err(|problem| format!("nginx does not start here.\n{problem}"))?;
    quiet(Command::new(&debian.promtool).arg("--version"))
        .map_err(|problem| format!("promtool does not start here.\n{problem}"))?;
    quiet(Command::new("unshare").args(["-Urm", "true"])).map(drop).map_err(|problem| {
        format!("No mount namespace without root here: the test of a full disk needs one.\n{problem}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_file_however_deep() {
        let folder = std::env::temp_dir().join(format!("xtask-find-{}", std::process::id()));
        empty_folder(&folder.join("a/b")).unwrap();
        std::fs::write(folder.join("a/b/libfiu.so.0"), "").unwrap();
        assert_eq!(find(&folder, "libfiu.so.0"), Some(folder.join("a/b/libfiu.so.0")));
        assert_eq!(find(&folder, "libfiu.so.1"), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_installed_is_not_fetched() {
        let some = || Some(PathBuf::from("/usr/bin/it"));
        let all = packages(&Installed::default());
        assert!(all.contains(&"strace") && all.contains(&"nginx"));
        let none = packages(&Installed { strace: some(), nginx: some(), promtool: some() });
        assert_eq!(none, ["fiu-utils", "libfaketime", "libfiu0"]);
    }
}
