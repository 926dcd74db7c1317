//! Attributes without effect and tags, which topics and queues only store. The limits are those of AWS.

use std::collections::BTreeMap;

use crate::field::{FieldError, Flaw, Path};

/// The most tags of one entity.
const MAX_TAGS: usize = 50;
/// The most characters of a tag's key; at least one is required.
const MAX_TAG_KEY: usize = 128;
/// The most characters of a tag's value.
const MAX_TAG_VALUE: usize = 256;

/// The name of an attribute and its longest length, in characters.
pub(crate) type Limit = (&'static str, usize);

/// Checks attributes and tags. An attribute without an entry in `limits` has no limit of its own.
pub(crate) fn check(
    attributes: &BTreeMap<String, String>,
    limits: &[Limit],
    tags: &BTreeMap<String, String>,
    errors: &mut Vec<FieldError>,
) {
    for (name, limit) in limits {
        let length = attributes.get(*name).map_or(0, |value| value.chars().count());
        if length > *limit {
            let message = format!("{name} has {length} characters; it may have {limit}");
            errors.push(Flaw::invalid(message, "make it shorter").at(Path::key("attributes")));
        }
    }
    if tags.len() > MAX_TAGS {
        let message = format!("there are {} tags; there may be {MAX_TAGS}", tags.len());
        errors.push(Flaw::invalid(message, "leave some out").at(Path::key("tags")));
    }
    for (key, value) in tags {
        let (key_length, length) = (key.chars().count(), value.chars().count());
        if !(1..=MAX_TAG_KEY).contains(&key_length) || length > MAX_TAG_VALUE {
            let message = format!(
                "a tag has a key of {key_length} characters and a value of {length}; they have 1 to {MAX_TAG_KEY}, and up to {MAX_TAG_VALUE}"
            );
            errors.push(Flaw::invalid(message, "make it shorter").at(Path::key("tags")));
        }
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(attributes: &[(&str, usize)], tags: &[(usize, usize)], expected: &[&str]) {
        let text = |length: usize| "ä".repeat(length);
        let attributes =
            attributes.iter().map(|(name, length)| ((*name).to_owned(), text(*length))).collect();
        let key =
            |at: usize, length: usize| format!("{at:03}{}", text(length)).chars().take(length).collect();
        let tags = tags.iter().enumerate().map(|(at, (length, value))| (key(at, *length), text(*value)));
        let mut errors = Vec::new();
        super::check(&attributes, &[("DisplayName", 100)], &tags.collect(), &mut errors);
        let said: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn the_limits_of_aws_are_kept() {
        check(&[("DisplayName", 100), ("Policy", 1_000)], &[(128, 256); 50], &[]);
        check(&[("DisplayName", 101)], &[], &["attributes: DisplayName has 101 characters; it may have 100"]);
        check(&[], &[(3, 0); 51], &["tags: there are 51 tags; there may be 50"]);
        let words = "they have 1 to 128, and up to 256";
        check(
            &[],
            &[(129, 0)],
            &[&format!("tags: a tag has a key of 129 characters and a value of 0; {words}")],
        );
        check(&[], &[(0, 0)], &[&format!("tags: a tag has a key of 0 characters and a value of 0; {words}")]);
        check(
            &[],
            &[(1, 257)],
            &[&format!("tags: a tag has a key of 1 characters and a value of 257; {words}")],
        );
    }
}
