//! # key-auth
//!
//! Lets requests through that carry a valid key, and says whose key it is: to the service in headers, to later plug-ins, and in events. It
//! behaves as Kong's plug-in of this name.
//!
//! ```yaml
//! consumers:
//! - username: ann
//!   keyauth_credentials: [{ key: "{vault://env/ANNS_KEY}" }]
//! plugins:
//! - name: key-auth
//! ```
//!
//! ## Where the key is looked for
//! In the headers and in the query, for each of `key_names` in turn; and if neither has any of them, in the body in the same way.
//! `key_in_header`, `key_in_query` and `key_in_body` turn each of these places on or off. The first text that is found is the key. A request
//! that has the header or the argument twice is refused. Names in `key_names` that the gateway removes from requests or writes itself (`Via`,
//! `Host`, `X-Forwarded-*`, `X-Consumer-*` and so on) are refused while `key_in_header` is true.
//!
//! A body is searched if its `Content-Type` is `application/json` (a member of the outermost object), `application/x-www-form-urlencoded` or
//! `multipart/form-data`. It is read whole before anything else is done with the request, whatever `request_buffering` says, but only where that
//! is needed: if there is no key in the head, or if keys are to be hidden. A body of more than 64 KiB cannot be searched, and the request is
//! refused. A request whose body does not arrive within two minutes gets 408. While too many bodies are being read (64 MiB for all clients
//! together), it gets 503 and `Retry-After`.
//!
//! ## What is answered
//! | | status, message |
//! |---|---|
//! | no key, or an empty one | 401 `No API key found in request` |
//! | several under one name | 401 `Duplicate API key found` |
//! | a key that belongs to nobody, or has expired | 401 `Unauthorized` |
//! | a body that cannot be read | 400 `Cannot process request body` |
//! | a body that does not come in time; no room for it | 408 `Request timeout`; 503 |
//! | the consumer of `anonymous` does not exist | 500 `An unexpected error occurred` |
//!
//! A 401 has the header `WWW-Authenticate: Key`, followed by `realm="…"` if there is a `realm`. A request that is refused reaches no service and
//! makes no event.
//!
//! ## What the service gets
//! The headers `X-Consumer-ID`, `X-Consumer-Username`, `X-Consumer-Custom-ID`, and `X-Credential-Identifier`, which is the id of the credential.
//! If a client sends any of these, they are removed, on every route, with or without a plug-in. With `anonymous`, a request without a valid key
//! counts as that consumer's: the service gets `X-Anonymous-Consumer: true` and no identifier. If another plug-in has already recognised the
//! client, that stays. So with several authentication plug-ins that all have `anonymous`, one valid credential is enough.
//!
//! ## What becomes of the key
//! With `hide_credentials` the service does not get it: all of `key_names` are removed from headers, query and body, wherever a key is looked
//! for. No event has it, with or without that option: headers and arguments of these names read `REDACTED` in every event, even with
//! `capture.redact: none`, and a body that may carry a key and is forwarded with it is not captured. Where keys are to be hidden, a request
//! whose body cannot be searched (it is not what its `Content-Type` says, or it is too long) gets 400, wherever its key was.
//!
//! Two things differ from Kong: a key in the head always wins over one in the body, whatever their names; and if a file declares a credential
//! without an id, the id does not depend on the key.

use std::sync::Arc;

use pipeline::kind::Priority;
use pipeline::{BuildContext, CheckContext, ConfigProblem, Plugin, PluginKind, Roles};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

mod body;
mod config;
mod judge;
mod query;

use body::Found;

/// This kind of plug-in.
pub(crate) struct Kind;

impl PluginKind for Kind {
    fn name(&self) -> &'static str {
        "key-auth"
    }

    fn priority(&self) -> Priority {
        Priority(1250)
    }

    fn roles(&self) -> Roles {
        Roles { access: true, ..Roles::default() }
    }

    fn schema(&self) -> Schema {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<config::Config>()
    }

    fn example(&self) -> &'static str {
        include_str!("example.yaml")
    }

    /// No: it is what finds out who the consumer is.
    fn is_for_consumers(&self) -> bool {
        false
    }

    fn check(&self, config: &Value, _: &CheckContext<'_>) -> Vec<ConfigProblem> {
        config::read(config).err().unwrap_or_default()
    }

    fn build(&self, config: &Value, context: &BuildContext) -> Result<Plugin, ConfigProblem> {
        let config = config::read(config).map_err(|mut problems| problems.swap_remove(0))?;
        let consumers = context.services.get()?;
        let access = judge::KeyAuth::new(config, Clone::clone(consumers));
        Ok(Plugin { access: Some(Arc::new(access)), ..Plugin::default() })
    }
}

#[cfg(test)]
mod tests;
