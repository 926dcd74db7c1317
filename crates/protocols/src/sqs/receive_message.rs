//! `ReceiveMessage`: hands out messages, waiting for one if asked to.

use std::collections::BTreeMap;

use event::attributes::AttributeValue;
use hub::Names;
use hub::message::Message;
use hub::queue::Receive;
use serde::{Deserialize, Serialize};

use super::{Context, Error, digest, range};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    /// The older name of `message_system_attribute_names`; what either asks for is given.
    attribute_names: Option<Vec<String>>,
    message_system_attribute_names: Option<Vec<String>>,
    message_attribute_names: Option<Vec<String>>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Received>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    /// In base64, as the hub has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<Output, Error> {
    let queue = context.queue(input.queue_url.as_deref())?;
    let ask = Receive {
        max: input.max_number_of_messages.map_or(Ok(1), range::messages)?,
        visibility: input.visibility_timeout.map(range::visibility).transpose()?,
        wait: input.wait_time_seconds.map(range::wait).transpose()?,
    };
    let messages = context.hub.receive(&queue, ask).await?;
    let names = context.hub.names();
    Ok(Output { messages: messages.into_iter().map(|message| received(message, input, names)).collect() })
}

fn received(message: Message, input: &Input, names: &Names) -> Received {
    let asked = input.message_attribute_names.as_deref().unwrap_or_default();
    let mut attributes = message.attributes;
    attributes.retain(|name, _| asked.iter().any(|pattern| matches(pattern, name)));
    let in_order = attributes.iter().map(|(name, value)| (name.as_str(), value));
    let md5_of_message_attributes = digest::of_attributes(in_order);
    let mut system = BTreeMap::from([
        ("ApproximateFirstReceiveTimestamp", message.first_received_at.as_millis().to_string()),
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("SenderId", names.account.clone()),
        ("SentTimestamp", message.sent_at.as_millis().to_string()),
    ]);
    system.extend(message.group.map(|group| ("MessageGroupId", group)));
    let source = message.given_up_by.map(|queue| names.queue_arn(&queue).to_string());
    system.extend(source.map(|source| ("DeadLetterQueueSourceArn", source)));
    system.extend(message.trace.map(|trace| ("AWSTraceHeader", trace)));
    system.retain(|name, _| input.asks_for(name));
    Received {
        message_id: message.message_id.to_string(),
        receipt_handle: message.handle,
        md5_of_body: digest::of_body(&message.body),
        body: message.body,
        attributes: system,
        md5_of_message_attributes,
        message_attributes: attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
    }
}

impl Input {
    /// Whether a system attribute is asked for. Names that we do not know ask for nothing.
    fn asks_for(&self, name: &str) -> bool {
        let lists = [&self.attribute_names, &self.message_system_attribute_names];
        lists.into_iter().flatten().flatten().any(|asked| asked == "All" || asked == name)
    }
}

/// Whether a pattern of `MessageAttributeNames` asks for an attribute: `All`, `.*`, `*`, `prefix.*` or the name itself.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern == "All" || pattern == "*" {
        return true;
    }
    match pattern.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

impl From<AttributeValue> for Value {
    fn from(AttributeValue { data_type, value }: AttributeValue) -> Self {
        let (string_value, binary_value) =
            if digest::is_binary(&data_type) { (None, Some(value)) } else { (Some(value), None) };
        Self { data_type, string_value, binary_value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_ask_for_names_as_in_sqs() {
        for (pattern, name, asked) in [
            ("All", "Hello", true),
            ("*", "Hello", true),
            (".*", "Hello", true),
            ("Hello", "Hello", true),
            ("hello", "Hello", false),
            ("Hel.*", "Hello", true),
            ("Hel.*", "Help", true),
            ("Hel*", "Hello", false),
            ("foo.*", "Hello", false),
            ("", "Hello", false),
        ] {
            assert_eq!(matches(pattern, name), asked, "{pattern} {name}");
        }
    }
}
