//! Kong's upstreams and targets.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AnyMap, Reference};

entity! {
    /// A group of targets. A service has the group's name as its host.
    pub(crate) struct Upstream {
        /// Its name: like a host name, without a port.
        pub(crate) name: String,
        /// Its id. By default derived from its name.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// The targets that get its requests.
        #[serde(default)]
        targets: Vec<Target>,
        /// How a target is chosen for a request.
        #[serde(default)]
        pub(crate) algorithm: Algorithm,
        /// The `Host` header that targets get; by default the target's own address.
        #[serde(default)]
        pub(crate) host_header: Option<String>,
        /// The part of a request that decides which target gets it: requests with an equal part go to one target.
        #[serde(default)]
        pub(crate) hash_on: Option<Hash>,
        /// The part that decides for a request without the one in `hash_on`.
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
        /// Accepted, but it has no effect: the number of slots in Kong's hash ring.
        #[serde(default)]
        #[schemars(range(min = 10, max = 65536))]
        pub(crate) slots: Option<u32>,
        /// Accepted, but it has no effect: every target is assumed to be healthy.
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

/// A part of a request that can decide which target gets it.
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
    /// Its name in a file.
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
    // Numbers with fractions, as Kong exports them.
    f64:
    /// One address of an upstream.
    pub(crate) struct Target {
        /// A host name or an IP address, with or without `:port`; the default port is 8000.
        pub(crate) target: String,
        /// The target's share of the requests, relative to the weights of the other targets; by default 100. With 0 it gets none.
        #[serde(default = "hundred")]
        #[schemars(range(min = 0, max = 65535))]
        pub(crate) weight: u16,
        /// The upstream that it belongs to. Leave it out if the target is written under its upstream.
        #[serde(default)]
        pub(crate) upstream: Option<Reference>,
        /// Its id. By default derived from its upstream and its address.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
    }
}

fn hundred() -> u16 {
    entities::Target::WEIGHT
}
