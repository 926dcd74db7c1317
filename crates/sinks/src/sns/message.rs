//! What is published: an event's text and attributes in a form that SNS accepts.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
use aws_sdk_sns::primitives::Blob;
use aws_sdk_sns::types::MessageAttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::wire::Message;
use event::attributes::{AttributeValue, Kind};
use storage::entities::Protocol;

/// The longest message group, in bytes.
const MAX_GROUP: usize = 128;
/// The group of events without a key.
const NO_KEY: &str = "-";

/// Whether order matters to the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Standard,
    Fifo,
}

/// The request that publishes a message.
pub(super) fn fill(publish: PublishFluentBuilder, message: &Message, order: Order) -> PublishFluentBuilder {
    let text = String::from_utf8_lossy(message.form(Protocol::Sns).text());
    let mut publish = publish.message(speakable(&text)).set_subject(message.subject().map(str::to_owned));
    for (name, value) in message.attributes() {
        if let Some(value) = attribute(value) {
            publish = publish.message_attributes(name, value);
        }
    }
    match order {
        Order::Standard => publish,
        Order::Fifo => {
            let body = &message.event().body;
            let given = message.details().and_then(|details| details.group.as_deref());
            publish
                .message_group_id(group(given.unwrap_or(&body.key)))
                .message_deduplication_id(body.id.to_string())
        }
    }
}

/// `None` for an empty one, which SNS refuses together with the message.
fn attribute(AttributeValue { data_type, value }: &AttributeValue) -> Option<MessageAttributeValue> {
    let builder = MessageAttributeValue::builder().data_type(data_type);
    let builder = match Kind::of(data_type) {
        _ if value.is_empty() => return None,
        Some(Kind::Binary) => builder.binary_value(Blob::new(STANDARD.decode(value).ok()?)),
        _ => builder.string_value(speakable(value)),
    };
    // This cannot fail: it has a type.
    builder.build().ok()
}

/// The text without characters that XML cannot contain: SNS would refuse the whole message because of one of them.
fn speakable(text: &str) -> String {
    let replaced = |c: char| if event::message::is_xml(c) { c } else { '\u{fffd}' };
    text.chars().map(replaced).collect()
}

/// The message group for a key: the key itself if SNS accepts it, else its SHA-256 in hexadecimal digits. So equal keys have one group.
fn group(key: &str) -> String {
    if key.is_empty() {
        return NO_KEY.to_owned();
    }
    if key.len() <= MAX_GROUP && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return key.to_owned();
    }
    hex::encode(digest(&SHA256, key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_group_that_sns_takes() {
        assert_eq!(group("profiles:/profile/7"), "profiles:/profile/7");
        assert_eq!(group(""), "-");
        for key in ["a b", "ä", &"x".repeat(129)] {
            let group = group(key);
            assert!(group.len() == 64 && group.bytes().all(|byte| byte.is_ascii_hexdigit()), "{group}");
        }
        assert_ne!(group("a b"), group("a c"));
    }

    #[test]
    fn what_no_xml_carries_is_replaced() {
        assert_eq!(speakable("a\u{0}b\u{b}\t\u{fffe}\n"), "a\u{fffd}b\u{fffd}\t\u{fffd}\n");
    }

    #[test]
    fn attributes_have_their_types() {
        let string = attribute(&AttributeValue::string("a\u{1}")).expect("a value");
        assert_eq!((string.data_type(), string.string_value()), ("String", Some("a\u{fffd}")));
        let binary = AttributeValue { data_type: "Binary.png".into(), value: "AAE=".into() };
        let binary = attribute(&binary).expect("a value");
        assert_eq!(binary.binary_value().map(AsRef::as_ref), Some(&[0, 1][..]));
        assert_eq!(attribute(&AttributeValue::string("")), None);
    }
}
