//! Secrets of subscriptions and consumers: read from the file or from the environment, checked, never printed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use entities::{SECRET_BYTES, Secret};

/// Why a text is not a valid secret: message and hint. They show nothing of the text except its length.
pub(crate) type Refusal = (String, String);

/// Reads a subscription's secret: the text itself, or a reference to it.
pub(crate) fn read(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, Refusal> {
    let (text, place) = self::text(text, env, "whsec_…")?;
    check(&text, &place)
}

/// A text, or the one that it refers to; and for messages, where that one was found. `form` is an example of a valid value.
pub(crate) fn text(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    form: &str,
) -> Result<(String, String), Refusal> {
    let Some(reference) = text.strip_prefix("{vault://").and_then(|rest| rest.strip_suffix('}')) else {
        return Ok((text.to_owned(), String::new()));
    };
    let Some(name) = reference.strip_prefix("env/").filter(|name| !name.is_empty() && !name.contains('/'))
    else {
        let hint = "refer to an environment variable: {vault://env/NAME}";
        return Err(("this vault is not supported yet".into(), hint.into()));
    };
    let variable = name.to_ascii_uppercase().replace('-', "_");
    match env(&variable) {
        Some(value) => Ok((value, format!(" in the environment variable {variable}"))),
        None => Err((
            format!("the environment variable {variable} is not set"),
            format!("start with {variable}={form} in the environment"),
        )),
    }
}

fn check(text: &str, place: &str) -> Result<Secret, Refusal> {
    let hint = "make one: echo whsec_$(openssl rand -base64 32)";
    let Some(encoded) = text.strip_prefix("whsec_") else {
        return Err((format!("the secret{place} does not begin with whsec_"), hint.into()));
    };
    let Ok(key) = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)) else {
        return Err((format!("the secret{place} is not base64 after whsec_"), hint.into()));
    };
    if !SECRET_BYTES.contains(&key.len()) {
        let message = format!("the secret{place} has {} bytes, not 24 to 64", key.len());
        return Err((message, hint.into()));
    }
    Ok(Secret::new(text.to_owned()))
}
