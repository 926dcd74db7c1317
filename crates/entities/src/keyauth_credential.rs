//! The credentials of the plug-in key-auth: a key that a consumer sends along.

use std::time::Duration;

use event::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{self, FieldError, Flaw, Path};
use crate::{Origin, Secret, name};

/// A key by which a consumer is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAuthCredential {
    /// Its id, which services and events may see. Nobody can guess a key from it.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// The id of the consumer that it belongs to.
    pub consumer: Uuid,
    /// The key itself: unique.
    pub key: Secret,
    /// When it expires; `None`: never. Kong's `ttl` is the number of seconds until then.
    pub expires_at: Option<Timestamp>,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl KeyAuthCredential {
    /// Kong's largest `ttl`, in seconds: more than three years.
    pub const MAX_TTL: u32 = 100_000_000;

    /// When a credential with this `ttl`, in seconds, expires if it is made now; `None` for Kong's 0, which means never.
    pub fn end(now: Timestamp, ttl: u32) -> Option<Timestamp> {
        (ttl > 0).then(|| now.plus(Duration::from_secs(ttl.into())))
    }

    /// Whether it has expired.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Kong's `ttl`: the whole seconds that are left.
    pub fn ttl(&self, now: Timestamp) -> Option<u64> {
        self.expires_at
            .map(|end| u64::try_from(end.since(now).as_millis().div_ceil(1_000)).unwrap_or(u64::MAX))
    }

    /// Its label in messages: its id, because its key is a secret.
    pub fn label(&self) -> String {
        self.id.to_string()
    }

    /// Everything that is wrong with its own fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let flaw = || Flaw::invalid("length must be at least 1", "give it a key, or remove the credential");
        let key = if self.key.expose().is_empty() { Err(flaw()) } else { Ok(()) };
        field::note(&mut errors, Path::key("key"), key);
        name::check_tags(&self.tags, &mut errors);
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn credential(key: &str, expires_at: Option<Timestamp>) -> KeyAuthCredential {
        let (id, consumer) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (tags, key) = (Vec::new(), Secret::new(key.to_owned()));
        let (created_at, updated_at) = (at(0), at(0));
        KeyAuthCredential { id, origin: Origin::Api, consumer, key, expires_at, tags, created_at, updated_at }
    }

    #[test]
    fn a_ttl_ends_it_and_0_never_does() {
        assert_eq!(KeyAuthCredential::end(at(500), 0), None);
        let one = credential("k", KeyAuthCredential::end(at(500), 2));
        assert_eq!((one.ttl(at(500)), one.ttl(at(501)), one.ttl(at(1_500))), (Some(2), Some(2), Some(1)));
        assert_eq!(
            (one.is_over(at(2_499)), one.is_over(at(2_500)), one.ttl(at(9_000))),
            (false, true, Some(0))
        );
        let forever = credential("k", None);
        assert_eq!((forever.is_over(at(1 << 50)), forever.ttl(at(1))), (false, None));
    }

    #[test]
    fn its_key_is_not_empty_and_is_never_shown() {
        assert!(credential("k", None).check().is_empty());
        assert_eq!(credential("", None).check()[0].message, "length must be at least 1");
        let one = credential("hunter2hunter2", None);
        assert!(!format!("{one:?} {}", one.label()).contains("hunter2"));
    }
}
