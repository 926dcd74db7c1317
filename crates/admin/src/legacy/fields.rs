//! Checks the fields of a body by the names and types that an entity has. Types are read as leniently as 0.x reads them, with its messages.

use event::Timestamp;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::error::{Error, Wrong};

/// The end of the year 9999 in milliseconds since 1970: no later time can be written.
const MAX_MILLIS: u64 = 253_402_300_799_999;

/// The type of a field; 0.x's names for types are in [`Type::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Flag,
    Number,
    List,
    Table,
    Id,
    Time,
}

/// A field of an entity.
pub(super) struct Field {
    pub name: &'static str,
    pub of: Type,
}

impl Field {
    pub(super) const fn new(name: &'static str, of: Type) -> Self {
        Self { name, of }
    }
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Flag => "boolean",
            Self::Number => "number",
            Self::List => "array",
            Self::Table => "table",
            Self::Id => "id",
            Self::Time => "timestamp",
        }
    }

    /// Reads a value as this type. A text, as forms have it, may be a boolean, a number or a list.
    pub(super) fn read(self, value: Value) -> Result<Value, String> {
        let read = match (self, value) {
            (Self::Text, Value::String(text)) => Some(text.into()),
            (Self::Flag, Value::Bool(flag)) => Some(flag.into()),
            (Self::Flag, Value::String(text)) => flag(&text).map(Value::Bool),
            (Self::Number, Value::Number(number)) => Some(whole(number)),
            (Self::Number, Value::String(text)) => number(&text),
            (Self::Time, Value::Number(number)) => Some(whole(number)).filter(|value| time(value).is_some()),
            (Self::Time, Value::String(text)) => number(&text).filter(|value| time(value).is_some()),
            (Self::List, Value::Array(items)) => Some(items.into()),
            (Self::List, Value::String(text)) => Some(list(&text)),
            (Self::Table, Value::Object(object)) => Some(object.into()),
            // Lua does not distinguish an empty list from an empty table.
            (Self::List, Value::Object(object)) if object.is_empty() => Some(Value::Array(Vec::new())),
            (Self::Table, Value::Array(items)) if items.is_empty() => Some(Value::Object(Map::new())),
            (Self::Id, Value::String(text)) => Uuid::try_parse(&text).ok().map(|id| id.to_string().into()),
            _ => None,
        };
        read.ok_or_else(|| format!("is not a {}", self.name()))
    }
}

/// Reads the fields of a body. A null stays a null, which removes a value.
///
/// # Errors
/// Everything that is wrong with their names and types, at once.
pub(super) fn read(fields: &[&Field], body: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let mut wrong = Wrong::default();
    let mut read = Map::new();
    for (name, value) in body {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            wrong.add(&name, format!("{name} is an unknown field"));
            continue;
        };
        if value.is_null() {
            read.insert(name, value);
            continue;
        }
        match field.of.read(value) {
            Ok(value) => drop(read.insert(name, value)),
            Err(message) => wrong.add(&name, format!("{name} {message}")),
        }
    }
    wrong.check().map(|()| read)
}

/// Reads a time in milliseconds since 1970; `None` if the value is not a time that can be written.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let millis = value.as_u64().filter(|millis| *millis <= MAX_MILLIS)?;
    Some(Timestamp::from_millis(millis))
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    let number: Number = serde_json::from_str(text.trim()).ok()?;
    Some(whole(number))
}

/// Turns a number without a fraction into an integer: `5.0` into 5.
fn whole(number: Number) -> Value {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
    let is_exact = |float: &f64| float.abs() < 9_007_199_254_740_992.0;
    match float.filter(is_exact) {
        Some(float) => Value::from(float as i64),
        None => Value::Number(number),
    }
}

/// Splits a text at commas: `a, b` has two items, `a\,b` has one.
fn list(text: &str) -> Value {
    let mut items = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&',') => {
                characters.next();
                items.last_mut().unwrap_or(&mut String::new()).push(',');
            }
            ',' => items.push(String::new()),
            other => items.last_mut().unwrap_or(&mut String::new()).push(other),
        }
    }
    items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(of: Type, value: Value, expected: Result<Value, &str>) {
        assert_eq!(of.read(value.clone()), expected.map_err(str::to_owned), "{value}");
    }

    #[test]
    fn types_are_read_as_0_x_reads_them() {
        check(Type::Text, json!("a,b"), Ok(json!("a,b")));
        check(Type::Text, json!(1), Err("is not a string"));
        check(Type::Flag, json!("True"), Ok(json!(true)));
        check(Type::Flag, json!("yes"), Err("is not a boolean"));
        check(Type::Flag, json!(1), Err("is not a boolean"));
        check(Type::Number, json!("5"), Ok(json!(5)));
        check(Type::Number, json!(5.0), Ok(json!(5)));
        check(Type::Number, json!("0.5"), Ok(json!(0.5)));
        check(Type::Number, json!("5 s"), Err("is not a number"));
        check(Type::Number, json!(""), Err("is not a number"));
        check(Type::List, json!("a, b,c\\,d"), Ok(json!(["a", "b", "c,d"])));
        check(Type::List, json!(""), Ok(json!([])));
        check(Type::List, json!({}), Ok(json!([])));
        check(Type::List, json!(["a,b"]), Ok(json!(["a,b"])));
        check(Type::List, json!({ "a": 1 }), Err("is not a array"));
        check(Type::Table, json!([]), Ok(json!({})));
        check(Type::Table, json!("x"), Err("is not a table"));
        check(
            Type::Id,
            json!("AC6337B5-a72a-5c03-bcf7-97719f943af8"),
            Ok(json!("ac6337b5-a72a-5c03-bcf7-97719f943af8")),
        );
        check(Type::Id, json!("x"), Err("is not a id"));
        check(Type::Time, json!("1700000000000"), Ok(json!(1_700_000_000_000_u64)));
        for bad in [json!(-1), json!(0.5), json!(MAX_MILLIS + 1), json!("now")] {
            check(Type::Time, bad, Err("is not a timestamp"));
        }
    }
}
