//! A message as `SendMessage` and the entries of `SendMessageBatch` write it, and the digests of it that clients check.

use std::collections::BTreeMap;
use std::time::Duration;

use event::attributes::{
    self, AttributeValue, Given, Kind as Type, Letters, MessageAttributes, NameError, ValueError,
};
use event::message::{self, Details, MAX_SENT, MAX_TRACE};
use hub::publish::{Draft, Outgoing};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::Kind;
use super::{Error, digest, range};

/// Attributes of one message (SQS's limit).
const MAX_ATTRIBUTES: usize = 10;
/// The one system attribute that a sender may set.
const TRACE: &str = "AWSTraceHeader";

/// The members that a single call and an entry of a batch have in common.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    message_attributes: Option<BTreeMap<String, Value>>,
    message_system_attributes: Option<BTreeMap<String, Value>>,
    message_deduplication_id: Option<String>,
    message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    data_type: Option<String>,
    string_value: Option<String>,
    /// In base64.
    binary_value: Option<String>,
}

/// The answer to the sender of a message.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_system_attributes: Option<String>,
}

/// Digests of a message on its way.
pub(super) struct Digests {
    body: String,
    attributes: Option<String>,
    system_attributes: Option<String>,
}

impl Digests {
    pub(super) fn output(self, id: Uuid) -> Output {
        Output {
            message_id: id.to_string(),
            md5_of_body: self.body,
            md5_of_attributes: self.attributes,
            md5_of_system_attributes: self.system_attributes,
        }
    }
}

/// Whether the message is one of a batch, which has another text for a message that is too long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    InBatch,
}

impl Input {
    /// The message, if SQS would accept it. `trace` is the request's trace header.
    pub(super) fn read(&self, place: Place, trace: Option<&str>) -> Result<(Outgoing, Digests), Error> {
        let body = self.message_body.as_deref().unwrap_or_default();
        if body.is_empty() {
            return Err(Error::missing("MessageBody"));
        }
        let attributes = read_attributes(self.message_attributes.as_ref())?;
        if message::size(body, &attributes) > MAX_SENT {
            return Err(too_long(place));
        }
        if message::unwritable(body).is_some() {
            return Err(Error::new(Kind::InvalidContents, INVALID_CHARACTERS));
        }
        let delay = self.delay_seconds.map_or(Ok(Duration::ZERO), range::delay)?;
        let group = self.message_group_id.as_deref();
        if let Some(group) = group.filter(|group| !message::is_group(group)) {
            let reason = "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.";
            return Err(Error::invalid(group, "MessageGroupId", reason));
        }
        if let Some(id) = &self.message_deduplication_id {
            let reason = "The request includes a parameter that is not valid for this queue type.";
            return Err(Error::invalid(id, "MessageDeduplicationId", reason));
        }
        let system = read_system_attributes(self.message_system_attributes.as_ref())?;
        let digests = Digests {
            body: digest::of_body(body),
            attributes: digest::of_attributes(in_order(&attributes)),
            system_attributes: digest::of_attributes(in_order(&system)),
        };
        let trace = system.into_values().next().map(|value| value.value).or_else(|| trace.map(Into::into));
        let details = Details { attributes, group: group.map(Into::into), trace, ..Details::default() };
        Ok((Outgoing { draft: Draft { text: body.to_owned(), details }, delay }, digests))
    }

    /// How large SQS counts it in a batch, in bytes.
    pub(super) fn size(&self) -> usize {
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let attributes = self.message_attributes.iter().flatten();
        let of_attribute = |(name, value): (&String, &Value)| {
            // Four bytes of base64 are three bytes of data.
            name.len() + of(&value.data_type) + of(&value.string_value) + of(&value.binary_value) / 4 * 3
        };
        of(&self.message_body) + attributes.map(of_attribute).sum::<usize>()
    }
}

fn in_order(attributes: &MessageAttributes) -> impl Iterator<Item = (&str, &AttributeValue)> {
    attributes.iter().map(|(name, value)| (name.as_str(), value))
}

