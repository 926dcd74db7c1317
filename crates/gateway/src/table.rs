//! Routes, ready for the hot path.

use entities::{PathForwarding, PathHandling};
use http::StatusCode;
use pipeline::{Chains, RouteFacts};
use regex::Regex;

use crate::balance::Backend;
use crate::rewriting::Rewrites;
use crate::stats::RouteNumber;

/// A route to a service.
pub struct Route {
    /// Its name, or its id if it has none.
    pub name: String,
    /// The hosts that it matches; an empty list matches all.
    pub hosts: Vec<HostPattern>,
    /// The paths that it matches; an empty list matches all.
    pub paths: Vec<PathPattern>,
    /// Upper case; an empty list matches all.
    pub methods: Vec<http::Method>,
    /// Among regex paths, the one with the higher number is tried first.
    pub regex_priority: i64,
    /// Whether the matched part of the path is removed before the request is forwarded.
    pub strip_path: bool,
    /// How the upstream's path is put together.
    pub path_handling: PathHandling,
    /// Which spelling of the path the upstream gets.
    pub path_forwarding: PathForwarding,
    /// Whether the upstream gets the client's `Host` header.
    pub preserve_host: bool,
    /// What of its answers is said in the client's terms.
    pub rewrites: Rewrites,
    /// Whether the body, or the first part of a long one, is read before anything is sent to the service.
    pub request_buffering: bool,
    /// What requests over plain http get; `None` means that they are forwarded, too.
    pub https_only: Option<HttpsOnly>,
    /// Its service; without one the answer is 503, unless a plug-in has answered.
    pub service: Option<Backend>,
    /// The plug-ins that run on it.
    pub chains: Chains,
    /// What events say about it.
    pub facts: RouteFacts,
    /// Where its requests are counted.
    pub number: RouteNumber,
}

/// How a route treats requests that did not come over https.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsOnly {
    /// 426, or a redirect to the same URL over https.
    pub status: StatusCode,
    /// Whether `X-Forwarded-Proto: https` from a trusted peer counts as TLS.
    pub heeds_forwarded_proto: bool,
}

/// A host to match: lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `api.example.com`, or `api.example.com:8000`.
    Exact(String),
    /// `*.example.com` is stored as `.example.com`, `*.example.com:8000` as `.example.com:8000`.
    Suffix(String),
    /// `example.*`, or `example.*:8000`.
    Prefix {
        /// What comes before the wildcard: `example.`.
        begin: String,
        /// What comes after it: `:8000`, or nothing.
        port: String,
    },
}

impl HostPattern {
    /// Reads a host as Kong writes it.
    pub fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.split_once('*') {
            Some(("", suffix)) => Self::Suffix(suffix.to_owned()),
            Some((begin, port)) if port.is_empty() || port.starts_with(':') => {
                Self::Prefix { begin: begin.to_owned(), port: port.to_owned() }
            }
            // The check of the configuration refuses a star in any other position.
            None | Some(_) => Self::Exact(text),
        }
    }

    /// Whether it is a wildcard that asks for a port.
    pub(crate) fn is_wildcard_with_port(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Suffix(text) | Self::Prefix { port: text, .. } => text.contains(':'),
        }
    }

    /// Whether a wildcard stands for at least one character of `host`.
    pub(crate) fn wildcard_matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Prefix { begin, port } => {
                host.len() > begin.len() + port.len()
                    && host.starts_with(begin.as_str())
                    && host.ends_with(port.as_str())
            }
        }
    }
}

/// A path to match.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// A plain string prefix of the normalised path.
    Prefix(String),
    /// `~regex`, anchored at the start, not at the end.
    Regex(Regex),
}
