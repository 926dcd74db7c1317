//! What can be configured, and what is wrong with it.

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
    /// Under which names a key is looked for, the first one first. Headers go by them without regard to case, arguments and members of a body
    /// with it.
    #[serde(default = "apikey")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 128)))]
    pub key_names: Vec<String>,
    /// Whether a header may carry the key.
    #[serde(default = "yes")]
    pub key_in_header: bool,
    /// Whether the query may.
    #[serde(default = "yes")]
    pub key_in_query: bool,
    /// Whether the body may: JSON, a form, or multipart.
    #[serde(default)]
    pub key_in_body: bool,
    /// Whether the key is taken out before the request is forwarded.
    #[serde(default)]
    pub hide_credentials: bool,
    /// The consumer, by its id or username, that everybody is who is not recognised. Without one they are refused.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub anonymous: Option<String>,
    /// Whether `OPTIONS` needs a key as well; browsers ask so, without one, before they send anything else.
    #[serde(default = "yes")]
    pub run_on_preflight: bool,
    /// What `WWW-Authenticate` calls the place that the key is for.
    #[serde(default)]
    pub realm: Option<String>,
}

/// The settings, checked.
pub(super) struct Valid {
    pub config: Config,
    /// Those of `key_names`, in their order.
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
            message: "a key is looked for nowhere: nobody would be let in".into(),
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
            message: "a realm has no quotes, backslashes and control characters".into(),
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
        return Err((message, "it is also the name of the argument and of the member".into()));
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
