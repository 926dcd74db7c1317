//! Which foreign packages are built, and where they come from. The part of `deny.toml` that needs no tool of its own.

use super::rules::{BANNED_CRATES, REGISTRY};
use super::toml::entries;
use super::tree::{Finding, Tree};

/// Every package of Cargo.lock that is not ours comes from crates.io.
pub fn check_sources(tree: &Tree, findings: &mut Vec<Finding>) {
    let Some(lock) = tree.get("Cargo.lock") else {
        findings.push(Finding::file("Cargo.lock", "is missing", "commit the Cargo.lock that cargo writes"));
        return;
    };
    let mut package = "";
    for entry in entries(&lock.text) {
        let value = entry.value.trim_matches('"');
        match entry.key {
            "name" => package = value,
            "source" if value != REGISTRY => {
                let problem = format!("`{package}` comes from {value}");
                let advice = "packages come from crates.io alone (deny.toml)";
                findings.push(Finding::line("Cargo.lock", entry.line, problem, advice));
            }
            _ => {}
        }
    }
}

/// No banned package is in the graph: `name v1.2.3 …`, one a line.
pub fn check_graph(graph: &str, findings: &mut Vec<Finding>) {
    for line in graph.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        if let Some((_, reason)) = BANNED_CRATES.iter().find(|(banned, _)| *banned == name) {
            let advice = format!(
                "see who brings it: cargo tree --target all -i {name}; then trim a feature in Cargo.toml"
            );
            findings.push(Finding::file("Cargo.toml", format!("`{name}` is banned ({reason})"), advice));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_come_from_crates_io() {
        let ours = "[[package]]\nname = \"hub\"\nversion = \"0.1.0\"\n";
        let theirs = format!("[[package]]\nname = \"http\"\nsource = \"{REGISTRY}\"\n");
        let other = "[[package]]\nname = \"fork\"\nsource = \"git+https://example.org/fork#abc\"\n";
        let mut findings = Vec::new();
        check_sources(&Tree::of(&[("Cargo.lock", &format!("{ours}{theirs}"))]), &mut findings);
        assert_eq!(findings, []);
        check_sources(&Tree::of(&[("Cargo.lock", &format!("{ours}{other}{theirs}"))]), &mut findings);
        assert!(findings[0].to_string().starts_with("Cargo.lock:6: `fork` comes from git+"), "{findings:?}");
        check_sources(&Tree::of(&[]), &mut findings);
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn banned_packages_are_found_in_the_graph() {
        let mut findings = Vec::new();
        check_graph("retrohook v0.1.0 (/x)\nrustls v0.23.46\nsprings v1.0.0\n", &mut findings);
        assert_eq!(findings, []);
        check_graph("rustls v0.23.46\nring v0.17.14\nring v0.17.14 (*)\n", &mut findings);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].to_string().contains("cargo tree --target all -i ring"), "{findings:?}");
    }

    #[test]
    fn deny_toml_bans_the_same() {
        let deny = include_str!("../../../deny.toml");
        for (name, _) in BANNED_CRATES {
            assert!(deny.contains(&format!("crate = \"{name}\"")), "{name} is not in deny.toml");
        }
    }
}
