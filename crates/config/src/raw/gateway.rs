//! Kong's entities: services, routes and plug-ins.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AnyMap, ConsumerReference, Reference, yes};

entity! {
    /// An HTTP service behind the gateway.
    pub(crate) struct Service {
        /// Its name: letters, digits and `.-_~`.
        #[serde(default)]
        pub(crate) name: Option<String>,
        /// Its id. By default derived from its name.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// `http://host:port/path` or `https://…` instead of `protocol`, `host`, `port` and `path`.
        #[serde(default)]
        pub(crate) url: Option<String>,
        /// The protocol by which the service is reached.
        #[serde(default)]
        pub(crate) protocol: Option<ServiceProtocol>,
        /// A host name or an IP address.
        #[serde(default)]
        pub(crate) host: Option<String>,
        /// By default 80, with `https` 443.
        #[serde(default)]
        #[schemars(range(min = 0, max = 65535))]
        pub(crate) port: Option<u16>,
        /// The beginning of the path of every forwarded request.
        #[serde(default)]
        pub(crate) path: Option<String>,
        /// Accepted, but it has no effect: a request that was sent is never sent again.
        #[serde(default = "five")]
        #[schemars(range(min = 0, max = 32767))]
        pub(crate) retries: u16,
        /// The longest time to establish a connection, in milliseconds.
        #[serde(default = "minute")]
        #[schemars(range(min = 1, max = 2147483646))]
        pub(crate) connect_timeout: u32,
        /// The longest pause between two pieces of the request, in milliseconds.
        #[serde(default = "minute")]
        #[schemars(range(min = 1, max = 2147483646))]
        pub(crate) write_timeout: u32,
        /// The longest pause between two pieces of the answer, in milliseconds.
        #[serde(default = "minute")]
        #[schemars(range(min = 1, max = 2147483646))]
        pub(crate) read_timeout: u32,
        /// Whether the certificate of a service over https is verified; by default `true`. With `false`, anyone who answers at its address is
        /// trusted.
        #[serde(default)]
        pub(crate) tls_verify: Option<bool>,
        /// The largest number of certificates between that of the service and that of a trusted authority. By default there is no such limit.
        #[serde(default)]
        #[schemars(range(min = 0, max = 64))]
        pub(crate) tls_verify_depth: Option<u8>,
        /// The ids of the authorities that are trusted for this service, from the file's `ca_certificates`. By default, the system's authorities
        /// are trusted.
        #[serde(default)]
        pub(crate) ca_certificates: Option<Vec<Id>>,
        /// With `false`, the routes of the service are not served.
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
    /// An authority whose certificates are trusted for services over https.
    pub(crate) struct CaCertificate {
        /// Its id, by which services refer to it.
        pub(crate) id: Id,
        /// Its certificate, in PEM.
        pub(crate) cert: String,
        /// The SHA-256 of the certificate in hexadecimal digits. By default it is computed.
        #[serde(default)]
        pub(crate) cert_digest: Option<String>,
    }
}

/// The protocol by which a service is reached.
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
    /// A rule that says which requests go to a service.
    pub(crate) struct Route {
        /// Its name: letters, digits and `.-_~`.
        #[serde(default)]
        pub(crate) name: Option<String>,
        /// Its id. By default derived from its name.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// The service that the route leads to. Leave it out if the route is written under its service. On a route without a service, a plug-in
        /// has to answer.
        #[serde(default)]
        pub(crate) service: Option<Reference>,
        /// Host names; one `*` at the beginning or at the end stands for any labels.
        #[serde(default)]
        pub(crate) hosts: Option<Vec<String>>,
        /// Prefixes of the path (`/profiles`), or regular expressions for its beginning (`~/profiles/\d+$`).
        #[serde(default)]
        pub(crate) paths: Option<Vec<String>>,
        /// Methods, in upper case.
        #[serde(default)]
        pub(crate) methods: Option<Vec<String>>,
        /// Whether the matched part of the path is removed before the request is forwarded.
        #[serde(default = "yes")]
        pub(crate) strip_path: bool,
        /// Whether the service gets the client's `Host` header.
        #[serde(default)]
        pub(crate) preserve_host: bool,
        /// Whether the service's own scheme, host and path in `Location`, `Content-Location`, `Link` and `Refresh` of its answers become those that
        /// the client asked for, with what `strip_path` removed. As nginx's `proxy_redirect`; Kong does not know it.
        #[serde(default)]
        pub(crate) rewrite_location: bool,
        /// Whether the path of its cookies becomes the client's, and a domain that is the service's own host is left out. As nginx's
        /// `proxy_cookie_path` and `proxy_cookie_domain`; Kong does not know it.
        #[serde(default)]
        pub(crate) rewrite_cookies: bool,
        /// The protocols over which requests are accepted. With `https` alone, a request over plain http gets `https_redirect_status_code`.
        #[serde(default)]
        pub(crate) protocols: Option<Vec<RouteProtocol>>,
        /// The status for a request over plain http if `protocols` has `https` alone: 426, or a redirect to the same URL over https.
        #[serde(default)]
        #[schemars(extend("enum" = [null, 426, 301, 302, 307, 308]))]
        pub(crate) https_redirect_status_code: Option<u16>,
        /// Among routes with a regular expression, the one with the higher number is tried first.
        #[serde(default)]
        pub(crate) regex_priority: i64,
        /// How the upstream's path is put together.
        #[serde(default)]
        pub(crate) path_handling: PathHandling,
        /// Which spelling of the path the service gets.
        #[serde(default)]
        pub(crate) path_forwarding: PathForwarding,
        /// Whether a body of up to 64 KiB, and the first part of a longer one, is read before anything is sent to the service. With `false`, a
        /// body is forwarded as it arrives, except one of up to 64 KiB in a request that a rule matches.
        #[serde(default = "yes")]
        pub(crate) request_buffering: bool,
        /// Accepted, but it has no effect: answers are forwarded as they arrive.
        #[serde(default = "yes")]
        pub(crate) response_buffering: bool,
        /// Plug-ins for this route.
        #[serde(default)]
        plugins: Vec<Plugin>,
    }
}

