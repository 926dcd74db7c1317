//! What of a request and its answer becomes part of the event, and what is kept out of it: the options of `capture`.

use event::capture::JsonRedaction;
use event::redaction::{HeaderRedaction, QueryRedaction, Redaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Config, Problems};
use super::key::KeyTemplate;

/// The largest cap of a captured body, in bytes.
pub(super) const MAX_CAPTURE: u32 = 1 << 20;
/// The most JSON Pointers: each is held against every member and element that it may lead to, while the body arrives.
const MAX_POINTERS: u32 = 100;
/// In a list of what is redacted: what would be redacted without the list.
const DEFAULTS: &str = "default";

/// Which bodies become part of the event, and what is kept out of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Capture {
    /// Keep the request's body.
    pub request_body: bool,
    /// Keep the answer's body.
    pub response_body: bool,
    /// Bytes kept of each; the rest is counted only.
    #[schemars(range(min = 1, max = MAX_CAPTURE))]
    pub max_bytes: u32,
    /// What is redacted where `redact_headers` and `redact_query` do not say it.
    pub redact: Redact,
    /// Headers whose values read `REDACTED` in every event of this rule, with captured bodies or without. Without this list, those that
    /// have one of these words between the hyphens of their names: authorization, auth, token, secret, password, apikey, api-key, cookie;
    /// but never `x-consumer-*`, `x-authenticated-*` and `x-credential-identifier`. An entry `default` stands for them.
    pub redact_headers: Option<Vec<String>>,
    /// Query parameters whose values read `REDACTED`, wherever a URL with a query stands in an event of this rule. Without this list:
    /// access_token, refresh_token, id_token, token, api_key, apikey, password, client_secret, signature, sig, X-Amz-Signature,
    /// X-Amz-Credential, X-Amz-Security-Token, _state, `code` beside `state`, and what stands before the `@` of a URL. An entry `default`
    /// stands for them.
    pub redact_query: Option<Vec<String>>,
    /// JSON Pointers into captured bodies (`/user/password`; `*` stands for any member or element). What they name reads `REDACTED`.
    /// A body that is not one whole JSON document is then not kept at all.
    #[schemars(length(max = MAX_POINTERS))]
    pub redact_json: Vec<String>,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            request_body: false,
            response_body: false,
            max_bytes: 65_536,
            redact: Redact::default(),
            redact_headers: None,
            redact_query: None,
            redact_json: Vec::new(),
        }
    }
}

/// What is redacted where no list says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Redact {
    /// Headers and query parameters that usually carry a secret.
    #[default]
    Secrets,
    /// Nothing, as in 2016: whoever reads an event may have all that its request had.
    None,
}

impl Problems {
    /// What is kept out of headers and URIs, besides the names under which plug-ins look for credentials.
    pub(super) fn redaction(&mut self, capture: &Capture) -> Redaction {
        let mut redaction = match capture.redact {
            Redact::Secrets => Redaction::of_secrets(),
            Redact::None => Redaction::default(),
        };
        if let Some(names) = &capture.redact_headers {
            redaction.headers = self.headers(names);
        }
        if let Some(names) = &capture.redact_query {
            redaction.query = self.query(names);
        }
        redaction
    }

    fn headers(&mut self, names: &[String]) -> HeaderRedaction {
        let has_defaults = names.iter().any(|name| name == DEFAULTS);
        let mut headers =
            if has_defaults { HeaderRedaction::of_secrets() } else { HeaderRedaction::default() };
        for (index, name) in names.iter().enumerate().filter(|(_, name)| *name != DEFAULTS) {
            match name.parse() {
                Ok(header) => headers.add(header),
                Err(_) => self.add(
                    format!("/capture/redact_headers/{index}"),
                    "this is not the name of a header",
                    "a header name has letters, digits and hyphens, and neither a colon nor a value behind it",
                ),
            }
        }
        headers
    }

    fn query(&mut self, names: &[String]) -> QueryRedaction {
        let has_defaults = names.iter().any(|name| name == DEFAULTS);
        let mut query = if has_defaults { QueryRedaction::of_secrets() } else { QueryRedaction::default() };
        for (index, name) in names.iter().enumerate().filter(|(_, name)| *name != DEFAULTS) {
            if name.trim().is_empty() || name.contains(['=', '&', '?']) {
                self.add(
                    format!("/capture/redact_query/{index}"),
                    "this is not the name of a query parameter",
                    "give the name alone, `token`, without `?`, `=` and value",
                );
            } else {
                query.add(name);
            }
        }
        query
    }

    pub(super) fn pointers(&mut self, pointers: &[String]) -> JsonRedaction {
        let mut redaction = JsonRedaction::default();
        if pointers.len() > MAX_POINTERS as usize {
            let message = format!("`redact_json` has {} entries", pointers.len());
            let hint = format!(
                "give at most {MAX_POINTERS}; `*` stands for any member, and a pointer to a member redacts all in it"
            );
            self.add("/capture/redact_json", message, hint);
            return redaction;
        }
        for (index, pointer) in pointers.iter().enumerate() {
            if let Err(error) = redaction.add(pointer) {
                self.add(
                    format!("/capture/redact_json/{index}"),
                    format!("this is not a JSON Pointer: {error}"),
                    "`/user/password` names a member, `/users/*/token` one in every element",
                );
            }
        }
        redaction
    }
}

/// The headers that the key uses and that are redacted by default alone, as [`HeaderRedaction`] has it before they are opened.
pub(super) fn opened_by_key(config: &Config) -> Vec<String> {
    let headers = Problems::default().redaction(&config.capture).headers;
    let Ok(key) = KeyTemplate::parse(&config.key) else { return Vec::new() };
    let opened = key.headers().filter(|header| headers.covers(header) && !headers.names(header));
    opened.map(ToString::to_string).collect()
}
