//! Dotted keys: `config.topic_arn` means `topic_arn` in `config`, at every level of a body, in JSON as in forms.

use serde_json::{Map, Value};

use super::error::Error;

/// How many levels a body may have; each part of a dotted key is a level.
pub(super) const MAX_DEPTH: usize = 32;

/// Turns dotted keys into nested objects. Of two values with the same path the later one stays, but two objects are merged. A key with an empty part
/// stays as it is.
///
/// # Errors
/// If the body has more than [`MAX_DEPTH`] levels.
pub(super) fn nest(object: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    nest_below(object, 0)
}

fn nest_below(object: Map<String, Value>, depth: usize) -> Result<Map<String, Value>, Error> {
    let mut nested = Map::new();
    for (key, value) in object {
        let parts = parts(&key);
        let value = value_below(value, depth + parts.len())?;
        put(&mut nested, &parts, value);
    }
    Ok(nested)
}

fn value_below(value: Value, depth: usize) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::bad_request(format!("the body nests deeper than {MAX_DEPTH} levels")));
    }
    Ok(match value {
        Value::Object(object) => Value::Object(nest_below(object, depth)?),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| value_below(item, depth + 1));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        other => other,
    })
}

/// The parts of a key; only the key itself if one of them is empty.
fn parts(key: &str) -> Vec<&str> {
    let parts: Vec<&str> = key.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) { vec![key] } else { parts }
}

fn put(object: &mut Map<String, Value>, parts: &[&str], value: Value) {
    match parts {
        [] => {}
        [name] => match (object.get_mut(*name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => {
                more.into_iter().for_each(|(name, value)| put(there, &[&name], value));
            }
            (_, value) => drop(object.insert((*name).to_owned(), value)),
        },
        [name, rest @ ..] => {
            let inner = object.entry(*name).or_insert(Value::Null);
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: Value, expected: Value) {
        let Value::Object(body) = body else { panic!("an object") };
        assert_eq!(nest(body).map(Value::Object), Ok(expected));
    }

    #[test]
    fn dotted_keys_nest_at_every_level_and_beside_nested_ones() {
        check(
            json!({ "name": "x", "config.a": 1, "config.b.c": 2 }),
            json!({ "name": "x", "config": { "a": 1, "b": { "c": 2 } } }),
        );
        check(
            json!({ "config": { "a": 1 }, "config.b": 2, "config.a": 3 }),
            json!({ "config": { "a": 3, "b": 2 } }),
        );
        check(
            json!({ "config.a": { "x": 1 }, "config": { "a": { "y.z": 2 } } }),
            json!({ "config": { "a": { "x": 1, "y": { "z": 2 } } } }),
        );
        check(json!({ "a": [{ "b.c": 1 }] }), json!({ "a": [{ "b": { "c": 1 } }] }));
        // What is no object makes room.
        check(json!({ "a": 1, "a.b": 2 }), json!({ "a": { "b": 2 } }));
        check(json!({ "a.b": 2, "a": 1 }), json!({ "a": 1 }));
        for key in ["", ".", "a.", ".a", "a..b"] {
            check(json!({ key: 1 }), json!({ key: 1 }));
        }
    }

    #[test]
    fn what_nests_too_deep_is_refused() {
        let key = |parts: usize| vec!["a"; parts].join(".");
        let of = |key: String, value: Value| [(key, value)].into_iter().collect();
        assert!(nest(of(key(MAX_DEPTH), json!(1))).is_ok());
        assert!(nest(of(key(MAX_DEPTH + 1), json!(1))).is_err());
        assert!(nest(of(key(MAX_DEPTH), json!({ "a": 1 }))).is_err());
        assert!(nest(of(key(MAX_DEPTH), json!([1]))).is_err());
        assert!(nest(of(key(2 << 20), json!(1))).is_err());
    }
}
