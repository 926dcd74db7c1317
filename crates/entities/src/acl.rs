//! Memberships of consumers in groups, by which Kong's plug-in acl allows or refuses requests.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{self, FieldError, Flaw, Path};
use crate::{Origin, name};

/// The membership of a consumer in a group.
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
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Acl {
    /// Its label in messages: the group.
    pub fn label(&self) -> String {
        self.group.clone()
    }

    /// Everything that is wrong with its own fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        field::note(&mut errors, Path::key("group"), group(&self.group));
        name::check_tags(&self.tags, &mut errors);
        errors
    }
}

/// The rule for a group's name: services get the groups in a header, separated by commas.
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
