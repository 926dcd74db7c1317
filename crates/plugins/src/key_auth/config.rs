//! The options of key-auth, and the check of them.

use http::header::HeaderName;
use pipeline::{ConfigProblem, headers};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::settings;

/// The `config` of `key-auth`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The names under which a key is looked for, in this order. The case of letters does not matter in names of headers; it does in names of
    /// arguments and of members of a body.
    #[serde(default = "apikey")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 128)))]
    pub key_names: Vec<String>,
    /// Whether a header may carry the key.
    #[serde(default = "yes")]
    pub key_in_header: bool,
    /// Whether an argument of the query may carry the key.
    #[serde(default = "yes")]
    pub key_in_query: bool,
    /// Whether the body may carry the key: JSON, a form, or multipart.
    #[serde(default)]
    pub key_in_body: bool,
    /// Whether the key is taken out before the request is forwarded.
    #[serde(default)]
    pub hide_credentials: bool,
    /// The id or username of a consumer: a request without a valid key counts as that consumer's. Without this option, such a request is
    /// refused.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub anonymous: Option<String>,
    /// Whether an `OPTIONS` request needs a key as well. Browsers send one without a key before some requests to another site (a preflight).
    #[serde(default = "yes")]
    pub run_on_preflight: bool,
    /// The `realm` in the header `WWW-Authenticate` of a 401.
    #[serde(default)]
    pub realm: Option<String>,
}

/// The settings, checked.
pub(super) struct Valid {
    pub config: Config,
    /// `key_names` as names of headers, in their order.
    pub headers: Vec<HeaderName>,
}

/// Reads and checks the settings.
pub(super) fn read(config: &Value) -> Result<Valid, Vec<ConfigProblem>> {
    let config: Config = settings::read(config)?;
    let mut problems = Vec::new();
    let mut headers = Vec::new();
    for (index, name) in config.key_names.iter().enumerate() {
        match header(name, config.key_in_header) {
            Ok(header) => headers.push(header),
            Err((message, hint)) => {
                problems.push(ConfigProblem { pointer: format!("/key_names/{index}"), message, hint });
            }
        }
    }
    if config.key_names.is_empty() {
        let (message, hint) = ("length must be at least 1".into(), "name one, or remove the key".into());
        problems.push(ConfigProblem { pointer: "/key_names".into(), message, hint });
    }
    if !config.key_in_header && !config.key_in_query && !config.key_in_body {
        problems.push(ConfigProblem {
            pointer: String::new(),
            message: "no place to look for a key is left: every request would be refused".into(),
            hint: "set one of `key_in_header`, `key_in_query`, `key_in_body` to true".into(),
        });
    }
    if config.anonymous.as_deref() == Some("") {
        let (message, hint) =
            ("length must be at least 1".into(), "name a consumer, or remove the key".into());
        problems.push(ConfigProblem { pointer: "/anonymous".into(), message, hint });
    }
    let quoted = |c: char| c.is_control() || matches!(c, '"' | '\\');
    if config.realm.as_ref().is_some_and(|realm| realm.contains(quoted)) {
        problems.push(ConfigProblem {
            pointer: "/realm".into(),
            message: "a realm must not have quotes, backslashes or control characters".into(),
            hint: "it is written between quotes in `WWW-Authenticate`".into(),
        });
    }
    if problems.is_empty() { Ok(Valid { config, headers }) } else { Err(problems) }
}

fn header(name: &str, in_header: bool) -> Result<HeaderName, (String, String)> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let parsed = name.parse::<HeaderName>().ok().filter(|_| name.chars().all(fits));
    let Some(header) = parsed else {
        let message = format!("bad header name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'");
        return Err((
            message,
            "the same name is used for the header, the argument and the member of the body".into(),
        ));
    };
    if in_header && !headers::can_be_configured(&header) {
        let message =
            format!("`{name}` cannot carry a key: the gateway removes or writes this header itself");
        return Err((message, "take another name, `apikey`, or set `key_in_header` to false".into()));
    }
    Ok(header)
}

fn apikey() -> Vec<String> {
    vec!["apikey".into()]
}

fn yes() -> bool {
    true
}
