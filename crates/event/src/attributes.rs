//! Message attributes with the types of SNS and SQS, and the checks by which the two services accept one.
//!
//! The two services refuse the same things in different words, so a refusal here is a value, not a text for a client.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Name → typed value, sorted by name in byte order (the order of SQS's MD5).
pub type MessageAttributes = BTreeMap<String, AttributeValue>;

/// The longest name, in bytes.
pub const MAX_NAME: usize = 256;
/// The longest type, in bytes, label included.
pub const MAX_TYPE: usize = 256;

/// One attribute's value: `String`, `Number` or `Binary`, with an optional `.label`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeValue {
    /// The type as AWS writes it, label included.
    pub data_type: String,
    /// UTF-8 for `String` and `Number`; base64 for `Binary`.
    pub value: String,
}

impl AttributeValue {
    /// A `String`.
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".into(), value: value.into() }
    }

    /// A `Number`.
    pub fn number(value: impl ToString) -> Self {
        Self { data_type: "Number".into(), value: value.to_string() }
    }

    /// What type and value count towards a message's size, in bytes: a `Binary` counts what its base64 stands for.
    pub(crate) fn size(&self) -> usize {
        let value = match Kind::of(&self.data_type) {
            Some(Kind::Binary) => STANDARD.decode(&self.value).map_or(self.value.len(), |bytes| bytes.len()),
            _ => self.value.len(),
        };
        self.data_type.len() + value
    }
}

/// What a type is, whatever its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    String,
    /// A number, written as text.
    Number,
    /// Bytes.
    Binary,
}

impl Kind {
    /// Of a type as AWS writes it: one of the three, alone or with `.` and a label that is not empty.
    pub fn of(data_type: &str) -> Option<Self> {
        let (kind, label) = data_type.split_once('.').unwrap_or((data_type, "-"));
        match kind {
            _ if label.is_empty() => None,
            "String" => Some(Self::String),
            "Number" => Some(Self::Number),
            "Binary" => Some(Self::Binary),
            _ => None,
        }
    }
}

/// Why a text is not the name of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// It is longer than [`MAX_NAME`].
    #[error("the name has more than {MAX_NAME} bytes")]
    TooLong,
    /// It begins with a dot.
    #[error("the name begins with a dot")]
    BeginsWithDot,
    /// It ends with a dot.
    #[error("the name ends with a dot")]
    EndsWithDot,
    /// Two dots follow each other.
    #[error("two dots follow each other in the name")]
    SuccessiveDots,
    /// It has a character that is none of letters, digits, `_`, `-` and `.`.
    #[error("the name has the character {0:?}")]
    Character(char),
}

/// Which letters a name may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// Those of ASCII (SNS).
    Ascii,
    /// Of any script (SQS).
    Any,
}

/// Whether a text may be an attribute's name.
///
/// # Errors
/// With the first reason against it.
pub fn check_name(name: &str, letters: Letters) -> Result<(), NameError> {
    let fits = |c: &char| match letters {
        _ if matches!(c, '_' | '-' | '.') => true,
        Letters::Ascii => c.is_ascii_alphanumeric(),
        Letters::Any => c.is_alphanumeric(),
    };
    match name {
        "" => Err(NameError::Empty),
        _ if name.len() > MAX_NAME => Err(NameError::TooLong),
        _ if name.starts_with('.') => Err(NameError::BeginsWithDot),
        _ if name.ends_with('.') => Err(NameError::EndsWithDot),
        _ => match name.chars().find(|c| !fits(c)) {
            Some(other) => Err(NameError::Character(other)),
            None if name.contains("..") => Err(NameError::SuccessiveDots),
            None => Ok(()),
        },
    }
}

/// A value on the wire: each kind of value has a field of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// `DataType`.
    pub data_type: &'a str,
    /// `StringValue`, of a `String` and a `Number`.
    pub string: Option<&'a str>,
    /// `BinaryValue`, of a `Binary`: its base64.
    pub binary: Option<&'a str>,
}

/// Why a value is not one of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The type is neither `String`, `Number` nor `Binary`.
    #[error("the type is neither String, Number nor Binary")]
    Type,
    /// There is no value, or an empty one.
    #[error("there is no value")]
    Empty,
    /// The value is in the field of another type.
    #[error("the value of a {0:?} is in the field of another type")]
    Field(Kind),
    /// A `Number` is none.
    #[error("the value is not a number")]
    NotANumber,
    /// A `Binary` is no base64.
    #[error("the value is not base64")]
    NotBase64,
}

