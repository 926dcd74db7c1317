//! Translates older versions of Kong's format into version 3.0, before anything is checked. It works on the tree, in which every value keeps its
//! place.
//!
//! * In 1.1 and 2.1, the path of a route is a regular expression if it has a character that no plain path has there; in 3.0 it then begins with
//!   `~`. Plain paths are normalised as requests are, as Kong does with such a file.
//! * If a service has a `url`, any word is allowed as its `protocol`, because the `url` wins.

use crate::problem::{Doubt, Spot};
use crate::tree::{Kind, Node, Source, TreePath};

/// Translates all files into version 3.0. Returns a warning for everything that is left out.
pub(crate) fn translate(sources: &mut [Source]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for (file, source) in sources.iter_mut().enumerate() {
        let is_old = is_old(&source.root);
        let top = Spot { file, path: TreePath::default() };
        for (index, service) in source.root.items_mut("services").iter_mut().enumerate() {
            protocol_beside_url(service, &top.key("services").index(index), &mut doubts);
            if is_old {
                service.items_mut("routes").iter_mut().for_each(translate_paths);
            }
        }
        if is_old {
            source.root.items_mut("routes").iter_mut().for_each(translate_paths);
        }
    }
    doubts
}

/// Whether a document has a format in which paths that are regular expressions are not marked.
pub(crate) fn is_old(root: &Node) -> bool {
    match root.get("_format_version").map(|version| &version.kind) {
        Some(Kind::Text(text) | Kind::Number(_, text)) => matches!(text.as_str(), "1.1" | "2.1"),
        _ => false,
    }
}

/// Whether a path of an old format is a regular expression. Kong's rule: plain paths have letters, digits and `._~/%-`.
pub(crate) fn is_regex(path: &str) -> bool {
    path.contains(|c: char| !c.is_ascii_alphanumeric() && !"._~/%-".contains(c))
}

fn translate_paths(route: &mut Node) {
    for path in route.items_mut("paths") {
        let Kind::Text(text) = &mut path.kind else { continue };
        // One that begins with `~` is written as in 3.0 already.
        if text.starts_with('~') {
            continue;
        }
        if is_regex(text) {
            text.insert(0, '~');
        } else if text.starts_with('/') {
            *text = entities::normalise(text).into_owned();
        }
    }
}

/// Removes a protocol other than http and https if there is a `url`, which overrules it.
fn protocol_beside_url(service: &mut Node, spot: &Spot, doubts: &mut Vec<Doubt>) {
    let Some(url) = service.get("url").and_then(Node::text).map(str::to_owned) else { return };
    let Some(protocol) = service.get_mut("protocol") else { return };
    let Kind::Text(word) = &protocol.kind else { return };
    // If the url has the same protocol, it is checked there.
    if matches!(word.as_str(), "http" | "https") || url.starts_with(&format!("{word}://")) {
        return;
    }
    let (message, hint) = (overruled("protocol"), OVERRULED.to_owned());
    doubts.push(Doubt { spot: spot.key("protocol"), message, hint });
    protocol.kind = Kind::Null;
}

/// The warning for a key that contradicts the `url`.
pub(crate) fn overruled(key: &str) -> String {
    format!("`{key}` has no effect: `url` says something else")
}

/// The hint for it.
pub(crate) const OVERRULED: &str = "as in Kong, the `url` wins: keep one of the two";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_or_a_regular_expression_as_in_kong() {
        for plain in ["/", "/a/b", "/a.b-c_d~e", "/%20", "~/a"] {
            assert!(!is_regex(plain), "{plain}");
        }
        for regex in ["/a$", "/(?<id>\\d+)", "/a+b", "/a|b", "/ä", "/[^/]"] {
            assert!(is_regex(regex), "{regex}");
        }
    }
}
