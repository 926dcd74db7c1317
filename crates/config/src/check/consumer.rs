//! Consumers, their keys and their groups, read from files and checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use entities::{Acl, Consumer, KeyAuthCredential, Origin, Secret, ids};
use event::Timestamp;
use uuid::Uuid;

use super::Options;
use super::declared::{Declarations, Declared, Nested};
use super::names::{Names, refer};
use super::service::times;
use crate::problem::{Problems, Spot};
use crate::raw::{self, ConsumerReference};
use crate::secret;

/// All consumers of the files with their keys and groups; `None` for one with a problem.
pub(super) struct Checked {
    pub(super) consumers: Vec<Option<Consumer>>,
    pub(super) keys: Vec<Option<KeyAuthCredential>>,
    pub(super) acls: Vec<Option<Acl>>,
}

/// Checks every consumer.
pub(super) fn check_all(
    declared: &Declarations,
    names: &Names,
    options: &Options<'_>,
    problems: &mut Problems<'_>,
) -> Checked {
    let mut custom_ids = Taken::new("consumers");
    let mut check = |(index, consumer): (usize, &Declared<raw::Consumer>)| {
        let raw = consumer.raw.as_ref()?;
        if let Some(custom_id) = &raw.custom_id {
            let (spot, what) = (consumer.spot.key("custom_id"), format!("custom_id set to '{custom_id}'"));
            custom_ids.claim(custom_id.clone(), &spot, &what, problems);
        }
        Some(self::consumer(&consumer.spot, raw, index, options.now, problems))
    };
    let consumers: Vec<_> = declared.consumers.iter().enumerate().map(&mut check).collect();
    let mut members = Members::new(names, &consumers, options);
    let keys = declared.keys.iter().map(|one| members.key(one, problems)).collect();
    let acls = declared.acls.iter().map(|one| members.acl(one, problems)).collect();
    Checked { keys, acls, consumers }
}

fn consumer(
    spot: &Spot,
    raw: &raw::Consumer,
    index: usize,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Consumer {
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let id = given(raw.id.as_deref()).unwrap_or_else(|| match (&raw.username, &raw.custom_id) {
        (Some(username), _) => ids::of_name("consumers", username),
        (None, Some(custom_id)) => ids::of_name("consumers", &format!("custom_id:{custom_id}")),
        (None, None) => ids::of_position("consumers", "", index),
    });
    let consumer = Consumer {
        id,
        origin: Origin::File,
        username: raw.username.clone(),
        custom_id: raw.custom_id.clone(),
        tags: raw.tags.clone().unwrap_or_default(),
        created_at,
        updated_at,
    };
    consumer.check().into_iter().for_each(|error| problems.add_field(spot, error));
    consumer
}

/// Checks the keys and groups of consumers.
struct Members<'a> {
    names: &'a Names,
    consumers: &'a [Option<Consumer>],
    options: &'a Options<'a>,
    /// For each consumer, by its index, the number of keys so far whose ids are derived from their order.
    short: HashMap<usize, usize>,
    ids: Taken<Uuid>,
    keys: Taken<String>,
    acl_ids: Taken<Uuid>,
    groups: Taken<(usize, String)>,
}

impl<'a> Members<'a> {
    fn new(names: &'a Names, consumers: &'a [Option<Consumer>], options: &'a Options<'a>) -> Self {
        let (keys, acls) = ("keyauth_credentials", "acls");
        Self {
            names,
            consumers,
            options,
            short: HashMap::new(),
            ids: Taken::new(keys),
            keys: Taken::new(keys),
            acl_ids: Taken::new(acls),
            groups: Taken::new(acls),
        }
    }

    fn key(
        &mut self,
        Nested { entity, parent }: &Nested<raw::KeyAuthCredential>,
        problems: &mut Problems<'_>,
    ) -> Option<KeyAuthCredential> {
        let (spot, raw) = (&entity.spot, entity.raw.as_ref()?);
        let key = self.secret(&spot.key("key"), &raw.key.0, problems);
        let expires_at = expires_at(spot, raw, problems);
        let consumer = self.consumer(spot, raw.consumer.as_ref(), *parent, problems)?;
        let id = self.consumers[consumer].as_ref().map_or(Uuid::nil(), |consumer| consumer.id);
        let (created_at, updated_at) = times(raw.created_at, raw.updated_at, self.options.now);
        let key = key?;
        let credential = KeyAuthCredential {
            id: given(raw.id.as_deref()).or_else(|| ids::of_key(id, &key)).unwrap_or_else(|| {
                let index = self.short.entry(consumer).or_default();
                *index += 1;
                ids::of_short_key(id, *index - 1)
            }),
            origin: Origin::File,
            consumer: id,
            key,
            expires_at,
            tags: raw.tags.clone().unwrap_or_default(),
            created_at,
            updated_at,
        };
        if raw.id.is_some() {
            let what = format!("primary key set to '{}'", credential.id);
            self.ids.claim(credential.id, &spot.key("id"), &what, problems);
        }
        credential.check().into_iter().for_each(|error| problems.add_field(spot, error));
        Some(credential)
    }

