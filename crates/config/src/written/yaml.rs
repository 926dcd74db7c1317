//! JSON values as a YAML text that people can read: lists and maps in blocks, texts in double quotes, so that none of them means anything else.

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

/// What stands behind a colon or a dash, with the end of its line.
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
            // A string takes whatever is written to it.
            let _ = writeln!(out, " {scalar_or_flow}");
        }
    }
}

/// The entries of a map, a line each; the first one stands where the line is already, if it was begun.
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

/// Words that mean something else than themselves, in some version of YAML.
const MEANINGS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A key as it is, if it can only be that.
fn key(key: &str) -> String {
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_word && !MEANINGS.contains(&key) { key.to_owned() } else { Value::from(key).to_string() }
}
