//! Files for other tools that people give to Retrohook by mistake: each is recognised by its structure, and the hint says how to go on.

use crate::tree::{Fault, Kind, Node, Place};

/// The problem with a document that is for another tool; `None` if it is for none of these.
pub(crate) fn recognise(root: &Node) -> Option<Fault> {
    let Kind::Map(entries) = &root.kind else { return None };
    if root.get("_format_version").is_some() {
        return None;
    }
    let place = |key: &str| {
        entries.iter().find(|entry| entry.key == key).map_or(Place::START, |entry| entry.key_place)
    };
    let text = |key: &str| root.get(key).and_then(Node::text);
    let (key, message, hint) = if root.get("apis").is_some() {
        let hint = "an api is a service with a route here: write `services` with `url` and `routes`, and begin the file with `_format_version: \"3.0\"`";
        ("apis", "this is a file of kongfig's, for the Admin API of Kong 0.x", hint)
    } else if text("kind").is_some() && text("apiVersion").is_some() {
        return Some(of_kubernetes(root, place("kind")));
    } else if root.get("services").is_some_and(is_of_compose) {
        let hint = "give the file that it mounts into Kong: the one that KONG_DECLARATIVE_CONFIG names there";
        ("services", "this is a file of Docker Compose, not a configuration", hint)
    } else {
        return None;
    };
    Some(Fault { place: place(key), message: message.to_owned(), hint: hint.to_owned() })
}

/// The way out of a resource: of a ConfigMap or a Secret with its own names.
fn of_kubernetes(root: &Node, place: Place) -> Fault {
    let name =
        root.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::text).unwrap_or("NAME");
    let key = match root.get("data").map(|data| &data.kind) {
        Some(Kind::Map(entries)) => entries.first().map(|entry| entry.key.as_str()),
        _ => None,
    };
    // To jsonpath a dot is a step, unless it is escaped.
    let path = key.unwrap_or("KEY").replace('.', "\\.");
    let (kind, decoded) = match root.get("kind").and_then(Node::text) {
        Some("Secret") => ("secret", " | base64 -d"),
        _ => ("configmap", ""),
    };
    let is_plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.\\".contains(&byte));
    let (name, path) =
        if is_plain(name) && is_plain(&path) { (name, path.as_str()) } else { ("NAME", "KEY") };
    Fault {
        place,
        message: "this is a resource of Kubernetes, not a configuration".into(),
        hint: format!(
            "take the file out of it: kubectl get {kind} {name} -o jsonpath='{{.data.{path}}}'{decoded} | retrohook check -"
        ),
    }
}

/// Whether these services are those of Docker Compose: a mapping from names to what is run.
fn is_of_compose(services: &Node) -> bool {
    let Kind::Map(services) = &services.kind else { return false };
    let is_run = |node: &Node| node.get("image").is_some() || node.get("build").is_some();
    services.iter().any(|service| is_run(&service.value))
}
