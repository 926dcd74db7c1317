//! `CreateTopic`: makes a topic, or returns the existing one of this name, even a file's.
//!
//! `SignatureVersion` is that of its subscriptions which have none of their own. `DisplayName` and `Policy` are stored and returned, but have no
//! effect. Attributes that would have another effect are refused by name.

use std::collections::BTreeMap;

use control::{Control, Edit};
use entities::{Entity, Origin, SIGNATURE_VERSION, SignatureVersion, Topic, ids, plain_name};
use event::arn::MAX_TOPIC_NAME;

use super::{Context, Error};
use crate::xml;

/// Attributes that are stored.
pub(super) const KEPT: [&str; 3] = ["DisplayName", "Policy", SIGNATURE_VERSION];

pub(super) async fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let name = context.get("Name").ok_or_else(|| Error::missing(&["name"]))?.to_owned();
    if plain_name(&name, MAX_TOPIC_NAME).is_err() {
        return Err(Error::invalid("Topic Name"));
    }
    let attributes = attributes(context)?;
    let tags = context.parameters.pairs_of("Tags.member", "Key", "Value");
    let tags = tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let arn = context.hub.names().topic_arn(&name).to_string();
    let now = context.hub.now();
    let topic = Topic {
        id: ids::of_name("topics", &name),
        origin: Origin::Api,
        name,
        attributes,
        tags,
        created_at: now,
        updated_at: now,
    };
    let made = control.change(move |changes| {
        let there = changes.whole().all().topics.iter().find(|one| one.name == topic.name);
        match there {
            Some(there) => Ok(is_as(there, &topic)),
            None => {
                changes.apply(Edit { put: vec![Entity::Topic(topic.into())], ..Edit::default() })?;
                Ok(Ok(()))
            }
        }
    });
    made.await?.map_err(|what| {
        Error::invalid(&format!("{what} Reason: Topic already exists with different {}", what.to_lowercase()))
    })?;
    Ok(format!("<CreateTopicResult><TopicArn>{}</TopicArn></CreateTopicResult>", xml::escape(&arn)))
}

/// Whether the existing topic is as requested; the error says what differs.
fn is_as(there: &Topic, asked: &Topic) -> Result<(), &'static str> {
    let has = |there: &BTreeMap<String, String>, asked: &BTreeMap<String, String>| {
        asked.iter().all(|(key, value)| there.get(key) == Some(value))
    };
    if !has(&there.attributes, &asked.attributes) {
        return Err("Attributes");
    }
    if has(&there.tags, &asked.tags) { Ok(()) } else { Err("Tags") }
}

/// Refuses a value that has no meaning.
pub(super) fn check(attribute: &str, value: &str) -> Result<(), Error> {
    if attribute == SIGNATURE_VERSION && SignatureVersion::of_text(value).is_none() {
        return Err(Error::invalid("Attributes Reason: SignatureVersion is 1 or 2"));
    }
    Ok(())
}

fn attributes(context: &Context<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut kept = BTreeMap::new();
    for (name, value) in context.parameters.pairs_of("Attributes.entry", "key", "value") {
        match (name, value) {
            (name, value) if KEPT.contains(&name) => {
                check(name, value)?;
                kept.insert(name.to_owned(), value.to_owned());
            }
            // Values that every topic has.
            ("FifoTopic" | "ContentBasedDeduplication", "false") => {}
            (name, _) => {
                return Err(Error::invalid(&format!("Attributes Reason: {name} is not supported here yet")));
            }
        }
    }
    Ok(kept)
}
