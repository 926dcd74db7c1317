//! SQS in the Query protocol, which older SDKs speak: a form in, XML out.
//!
//! The actions do not know about it. A form is turned into the JSON object that the same action has in AWS JSON, and the action's JSON is turned
//! into XML. The tables below say how lists and maps are written, for all actions of SQS. A list or map with one entry may come without a
//! number, as from even older clients (`AttributeName=All`).

use serde_json::{Map, Number, Value};

use super::error::Kind;
use super::{Context, Error, queue_url};
use crate::query::Parameters;
use crate::reply::{Reply, RequestId};
use crate::xml;

const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";
const CONTENT_TYPE: &str = "text/xml";

/// Lists of texts: `<name>.N`, and the member that has them in JSON.
const LISTS: [(&str, &str); 6] = [
    ("AWSAccountId", "AWSAccountIds"),
    ("ActionName", "Actions"),
    ("AttributeName", "AttributeNames"),
    ("MessageAttributeName", "MessageAttributeNames"),
    ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
    ("TagKey", "TagKeys"),
];

/// Maps of texts: `<name>.N.<key>` and `<name>.N.Value`, and their members.
const MAPS: [(&str, &str, &str); 2] = [("Attribute", "Attributes", "Name"), ("Tag", "Tags", "Key")];
/// The one action that writes a member in lower case: `tags`.
const LOWER_TAGS: &str = "CreateQueue";

/// Maps of typed values: `<name>.N.Name` and `<name>.N.Value.<field>`, and their members.
const TYPED: [(&str, &str); 2] =
    [("MessageAttribute", "MessageAttributes"), ("MessageSystemAttribute", "MessageSystemAttributes")];

/// Members that are numbers.
const NUMBERS: [&str; 6] = [
    "DelaySeconds",
    "MaxNumberOfMessages",
    "MaxNumberOfMessagesPerSecond",
    "MaxResults",
    "VisibilityTimeout",
    "WaitTimeSeconds",
];

/// Actions that are not valid at the URL of a queue.
const NOT_OF_A_QUEUE: [&str; 2] = ["CreateQueue", "ListQueues"];

/// Actions whose answer has no `Result`.
const VOID: [&str; 9] = [
    "AddPermission",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "DeleteQueue",
    "PurgeQueue",
    "RemovePermission",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

pub(crate) async fn answer(
    context: &Context<'_>,
    action: &str,
    parameters: &Parameters<'_>,
    id: RequestId,
) -> Reply {
    match call(context, action, parameters).await {
        Ok(output) => {
            let result = result(action, &output);
            let body = format!(
                "<{action}Response xmlns=\"{NAMESPACE}\">{result}<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
                 </{action}Response>"
            );
            Reply::new(http::StatusCode::OK, CONTENT_TYPE, body)
        }
        Err(error) => refuse(action, error, id),
    }
}

async fn call(context: &Context<'_>, action: &str, parameters: &Parameters<'_>) -> Result<Value, Error> {
    if NOT_OF_A_QUEUE.contains(&action) && queue_url::parse_path(context.path).is_some() {
        return Err(Error::unknown_operation(action));
    }
    let mut input = read(parameters);
    if action == LOWER_TAGS {
        input["tags"] = input["Tags"].take();
    }
    let output = super::call(context, action, input.to_string().as_bytes()).await?;
    serde_json::from_slice(&output).map_err(|_| Error::internal())
}

/// An error in the form of this protocol.
pub(crate) fn refuse(action: &str, error: Error, id: RequestId) -> Reply {
    let text = match error.kind {
        Kind::QueueDoesNotExist => "The specified queue does not exist for this wsdl version.".to_owned(),
        Kind::UnknownOperation => format!("The action {action} is not valid for this endpoint."),
        _ => error.message.clone(),
    };
    let (code, side) = error.code_and_side();
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{side}</Type><Code>{code}</Code><Message>{}</Message><Detail/></Error>\
         <RequestId>{id}</RequestId></ErrorResponse>",
        xml::escape(&text)
    );
    Reply::new(error.status(), CONTENT_TYPE, body)
}

/// A form as a JSON object.
pub(super) fn read(parameters: &Parameters<'_>) -> Value {
    Value::Object(object(parameters, "", Level::Request))
}

/// Where members are read: entries have no entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Request,
    Entry,
}

/// The parameters with a prefix, as a JSON object.
fn object(parameters: &Parameters<'_>, prefix: &str, level: Level) -> Map<String, Value> {
    let heads = parameters.heads(prefix).into_iter();
    let members = heads.filter_map(|head| {
        let (member, value) = member(parameters, head, &format!("{prefix}{head}"), level)?;
        Some((member.to_owned(), value))
    });
    members.collect()
}

