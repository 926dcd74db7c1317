//! # key-auth
//!
//! Lets those in who send a key along, and says who they are: to the service in headers, to later plug-ins and to events. As Kong's plug-in
//! of this name.
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
//! In the header and in the query, for each of `key_names` in turn, and only if neither has any of them, in the body likewise; as far as
//! `key_in_header`, `key_in_query` and `key_in_body` say. The first text that is found is the key. A header or an argument that stands there
//! twice is refused. A name in `key_names` that the gateway removes from requests or writes itself (`Via`, `Host`, `X-Forwarded-*`,
//! `X-Consumer-*` and so on) is refused while `key_in_header` holds.
//!
//! A body is looked at if its `Content-Type` is `application/json` (a member of the outermost object), `application/x-www-form-urlencoded` or
//! `multipart/form-data`. It is read whole before anything else is done with the request, whatever `request_buffering` says, but only where it
//! must be: where the key is not in the head, or where keys are to be hidden. One of more than 64 KiB cannot be looked at, and is refused. One
//! that does not come within two minutes is answered with 408, and while too many bodies are being read (64 MiB of all clients together), with
//! 503 and `Retry-After`.
//!
//! ## What is answered
//! | | status, message |
//! |---|---|
//! | no key, or an empty one | 401 `No API key found in request` |
//! | several under one name | 401 `Duplicate API key found` |
//! | one that is nobody's, or is over | 401 `Unauthorized` |
//! | a body that cannot be read | 400 `Cannot process request body` |
//! | a body that does not come in time; no room for it | 408 `Request timeout`; 503 |
//! | the consumer of `anonymous` does not exist | 500 `An unexpected error occurred` |
//!
//! With 401 comes `WWW-Authenticate: Key`, with `realm="…"` behind it if there is a `realm`. A request that is refused reaches no service,
//! and makes no event.
//!
//! ## What the service is told
//! `X-Consumer-ID`, `X-Consumer-Username`, `X-Consumer-Custom-ID`, and `X-Credential-Identifier`, the id of the credential. What a client says in
//! these is removed on every route, with or without a plug-in. Under `anonymous`, whoever is not recognised is that consumer, with
//! `X-Anonymous-Consumer: true` and without an identifier; and whoever another plug-in has recognised before stays who they are. So several
//! plug-ins with `anonymous` mean: one of them is enough.
//!
//! ## What becomes of the key
//! With `hide_credentials` the service does not get it: all of `key_names` are taken out of headers, query and body, wherever a key is looked
//! for. No event has it either way: headers and arguments of these names read `REDACTED` in every event, also with `capture.redact: none`, and
//! a body that may carry a key and is forwarded with it is not captured. Where keys are to be hidden, a body that cannot be looked at (it is not
//! what its `Content-Type` says, or too long) is refused with 400, wherever the key was.
//!
//! Unlike Kong's, a key in the head goes before one in the body, under whichever name; and the id of a credential that a file declares without one does not follow from its key.

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

    /// Who the consumer is, is what it finds out.
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
