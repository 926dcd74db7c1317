//! `SetTopicAttributes`: one attribute of a topic that an API made.

use control::{Control, Edit};
use entities::{Entity, Topic};

use super::create_topic::{self, KEPT};
use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let name = arn::topic(context)?;
    let attribute = context.get("AttributeName").ok_or_else(|| Error::missing(&["attributeName"]))?;
    if !KEPT.contains(&attribute) {
        return Err(Error::invalid("AttributeName"));
    }
    let attribute = attribute.to_owned();
    let value = context.get("AttributeValue").unwrap_or_default().to_owned();
    if !value.is_empty() {
        create_topic::check(&attribute, &value)?;
    }
    let now = context.hub.now();
    let changed = control.change(move |changes| {
        let topics = &changes.whole().all().topics;
        let Some(topic) = topics.iter().find(|one| one.name == name) else { return Ok(false) };
        if topic.attributes.get(&attribute).map_or("", String::as_str) == value {
            return Ok(true);
        }
        let mut topic = Topic { updated_at: now, ..(**topic).clone() };
        match value.is_empty() {
            true => topic.attributes.remove(&attribute),
            false => topic.attributes.insert(attribute, value),
        };
        changes.apply(Edit { put: vec![Entity::Topic(topic.into())], ..Edit::default() })?;
        Ok(true)
    });
    if changed.await? { Ok(String::new()) } else { Err(Error::not_found("Topic")) }
}
