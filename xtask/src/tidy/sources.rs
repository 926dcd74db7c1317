//! Rules for single files: what they are called, what they begin with, what they must not say; what an extension's folder holds.

use super::lexer::{code_only, line_of, words};
use super::rules::{DRAWERS, EXTENSION_FOLDERS, FORBIDDEN_CODE, MACHINE_FOLDERS, MAY_BE_UNSAFE, MAY_SLEEP};
use super::tree::{File, Finding, Tree};

/// All checks of this file.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in &tree.files {
        machine_paths(file, findings);
    }
    for file in tree.rust() {
        name(file, findings);
        module_docs(file, findings);
        forbidden_code(file, findings);
    }
    extensions(tree, findings);
}

fn name(file: &File, findings: &mut Vec<Finding>) {
    if file.path.ends_with("/mod.rs") && extension_of(&file.path).is_none() {
        let advice = "call it by its folder's name and put it beside the folder: `foo.rs` beside `foo/`";
        findings.push(Finding::file(&file.path, "`mod.rs` is for extension folders", advice));
    }
    for part in file.path.split('/') {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if DRAWERS.contains(&stem) {
            let advice = "name it after what it holds";
            findings.push(Finding::file(&file.path, format!("`{stem}` is a drawer"), advice));
        }
    }
}

/// The extension that a file is the `mod.rs` of: (`crates/plugins/src/`, `acl`).
fn extension_of(path: &str) -> Option<(&'static str, &str)> {
    EXTENSION_FOLDERS.iter().find_map(|folder| {
        let name = path.strip_prefix(folder)?.strip_suffix("/mod.rs")?;
        (!name.contains('/')).then_some((*folder, name))
    })
}

fn module_docs(file: &File, findings: &mut Vec<Finding>) {
    if !file.text.starts_with("//!") {
        let advice = "say in its first line, with `//!`, what the file is for";
        findings.push(Finding::file(&file.path, "no module comment", advice));
    }
}

fn forbidden_code(file: &File, findings: &mut Vec<Finding>) {
    let code = code_only(&file.text);
    for (words_of_it, advice) in FORBIDDEN_CODE {
        for at in words(&code, words_of_it) {
            let problem = format!("`{}`", words_of_it.trim_end_matches('('));
            findings.push(Finding::line(&file.path, line_of(&code, at), problem, *advice));
        }
    }
    if file.path != MAY_BE_UNSAFE {
        for word in ["unsafe", "unsafe_code"] {
            for at in words(&code, word) {
                let advice = format!("only {MAY_BE_UNSAFE} may be unsafe: find a safe way");
                findings.push(Finding::line(&file.path, line_of(&code, at), format!("`{word}`"), advice));
            }
        }
    }
    if !file.path.starts_with(MAY_SLEEP) {
        for at in words(&code, "thread::sleep") {
            let advice = "wait for a condition with a deadline (testkit)";
            findings.push(Finding::line(&file.path, line_of(&code, at), "`thread::sleep`", advice));
        }
    }
}

fn machine_paths(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in file.text.lines().enumerate() {
        for folder in MACHINE_FOLDERS {
            if names_folder(line, folder) {
                let advice = "say it from the project's root, or make up a path that nobody has";
                let problem = format!("a path of somebody's own machine, /{folder}/…");
                findings.push(Finding::line(&file.path, number + 1, problem, advice));
            }
        }
    }
}

/// Whether a line has an absolute path below this folder. `docs/home/` and `http://host/home/` are none.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let begins = before.is_none_or(|before| before.is_whitespace() || "\"'`(=:,<[|;".contains(before));
        let goes_on = line[at + path.len()..].starts_with(|next: char| next.is_ascii_alphanumeric());
        begins && goes_on
    })
}

