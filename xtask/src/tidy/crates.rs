//! Which crate may depend on which, and what the core crates must not know.

use super::lexer::{code_only, imports, line_of, without_tests, words};
use super::rules::{CORE, EXCEPTIONS, Exception, FORBIDDEN_IN_CORE, MAY_DEPEND_ON, PATHS_FORBIDDEN_IN_CORE};
use super::toml::dependencies;
use super::tree::{File, Finding, Tree};

/// All checks of this file.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in &tree.files {
        if let Some(name) = crate_of(&file.path)
            && file.path == format!("crates/{name}/Cargo.toml")
        {
            manifest(name, file, findings);
        }
    }
    for file in tree.rust().filter(|file| !file.is_test()) {
        if crate_of(&file.path).is_some_and(|name| CORE.contains(&name)) {
            core_source(file, findings);
        }
    }
    unused_exceptions(tree, EXCEPTIONS, findings);
}

fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split('/').next()
}

fn manifest(name: &str, file: &File, findings: &mut Vec<Finding>) {
    let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(known, _)| *known == name) else {
        let advice = "say in xtask/src/tidy/rules.rs, MAY_DEPEND_ON, which crates it may depend on";
        findings.push(Finding::file(&file.path, format!("`{name}` is a new crate"), advice));
        return;
    };
    for dependency in dependencies(&file.text) {
        let other = dependency.name;
        let mut say = |problem: String, advice: &str| {
            findings.push(Finding::line(&file.path, dependency.line, problem, advice));
        };
        let ours = MAY_DEPEND_ON.iter().any(|(known, _)| *known == other);
        if ours && !dependency.dev && !allowed.contains(&other) {
            let advice = "dependencies point one way (ARCHITECTURE.md); move what is needed to a lower crate";
            say(format!("`{name}` must not depend on `{other}`"), advice);
        }
        let forbidden = FORBIDDEN_IN_CORE.iter().any(|banned| match banned.strip_suffix('*') {
            Some(start) => other.starts_with(start),
            None => other == *banned,
        });
        if forbidden && !dependency.dev && CORE.contains(&name) {
            let advice = "a core crate knows no sockets, files or databases; make it a port";
            say(format!("the core crate `{name}` must not depend on `{other}`"), advice);
        }
    }
}

fn core_source(file: &File, findings: &mut Vec<Finding>) {
    for (path, line) in forbidden_paths(&file.text) {
        if EXCEPTIONS.iter().all(|exception| (exception.file, exception.path) != (&*file.path, path)) {
            let advice = "take it as a parameter or through a port, or list it with its reason in EXCEPTIONS of \
                          xtask/src/tidy/rules.rs";
            findings.push(Finding::line(&file.path, line, format!("a core crate uses `{path}`"), advice));
        }
    }
}

/// The forbidden paths that the code outside its tests names or imports, with their lines.
fn forbidden_paths(text: &str) -> Vec<(&'static str, usize)> {
    let code = without_tests(&code_only(text));
    let mut found = Vec::new();
    let imports = imports(&code);
    // Tokio's clock can be paused and moved by a test.
    let simulated = imports.iter().any(|import| import.path == "tokio::time::Instant");
    for path in PATHS_FORBIDDEN_IN_CORE {
        if *path == "Instant::now" && simulated {
            continue;
        }
        found.extend(words(&code, path).map(|at| (*path, line_of(&code, at))));
        let below = |import: &str| {
            import.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        found.extend(imports.iter().filter(|import| below(&import.path)).map(|import| (*path, import.line)));
    }
    found.sort_by_key(|(path, line)| (*line, *path));
    found.dedup();
    found
}

fn unused_exceptions(tree: &Tree, exceptions: &[Exception], findings: &mut Vec<Finding>) {
    for exception in exceptions {
        let used = tree
            .get(exception.file)
            .is_some_and(|file| forbidden_paths(&file.text).iter().any(|(path, _)| *path == exception.path));
        if !used {
            let problem = format!("the exception for `{}` in {} is not used", exception.path, exception.file);
            findings.push(Finding::file("xtask/src/tidy/rules.rs", problem, "remove it"));
        }
        if exception.reason.is_empty() {
            let problem = format!("the exception for {} has no reason", exception.file);
            findings.push(Finding::file("xtask/src/tidy/rules.rs", problem, "give one"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(files);
        let mut findings = Vec::new();
        for file in &tree.files {
            match file.is_rust() {
                true => core_source(file, &mut findings),
                false => manifest(crate_of(&file.path).unwrap(), file, &mut findings),
            }
        }
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_point_one_way() {
        let well = "[dependencies]\nevent.workspace = true\n[dev-dependencies]\nstores.workspace = true\n";
        assert_eq!(problems(&[("crates/storage/Cargo.toml", well)]), [""; 0]);
        let upwards = problems(&[("crates/storage/Cargo.toml", "[dependencies]\nstores.workspace = true\n")]);
        assert!(upwards[0].starts_with("crates/storage/Cargo.toml:2: `storage` must not depend on `stores`"));
    }

    #[test]
    fn the_core_knows_no_sockets_and_databases() {
        for outside in ["hyper", "rusqlite", "axum", "socket2", "aws-sdk-sns"] {
            let found =
                problems(&[("crates/hub/Cargo.toml", &format!("[dependencies]\n{outside} = \"1\"\n"))]);
            assert_eq!(found.len(), 1, "{outside}: {found:?}");
        }
        assert_eq!(problems(&[("crates/stores/Cargo.toml", "[dependencies]\nrusqlite = \"1\"\n")]), [""; 0]);
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        assert_eq!(problems(&[("crates/novel/Cargo.toml", "[dependencies]\n")]).len(), 1);
    }

    #[test]
    fn core_sources_know_no_files_and_no_clock() {
        let code =
            "use std::{fs, net::{IpAddr, TcpListener}};\nfn f() { let now = std::time::Instant::now(); }\n";
        let found: Vec<_> = forbidden_paths(code);
        assert_eq!(found, [("std::fs", 1), ("std::net::TcpListener", 1), ("Instant::now", 2)]);
        assert_eq!(problems(&[("crates/event/src/id.rs", code)]).len(), 3);
    }

    #[test]
    fn tests_comments_and_addresses_are_free() {
        let code = "// std::fs\nuse std::net::SocketAddr;\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(forbidden_paths(code), []);
    }

    #[test]
    fn a_clock_that_tests_can_move_is_free() {
        assert_eq!(forbidden_paths("use tokio::time::Instant;\nfn f() { Instant::now(); }\n"), []);
        let other = "use std::time::Instant;\nfn f() { Instant::now(); }\n";
        assert_eq!(forbidden_paths(other), [("Instant::now", 2)]);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_found() {
        let exceptions = [Exception { file: "crates/hub/src/lib.rs", path: "Instant::now", reason: "why" }];
        let mut findings = Vec::new();
        let used = Tree::of(&[("crates/hub/src/lib.rs", "fn f() { Instant::now(); }")]);
        unused_exceptions(&used, &exceptions, &mut findings);
        assert_eq!(findings, []);
        unused_exceptions(&Tree::of(&[("crates/hub/src/lib.rs", "")]), &exceptions, &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
