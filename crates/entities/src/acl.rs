//! Memberships of consumers in groups, which the plug-in acl lets in or keeps out.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{self, FieldError, Flaw, Path};
use crate::{Origin, name};

/// That a consumer is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// The id of the consumer.
    pub consumer: Uuid,
    /// The group's name; a consumer is in a group once.
    pub group: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Acl {
    /// What messages call it: the group.
    pub fn label(&self) -> String {
        self.group.clone()
    }

    /// All that is wrong with its own fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        field::note(&mut errors, Path::key("group"), group(&self.group));
        name::check_tags(&self.tags, &mut errors);
        errors
    }
}

/// Services learn the groups in a header, with commas in between.
fn group(group: &str) -> Result<(), Flaw> {
    if group.is_empty() {
        return Err(Flaw::invalid("length must be at least 1", "name the group"));
    }
    if group.contains(',') || group.chars().any(char::is_control) {
        let hint = "services see all groups of a consumer in one header, separated by commas";
        return Err(Flaw::invalid("a group has no `,` and no control characters", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_name_that_fits_into_a_list() {
        for good in ["admin", "team a", "a/b", "ä"] {
            assert_eq!(group(good), Ok(()), "{good}");
        }
        for bad in ["", "a,b", "a\r\nX-Admin: yes"] {
            assert!(group(bad).is_err(), "{bad}");
        }
    }
}
