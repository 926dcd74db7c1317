//! Message attributes, as SNS and SQS type them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Name → typed value, sorted by name in byte order (the order of SQS's MD5).
pub type MessageAttributes = BTreeMap<String, AttributeValue>;

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
}
