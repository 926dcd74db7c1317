//! Consumers: those who use the services, each recognised by a credential. The rules are Kong's.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{self, Code, FieldError, Flaw, Path};
use crate::{Origin, name};

/// Somebody who uses the services, recognised by a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its name, if it has one; unique.
    pub username: Option<String>,
    /// Its name in another system, if it has one; unique.
    pub custom_id: Option<String>,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The identity of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConsumerKey {
    /// Its name.
    Username(String),
    /// Its name in another system.
    CustomId(String),
}

impl Consumer {
    /// Its name, or its name in another system, or its id.
    pub fn label(&self) -> String {
        let name = self.username.clone().or_else(|| self.custom_id.clone());
        name.unwrap_or_else(|| self.id.to_string())
    }

    /// Its identities.
    pub fn keys(&self) -> Vec<ConsumerKey> {
        let username = self.username.clone().map(ConsumerKey::Username);
        username.into_iter().chain(self.custom_id.clone().map(ConsumerKey::CustomId)).collect()
    }

    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.username.is_none() && self.custom_id.is_none() {
            errors.push(FieldError {
                path: Path::default(),
                code: Code::Required,
                message: "at least one of these fields must be non-empty: 'custom_id', 'username'".into(),
                hint: "give it a `username`, by which plug-ins and credentials refer to it".into(),
            });
        }
        for (key, value) in [("username", &self.username), ("custom_id", &self.custom_id)] {
            let value = value.as_deref().unwrap_or("-");
            field::note(&mut errors, Path::key(key), header_text(value));
        }
        name::check_tags(&self.tags, &mut errors);
        errors
    }
}

/// The rule for both names: services get them in headers.
fn header_text(text: &str) -> Result<(), Flaw> {
    if text.is_empty() {
        return Err(Flaw::invalid("length must be at least 1", "give it a value, or remove the key"));
    }
    if text.chars().any(char::is_control) {
        let hint = "services see it in a header: remove line feeds, tabs and the like";
        return Err(Flaw::invalid("must not have control characters", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(username: Option<&str>, custom_id: Option<&str>) -> Consumer {
        Consumer {
            id: Uuid::from_u128(1),
            origin: Origin::Api,
            username: username.map(str::to_owned),
            custom_id: custom_id.map(str::to_owned),
            tags: Vec::new(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_consumer_has_one_of_two_names_that_fit_into_a_header() {
        let said = |username, custom_id| -> Vec<String> {
            let errors = consumer(username, custom_id).check();
            errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
        };
        assert_eq!(said(Some("ann"), None), Vec::<String>::new());
        assert_eq!(said(None, Some("42 / ä")), Vec::<String>::new());
        assert_eq!(
            said(None, None),
            [": at least one of these fields must be non-empty: 'custom_id', 'username'"]
        );
        assert_eq!(
            said(Some(""), Some("a\nX-Admin: yes")),
            ["username: length must be at least 1", "custom_id: must not have control characters"]
        );
    }

    #[test]
    fn its_label_is_the_first_name_that_it_has() {
        assert_eq!(consumer(Some("ann"), Some("42")).label(), "ann");
        assert_eq!(consumer(None, Some("42")).label(), "42");
        assert_eq!(consumer(None, None).label(), Uuid::from_u128(1).to_string());
    }
}
