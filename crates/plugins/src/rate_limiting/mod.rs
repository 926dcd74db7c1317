//! # rate-limiting
//!
//! Lets so many requests through in a second, a minute, an hour, a day, a month or a year, and answers the others with 429. As Kong's plug-in of
//! this name with `policy: local`.
//!
//! ```yaml
//! plugins:
//! - name: rate-limiting
//!   config: { minute: 60, hour: 1000, limit_by: consumer, policy: local }
//! ```
//!
//! ## What is counted
//! Requests that are let through, those of each consumer by themselves, or of each of what `limit_by` names: `consumer` (known by an
//! authentication plug-in; else the credential, else the address), `credential`, `ip`, `service`, `header` (the value of `header_name`) or
//! `path` (requests for `path` together). A request that lacks it is counted by its address. The address is that of the peer.
//!
//! Windows begin with the second, minute, hour, day, month and year of UTC. Each plug-in counts for itself: one on a service counts all
//! its routes together, one for all requests counts all of them. Looking and counting is one step, so never is one request too many let
//! through. Counters are the process's, shared by its cores: two gateways count each for themselves, and a restart begins anew. A reload does
//! not, as long as the plug-in keeps its id, which without one in the file is made of what it stands on.
//!
//! With `limit_by: path`, all spellings of `path` that a service may read as the same count together: `/a/b`, `/a%2Fb`, `/a/b/`, `/a;v=1/b`. With
//! `limit_by: header`, a header that the gateway removes from requests or writes itself (`X-Forwarded-*`, `X-Real-IP`, `Via`, `Host`,
//! `Content-Length`, `X-Consumer-*` and those that concern one connection) is refused: no client could be told apart by it.
//!
//! A plug-in remembers up to 262,144 consumers and credentials, 65,536 addresses, and 65,536 values of a header, each kind with room of its
//! own: however many strangers ask, no consumer begins anew. When a kind's room is used up, those go first whose windows have all ended. If
//! these are too few, those that have used the least part of their limits are forgotten, with a warning in the log lines: they begin anew. Who
//! has used up a limit goes last.
//!
//! ## What the client is told
//! Every answer has `X-RateLimit-Limit-Minute` and `X-RateLimit-Remaining-Minute`, for each period that is limited, and `RateLimit-Limit`,
//! `RateLimit-Remaining` and `RateLimit-Reset` (seconds to the window's end) of the period of which least is left. A refusal has `Retry-After`
//! as well; its status and message are `error_code` and `error_message`. `hide_client_headers` leaves all of these headers out. A request that is
//! refused is not counted, reaches no service, and makes no event.
//!
//! ## Policies
//! `local` is the default, as in Kong, and the only one: `cluster` and `redis` are refused. With it, counting cannot fail: `fault_tolerant` and what
//! belongs to Redis (`redis`, `redis_host` and so on, `sync_rate`) are accepted, because exports have them, and not used.

use std::sync::Arc;

use pipeline::kind::Priority;
use pipeline::{BuildContext, CheckContext, ConfigProblem, Plugin, PluginKind, Roles};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

mod config;
mod counters;
mod limit;
mod period;

pub use counters::Counters;

/// This kind of plug-in.
pub(crate) struct Kind;

impl PluginKind for Kind {
    fn name(&self) -> &'static str {
        "rate-limiting"
    }

    fn priority(&self) -> Priority {
        Priority(910)
    }

    fn roles(&self) -> Roles {
        Roles { access: true, respond: true, ..Roles::default() }
    }

    fn schema(&self) -> Schema {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<config::Config>()
    }

    fn example(&self) -> &'static str {
        include_str!("example.yaml")
    }

    fn check(&self, config: &Value, _: &CheckContext<'_>) -> Vec<ConfigProblem> {
        config::read(config).err().unwrap_or_default()
    }

    fn build(&self, config: &Value, context: &BuildContext) -> Result<Plugin, ConfigProblem> {
        let valid = config::read(config).map_err(|mut problems| problems.swap_remove(0))?;
        let counters = context.services.get::<Counters>()?.of(context.instance);
        let hides = valid.config.hide_client_headers;
        let limit = Arc::new(limit::RateLimiting::new(valid, counters, context.owner.clone()));
        let respond: Option<Arc<dyn pipeline::Respond>> = if hides { None } else { Some(limit.clone()) };
        Ok(Plugin { access: Some(limit), respond, ..Plugin::default() })
    }
}

#[cfg(test)]
mod tests;
