//! The attribute `DeliveryPolicy` of a subscription. Of what SNS lets it say, `requestPolicy.headerContentType` has an effect here: the
//! `Content-Type` of notifications. Any media type is accepted, where AWS takes only those on its list.
//!
//! Retries and throttling follow the gateway's own policy, so a `healthyRetryPolicy` or a `throttlePolicy` is refused by name. SNS ignores
//! `sicklyRetryPolicy` and `guaranteed`, and so does this.

use entities::media_type;
use serde_json::{Map, Value, json};

/// The media type that a policy names; `None` if it names none. An empty text removes the policy.
///
/// # Errors
/// What SNS says after `DeliveryPolicy: `.
pub(super) fn read(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let policy: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("failed to parse JSON. {error}"))?;
    let mut content_type = None;
    for (name, value) in policy {
        match name.as_str() {
            "requestPolicy" => content_type = request_policy(value)?,
            "sicklyRetryPolicy" | "guaranteed" => {}
            "healthyRetryPolicy" | "throttlePolicy" if is_nothing(&value) => {}
            "healthyRetryPolicy" | "throttlePolicy" => {
                return Err(format!("{name} is not supported here yet"));
            }
            _ => return Err(format!("unknown member {name}")),
        }
    }
    Ok(content_type)
}

fn request_policy(value: Value) -> Result<Option<String>, String> {
    let members = match value {
        Value::Null => return Ok(None),
        Value::Object(members) => members,
        _ => return Err("requestPolicy must be an object".to_owned()),
    };
    let mut content_type = None;
    for (name, value) in members {
        match (name.as_str(), value) {
            ("headerContentType", Value::Null) => {}
            ("headerContentType", Value::String(text)) => {
                media_type::check(&text)
                    .map_err(|flaw| format!("requestPolicy.headerContentType: {}", flaw.message))?;
                content_type = Some(text);
            }
            ("headerContentType", _) => {
                return Err("requestPolicy.headerContentType must be a string".to_owned());
            }
            _ => return Err(format!("unknown member requestPolicy.{name}")),
        }
    }
    Ok(content_type)
}

/// Whether a block of the policy asks for nothing: null, or all of its members are.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(|members| members.values().all(Value::is_null))
}

/// The policy that names this media type.
pub(super) fn write(content_type: &str) -> String {
    json!({ "requestPolicy": { "headerContentType": content_type } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_may_name_a_media_type_and_nothing_else_that_has_an_effect() {
        let json = "application/json; charset=utf-8";
        assert_eq!(read(&write(json)), Ok(Some(json.to_owned())));
        for nothing in [
            "",
            "{}",
            r#"{"requestPolicy":null}"#,
            r#"{"requestPolicy":{"headerContentType":null}}"#,
            r#"{"healthyRetryPolicy":null,"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":null},"guaranteed":false}"#,
        ] {
            assert_eq!(read(nothing), Ok(None), "{nothing}");
        }
        for (bad, error) in [
            ("x", "failed to parse JSON. expected value at line 1 column 1"),
            ("[]", "failed to parse JSON. invalid type: sequence, expected a map at line 1 column 0"),
            (r#"{"healthyRetryPolicy":{"numRetries":3}}"#, "healthyRetryPolicy is not supported here yet"),
            (r#"{"throttlePolicy":{"maxReceivesPerSecond":1}}"#, "throttlePolicy is not supported here yet"),
            (r#"{"http":{}}"#, "unknown member http"),
            (r#"{"requestPolicy":1}"#, "requestPolicy must be an object"),
            (r#"{"requestPolicy":{"a":1}}"#, "unknown member requestPolicy.a"),
            (
                r#"{"requestPolicy":{"headerContentType":1}}"#,
                "requestPolicy.headerContentType must be a string",
            ),
            (
                r#"{"requestPolicy":{"headerContentType":"json"}}"#,
                "requestPolicy.headerContentType: it is not a media type: a type, `/`, a subtype, and parameters",
            ),
        ] {
            assert_eq!(read(bad), Err(error.to_owned()), "{bad}");
        }
    }
}
