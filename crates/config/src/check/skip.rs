//! What becomes of plug-ins that are not served, if whoever starts the node says that it may go on without them.
//!
//! A plug-in that is left out must not have protected anything. So only those are left out that are known not to; a route with any other
//! one, unknown names first of all, is closed: it answers 503 and says why. Whoever knows better opens one by its name.

use super::Options;

/// Plug-ins of Kong's that add to a request, an answer or a log, and let nobody in or out; in order.
const HARMLESS: [&str; 27] = [
    "acme",
    "app-dynamics",
    "correlation-id",
    "cors",
    "datadog",
    "exit-transformer",
    "file-log",
    "http-log",
    "kafka-log",
    "loggly",
    "opentelemetry",
    "prometheus",
    "proxy-cache",
    "proxy-cache-advanced",
    "request-transformer",
    "request-transformer-advanced",
    "response-transformer",
    "response-transformer-advanced",
    "solace-log",
    "statsd",
    "statsd-advanced",
    "syslog",
    "tcp-log",
    "tls-metadata-headers",
    "udp-log",
    "upstream-timeout",
    "zipkin",
];

/// What a check lets pass; nothing, if it is not said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tolerance<'a> {
    /// A variable that is not set is a warning: where a file is checked, it need not be.
    pub unset_variables: bool,
    /// Plug-ins that are not served are left out if they are known not to protect, and else close their routes.
    pub skip_unsupported: bool,
    /// Plug-ins that are left out if they are not served, whatever they protect, by their names.
    pub skip_plugins: &'a [String],
}

/// What becomes of a plug-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs.
    Served,
    /// It is a problem.
    Refused,
    /// It is left out: it is known not to protect.
    LeftOut,
    /// It is left out: its name was given.
    Opened,
    /// Its routes answer 503.
    Closed,
}

impl Fate {
    /// Of the plug-in of this name.
    pub(super) fn of(name: &str, options: &Options<'_>) -> Self {
        let Tolerance { skip_unsupported, skip_plugins, .. } = options.tolerance;
        if options.kinds.iter().any(|kind| kind.name() == name) {
            Self::Served
        } else if skip_plugins.iter().any(|skipped| skipped == name) {
            Self::Opened
        } else if !skip_unsupported {
            Self::Refused
        } else if HARMLESS.binary_search(&name).is_ok() {
            Self::LeftOut
        } else {
            Self::Closed
        }
    }

    /// What is warned of, with what to do about it. Only a name that somebody gave or that Kong has is said.
    pub(super) fn warning(self, name: &str) -> Option<(String, String)> {
        match self {
            Self::Served | Self::Refused => None,
            Self::LeftOut => Some((
                format!("the plug-in `{name}` is not served, and left out"),
                "nothing that it does happens: see what its routes need of it".into(),
            )),
            Self::Opened => Some((
                format!("the plug-in `{name}` is not served, and left out because --skip-plugin names it"),
                "what it protected is open: see that something else protects it".into(),
            )),
            Self::Closed => Some((
                "a plug-in that is not served may protect: its routes answer 503".into(),
                "remove it, or leave it out by its name with --skip-plugin if nothing needs its protection"
                    .into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_can_be_searched() {
        assert!(HARMLESS.is_sorted());
    }
}
