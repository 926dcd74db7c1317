//! The consumers that an authentication plug-in can recognise, ready for the hot path: by id and name, and keys by a hash. Also the headers by
//! which a request says who was recognised.
//!
//! Made once for each generation of the configuration, and shared by all plug-ins and cores; a look-up takes no lock and allocates nothing.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use entities::{KeyAuthCredential, Known};
use event::Timestamp;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use pipeline::Context;
use pipeline::context::{Consumer, Credential};
use uuid::Uuid;

const ID: HeaderName = HeaderName::from_static("x-consumer-id");
const USERNAME: HeaderName = HeaderName::from_static("x-consumer-username");
const CUSTOM_ID: HeaderName = HeaderName::from_static("x-consumer-custom-id");
const CREDENTIAL: HeaderName = HeaderName::from_static("x-credential-identifier");
const ANONYMOUS: HeaderName = HeaderName::from_static("x-anonymous-consumer");

/// The consumers that can be recognised, and by what. Clones share it.
#[derive(Clone, Default)]
pub struct Consumers(Arc<Directory>);

#[derive(Default)]
struct Directory {
    hasher: RandomState,
    by_id: HashMap<Uuid, Arc<Somebody>>,
    by_username: HashMap<String, Arc<Somebody>>,
    /// By a hash that nobody outside can compute, so that the time of a look-up says nothing about the keys.
    keys: HashMap<u64, Vec<Key>>,
}

struct Key {
    stored: Arc<KeyAuthCredential>,
    credential: Arc<Credential>,
    of: Arc<Somebody>,
}

/// A consumer, with the headers about it that services get.
#[derive(Debug)]
pub(crate) struct Somebody {
    consumer: Arc<Consumer>,
    id: HeaderValue,
    username: Option<HeaderValue>,
    custom_id: Option<HeaderValue>,
}

impl Consumers {
    /// The consumers and credentials of a configuration.
    pub fn of(known: &Known) -> Self {
        let mut directory = Directory::default();
        for consumer in &known.consumers {
            let somebody = Arc::new(Somebody::new(consumer));
            if let Some(username) = &consumer.username {
                directory.by_username.insert(username.clone(), somebody.clone());
            }
            directory.by_id.insert(consumer.id, somebody);
        }
        for stored in &known.keyauth_credentials {
            let Some(of) = directory.by_id.get(&stored.consumer).cloned() else { continue };
            let id = stored.id;
            let credential = Arc::new(Credential { id, identifier: Some(id.to_string()) });
            let hash = directory.hasher.hash_one(stored.key.expose().as_bytes());
            directory.keys.entry(hash).or_default().push(Key { stored: stored.clone(), credential, of });
        }
        Self(Arc::new(directory))
    }

    /// The consumer and the credential with this key, unless the credential has expired at `now`.
    pub(crate) fn by_key(&self, key: &[u8], now: Timestamp) -> Option<(&Arc<Somebody>, &Arc<Credential>)> {
        let hash = self.0.hasher.hash_one(key);
        let found = self.0.keys.get(&hash)?.iter().find(|one| one.stored.key.is(key))?;
        (!found.stored.is_over(now)).then_some((&found.of, &found.credential))
    }

    /// A consumer by its id or its username.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Somebody>> {
        let by_id = Uuid::try_parse(name).ok().and_then(|id| self.0.by_id.get(&id));
        by_id.or_else(|| self.0.by_username.get(name))
    }
}

impl Somebody {
    fn new(consumer: &entities::Consumer) -> Self {
        // The check refuses a value that no header can carry; if one came here, it would be left out.
        let value = |text: &String| HeaderValue::from_bytes(text.as_bytes()).ok();
        Self {
            id: HeaderValue::from_str(&consumer.id.to_string()).unwrap_or(HeaderValue::from_static("")),
            username: consumer.username.as_ref().and_then(value),
            custom_id: consumer.custom_id.as_ref().and_then(value),
            consumer: Arc::new(Consumer {
                id: consumer.id,
                username: consumer.username.clone(),
                custom_id: consumer.custom_id.clone(),
            }),
        }
    }

    /// Records that the request is this consumer's: recognised by `credential`, or, without one, the consumer that stands in because nobody was
    /// recognised.
    pub(crate) fn identify(
        &self,
        credential: Option<&Arc<Credential>>,
        headers: &mut HeaderMap,
        context: &mut Context,
    ) {
        headers.insert(ID, self.id.clone());
        set(headers, USERNAME, self.username.as_ref());
        set(headers, CUSTOM_ID, self.custom_id.as_ref());
        let identifier = credential.and_then(|credential| credential.identifier.as_deref());
        let identifier = identifier.and_then(|text| HeaderValue::from_str(text).ok());
        set(headers, CREDENTIAL, identifier.as_ref());
        let anonymous = HeaderValue::from_static("true");
        set(headers, ANONYMOUS, credential.is_none().then_some(&anonymous));
        context.consumer = Some(self.consumer.clone());
        context.credential = credential.cloned();
    }
}

/// Sets a header or removes it: another plug-in may have set it before.
fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value.clone())),
        None => drop(headers.remove(name)),
    }
}
