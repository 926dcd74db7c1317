//! Enough of TOML for Cargo's files: tables, and the keys at the beginning of a line.

/// A key with its value, as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The table, `dependencies`.
    pub table: &'a str,
    /// The key, up to its first dot.
    pub key: &'a str,
    /// What stands behind the `=` in its first line.
    pub value: &'a str,
    /// The line, from 1.
    pub line: usize,
}

/// The entries of a file.
pub fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut table = "";
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_start_matches('[').split(']').next().unwrap_or(name).trim();
        } else if let Some((key, value)) = line.split_once('=')
            && line.starts_with(|first: char| first.is_ascii_alphanumeric() || matches!(first, '_' | '"'))
        {
            let key = key.trim().trim_matches('"');
            let key = key.split('.').next().unwrap_or(key);
            entries.push(Entry { table, key, value: value.trim(), line: number + 1 });
        }
    }
    entries
}

/// A dependency of a package.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    /// The package's name, also where the manifest renames it.
    pub name: &'a str,
    /// Only for tests, examples and benchmarks.
    pub dev: bool,
    /// The line, from 1.
    pub line: usize,
}

/// The dependencies that a manifest names.
pub fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found: Vec<Dependency<'_>> = Vec::new();
    for entry in entries(manifest) {
        // `dependencies`, `target.'cfg(unix)'.dependencies`, `dependencies.name`.
        let (kind, in_table) = match entry.table.rsplit_once("dependencies.") {
            Some((kind, name)) => (kind, Some(name)),
            None => match entry.table.strip_suffix("dependencies") {
                Some(kind) => (kind, None),
                None => continue,
            },
        };
        if kind.starts_with("workspace") {
            continue;
        }
        let renamed = match in_table {
            Some(_) if entry.key == "package" => Some(entry.value),
            Some(_) => None,
            None => {
                entry.value.split_once("package").and_then(|(_, rest)| rest.split_once('=')).map(|(_, v)| v)
            }
        };
        let renamed = renamed.and_then(|value| value.split('"').nth(1));
        let name = renamed.or(in_table).unwrap_or(entry.key);
        let dependency = Dependency { name, dev: kind.ends_with("dev-"), line: entry.line };
        match found.last_mut() {
            // A key of the table of the same dependency.
            Some(last) if in_table.is_some_and(|table| table == last.name) => last.name = name,
            _ => found.push(dependency),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_a_dependency() {
        let manifest = r#"
[package]
name = "hub"
[dependencies]
event.workspace = true
storage = { path = "../storage", features = ["x"] }
web = { version = "1", package = "axum" }
[dev-dependencies]
testkit = { workspace = true }
[build-dependencies]
cc = "1"
[target.'cfg(unix)'.dependencies]
rustix = "1"
[dependencies.socket2]
version = "0.6"
features = ["all"]
[features]
conformance = []
[workspace.dependencies]
hyper = "1"
"#;
        let names: Vec<_> = dependencies(manifest).iter().map(|found| (found.name, found.dev)).collect();
        let expected = [
            ("event", false),
            ("storage", false),
            ("axum", false),
            ("testkit", true),
            ("cc", false),
            ("rustix", false),
            ("socket2", false),
        ];
        assert_eq!(names, expected);
    }
}
