//! # rate-limiting
//!
//! Lets a limited number of requests pass in a second, minute, hour, day, month or year, and answers the others with 429. It behaves as Kong's
//! plug-in of this name with `policy: local`.
//!
//! ```yaml
//! plugins:
//! - name: rate-limiting
//!   config: { minute: 60, hour: 1000, limit_by: consumer, policy: local }
//! ```
//!
//! ## What is counted
//! The requests that pass. They are counted separately for each consumer, or for each of what `limit_by` names: `consumer` (that an
//! authentication plug-in has recognised; without one, the credential, and without that, the address), `credential`, `ip`, `service`, `header`
//! (the value of `header_name`) or `path` (all requests for `path` together). A request without it is counted by its address. The address is
//! that of the connection's peer.
//!
//! Windows begin with the second, minute, hour, day, month and year of UTC. Each plug-in counts for itself: one on a service counts the requests
//! of all its routes together, a global one counts all requests. Looking and counting are one step, so not a single request too many passes. The
//! cores of a process share the counters. Two gateways count separately, and a restart starts from zero. A reload keeps the counters as long as
//! the plug-in keeps its id; without an id in the file, the id depends on what the plug-in is configured for.
//!
//! With `limit_by: path`, all spellings that a service may read as `path` are counted together: `/a/b`, `/a%2Fb`, `/a/b/`, `/a;v=1/b`. With
//! `limit_by: header`, a header that the gateway removes from requests or writes itself (`X-Forwarded-*`, `X-Real-IP`, `Via`, `Host`,
//! `Content-Length`, `X-Consumer-*` and those that concern one connection) is refused: it does not tell clients apart.
//!
//! A plug-in keeps counts of up to 262,144 consumers and credentials, 65,536 addresses, and 65,536 values of a header. Each kind has its own
//! limit, so that unknown clients, however many, never reset the count of a consumer. When a limit is reached, the counts whose windows have all
//! ended are dropped first. If these are too few, the counts that have used the smallest share of their limits are dropped, too, with a warning
//! in the log lines; they start from zero. A used-up count is dropped last.
//!
//! ## What the client gets
//! Every answer has `X-RateLimit-Limit-Minute` and `X-RateLimit-Remaining-Minute`, for each period that is limited, and `RateLimit-Limit`,
//! `RateLimit-Remaining` and `RateLimit-Reset` (seconds to the window's end) for the period with the least left. A refusal also has
//! `Retry-After`; its status and message are `error_code` and `error_message`. `hide_client_headers` leaves all of these headers out. A request
//! that is refused is not counted, reaches no service, and makes no event.
//!
//! ## Policies
//! `local` is the default, as in Kong, and the only policy: `cluster` and `redis` are refused. Counting locally cannot fail, so `fault_tolerant`
//! has no effect. It and the options for Redis (`redis`, `redis_host` and so on, `sync_rate`) are accepted because exported configurations have
//! them.

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
