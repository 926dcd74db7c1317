//! Kong's entities: services, routes and plug-ins.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AnyMap, ConsumerReference, Reference, yes};

entity! {
    /// What the gateway stands in front of.
    pub(crate) struct Service {
        /// Its name: letters, digits and `.-_~`.
        #[serde(default)]
        pub(crate) name: Option<String>,
        /// Its id. Derived from the name if there is none.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// `http://host:port/path` or `https://…` instead of `protocol`, `host`, `port` and `path`.
        #[serde(default)]
        pub(crate) url: Option<String>,
        /// How it is spoken to.
        #[serde(default)]
        pub(crate) protocol: Option<ServiceProtocol>,
        /// A host name or an IP address.
        #[serde(default)]
        pub(crate) host: Option<String>,
        /// 80 if there is none, 443 for `https`.
        #[serde(default)]
        #[schemars(range(min = 0, max = 65535))]
        pub(crate) port: Option<u16>,
        /// Put in front of what is forwarded.
        #[serde(default)]
        pub(crate) path: Option<String>,
        /// Accepted, and not used: what was sent is never sent again.
        #[serde(default = "five")]
        #[schemars(range(min = 0, max = 32767))]
        pub(crate) retries: u16,
        /// To establish a connection, in milliseconds.
        #[serde(default = "minute")]
        #[schemars(range(min = 1, max = 2147483646))]
        pub(crate) connect_timeout: u32,
        /// Between two pieces of the request, in milliseconds.
        #[serde(default = "minute")]
        #[schemars(range(min = 1, max = 2147483646))]
        pub(crate) write_timeout: u32,
        /// Between two pieces of the answer, in milliseconds.
        #[serde(default = "minute")]
        #[schemars(range(min = 1, max = 2147483646))]
        pub(crate) read_timeout: u32,
        /// Whether the certificate of a service over https is verified; `true` if there is none. `false` believes whoever answers.
        #[serde(default)]
        pub(crate) tls_verify: Option<bool>,
        /// The most certificates between that of the service and that of a trusted authority; no limit of its own if there is none.
        #[serde(default)]
        #[schemars(range(min = 0, max = 64))]
        pub(crate) tls_verify_depth: Option<u8>,
        /// Ids of the authorities, under the file's `ca_certificates`, that are trusted for this service. The system's if there is none.
        #[serde(default)]
        pub(crate) ca_certificates: Option<Vec<Id>>,
        /// `false` takes its routes out of the gateway.
        #[serde(default = "yes")]
        pub(crate) enabled: bool,
        /// Its routes.
        #[serde(default)]
        routes: Vec<Route>,
        /// Plug-ins for all its routes.
        #[serde(default)]
        plugins: Vec<Plugin>,
    }
}

/// An id.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "uuid"))]
pub(crate) struct Id(pub(crate) String);

entity! {
    /// An authority that vouches for services that are reached over https.
    pub(crate) struct CaCertificate {
        /// Its id, by which services name it.
        pub(crate) id: Id,
        /// Its certificate, in PEM.
        pub(crate) cert: String,
        /// The SHA-256 of the certificate in hexadecimal; computed if there is none.
        #[serde(default)]
        pub(crate) cert_digest: Option<String>,
    }
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend(
    "x-not-yet-values" = ["grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp"],
    "x-not-yet-hint" = "services are reached over http and https"
))]
pub(crate) enum ServiceProtocol {
    Http,
    Https,
}

entity! {
    /// Which requests go to a service.
    pub(crate) struct Route {
        /// Its name: letters, digits and `.-_~`.
        #[serde(default)]
        pub(crate) name: Option<String>,
        /// Its id. Derived from the name if there is none.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// Where it leads; not in a route that is under its service. One that leads nowhere has its plug-ins answer.
        #[serde(default)]
        pub(crate) service: Option<Reference>,
        /// Host names; one `*` at the beginning or at the end stands for any labels.
        #[serde(default)]
        pub(crate) hosts: Option<Vec<String>>,
        /// Prefixes of the path (`/profiles`), or regular expressions from its begin (`~/profiles/\d+$`).
        #[serde(default)]
        pub(crate) paths: Option<Vec<String>>,
        /// Methods, upper case.
        #[serde(default)]
        pub(crate) methods: Option<Vec<String>>,
        /// Whether the matched part of the path is cut off.
        #[serde(default = "yes")]
        pub(crate) strip_path: bool,
        /// Whether the service sees the client's Host.
        #[serde(default)]
        pub(crate) preserve_host: bool,
        /// How requests come in that are forwarded. With `https` alone, one over plain http is answered with `https_redirect_status_code`.
        #[serde(default)]
        pub(crate) protocols: Option<Vec<RouteProtocol>>,
        /// What a request over plain http is answered if `protocols` has `https` alone: 426, or a redirect to the same URL over https.
        #[serde(default)]
        #[schemars(extend("enum" = [null, 426, 301, 302, 307, 308]))]
        pub(crate) https_redirect_status_code: Option<u16>,
        /// Among routes with a regular expression, the higher goes first.
        #[serde(default)]
        pub(crate) regex_priority: i64,
        /// How the upstream's path is put together.
        #[serde(default)]
        pub(crate) path_handling: PathHandling,
        /// Whether a body of up to 64 KiB is read whole before the service is asked, and the beginning of any other. `false` sends a body on
        /// as it comes, except one of up to 64 KiB that a rule watches.
        #[serde(default = "yes")]
        pub(crate) request_buffering: bool,
        /// Accepted, and not used: answers stream.
        #[serde(default = "yes")]
        pub(crate) response_buffering: bool,
        /// Plug-ins for this route.
        #[serde(default)]
        plugins: Vec<Plugin>,
    }
}

/// What a route listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-not-yet-values" = ["grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp"]))]
pub(crate) enum RouteProtocol {
    Http,
    Https,
}

/// How the upstream's path is put together.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PathHandling {
    /// As paths, with one slash between the service's and the request's.
    #[default]
    V0,
    /// As texts, one after the other: Kong deprecates it.
    V1,
}

entity! {
    /// A plug-in for a service, a route, a consumer, several of these at once, or for all.
    pub(crate) struct Plugin {
        /// Its kind, `publish-sns`.
        pub(crate) name: String,
        /// A name of its own.
        #[serde(default)]
        pub(crate) instance_name: Option<String>,
        /// Its id.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// The service whose routes it is for; not in a plug-in that is under one.
        #[serde(default)]
        pub(crate) service: Option<Reference>,
        /// The route that it is for; not in a plug-in that is under one.
        #[serde(default)]
        pub(crate) route: Option<Reference>,
        /// The consumer whose requests it is for; not in a plug-in that is under one.
        #[serde(default)]
        pub(crate) consumer: Option<ConsumerReference>,
        /// Its own settings.
        #[serde(default)]
        config: Option<AnyMap>,
        /// `false` is as if it were not there.
        #[serde(default = "yes")]
        pub(crate) enabled: bool,
        /// Must have `http`.
        #[serde(default)]
        pub(crate) protocols: Option<Vec<PluginProtocol>>,
    }
}

/// What Kong lets a plug-in be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PluginProtocol {
    Grpc,
    Grpcs,
    Http,
    Https,
    Tcp,
    Tls,
    TlsPassthrough,
    Udp,
    Ws,
    Wss,
}

fn five() -> u16 {
    5
}

fn minute() -> u32 {
    60_000
}
