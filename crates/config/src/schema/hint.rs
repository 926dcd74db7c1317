//! The texts of problems with a file's structure: what was found, what fits, and what may have been meant.

use entities::misspelt::did_you_mean;

use crate::tree::{Kind, Node};

/// The longest unit after a number, in characters.
const MAX_UNIT: usize = 3;

/// A type of JSON Schema, in words.
pub(super) fn type_name(name: &str) -> &'static str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a mapping",
        _ => "another type",
    }
}

/// What is in the file, in words. Of a secret it says only the type. A text where another type belongs may be a secret, too, so it is shown only
/// if it cannot be one.
pub(super) fn found(node: &Node, secret: bool) -> String {
    match &node.kind {
        Kind::Null => "nothing".into(),
        Kind::List(_) => "a list".into(),
        Kind::Map(_) => "a mapping".into(),
        Kind::Bool(_) if secret => "a boolean".into(),
        Kind::Number(..) if secret => "a number".into(),
        Kind::Bool(bool) => format!("the boolean {bool}"),
        Kind::Number(_, text) => format!("the number {text}"),
        Kind::Text(text) if !secret && (is_yes_or_no(text) || is_amount(text)) => {
            format!("the string {text:?}")
        }
        Kind::Text(_) => "a string".into(),
    }
}

/// How to turn what was found into what was expected.
pub(super) fn for_type(types: &[&str], node: &Node, secret: bool) -> String {
    let wants = |name| types.contains(&name);
    match &node.kind {
        Kind::Null if wants("array") => "remove the key, or write `[]` for none".into(),
        Kind::Null => "give it a value, or remove the key".into(),
        _ if secret => "put it in quotes".into(),
        Kind::Bool(bool) if wants("string") => format!("put it in quotes: \"{bool}\""),
        Kind::Number(_, text) if wants("string") => format!("put it in quotes: \"{text}\""),
        Kind::Text(text) if wants("boolean") && is_yes_or_no(text) => {
            "YAML 1.2 has `true` and `false` only".into()
        }
        Kind::Text(text) if wants("integer") && text.parse::<i64>().is_ok() => "remove the quotes".into(),
        Kind::Text(_) | Kind::Number(..) if wants("array") => {
            "write a list in brackets, `[a, b]`, or with an element on each line after `- `".into()
        }
        Kind::Map(_) if wants("array") => "put `- ` in front of its first key".into(),
        Kind::List(_) if wants("object") => "remove the `- ` or the brackets".into(),
        Kind::Number(..) if wants("integer") => "write a whole number".into(),
        _ => {
            let wanted: Vec<_> = types.iter().filter(|name| **name != "null").map(|n| type_name(n)).collect();
            format!("write {}", wanted.join(" or "))
        }
    }
}

fn is_yes_or_no(text: &str) -> bool {
    ["yes", "no", "on", "off", "true", "false"].contains(&text.to_ascii_lowercase().as_str())
}

/// `5`, `15s`, `512 KiB`: a number, perhaps with a unit, of the length that amounts have.
fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let digits = text.len() - unit.len();
    (1..=8).contains(&digits) && unit.len() <= MAX_UNIT && unit.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// A hint which known key an unknown one may mean, or else all known keys.
pub(super) fn known_keys<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    match did_you_mean(unknown, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known fields: {}", known.join(", ")),
    }
}

pub(super) fn one_of(values: &[String]) -> String {
    match values {
        [only] => format!("expected `{only}`"),
        _ => format!("expected one of: {}", values.join(", ")),
    }
}

/// How to come by a UUID; `path` is where it is wanted.
pub(super) fn for_uuid(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        last if last.starts_with("ca_certificates[") => {
            "write the `id` of an entry under the file's `ca_certificates`, which has the certificate: `id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001`"
        }
        "id" if path.starts_with("ca_certificates[") => {
            "give it an id of its own, by which services name it, like `id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001`; `uuidgen` makes one"
        }
        _ => {
            "write it like `id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001`, or leave it out: it is then derived from the name"
        }
    }
}

/// A list of words in backquotes.
pub(crate) fn backquoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
