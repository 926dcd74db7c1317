//! A message as `Publish` and the entries of `PublishBatch` write it, with SNS's checks in SNS's order.
//!
//! There are no FIFO topics here. A `MessageGroupId` is accepted, as by AWS's standard topics: it is the key for subscriptions that ask for
//! order, and messages in queues have it. A `MessageDeduplicationId` is refused.

use std::collections::BTreeMap;

use event::attributes::{self, Given, Kind, Letters, MessageAttributes, NameError, ValueError};
use event::message::{self, Details, MAX_PUBLISHED, StructureError};
use hub::publish::Draft;

use super::{Context, Error};
use crate::query::Parameters;

const BAD_GROUP: &str = "MessageGroupId Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in \
                         length.";
const NOT_FIFO: &str = "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this \
                        topic type";

/// A message that SNS would accept.
pub(super) struct Read {
    pub draft: Draft,
    /// Its size as SNS counts it, in bytes.
    pub bytes: usize,
}

/// Where a message is. A batch has one limit for all of its messages, and one target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    InBatch,
}

/// The message whose parameters begin with `prefix`; `path` is what a validation error writes before the names of its members.
pub(super) fn read(context: &Context<'_>, place: Place, prefix: &str, path: &str) -> Result<Read, Error> {
    let parameters = context.parameters;
    let given = |name: &str| parameters.given(&format!("{prefix}{name}"));
    let subject = given("Subject");
    if subject.is_some_and(|subject| !message::is_subject(subject)) {
        return Err(Error::invalid("Subject"));
    }
    let text = given("Message").ok_or_else(|| Error::missing(&[&format!("{path}message")]))?;
    if text.trim().is_empty() {
        return Err(Error::invalid("Empty message"));
    }
    if let Some(phone) = context.get("PhoneNumber").filter(|_| place == Place::Alone) {
        // There is no way to send to telephones.
        return Err(Error::invalid(&format!("PhoneNumber Reason: {phone} is not valid to publish to")));
    }
    refuse_unwritable("Message", text)?;
    let attributes = read_attributes(parameters, prefix, path)?;
    let bytes = message::size(text, &attributes);
    if bytes > MAX_PUBLISHED && place == Place::Alone {
        return Err(Error::invalid("Message too long"));
    }
    let (text, texts) = match given("MessageStructure").filter(|structure| !structure.is_empty()) {
        None => (text.to_owned(), BTreeMap::new()),
        Some("json") => message::structured(text).map_err(malformed)?,
        Some(_) => return Err(Error::invalid("MessageStructure")),
    };
    texts.values().chain([&text]).try_for_each(|text| refuse_unwritable("Message", text))?;
    let group = given("MessageGroupId").filter(|group| !group.is_empty());
    if group.is_some_and(|group| !message::is_group(group)) {
        return Err(Error::invalid(BAD_GROUP));
    }
    if given("MessageDeduplicationId").is_some() {
        return Err(Error::invalid(NOT_FIFO));
    }
    let details = Details {
        subject: subject.map(Into::into),
        texts,
        attributes,
        group: group.map(Into::into),
        trace: context.trace.map(Into::into),
        queue: None,
    };
    Ok(Read { draft: Draft { text, details }, bytes })
}

/// Refuses characters that XML cannot contain: receivers with the Query protocol would not get them as they were sent.
fn refuse_unwritable(what: &str, text: &str) -> Result<(), Error> {
    match message::unwritable(text) {
        None => Ok(()),
        Some(c) => Err(Error::invalid(&format!(
            "{what} Reason: it has the character #x{:X}. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to \
             #xFFFD | #x10000 to #x10FFFF",
            u32::from(c)
        ))),
    }
}

fn malformed(error: StructureError) -> Error {
    Error::invalid(match error {
        StructureError::Malformed => "Message Structure - JSON message body failed to parse",
        StructureError::NoDefault => "Message Structure - No default entry in JSON message body",
    })
}

fn read_attributes(
    parameters: &Parameters<'_>,
    prefix: &str,
    path: &str,
) -> Result<MessageAttributes, Error> {
    let list = format!("{prefix}MessageAttributes.entry");
    let mut attributes = MessageAttributes::new();
    for number in parameters.numbers(&list) {
        let given = |name: &str| parameters.given(&format!("{list}.{number}.{name}"));
        let name = given("Name").unwrap_or_default();
        attributes::check_name(name, Letters::Ascii).map_err(refused_name)?;
        let value = Given {
            data_type: given("Value.DataType").filter(|kind| !kind.is_empty()).ok_or_else(|| {
                Error::missing(&[&format!("{path}messageAttributes.{name}.member.dataType")])
            })?,
            string: given("Value.StringValue"),
            binary: given("Value.BinaryValue"),
        };
        let read = value.read().map_err(|error| refused_value(name, value.data_type, error))?;
        refuse_unwritable("MessageAttributes", &read.value)?;
        attributes.entry(name.to_owned()).or_insert(read);
    }
    Ok(attributes)
}

fn refused_name(error: NameError) -> Error {
    Error::parameter_value(match error {
        NameError::Empty => "The message attribute name must not be empty.".to_owned(),
        NameError::TooLong => "Length of message attribute name must be less than 256 bytes.".to_owned(),
        NameError::BeginsWithDot => {
            "Invalid message attribute name starting with character '.' was found.".to_owned()
        }
        NameError::EndsWithDot => {
            "Invalid message attribute name ending with character '.' was found.".to_owned()
        }
        NameError::SuccessiveDots => {
            "Message attribute name can not have successive '.' character.".to_owned()
        }
        NameError::Character(c) => format!(
            "Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. Can only include alphanumeric \
             characters, hyphens, underscores, or dots.",
            u32::from(c)
        ),
    })
}

fn refused_value(name: &str, data_type: &str, error: ValueError) -> Error {
    let kind = |kind: Kind| match kind {
        Kind::String | Kind::Number => "String",
        Kind::Binary => "Binary",
    };
    Error::parameter_value(match error {
        ValueError::Type => format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, \
             Number, and String."
        ),
        ValueError::Empty => format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{data_type}'."
        ),
        ValueError::Field(of) => {
            format!("The message attribute '{name}' with type '{data_type}' must use field '{}'.", kind(of))
        }
        ValueError::NotANumber => format!("Could not cast message attribute '{name}' value to number."),
        ValueError::NotBase64 => {
            format!("The message attribute '{name}' must have a value in base64 for its type '{data_type}'.")
        }
    })
}