impl Given<'_> {
    /// The value, if it is one of its type.
    ///
    /// # Errors
    /// With the first reason against it.
    pub fn read(self) -> Result<AttributeValue, ValueError> {
        let kind = Kind::of(self.data_type).filter(|_| self.data_type.len() <= MAX_TYPE);
        let kind = kind.ok_or(ValueError::Type)?;
        let (own, other) = match kind {
            Kind::String | Kind::Number => (self.string, self.binary),
            Kind::Binary => (self.binary, self.string),
        };
        let value = own.filter(|value| !value.is_empty()).ok_or(match (own, other) {
            (None, Some(_)) => ValueError::Field(kind),
            _ => ValueError::Empty,
        })?;
        match kind {
            Kind::Number if !is_number(value) => return Err(ValueError::NotANumber),
            Kind::Binary if STANDARD.decode(value).is_err() => return Err(ValueError::NotBase64),
            _ => {}
        }
        Ok(AttributeValue { data_type: self.data_type.to_owned(), value: value.to_owned() })
    }
}

/// Whether a text is a decimal number: sign, digits, point and exponent as usual.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_aws() {
        let long = "x".repeat(MAX_NAME);
        for (name, expected) in [
            ("Hello-World_1.x", Ok(())),
            (long.as_str(), Ok(())),
            (&format!("{long}x"), Err(NameError::TooLong)),
            ("", Err(NameError::Empty)),
            (".a", Err(NameError::BeginsWithDot)),
            ("a.", Err(NameError::EndsWithDot)),
            ("a..b", Err(NameError::SuccessiveDots)),
            ("a^b", Err(NameError::Character('^'))),
            ("a b", Err(NameError::Character(' '))),
        ] {
            assert_eq!(check_name(name, Letters::Ascii), expected, "{name:?}");
            assert_eq!(check_name(name, Letters::Any), expected, "{name:?}");
        }
        assert_eq!(check_name("größe", Letters::Any), Ok(()));
        assert_eq!(check_name("größe", Letters::Ascii), Err(NameError::Character('ö')));
    }

    #[track_caller]
    fn check(
        data_type: &str,
        string: Option<&str>,
        binary: Option<&str>,
        expected: Result<&str, ValueError>,
    ) {
        let read = Given { data_type, string, binary }.read();
        assert_eq!(
            read.as_ref().map(|read| read.value.as_str()).map_err(|error| *error),
            expected,
            "{data_type}"
        );
        assert!(read.is_ok_and(|read| read.data_type == data_type) || expected.is_err());
    }

    #[test]
    fn values_stand_in_the_field_of_their_type() {
        check("String", Some("text"), None, Ok("text"));
        check("String.Array", Some("[1,null]"), None, Ok("[1,null]"));
        check("String", Some("text"), Some("AA=="), Ok("text"));
        check("Number", Some("-1.5e3"), None, Ok("-1.5e3"));
        check("Number.int", Some("42"), None, Ok("42"));
        check("Binary.png", None, Some("AA=="), Ok("AA=="));
        for data_type in
            ["Stringfoo", "String.", "string", "", "Array", &format!("String.{}", "x".repeat(250))]
        {
            check(data_type, Some("text"), None, Err(ValueError::Type));
        }
        check("String", None, None, Err(ValueError::Empty));
        check("String", Some(""), None, Err(ValueError::Empty));
        check("String", Some(""), Some("AA=="), Err(ValueError::Empty));
        check("Binary", None, Some(""), Err(ValueError::Empty));
        check("Number", None, Some("AA=="), Err(ValueError::Field(Kind::Number)));
        check("Binary", Some("text"), None, Err(ValueError::Field(Kind::Binary)));
        for text in ["text", "1,5", "inf", "NaN", "0x10", "1e", " 1"] {
            check("Number", Some(text), None, Err(ValueError::NotANumber));
        }
        check("Binary", None, Some("not base64"), Err(ValueError::NotBase64));
    }

    proptest! {
        #[test]
        fn what_is_read_is_never_empty_and_reads_again(
            data_type in "(String|Number|Binary|X)(\\.[a-z]{0,3})?",
            string in any::<Option<String>>(),
            binary in any::<Option<Vec<u8>>>(),
        ) {
            let binary = binary.map(|bytes| STANDARD.encode(bytes));
            let given = Given { data_type: &data_type, string: string.as_deref(), binary: binary.as_deref() };
            if let Ok(value) = given.read() {
                prop_assert!(!value.value.is_empty());
                let again = Given { data_type: &value.data_type, string: Some(&value.value), binary: Some(&value.value) };
                prop_assert_eq!(again.read(), Ok(value));
            }
        }
    }
}