/// What every plug-in brings beside its code. Tests of the crate itself check that they are right.
fn extensions(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.rust() {
        let Some((folder @ "crates/plugins/src/", name)) = extension_of(&file.path) else { continue };
        let kebab = name.replace('_', "-");
        for (what, place) in [("example", "example.yaml"), ("JSON Schema", "schema.json")] {
            let place = format!("{folder}{name}/{place}");
            if !tree.has(&place) {
                let problem = format!("plug-in `{kebab}` has no {what}");
                findings.push(Finding::file(&file.path, problem, format!("check in {place}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings.iter().map(|finding| finding.to_string()).collect()
    }

    #[track_caller]
    fn one(path: &str, text: &str, expected: &str) {
        let found = problems(&[(path, text)]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with(expected), "{found:#?}");
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(problems(&[("crates/hub/src/lib.rs", "//! The hub.\n")]), [""; 0]);
        one("crates/hub/src/lib.rs", "use x;\n", "crates/hub/src/lib.rs:1: no module comment");
    }

    #[test]
    fn names_say_what_is_inside() {
        one("crates/hub/src/utils.rs", "//! x\n", "crates/hub/src/utils.rs:1: `utils` is a drawer");
        one("crates/hub/src/helpers/a.rs", "//! x\n", "crates/hub/src/helpers/a.rs:1: `helpers` is a drawer");
        one("crates/hub/src/topic/mod.rs", "//! x\n", "crates/hub/src/topic/mod.rs:1: `mod.rs`");
        one("crates/sinks/src/http/tls/mod.rs", "//! x\n", "crates/sinks/src/http/tls/mod.rs:1: `mod.rs`");
        assert_eq!(problems(&[("crates/sinks/src/http/mod.rs", "//! x\n")]), [""; 0]);
    }

    #[test]
    fn code_is_finished_and_run() {
        for code in ["#[ignore]", "#[ignore = \"slow\"]", "#[allow(dead_code)]", "todo!()", "dbg!(x)"] {
            one("crates/hub/src/lib.rs", &format!("//! x\n{code}\n"), "crates/hub/src/lib.rs:2: `");
        }
        assert_eq!(problems(&[("a.rs", "//! x todo!() #[ignore]\nlet x = \"dbg!(x)\";\n")]), [""; 0]);
    }

    #[test]
    fn only_one_module_is_unsafe() {
        for code in ["unsafe { f() }", "#![expect(unsafe_code, reason = \"x\")]"] {
            let code = format!("//! x\n{code}\n");
            one("crates/hub/src/lib.rs", &code, "crates/hub/src/lib.rs:2: `unsafe");
            assert_eq!(problems(&[(MAY_BE_UNSAFE, &code)]), [""; 0]);
        }
        assert_eq!(problems(&[("a.rs", "//! unsafe\nlet x = \"unsafe\";\n")]), [""; 0]);
    }

    #[test]
    fn only_testkit_sleeps() {
        let code = "//! x\nstd::thread::sleep(d);\n";
        one("crates/hub/src/lib.rs", code, "crates/hub/src/lib.rs:2: `thread::sleep`");
        assert_eq!(problems(&[("crates/testkit/src/wait.rs", code)]), [""; 0]);
    }

    #[test]
    fn no_path_of_somebodys_machine() {
        let line = |before: &str, after: &str| format!("{before}/{}/{after}\n", "home");
        one("docs/a.md", &line("see ", "ann/x"), "docs/a.md:1: a path of somebody's own machine");
        one("a.toml", &line("path = \"", "ann"), "a.toml:1: a path");
        for fine in [line("docs", "x"), line("http://host", "x"), line("paths: [", "]"), line("~", "x")] {
            assert_eq!(problems(&[("docs/a.md", &fine)]), [""; 0], "{fine}");
        }
    }

    #[test]
    fn a_plug_in_brings_its_example_and_schema() {
        let module = ("crates/plugins/src/key_auth/mod.rs", "//! x\n");
        assert_eq!(problems(&[module]).len(), 2);
        let example = ("crates/plugins/src/key_auth/example.yaml", "");
        assert_eq!(problems(&[module, example, ("crates/plugins/src/key_auth/schema.json", "")]), [""; 0]);
    }
}
