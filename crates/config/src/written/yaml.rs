//! JSON values as a YAML text that people can read: lists and maps in blocks, and texts in double quotes, so that YAML cannot take them for
//! another type.

use std::fmt::Write;

use serde_json::Value;

/// The text of a map.
pub(super) fn text(file: &[(String, Value)]) -> String {
    let mut out = String::new();
    for (key, value) in file {
        out.push_str(&self::key(key));
        out.push(':');
        nested(value, 0, &mut out);
    }
    out
}

/// The value after a colon or a dash, up to the end of its line.
fn nested(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            entries(map, depth + 1, false, out);
        }
        Value::Array(list)
            if !list.is_empty() && list.iter().any(|item| item.is_object() || item.is_array()) =>
        {
            out.push('\n');
            for item in list {
                indent(depth, out);
                out.push('-');
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        entries(map, depth + 1, true, out);
                    }
                    other => nested(other, depth + 1, out),
                }
            }
        }
        // JSON is YAML.
        scalar_or_flow => {
            // Writing to a string cannot fail.
            let _ = writeln!(out, " {scalar_or_flow}");
        }
    }
}

/// The entries of a map, a line each; if a line was begun (`is_begun`), the first one goes on in it.
fn entries(map: &serde_json::Map<String, Value>, depth: usize, is_begun: bool, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 || !is_begun {
            indent(depth, out);
        }
        out.push_str(&self::key(key));
        out.push(':');
        nested(value, depth, out);
    }
}

fn indent(depth: usize, out: &mut String) {
    (0..depth).for_each(|_| out.push_str("  "));
}

/// Words that some version of YAML takes for another type than text.
const MEANINGS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A key, without quotes if YAML can only take it for a text.
fn key(key: &str) -> String {
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_word && !MEANINGS.contains(&key) { key.to_owned() } else { Value::from(key).to_string() }
}
