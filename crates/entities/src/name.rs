//! Names and tags as Kong has them.

use crate::field::{self, FieldError, Flaw, Path};

/// Kong's rule for names of services and routes.
fn name(name: &str) -> Result<(), Flaw> {
    let fits = |c: char| c.is_alphanumeric() || ".-_~".contains(c);
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(());
    }
    Err(Flaw::invalid("invalid value", "the only accepted characters are letters, digits and . - _ ~"))
}

/// Kong's rule for tags.
fn tag(tag: &str) -> Result<(), Flaw> {
    if !tag.is_empty() && !tag.chars().any(|c| c == ',' || c == '/' || c.is_control()) {
        return Ok(());
    }
    Err(Flaw::invalid("invalid tag", "a tag is a printable text without `,` and `/`"))
}

/// Checks the name that an entity may have, and its tags.
pub(crate) fn check(name: Option<&str>, tags: &[String], errors: &mut Vec<FieldError>) {
    if let Some(name) = name {
        field::note(errors, Path::key("name"), self::name(name));
    }
    check_tags(tags, errors);
}

/// Checks the tags of an entity.
pub(crate) fn check_tags(tags: &[String], errors: &mut Vec<FieldError>) {
    for (index, tag) in tags.iter().enumerate() {
        field::note(errors, Path::key("tags").index(index), self::tag(tag));
    }
}
