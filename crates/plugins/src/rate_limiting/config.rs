//! The options of rate-limiting, and the check of them.

use http::header::HeaderName;
use pipeline::{ConfigProblem, headers};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::counters::Limits;
use super::period::Period;
use crate::settings;

/// The `config` of `rate-limiting`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what belongs to other policies is only accepted")]
pub(super) struct Config {
    /// How many requests pass in one second of the clock.
    #[serde(default)]
    #[schemars(range(min = 1))]
    second: Option<u64>,
    /// How many requests pass in one minute of the clock.
    #[serde(default)]
    #[schemars(range(min = 1))]
    minute: Option<u64>,
    /// How many requests pass in one hour of the clock.
    #[serde(default)]
    #[schemars(range(min = 1))]
    hour: Option<u64>,
    /// How many requests pass in one day (UTC).
    #[serde(default)]
    #[schemars(range(min = 1))]
    day: Option<u64>,
    /// How many requests pass in one month of the calendar (UTC).
    #[serde(default)]
    #[schemars(range(min = 1))]
    month: Option<u64>,
    /// How many requests pass in one year of the calendar (UTC).
    #[serde(default)]
    #[schemars(range(min = 1))]
    year: Option<u64>,
    /// Whose requests are counted together.
    #[serde(default)]
    pub limit_by: LimitBy,
    /// With `limit_by: header`, the name of the header: requests with the same value are counted together.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub header_name: Option<String>,
    /// With `limit_by: path`, the path whose requests are counted together.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// Where the counters are kept.
    #[serde(default)]
    policy: Policy,
    /// Accepted, but it has no effect: counting in this process cannot fail.
    #[serde(default)]
    fault_tolerant: Option<bool>,
    /// Whether answers have no headers about the limits.
    #[serde(default)]
    pub hide_client_headers: bool,
    /// The HTTP status with which a request over the limit is refused.
    #[serde(default = "too_many_requests")]
    #[schemars(range(min = 200, max = 599))]
    pub error_code: u16,
    /// The `message` in the body of a refusal.
    #[serde(default = "exceeded")]
    pub error_message: String,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    sync_rate: Option<f64>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis: Option<Map<String, Value>>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_host: Option<String>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_port: Option<u16>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    redis_password: Option<String>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_username: Option<String>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_ssl: Option<bool>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_ssl_verify: Option<bool>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_server_name: Option<String>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_timeout: Option<u32>,
    /// Accepted, but it has no effect: it belongs to `policy: redis`.
    #[serde(default)]
    redis_database: Option<u32>,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LimitBy {
    /// The requests of one consumer.
    #[default]
    Consumer,
    /// The requests with one credential.
    Credential,
    /// The requests from one IP address (of IPv6, one /64 network).
    Ip,
    /// The requests to one service.
    Service,
    /// The requests with one value of the header `header_name`.
    Header,
    /// The requests for `path`.
    Path,
}

/// Where the counters are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend(
    "x-not-yet-values" = ["cluster", "redis"],
    "x-not-yet-hint" = "write `policy: local`: each gateway counts for itself, so give each its share of the limit"
))]
pub(super) enum Policy {
    /// In this process: each gateway counts for itself.
    #[default]
    Local,
}

/// The settings, checked.
pub(super) struct Valid {
    pub config: Config,
    pub limits: Limits,
    /// `header_name`; only with `limit_by: header`.
    pub header: Option<HeaderName>,
}

impl Config {
    fn limit(&self, period: Period) -> Option<u64> {
        match period {
            Period::Second => self.second,
            Period::Minute => self.minute,
            Period::Hour => self.hour,
            Period::Day => self.day,
            Period::Month => self.month,
            Period::Year => self.year,
        }
    }
}

/// Reads and checks the settings.
pub(super) fn read(config: &Value) -> Result<Valid, Vec<ConfigProblem>> {
    let config: Config = settings::read(config)?;
    let mut problems = Vec::new();
    let mut problem = |pointer: &str, message: String, hint: &str| {
        problems.push(ConfigProblem { pointer: pointer.to_owned(), message, hint: hint.to_owned() });
    };
    let given = Period::ALL.into_iter().filter_map(|period| Some((period, config.limit(period)?)));
    let given: Vec<_> = given.collect();
    if given.is_empty() {
        let message = "at least one of these fields must be non-empty: 'second', 'minute', 'hour', 'day', 'month', 'year'";
        problem("", message.into(), "say how many requests pass: `minute: 60`");
    }
    for (period, _) in given.iter().filter(|(_, limit)| *limit == 0) {
        problem(
            &format!("/{}", period.name()),
            "value must be greater than 0".into(),
            "remove the key for no limit",
        );
    }
    for pair in given.windows(2) {
        let [(shorter, few), (longer, many)] = pair else { continue };
        if many < few {
            let (longer, shorter) = (longer.name(), shorter.name());
            let message = format!(
                "The limit for {longer}({many}.0) cannot be lower than the limit for {shorter}({few}.0)"
            );
            problem(&format!("/{longer}"), message, "raise the one, or lower the other");
        }
    }
    let header = config.header_name.as_ref().map(|name| name.parse::<HeaderName>());
    match (config.limit_by, &header) {
        (LimitBy::Header, None) => {
            problem("", "required field missing: `header_name`".into(), "name the header to count by");
        }
        (LimitBy::Header, Some(Ok(name))) if !headers::can_be_configured(name) => {
            let message =
                format!("cannot count by `{name}`: the gateway removes or writes this header itself");
            let hint = match name.as_str() {
                "x-forwarded-for" | "x-real-ip" => "to count by the address, write `limit_by: ip`",
                name if name.starts_with("x-consumer-") => {
                    "to count by the consumer, write `limit_by: consumer`"
                }
                name if name.starts_with("x-credential-") => {
                    "to count by the credential, write `limit_by: credential`"
                }
                _ => "give a header that clients send",
            };
            problem("/header_name", message, hint);
        }
        (_, Some(Err(_))) => {
            problem("/header_name", "not the name of a header".into(), "write it like X-Api-Client");
        }
        _ => {}
    }
    let path = config.path.as_deref();
    if config.limit_by == LimitBy::Path && path.is_none() {
        problem("", "required field missing: `path`".into(), "give the path whose requests are counted");
    } else if path.is_some_and(|path| !path.starts_with('/')) {
        problem("/path", "should start with: /".into(), "put a slash in front");
    }
    if !(200..=599).contains(&config.error_code) {
        problem("/error_code", "not a status that a refusal can have".into(), "take one from 200 to 599");
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let header = header.and_then(Result::ok).filter(|_| config.limit_by == LimitBy::Header);
    let limits = Period::ALL.map(|period| config.limit(period));
    Ok(Valid { config, limits, header })
}

fn too_many_requests() -> u16 {
    429
}

fn exceeded() -> String {
    "API rate limit exceeded".into()
}
