//! Circles of imports between the files of a crate: no file that is in one can be read, or changed, alone.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{Import, code_only, imports, without_tests};
use super::rules::WITHOUT_CIRCLES;
use super::tree::{Finding, Tree};

/// All checks of this file.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for name in WITHOUT_CIRCLES {
        of_crate(tree, name, findings);
    }
}

/// What a file imports of its crate: modules, with the line of the import.
type Uses = BTreeMap<String, usize>;

fn of_crate(tree: &Tree, name: &str, findings: &mut Vec<Finding>) {
    let root = format!("crates/{name}/src/");
    let module = |path: &str| Some(path.strip_prefix(&root)?.strip_suffix(".rs")?.replace('/', "::"));
    let files: BTreeMap<String, (&str, &str)> = tree
        .rust()
        .filter(|file| !file.is_test())
        .filter_map(|file| Some((module(&file.path)?, (file.path.as_str(), file.text.as_str()))))
        .filter(|(module, _)| module != "lib")
        .collect();
    let all: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    let uses: BTreeMap<&str, Uses> =
        files.iter().map(|(module, (_, text))| (module.as_str(), uses(module, text, &all))).collect();
    for (module, of_it) in &uses {
        for (used, line) in of_it.iter().filter(|(used, _)| leads_to(used, module, &uses)) {
            let problem = format!("imports `{used}`, which leads back here in a circle");
            let advice = "move what both need into a file of its own, or let the one that is below ask through a trait";
            findings.push(Finding::line(files[*module].0, *line, problem, advice));
        }
    }
}

fn uses(module: &str, text: &str, all: &BTreeSet<&str>) -> Uses {
    let code = without_tests(&code_only(text));
    let used = imports(&code).into_iter().filter_map(|Import { line, path }| {
        let used = resolve(module, &path, all)?;
        (used != module).then_some((used, line))
    });
    // Of several imports the first one: the last that is put in stays.
    let used: Vec<_> = used.collect();
    used.into_iter().rev().collect()
}

/// The module of the crate that a path leads into, if any.
fn resolve(module: &str, path: &str, all: &BTreeSet<&str>) -> Option<String> {
    let parent = |module: &str| module.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
    let mut base = String::new();
    let mut rest = path;
    if let Some(behind) = rest.strip_prefix("crate::") {
        rest = behind;
    } else if rest.starts_with("super::") {
        base = module.to_owned();
        while let Some(behind) = rest.strip_prefix("super::") {
            base = parent(&base);
            rest = behind;
        }
    } else {
        base = module.to_owned();
        rest = rest.strip_prefix("self::").unwrap_or(rest);
        let first = rest.split("::").next().unwrap_or_default();
        // Else it is another crate's.
        all.contains(format!("{base}::{first}").as_str()).then_some(())?;
    }
    let mut whole = if base.is_empty() { rest.to_owned() } else { format!("{base}::{rest}") };
    while !all.contains(whole.as_str()) {
        whole = parent(&whole);
        if whole.is_empty() {
            return None;
        }
    }
    Some(whole)
}

/// Whether one module imports another, at any remove.
fn leads_to(from: &str, to: &str, uses: &BTreeMap<&str, Uses>) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        if module == to {
            return true;
        }
        let next = uses.get(module).into_iter().flat_map(Uses::keys);
        left.extend(next.map(String::as_str).filter(|next| seen.insert(next)));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> =
            files.iter().map(|(name, text)| (format!("crates/gateway/src/{name}"), *text)).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let mut findings = Vec::new();
        check(&Tree::of(&files), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_import_of_a_circle_is_named() {
        let found = problems(&[
            ("a.rs", "//! a\nuse crate::b::{self, B};\n"),
            ("b.rs", "//! b\nuse std::io;\n\nuse self::c::C;\n"),
            ("b/c.rs", "//! c\nuse super::super::a::A;\n"),
            ("d.rs", "//! d\nuse crate::a::A;\n"),
        ]);
        assert_eq!(found.len(), 3, "{found:#?}");
        for begin in [
            "crates/gateway/src/a.rs:2: imports `b`, which leads back here in a circle",
            "crates/gateway/src/b.rs:4: imports `b::c`",
            "crates/gateway/src/b/c.rs:2: imports `a`",
        ] {
            assert!(found.iter().any(|one| one.starts_with(begin)), "{begin}: {found:#?}");
        }
    }

    #[test]
    fn tests_comments_and_other_crates_make_no_circle() {
        let found = problems(&[
            ("a.rs", "//! a\nuse crate::b::B;\nuse http::a::A;\n"),
            ("b.rs", "//! b: use crate::a::A;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
            ("b/tests.rs", "//! x\nuse crate::a::A;\n"),
            ("lib.rs", "//! all\npub use a::A;\n"),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
