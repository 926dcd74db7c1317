//! A message that a client publishes or sends: its text, and what it may have besides: subject, attributes, group.
//!
//! The store keeps two texts of it: the message itself, as its receivers get it, and [`Details`] as JSON, where there are any. So the
//! commonest message costs no parsing, and nothing of it is escaped.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::attributes::{self, MessageAttributes};

/// The largest message of a topic, in bytes: its text with the names, types and values of its attributes (SNS's limit).
pub const MAX_PUBLISHED: usize = 256 << 10;
/// The largest message of a queue, in bytes, counted likewise (SQS's limit).
pub const MAX_SENT: usize = 1 << 20;
/// The longest subject, in characters (SNS's limit).
pub const MAX_SUBJECT: usize = 100;
/// The longest group, in characters (SNS's and SQS's limit).
pub const MAX_GROUP: usize = 128;
/// The longest `AWSTraceHeader`, in bytes. AWS names no limit; X-Ray's own headers have fewer than 300.
pub const MAX_TRACE: usize = 2_048;
/// The text of a structured message for all protocols that have none of their own.
const DEFAULT: &str = "default";

/// Whether XML 1.0 can carry a character, and so SNS and SQS take it: `#x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF`.
pub fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// A message, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What its receivers get, unless their protocol has a text of its own.
    pub text: Arc<str>,
    /// [`Details`] as JSON; `None` if there are none.
    pub details: Option<Arc<str>>,
}

/// What a message may have besides its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The subject of the SNS message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The texts that a structured message has for single protocols (`http`, `sqs`, …).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    /// The message attributes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: MessageAttributes,
    /// The message group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// SQS's system attribute `AWSTraceHeader`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The bare name of the queue that it was sent to, if it went straight into one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

impl Message {
    /// A message with what stands beside its text.
    pub fn new(text: impl Into<Arc<str>>, details: &Details) -> Self {
        let details = (*details != Details::default()).then(|| {
            // Texts in maps and options: nothing that JSON could not write.
            serde_json::to_string(details).unwrap_or_default().into()
        });
        Self { text: text.into(), details }
    }

    /// What stands beside its text. Fails only on a damaged or foreign record.
    pub fn details(&self) -> Result<Details, serde_json::Error> {
        self.details.as_deref().map_or_else(|| Ok(Details::default()), serde_json::from_str)
    }
}

/// How large SNS and SQS count a message, in bytes.
pub fn size(text: &str, attributes: &MessageAttributes) -> usize {
    text.len() + attributes.iter().map(|(name, value)| name.len() + value.size()).sum::<usize>()
}

