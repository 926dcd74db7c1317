//! Programs that tests need beside the binary under test. `cargo xtask test` sets them up and names them in the environment.

use std::path::PathBuf;

/// Where a tool is: `RETROHOOK_TEST_<NAME>` of the environment, else the program of this name on the path.
///
/// # Panics
/// If there is neither: a test that cannot run has failed.
#[track_caller]
pub fn find(name: &str, program: &str) -> PathBuf {
    let variable = format!("RETROHOOK_TEST_{name}");
    if let Some(named) = std::env::var_os(&variable) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("no `{program}` here and no {variable}: run `cargo xtask test`, or `eval \"$(cargo xtask tools)\"` before")
    })
}
