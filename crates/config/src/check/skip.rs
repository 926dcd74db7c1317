//! What happens with plug-ins that are not served, if the flags of the start allow going on without them.
//!
//! Leaving out a plug-in must not remove a protection. So only plug-ins that are known not to protect are left out. Routes with any other one,
//! above all with an unknown one, are closed: they answer 503 and say why. A flag opens the routes of one plug-in by its name.

use super::Options;

/// Kong's plug-ins that only add to a request, an answer or a log, and decide nothing about access; in order.
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

/// What a check reports as a warning instead of a problem; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tolerance<'a> {
    /// A variable that is not set is a warning, because it need not be set where a file is only checked.
    pub unset_variables: bool,
    /// Plug-ins that are not served are left out if they are known not to protect; otherwise their routes are closed.
    pub skip_unsupported: bool,
    /// The names of plug-ins that are left out if they are not served, even if they protect.
    pub skip_plugins: &'a [String],
}

/// What happens with a plug-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs.
    Served,
    /// It is reported as a problem.
    Refused,
    /// It is left out: it is known not to protect.
    LeftOut,
    /// It is left out: its name was given.
    Opened,
    /// Its routes answer 503.
    Closed,
}

impl Fate {
    /// The fate of the plug-in of this name.
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

    /// The warning and its hint. It shows a name only if somebody gave it in a flag or if Kong has it.
    pub(super) fn warning(self, name: &str) -> Option<(String, String)> {
        match self {
            Self::Served | Self::Refused => None,
            Self::LeftOut => Some((
                format!("the plug-in `{name}` is not served; it is left out"),
                "nothing that it does happens: check what its routes need from it".into(),
            )),
            Self::Opened => Some((
                format!("the plug-in `{name}` is not served; it is left out because --skip-plugin names it"),
                "what it protected is open now: make sure that something else protects it".into(),
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
