//! What a schema allows at a path, without a value to check.

use serde_json::Value;

use super::{bound_of, types_of};
use crate::tree::Step;

/// The limit for schemas that refer to themselves; none of ours is so deep.
const MAX_VARIANTS: usize = 64;

/// What is allowed at a path.
#[derive(Default)]
pub(crate) struct Wanted<'s> {
    /// Types of JSON Schema; empty if nothing is known about the path.
    pub(crate) types: Vec<&'s str>,
    /// The smallest number that is allowed.
    pub(crate) least: Option<i64>,
}

/// What `schema` allows at the end of these steps.
pub(crate) fn wanted_at<'s>(schema: &'s Value, steps: &[Step]) -> Wanted<'s> {
    let mut here = variants(schema, schema);
    for step in steps {
        let inner = here.iter().filter_map(|one| match step {
            Step::Key(key) => one
                .get("properties")
                .and_then(|known| known.get(&**key))
                .or_else(|| one.get("additionalProperties").filter(|other| other.is_object())),
            Step::Index(_) => one.get("items"),
        });
        here = inner.flat_map(|inner| variants(schema, inner)).take(MAX_VARIANTS).collect();
    }
    Wanted {
        types: here.iter().flat_map(|one| types_of(one)).collect(),
        least: here.iter().find_map(|one| bound_of(one, "minimum")),
    }
}

/// A schema with the schemas that it refers to and its alternatives.
fn variants<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut all = vec![schema];
    let mut at = 0;
    while at < all.len() && all.len() < MAX_VARIANTS {
        let one = all[at];
        let target = one.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        all.extend(target.and_then(|pointer| root.pointer(pointer)));
        for key in ["oneOf", "anyOf"] {
            all.extend(one.get(key).and_then(Value::as_array).into_iter().flatten());
        }
        at += 1;
    }
    all
}
