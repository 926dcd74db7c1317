//! `cargo xtask services`: more real services with their own clients than those of the black-box tests, direct and through the gateway.

use crate::Places;
use crate::process::{cargo, show};
use crate::test::FEATURES;
use crate::tools;

/// Runs the tests of all of them, those of the black-box tests too; whether all clients got the same. The error says which tools are missing.
pub fn run(places: &Places) -> Result<bool, String> {
    let tools = tools::set_up(places)?;
    let python = tools::services(places)?;
    let features = format!("{FEATURES},retrohook/services");
    let mut command = cargo();
    command.current_dir(&places.root).args(["test", "--workspace", &features, "--test", "real_services"]);
    command.envs(tools.variables()).env("RETROHOOK_TEST_SERVICES_PYTHON", python);
    Ok(show(&mut command)?.ok)
}
