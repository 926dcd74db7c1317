//! Kong's upstreams and targets.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AnyMap, Reference};

entity! {
    /// A name that services have as their host, and that stands for several targets.
    pub(crate) struct Upstream {
        /// Its name: like a host name, without a port.
        pub(crate) name: String,
        /// Its id. Derived from its name if there is none.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// Where the requests for it go.
        #[serde(default)]
        targets: Vec<Target>,
        /// How a target is chosen for a request.
        #[serde(default)]
        pub(crate) algorithm: Algorithm,
        /// The Host that targets see; the target's own if there is none.
        #[serde(default)]
        pub(crate) host_header: Option<String>,
        /// What requests have alike that go to one target.
        #[serde(default)]
        pub(crate) hash_on: Option<Hash>,
        /// The same, for a request that lacks it.
        #[serde(default)]
        pub(crate) hash_fallback: Option<Hash>,
        /// The header for `hash_on: header`.
        #[serde(default)]
        pub(crate) hash_on_header: Option<String>,
        /// The header for `hash_fallback: header`.
        #[serde(default)]
        pub(crate) hash_fallback_header: Option<String>,
        /// The cookie for `hash_on: cookie`.
        #[serde(default)]
        pub(crate) hash_on_cookie: Option<String>,
        /// The path of that cookie.
        #[serde(default)]
        pub(crate) hash_on_cookie_path: Option<String>,
        /// The argument of the query for `hash_on: query_arg`.
        #[serde(default)]
        pub(crate) hash_on_query_arg: Option<String>,
        /// The argument of the query for `hash_fallback: query_arg`.
        #[serde(default)]
        pub(crate) hash_fallback_query_arg: Option<String>,
        /// The group of a route's regular expression for `hash_on: uri_capture`.
        #[serde(default)]
        pub(crate) hash_on_uri_capture: Option<String>,
        /// The group of a route's regular expression for `hash_fallback: uri_capture`.
        #[serde(default)]
        pub(crate) hash_fallback_uri_capture: Option<String>,
        /// Accepted, and not used: places on Kong's ring.
        #[serde(default)]
        #[schemars(range(min = 10, max = 65536))]
        pub(crate) slots: Option<u32>,
        /// Accepted, and not used: every target is taken for healthy.
        #[serde(default)]
        pub(crate) healthchecks: Option<AnyMap>,
    }
}

/// How a target is chosen for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    #[default]
    RoundRobin,
    ConsistentHashing,
    LeastConnections,
    Latency,
}

/// What requests may have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hash {
    None,
    Consumer,
    Ip,
    Header,
    Cookie,
    Path,
    QueryArg,
    UriCapture,
}

impl Hash {
    /// As a file has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Consumer => "consumer",
            Self::Ip => "ip",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Path => "path",
            Self::QueryArg => "query_arg",
            Self::UriCapture => "uri_capture",
        }
    }
}

entity! {
    // As Kong exports them, with fractions.
    f64:
    /// One of the addresses that an upstream stands for.
    pub(crate) struct Target {
        /// A host name or an IP address, with or without `:port`; 8000 if there is none.
        pub(crate) target: String,
        /// How many of the requests it gets, beside the weights of the others: 100 if there is none, and no request if it is 0.
        #[serde(default = "hundred")]
        #[schemars(range(min = 0, max = 65535))]
        pub(crate) weight: u16,
        /// The upstream that it belongs to; not in a target that is under one.
        #[serde(default)]
        pub(crate) upstream: Option<Reference>,
        /// Its id. Derived from its upstream and what it is if there is none.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
    }
}

fn hundred() -> u16 {
    entities::Target::WEIGHT
}