/// A protocol of a route.
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
    /// As paths: with one slash between the service's path and the request's.
    #[default]
    V0,
    /// As texts, one after the other. Kong deprecates it.
    V1,
}

/// Which spelling of the path the service gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PathForwarding {
    /// The client's own bytes. Where a service could read another route in them, the normal form.
    #[default]
    Raw,
    /// The normal form, as Kong does it: escapes respelt, slashes merged, dot segments removed.
    Normalised,
}

entity! {
    /// A plug-in for a service, a route, a consumer, a combination of these, or for all requests.
    pub(crate) struct Plugin {
        /// The name of its kind, for example `publish-sns`.
        pub(crate) name: String,
        /// The name of this instance.
        #[serde(default)]
        pub(crate) instance_name: Option<String>,
        /// Its id.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// The service whose routes it is for. Leave it out if the plug-in is written under a service or a route.
        #[serde(default)]
        pub(crate) service: Option<Reference>,
        /// The route that it is for. Leave it out if the plug-in is written under a route.
        #[serde(default)]
        pub(crate) route: Option<Reference>,
        /// The consumer whose requests it is for. Leave it out if the plug-in is written under a consumer.
        #[serde(default)]
        pub(crate) consumer: Option<ConsumerReference>,
        /// Its settings; each kind has its own.
        #[serde(default)]
        config: Option<AnyMap>,
        /// With `false`, the plug-in does not run.
        #[serde(default = "yes")]
        pub(crate) enabled: bool,
        /// The protocols that it is for. `http` must be among them.
        #[serde(default)]
        pub(crate) protocols: Option<Vec<PluginProtocol>>,
    }
}

/// A protocol that Kong allows in a plug-in.
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