fn read_attributes(given: Option<&BTreeMap<String, Value>>) -> Result<MessageAttributes, Error> {
    let count = given.map_or(0, BTreeMap::len);
    if count > MAX_ATTRIBUTES {
        let text =
            format!("Number of message attributes [{count}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].");
        return Err(Error::new(Kind::InvalidParameterValue, text));
    }
    let read = given.into_iter().flatten().map(|(name, value)| {
        attributes::check_name(name, Letters::Any).map_err(refused_name)?;
        let lower = name.to_lowercase();
        if lower.starts_with("aws.") || lower.starts_with("amazon.") {
            return Err(refused_name(NameError::BeginsWithDot));
        }
        let data_type = value.data_type.as_deref().unwrap_or_default();
        let (string, binary) = (value.string_value.as_deref(), value.binary_value.as_deref());
        let read = Given { data_type, string, binary }.read();
        let read = read.map_err(|error| refused_value(name, data_type, error))?;
        match message::unwritable(&read.value) {
            None => Ok((name.clone(), read)),
            Some(_) => Err(Error::new(Kind::InvalidParameterValue, INVALID_CHARACTERS)),
        }
    });
    read.collect()
}

fn too_long(place: Place) -> Error {
    let text = match place {
        Place::Alone => {
            format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {MAX_SENT} bytes."
            )
        }
        Place::InBatch => {
            format!(
                "One or more parameters cannot be validated. Reason: Message must be shorter than {MAX_SENT} bytes."
            )
        }
    };
    Error::new(Kind::InvalidParameterValue, text)
}

/// Only [`TRACE`] may be there.
fn read_system_attributes(given: Option<&BTreeMap<String, Value>>) -> Result<MessageAttributes, Error> {
    let read = given.into_iter().flatten().map(|(name, value)| {
        let data_type = value.data_type.as_deref().unwrap_or_default();
        if name != TRACE || data_type != "String" {
            let text = format!(
                "Message system attribute name '{name}' is not valid: there is {TRACE} of type String alone."
            );
            return Err(Error::new(Kind::InvalidParameterValue, text));
        }
        let read = Given { data_type, string: value.string_value.as_deref(), binary: None }.read();
        let read = read.map_err(|error| refused_value(name, data_type, error))?;
        if read.value.len() > MAX_TRACE {
            let text =
                format!("Message system attribute '{TRACE}' must be shorter than {} bytes.", MAX_TRACE + 1);
            return Err(Error::new(Kind::InvalidParameterValue, text));
        }
        match message::unwritable(&read.value) {
            None => Ok((name.clone(), read)),
            Some(_) => Err(Error::new(Kind::InvalidParameterValue, INVALID_CHARACTERS)),
        }
    });
    read.collect()
}

/// The text for a body, and for the value of an attribute.
const INVALID_CHARACTERS: &str = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF \
                                             | #xE000 to #xFFFD | #x10000 to #x10FFFF.";

fn refused_name(error: NameError) -> Error {
    let text = match error {
        NameError::Empty => "The message attribute name must not be empty.",
        NameError::TooLong => "Message (user) attribute names must be shorter than 256 Bytes",
        NameError::Character(_) | NameError::SuccessiveDots => {
            "Message (user) attributes name can only contain upper and lower score characters, digits, periods, hyphens and \
             underscores. "
        }
        NameError::BeginsWithDot | NameError::EndsWithDot => {
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use. \
             Additionally, they cannot start or end with '.'."
        }
    };
    Error::new(Kind::InvalidParameterValue, text)
}

fn refused_value(name: &str, data_type: &str, error: ValueError) -> Error {
    let text = match error {
        ValueError::Type => format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, \
             Number, and String."
        ),
        ValueError::Empty => {
            format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{}'.",
                field(data_type)
            )
        }
        ValueError::Field(_) => {
            format!(
                "The message attribute '{name}' with type '{data_type}' must use field '{}'.",
                field(data_type)
            )
        }
        ValueError::NotANumber => {
            format!("Can't cast the value of message (user) attribute '{name}' to a number.")
        }
        ValueError::NotBase64 => {
            format!("The message (user) attribute '{name}' must have a value in base64.")
        }
    };
    Error::new(Kind::InvalidParameterValue, text)
}

/// The field that has the value of a type.
fn field(data_type: &str) -> &'static str {
    if Type::of(data_type) == Some(Type::Binary) { "Binary" } else { "String" }
}