    /// The key itself, or the one that it refers to. It must differ from all other keys.
    fn secret(&mut self, spot: &Spot, text: &str, problems: &mut Problems<'_>) -> Option<Secret> {
        match secret::text(text, self.options.env, "…") {
            Ok((text, _)) => {
                self.keys.claim(text.clone(), spot, "this key", problems);
                Some(Secret::new(text))
            }
            Err((message, hint)) => {
                problems.add(spot, message, hint);
                None
            }
        }
    }

    fn acl(
        &mut self,
        Nested { entity, parent }: &Nested<raw::Acl>,
        problems: &mut Problems<'_>,
    ) -> Option<Acl> {
        let (spot, raw) = (&entity.spot, entity.raw.as_ref()?);
        let index = self.consumer(spot, raw.consumer.as_ref(), *parent, problems)?;
        let consumer = self.consumers[index].as_ref().map_or(Uuid::nil(), |consumer| consumer.id);
        let (created_at, updated_at) = times(raw.created_at, raw.updated_at, self.options.now);
        let acl = Acl {
            id: given(raw.id.as_deref()).unwrap_or_else(|| ids::of_membership(consumer, &raw.group)),
            origin: Origin::File,
            consumer,
            group: raw.group.clone(),
            tags: raw.tags.clone().unwrap_or_default(),
            created_at,
            updated_at,
        };
        if raw.id.is_some() {
            let what = format!("primary key set to '{}'", acl.id);
            self.acl_ids.claim(acl.id, &spot.key("id"), &what, problems);
        }
        let what = format!("this consumer and group set to '{}'", acl.group);
        self.groups.claim((index, acl.group.clone()), &spot.key("group"), &what, problems);
        acl.check().into_iter().for_each(|error| problems.add_field(spot, error));
        Some(acl)
    }

    /// The index of the consumer that it belongs to.
    fn consumer(
        &self,
        spot: &Spot,
        reference: Option<&ConsumerReference>,
        parent: Option<usize>,
        problems: &mut Problems<'_>,
    ) -> Option<usize> {
        if parent.is_none() && reference.is_none() {
            let hint = "name the consumer, or put this under one";
            problems.add(spot, "required field missing: `consumer`", hint);
            return None;
        }
        let reference = reference.map(|reference| &reference.0);
        refer(&self.names.consumers, spot, "consumer", reference, parent, problems)
    }
}

/// When a key expires. The file has the number of seconds since the key was made, so it must also say when that was.
fn expires_at(spot: &Spot, raw: &raw::KeyAuthCredential, problems: &mut Problems<'_>) -> Option<Timestamp> {
    let ttl = raw.ttl.filter(|ttl| *ttl > 0)?;
    let Some(created_at) = raw.created_at else {
        let hint = "add `created_at`, in seconds since 1970, because otherwise each start would prolong the key; or remove `ttl`";
        problems.add(&spot.key("ttl"), "`ttl` needs `created_at` beside it", hint);
        return None;
    };
    KeyAuthCredential::end(Timestamp::from_millis(u64::from(created_at) * 1_000), ttl)
}

/// The id in the file.
pub(super) fn given(id: Option<&str>) -> Option<Uuid> {
    id.and_then(|id| Uuid::try_parse(id).ok())
}

/// The values that are taken in one list, each with its place.
struct Taken<K> {
    list: &'static str,
    taken: HashMap<K, Spot>,
}

impl<K: Hash + Eq> Taken<K> {
    fn new(list: &'static str) -> Self {
        Self { list, taken: HashMap::new() }
    }

    fn claim(&mut self, key: K, spot: &Spot, what: &str, problems: &mut Problems<'_>) {
        match self.taken.entry(key) {
            Entry::Vacant(free) => drop(free.insert(spot.clone())),
            Entry::Occupied(first) => {
                let list = self.list;
                let message = format!("uniqueness violation: '{list}' entity with {what} already declared");
                let first = problems.whereabouts(first.get());
                problems.add(spot, message, format!("the first one is at {first}: change or remove one"));
            }
        }
    }
}
