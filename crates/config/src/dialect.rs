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
        let Source { root, replaced, .. } = source;
        let top = TreePath::default();
        for (index, service) in root.items_mut("services").iter_mut().enumerate() {
            let path = top.key("services").index(index);
            protocol_beside_url(service, &Spot { file, path: path.clone() }, replaced, &mut doubts);
            if is_old {
                translate_routes(service, &path, replaced);
            }
        }
        if is_old {
            translate_routes(root, &top, replaced);
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

/// Translates the routes of a document or a service, which is at `path`.
fn translate_routes(parent: &mut Node, path: &TreePath, replaced: &mut Vec<(TreePath, Kind)>) {
    let list = path.key("routes");
    for (index, route) in parent.items_mut("routes").iter_mut().enumerate() {
        for (of_path, path) in route.items_mut("paths").iter_mut().enumerate() {
            let Kind::Text(text) = &path.kind else { continue };
            if let Some(translated) = translate_path(text).filter(|translated| translated != text) {
                let written = std::mem::replace(&mut path.kind, Kind::Text(translated));
                replaced.push((list.index(index).key("paths").index(of_path), written));
            }
        }
    }
}

/// A path of an old format as version 3.0 has it; `None` if it is the same.
fn translate_path(text: &str) -> Option<String> {
    match text {
        // It is written as in 3.0 already.
        _ if text.starts_with('~') => None,
        _ if is_regex(text) => Some(format!("~{text}")),
        _ if text.starts_with('/') => Some(entities::normalise(text).into_owned()),
        _ => None,
    }
}

/// Removes a protocol other than http and https if there is a `url`, which overrules it.
fn protocol_beside_url(
    service: &mut Node,
    spot: &Spot,
    replaced: &mut Vec<(TreePath, Kind)>,
    doubts: &mut Vec<Doubt>,
) {
    let Some(url) = service.get("url").and_then(Node::text).map(str::to_owned) else { return };
    let Some(protocol) = service.get_mut("protocol") else { return };
    let Kind::Text(word) = &protocol.kind else { return };
    // If the url has the same protocol, it is checked there.
    if matches!(word.as_str(), "http" | "https") || url.starts_with(&format!("{word}://")) {
        return;
    }
    let (message, hint) = (overruled("protocol"), OVERRULED.to_owned());
    let spot = spot.key("protocol");
    replaced.push((spot.path.clone(), std::mem::replace(&mut protocol.kind, Kind::Null)));
    doubts.push(Doubt { spot, message, hint });
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