/// Whether SNS takes a text as a subject: 1 to [`MAX_SUBJECT`] characters in one line that does not begin with a space.
pub fn is_subject(text: &str) -> bool {
    let begins = text.chars().next().is_some_and(|first| !first.is_whitespace());
    begins && text.chars().count() <= MAX_SUBJECT && !text.chars().any(|c| c.is_control() || is_line_end(c))
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether SNS and SQS take a text as the name of a group: 1 to [`MAX_GROUP`] letters, digits and punctuation of ASCII.
pub fn is_group(text: &str) -> bool {
    (1..=MAX_GROUP).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The first character of a text that SQS does not take, if there is one: XML 1.0 could not write it.
pub fn unwritable(text: &str) -> Option<char> {
    text.chars().find(|c| !is_xml(*c))
}

/// Why a text is not a structured message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StructureError {
    /// It is not one JSON object.
    #[error("the message is not a JSON object")]
    Malformed,
    /// It has no text for `default`.
    #[error("the message has no text for `default`")]
    NoDefault,
}

/// A message with `MessageStructure` `json`: its text for all protocols, and those of single ones. As in SNS, what is not a text is
/// dropped, and of two members with one name the last counts.
///
/// # Errors
/// If it is not a JSON object, or has no `default`.
pub fn structured(json: &str) -> Result<(String, BTreeMap<String, String>), StructureError> {
    let Texts(mut texts) = serde_json::from_str(json).map_err(|_| StructureError::Malformed)?;
    let default = texts.remove(DEFAULT).ok_or(StructureError::NoDefault)?;
    Ok((default, texts))
}

struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Texts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    match map.next_value()? {
                        Value::String(text) => texts.insert(name, text),
                        _ => texts.remove(&name),
                    };
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Whether a text is a JSON object or array, and so may stand in other JSON as it is.
pub fn is_json(text: &str) -> bool {
    let begins = text.trim_start().starts_with(['{', '[']);
    begins && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The `type` that formats with one give a message: its attribute `event_type` if that is a text, else `message.published`.
pub fn event_type(attributes: &MessageAttributes) -> &str {
    let named = attributes
        .get("event_type")
        .filter(|value| attributes::Kind::of(&value.data_type) == Some(attributes::Kind::String));
    named.map_or("message.published", |value| &value.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::AttributeValue;

    #[test]
    fn what_stands_beside_a_text_reads_back_and_nothing_is_nothing() {
        assert_eq!(Message::new("text", &Details::default()), Message { text: "text".into(), details: None });
        let details = Details {
            subject: Some("s\"".into()),
            texts: BTreeMap::from([("sqs".into(), "for queues".into())]),
            attributes: BTreeMap::from([("n".into(), AttributeValue::number(7))]),
            group: Some("g".into()),
            trace: Some("Root=1".into()),
            queue: Some("q".into()),
        };
        assert_eq!(Message::new("text", &details).details().unwrap(), details);
        assert_eq!(Message { text: "".into(), details: None }.details().unwrap(), Details::default());
        assert!(Message { text: "".into(), details: Some("[".into()) }.details().is_err());
    }

    #[test]
    fn a_structured_message_has_a_text_for_each_protocol() {
        let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
        };
        for (json, expected) in [
            (r#"{"default":"d"}"#, Ok(("d".into(), texts(&[])))),
            (r#"{"default":"d","sqs":"q","http":{"a":1}}"#, Ok(("d".into(), texts(&[("sqs", "q")])))),
            (r#"{"default":"1","default":"2","sqs":"q","sqs":3}"#, Ok(("2".into(), texts(&[])))),
            (r#"{"default":""}"#, Ok(("".into(), texts(&[])))),
            (r#"{"default":{}}"#, Err(StructureError::NoDefault)),
            (r#"{"sqs":"q"}"#, Err(StructureError::NoDefault)),
            ("[]", Err(StructureError::Malformed)),
            ("text", Err(StructureError::Malformed)),
            (r#"{"default":"d"} x"#, Err(StructureError::Malformed)),
        ] {
            assert_eq!(structured(json), expected, "{json}");
        }
    }

    #[test]
    fn subjects_and_groups_are_those_of_sns() {
        let long = "x".repeat(MAX_SUBJECT);
        for (text, is) in [
            ("Hello", true),
            ("a b ä!", true),
            (long.as_str(), true),
            ("", false),
            (" a", false),
            ("a\nb", false),
            ("a\u{7f}", false),
            ("a\u{2028}", false),
            (&format!("{long}x"), false),
            (&"ä".repeat(MAX_SUBJECT), true),
        ] {
            assert_eq!(is_subject(text), is, "{text:?}");
        }
        let long = "x".repeat(MAX_GROUP);
        for (text, is) in [
            ("a-1!", true),
            (&long, true),
            ("", false),
            ("a b", false),
            ("ä", false),
            (&format!("{long}x"), false),
        ] {
            assert_eq!(is_group(text), is, "{text:?}");
        }
    }

    #[test]
    fn json_is_told_from_other_texts() {
        for (text, is) in [
            ("{}", true),
            (" [1] ", true),
            ("7", false),
            ("\"text\"", false),
            ("null", false),
            ("{", false),
            ("{} x", false),
            ("", false),
        ] {
            assert_eq!(is_json(text), is, "{text:?}");
        }
        assert_eq!((unwritable("a\tä😀"), unwritable("a\u{1}")), (None, Some('\u{1}')));
        assert_eq!(unwritable("\u{ffff}"), Some('\u{ffff}'));
    }

    #[test]
    fn a_message_names_its_type_with_an_attribute() {
        let named = |value| MessageAttributes::from([("event_type".to_owned(), value)]);
        assert_eq!(event_type(&named(AttributeValue::string("order.paid"))), "order.paid");
        assert_eq!(event_type(&named(AttributeValue::number(1))), "message.published");
        assert_eq!(event_type(&MessageAttributes::new()), "message.published");
    }

    #[test]
    fn a_size_counts_attributes_and_binary_values_as_their_bytes() {
        let binary = AttributeValue { data_type: "Binary".into(), value: "AAECAw==".into() };
        let attributes = MessageAttributes::from([
            ("a".to_owned(), binary),
            ("bc".to_owned(), AttributeValue::string("äx")),
        ]);
        assert_eq!(size("text", &attributes), 4 + (1 + 6 + 4) + (2 + 6 + 3));
    }
}
