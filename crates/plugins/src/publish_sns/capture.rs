//! What of a request and its answer becomes part of the event, and what is kept out of it: the options of `capture`.

use event::capture::JsonRedaction;
use event::redaction::{HeaderRedaction, QueryRedaction, Redaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Config, Problems};
use super::key::KeyTemplate;

/// The largest cap of a captured body, in bytes.
pub(super) const MAX_CAPTURE: u32 = 1 << 20;
/// The most JSON Pointers in a list. While a body arrives, each pointer is compared with every member and element on its way.
const MAX_POINTERS: u32 = 100;
/// The entry of a list that means everything that would be redacted without the list.
const DEFAULTS: &str = "default";

/// Which bodies become part of the event, and what is kept out of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Capture {
    /// Whether the request's body becomes part of the event.
    pub request_body: bool,
    /// Whether the answer's body becomes part of the event.
    pub response_body: bool,
    /// How many bytes of each body are kept. The rest is only counted.
    #[schemars(range(min = 1, max = MAX_CAPTURE))]
    pub max_bytes: u32,
    /// What is redacted by default, that is, without `redact_headers` or `redact_query`.
    pub redact: Redact,
    /// The names of headers whose values read `REDACTED` in every event of this plug-in, with or without captured bodies. Without this list,
    /// these are the headers whose name has one of these words as a part between hyphens: authorization, auth, token, secret, password, apikey,
    /// api-key, cookie; except `x-consumer-*`, `x-authenticated-*` and `x-credential-identifier`. An entry `default` adds all of those to the
    /// list.
    pub redact_headers: Option<Vec<String>>,
    /// The names of query parameters whose values read `REDACTED` in every URL of every event of this plug-in. Without this list, these are
    /// access_token, refresh_token, id_token, token, api_key, apikey, password, client_secret, signature, sig, X-Amz-Signature,
    /// X-Amz-Credential, X-Amz-Security-Token, _state, `code` if there is also `state`, and whatever precedes the `@` of a URL. An entry
    /// `default` adds all of those to the list.
    pub redact_query: Option<Vec<String>>,
    /// JSON Pointers into captured bodies (`/user/password`; `*` matches any member or element). The values that they name read `REDACTED`. With
    /// such a list, a body that is not one complete JSON document is not kept at all.
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

/// What is redacted if there is no list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Redact {
    /// Headers and query parameters that usually carry a secret.
    #[default]
    Secrets,
    /// Nothing, as in the plug-in of 2016: whoever can read an event can read every secret of its request.
    None,
}

impl Problems {
    /// What is redacted in headers and URIs. The names under which plug-ins look for credentials come on top of it.
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
                    "a header name has letters, digits and hyphens, and neither a colon nor a value after it",
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
                "give at most {MAX_POINTERS}; `*` matches any member, and a pointer to a member redacts everything in it"
            );
            self.add("/capture/redact_json", message, hint);
            return redaction;
        }
        for (index, pointer) in pointers.iter().enumerate() {
            if let Err(error) = redaction.add(pointer) {
                self.add(
                    format!("/capture/redact_json/{index}"),
                    format!("this is not a JSON Pointer: {error}"),
                    "`/user/password` names a member, `/users/*/token` a member of every element",
                );
            }
        }
        redaction
    }
}

/// The headers that the key uses and that only the default redacts, as [`HeaderRedaction`] has them before the key makes them public.
pub(super) fn opened_by_key(config: &Config) -> Vec<String> {
    let headers = Problems::default().redaction(&config.capture).headers;
    let Ok(key) = KeyTemplate::parse(&config.key) else { return Vec::new() };
    let opened = key.headers().filter(|header| headers.covers(header) && !headers.names(header));
    opened.map(ToString::to_string).collect()
}
