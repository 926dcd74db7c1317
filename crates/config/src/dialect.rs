//! What older versions of Kong's format say in another way, put into the words of 3.0 before anything is checked: a tree for a tree, with
//! every value at its place.
//!
//! * In 1.1 and 2.1 a route's path with a character that no plain path of theirs has is a regular expression; in 3.0 such a path begins with
//!   `~`. Plain paths are brought into the form in which requests are matched, as Kong does it when it takes such a file.
//! * Beside a service's `url` any word is allowed as `protocol`: the `url` wins.

use crate::problem::{Doubt, Spot};
use crate::tree::{Kind, Node, Source, TreePath};

/// Puts all files into the words of 3.0; what is left out of them is doubted.
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

/// Whether a document is of a format in which regular expressions among paths have no mark.
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
        // One that begins with `~` is in the words of 3.0 already.
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

/// Takes a protocol away that says something else than http and https and that a `url` overrules.
fn protocol_beside_url(service: &mut Node, spot: &Spot, doubts: &mut Vec<Doubt>) {
    let Some(url) = service.get("url").and_then(Node::text).map(str::to_owned) else { return };
    let Some(protocol) = service.get_mut("protocol") else { return };
    let Kind::Text(word) = &protocol.kind else { return };
    // A protocol that the url says itself is judged there.
    if matches!(word.as_str(), "http" | "https") || url.starts_with(&format!("{word}://")) {
        return;
    }
    let (message, hint) = (overruled("protocol"), OVERRULED.to_owned());
    doubts.push(Doubt { spot: spot.key("protocol"), message, hint });
    protocol.kind = Kind::Null;
}

/// What is said of a key beside a `url` that says something else.
pub(crate) fn overruled(key: &str) -> String {
    format!("`{key}` has no effect: `url` says something else")
}

/// What to do about it.
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