/// The member that a parameter makes, or all those of one list. `head` is the name without its prefix.
fn member<'h>(
    parameters: &Parameters<'_>,
    head: &'h str,
    name: &str,
    level: Level,
) -> Option<(&'h str, Value)> {
    if let Some((_, member)) = LISTS.iter().find(|(list, _)| *list == head) {
        return Some((member, texts(parameters, name)));
    }
    if let Some((_, member, key)) = MAPS.iter().find(|(map, ..)| *map == head) {
        return Some((member, pairs(parameters, name, key)));
    }
    if let Some((_, member)) = TYPED.iter().find(|(map, _)| *map == head) {
        return Some((member, typed(parameters, name)));
    }
    if head.ends_with("RequestEntry") && level == Level::Request {
        let entry = |number: String| object(parameters, &format!("{name}.{number}."), Level::Entry);
        let entries = parameters.numbers(name).into_iter().map(entry).map(Value::Object);
        return Some(("Entries", entries.collect()));
    }
    Some((head, scalar(head, parameters.given(name)?)))
}

/// If it is not a number, it stays a text, and the action reports the error.
fn scalar(name: &str, text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) if NUMBERS.contains(&name) => Number::from(number).into(),
        _ => text.into(),
    }
}

fn texts(parameters: &Parameters<'_>, list: &str) -> Value {
    let numbered = parameters.numbers(list).into_iter().map(|number| format!("{list}.{number}"));
    let mut texts: Vec<&str> = numbered.filter_map(|name| parameters.given(&name)).collect();
    if texts.is_empty() {
        texts.extend(parameters.get(list));
    }
    texts.into()
}

fn pairs(parameters: &Parameters<'_>, map: &str, key: &str) -> Value {
    let pair = |place: String| {
        let given = |part: &str| parameters.given(&format!("{place}.{part}"));
        Some((given(key)?.to_owned(), Value::from(given("Value").unwrap_or_default())))
    };
    let mut pairs: Map<String, Value> =
        parameters.numbers(map).into_iter().filter_map(|number| pair(format!("{map}.{number}"))).collect();
    if pairs.is_empty() {
        pairs.extend(pair(map.to_owned()));
    }
    Value::Object(pairs)
}

fn typed(parameters: &Parameters<'_>, map: &str) -> Value {
    let pair = |number: String| {
        let given = |part: &str| parameters.given(&format!("{map}.{number}.{part}"));
        let fields = ["DataType", "StringValue", "BinaryValue"].into_iter();
        let value = fields
            .filter_map(|field| Some((field.to_owned(), Value::from(given(&format!("Value.{field}"))?))));
        Some((given("Name")?.to_owned(), Value::Object(value.collect())))
    };
    Value::Object(parameters.numbers(map).into_iter().filter_map(pair).collect())
}

fn result(action: &str, output: &Value) -> String {
    let mut members = String::new();
    write(&mut members, action, output);
    match members.as_str() {
        "" if VOID.contains(&action) => String::new(),
        "" => format!("<{action}Result/>"),
        _ => format!("<{action}Result>{members}</{action}Result>"),
    }
}

/// Appends the members of an object as elements.
fn write(to: &mut String, action: &str, object: &Value) {
    for (name, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Object(map) => write_map(to, action, name, map),
            Value::Array(list) => {
                let element = element_of(action, name);
                list.iter().for_each(|one| write_element(to, action, &element, one));
            }
            _ => write_element(to, action, name, value),
        }
    }
}

fn write_element(to: &mut String, action: &str, name: &str, value: &Value) {
    to.extend(["<", name, ">"]);
    match value {
        Value::String(text) => to.push_str(&xml::escape(text)),
        Value::Object(_) => write(to, action, value),
        other => to.push_str(&other.to_string()),
    }
    to.extend(["</", name, ">"]);
}

/// The element for each value of a list.
fn element_of(action: &str, list: &str) -> String {
    match list {
        "Successful" => format!("{action}ResultEntry"),
        "Failed" => "BatchResultErrorEntry".to_owned(),
        "QueueUrls" | "queueUrls" => "QueueUrl".to_owned(),
        _ => list.strip_suffix('s').unwrap_or(list).to_owned(),
    }
}

/// A map: an element for each pair.
fn write_map(to: &mut String, action: &str, name: &str, map: &Map<String, Value>) {
    let key = if name.eq_ignore_ascii_case("Tags") { "Key" } else { "Name" };
    let element = name.strip_suffix('s').unwrap_or(name);
    for (its_key, value) in map {
        to.extend(["<", element, ">"]);
        write_element(to, action, key, &Value::from(its_key.as_str()));
        write_element(to, action, "Value", value);
        to.extend(["</", element, ">"]);
    }
}
