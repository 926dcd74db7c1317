//! Small schemas against small texts: what does not fit, in words.

use serde_json::json;

use super::*;
use crate::tree::{Source, TreePath, parse};

/// What does not fit, as `path: message (hint)`.
fn misfits(schema: &Value, text: &str) -> Vec<String> {
    let root = parse(text).ok().unwrap();
    let sources = [Source::new("f", root)];
    let mut problems = Problems::new(&sources);
    let spot = Spot { file: 0, path: TreePath::default() };
    validate(schema, &sources[0].root, &spot, &mut problems);
    let report = problems.into_report().map(|report| report.problems).unwrap_or_default();
    report.into_iter().map(|one| format!("{}: {} ({})", one.path, one.message, one.hint)).collect()
}

#[test]
fn nullable_structs_and_enums() {
    let schema = json!({
        "$defs": {
            "Mode": { "oneOf": [{ "const": "fast", "type": "string" }, { "const": "slow", "type": "string" }] },
            "Size": { "type": "object", "properties": { "x": { "type": "integer" } }, "additionalProperties": false },
        },
        "properties": {
            "mode": { "anyOf": [{ "$ref": "#/$defs/Mode" }, { "type": "null" }] },
            "size": { "anyOf": [{ "$ref": "#/$defs/Size" }, { "type": "null" }] },
        },
    });
    assert_eq!(misfits(&schema, "{mode: null, size: null}"), [""; 0]);
    assert_eq!(misfits(&schema, "{mode: fast, size: {x: 1}}"), [""; 0]);
    assert_eq!(misfits(&schema, "mode: fsat"), ["mode: unknown value `fsat` (did you mean `fast`?)"]);
    assert_eq!(
        misfits(&schema, "size: {x: a}"),
        ["size.x: expected an integer, found a string (write an integer)"]
    );
    assert_eq!(
        misfits(&schema, "size: 5"),
        ["size: expected a mapping, found the number 5 (write a mapping)"]
    );
}

#[test]
fn variants_with_fields_report_the_nearest() {
    let variant = |kind: &str, key: &str| {
        json!({
            "type": "object",
            "properties": { "kind": { "const": kind }, key: { "type": "integer" } },
            "required": ["kind", key],
            "additionalProperties": false,
        })
    };
    let schema = json!({ "oneOf": [variant("a", "x"), variant("b", "y")] });
    assert_eq!(misfits(&schema, "{kind: b, y: 1}"), [""; 0]);
    assert_eq!(
        misfits(&schema, "{kind: b, y: z}"),
        ["y: expected an integer, found a string (write an integer)"]
    );
}

#[test]
fn lengths_patterns_and_maps() {
    let schema = json!({
        "properties": {
            "list": { "type": "array", "minItems": 1, "maxItems": 2 },
            "text": { "type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]+$" },
            "map": { "type": "object", "additionalProperties": { "type": "integer" } },
        },
    });
    assert_eq!(misfits(&schema, "{list: [1], text: abc, map: {a: 1}}"), [""; 0]);
    assert_eq!(
        misfits(&schema, "{list: [], text: A, map: {a: b}}"),
        [
            "list: length must be at least 1 (it has 0 elements)",
            "text: length must be at least 2 (it has 1 characters)",
            "text: invalid value (it must match the regular expression ^[a-z]+$)",
            "map.a: expected an integer, found a string (write an integer)",
        ]
    );
    assert_eq!(
        misfits(&schema, "{list: [1, 2, 3], text: abcd}"),
        [
            "list: length must be at most 2 (it has 3 elements)",
            "text: length must be at most 3 (it has 4 characters)",
        ]
    );
}

#[test]
fn a_secret_is_not_shown() {
    let schema = json!({ "type": ["string", "null"], "writeOnly": true });
    assert_eq!(misfits(&schema, "31337"), [": expected a string, found a number (put it in quotes)"]);
}

#[test]
fn guesses_are_near() {
    let guess = |word| did_you_mean(word, ["strip_path", "paths", "hosts", "id"].into_iter());
    assert_eq!(guess("strip-path"), Some("strip_path"));
    assert_eq!(guess("stirp_path"), Some("strip_path"));
    assert_eq!(guess("path"), Some("paths"));
    assert_eq!(guess("colour"), None);
    assert_eq!(guess("x"), None, "a word of one letter is near to nothing");
}
