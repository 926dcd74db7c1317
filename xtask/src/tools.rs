//! What the black-box tests need beside a Rust toolchain, set up under `target/tools` and nowhere else.
//!
//! Tests find the tools by environment variables (see [`Tools::variables`]). Each part keeps a stamp: the text of what it was made
//! from. As long as the stamp is right nothing is fetched.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::Places;
use crate::process::on_path;

mod debian;
mod installed;
mod node;
pub mod peers;
mod python;

pub use installed::Installed;

/// Where the tools are.
pub struct Tools {
    variables: Vec<(&'static str, PathBuf)>,
}

impl Tools {
    /// What tests find in their environment.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.variables.iter().map(|(name, path)| (*name, path.as_path()))
    }

    /// The same, as lines for a shell.
    pub fn exports(&self) -> String {
        self.variables().fold(String::new(), |mut lines, (name, path)| {
            let _ = writeln!(lines, "export {name}='{}'", path.display());
            lines
        })
    }
}

/// Sets up what is not there yet. The error says what is missing and what that means.
pub fn set_up(places: &Places) -> Result<Tools, String> {
    let folder = places.target.join("tools");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let python = python::set_up(&python::CURRENT, &places.root, &folder);
    let old_python = python::set_up(&python::OLD, &places.root, &folder);
    let debian = python.as_ref().ok().map(|python| debian::set_up(&folder, python));
    let node = python.as_ref().ok().map(|python| node::set_up(&places.root, &folder, python));
    let unshare = on_path("unshare").ok_or_else(|| "`unshare` is missing: install util-linux".to_owned());
    match (python, old_python, debian, node, unshare) {
        (Ok(python), Ok(old_python), Some(Ok(debian)), Some(Ok(node)), Ok(unshare)) => Ok(Tools {
            variables: vec![
                ("RETROHOOK_TEST_PYTHON", python),
                ("RETROHOOK_TEST_OLD_PYTHON", old_python),
                ("RETROHOOK_TEST_NODE", node.program),
                ("RETROHOOK_TEST_NODE_MODULES", node.modules),
                ("RETROHOOK_TEST_NODE_TEST_MODULES", node.test_modules),
                ("RETROHOOK_TEST_STRACE", debian.strace),
                ("RETROHOOK_TEST_FIU_RUN", debian.fiu_run),
                ("RETROHOOK_TEST_FIU_CTRL", debian.fiu_ctrl),
                ("RETROHOOK_TEST_FIU_LIB", debian.fiu_lib),
                ("RETROHOOK_TEST_NGINX", debian.nginx),
                ("RETROHOOK_TEST_PROMTOOL", debian.promtool),
                ("RETROHOOK_TEST_FAKETIME_LIB", debian.faketime_lib),
                ("RETROHOOK_TEST_UNSHARE", unshare),
            ],
        }),
        (python, old_python, debian, node, unshare) => {
            let problems = [
                python.err(),
                old_python.err(),
                debian.and_then(Result::err),
                node.and_then(Result::err),
                unshare.err(),
            ];
            Err(problems.into_iter().flatten().collect::<Vec<_>>().join("\n"))
        }
    }
}

/// The interpreter with what `cargo xtask services` needs besides.
pub fn services(places: &Places) -> Result<PathBuf, String> {
    python::set_up(&python::SERVICES, &places.root, &places.target.join("tools"))
}

/// The note of what a part was made from.
struct Stamp {
    file: PathBuf,
    text: String,
}

impl Stamp {
    fn is_right(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|text| text == self.text)
    }

    /// A set-up that breaks off must not look finished.
    fn remove(&self) {
        let _ = std::fs::remove_file(&self.file);
    }

    fn write(&self) -> Result<(), String> {
        std::fs::write(&self.file, &self.text)
            .map_err(|error| format!("cannot write {}: {error}", self.file.display()))
    }
}

/// An empty folder in the place of whatever was there.
fn empty_folder(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_right_only_for_what_it_was_written_for() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        empty_folder(&folder).unwrap();
        let stamp = Stamp { file: folder.join("stamp"), text: "one".into() };
        assert!(!stamp.is_right());
        stamp.write().unwrap();
        assert!(stamp.is_right());
        let other = Stamp { file: stamp.file.clone(), text: "two".into() };
        assert!(!other.is_right());
        stamp.remove();
        assert!(!stamp.is_right());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn exports_can_be_evaluated() {
        let tools = Tools { variables: vec![("RETROHOOK_TEST_PYTHON", PathBuf::from("/a b/python"))] };
        assert_eq!(tools.exports(), "export RETROHOOK_TEST_PYTHON='/a b/python'\n");
    }
}
