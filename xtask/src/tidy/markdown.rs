//! Links between the project's own Markdown files lead somewhere.

use super::tree::{File, Finding, Tree};

/// All links of all Markdown files.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&file.text) {
            if let Err(problem) = resolve(tree, file, target) {
                findings.push(Finding::line(&file.path, line, problem, "mend the link"));
            }
        }
    }
}

fn resolve(tree: &Tree, file: &File, target: &str) -> Result<(), String> {
    let foreign = target.contains("://") || target.starts_with("mailto:");
    if foreign {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { file.path.clone() } else { join(&file.path, path)? };
    if !tree.has(&path) {
        return Err(format!("`{target}` leads nowhere: there is no {path}"));
    }
    match tree.get(&path) {
        Some(to)
            if path.ends_with(".md")
                && !anchor.is_empty()
                && !anchors(&to.text).contains(&anchor.to_owned()) =>
        {
            Err(format!("`{target}` leads nowhere: {path} has no heading #{anchor}"))
        }
        _ => Ok(()),
    }
}

/// A relative path, seen from a file.
fn join(from: &str, path: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if path.starts_with('/') {
        parts.clear();
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(|| format!("`{path}` leads out of the project"))?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The lines outside code fences, from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((number + 1, line))
    })
}

/// The targets of `[text](target)` and `[text]: target`, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let is_code = |at: usize| line[..at].matches('`').count() % 2 == 1;
        for (at, _) in line.match_indices("](") {
            let target = &line[at + 2..];
            let end = target.find([')', ' ']).unwrap_or(target.len());
            if !is_code(at) {
                found.push((number, &target[..end]));
            }
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push((number, target.split(' ').next().unwrap_or(target)));
        }
    }
    found
}

/// The names that headings get on the web.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, line) in prose(text).filter(|(_, line)| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|next| next.is_alphanumeric() || matches!(next, ' ' | '-' | '_'));
        let anchor = kept.collect::<String>().replace(' ', "-");
        let again = found.iter().filter(|known| **known == anchor).count();
        found.push(if again == 0 { anchor } else { format!("{anchor}-{again}") });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let glossary = ("docs/glossary.md", "# Words\n\n## Group commit\n");
        let tree = Tree::of(&[("README.md", ""), ("docs/guide.md", text), glossary, ("LICENSE", "")]);
        let mut findings = Vec::new();
        check(&tree, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere() {
        for link in [
            "[a](glossary.md)",
            "[a](glossary.md#group-commit)",
            "[a](../LICENSE \"title\")",
            "[a](../docs/)",
            "[a](/README.md)",
            "[a](https://example.org/x)",
            "# Here\n[a](#here)",
            "[a]\n\n[a]: ../README.md",
        ] {
            assert_eq!(problems(link), [""; 0], "{link}");
        }
    }

    #[test]
    fn links_that_do_not() {
        for (link, expected) in [
            ("[a](gone.md)", "docs/guide.md:1: `gone.md` leads nowhere: there is no docs/gone.md"),
            ("x\n[a](glossary.md#gone)", "docs/guide.md:2: `glossary.md#gone` leads nowhere"),
            ("[a](#gone)", "docs/guide.md:1: `#gone` leads nowhere"),
            ("[a](../../x)", "docs/guide.md:1: `../../x` leads out of the project"),
            ("[a]: gone.md", "docs/guide.md:1: `gone.md` leads nowhere"),
        ] {
            let found = problems(link);
            assert_eq!(found.len(), 1, "{link}: {found:?}");
            assert!(found[0].starts_with(expected), "{found:?}");
        }
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(problems("```\n[a](gone.md)\n```\n`[a](gone.md)`\n"), [""; 0]);
    }
}
