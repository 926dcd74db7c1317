//! The two formats of the metrics, OpenMetrics and Prometheus's text format, which differ in a few lines; and which of them a client asks for.

use std::fmt::Write;

/// A format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    Prometheus,
}

impl Form {
    /// The format that an `Accept` header prefers (RFC 9110, 12.5.1); Prometheus's if it prefers neither.
    pub fn of(accept: Option<&str>) -> Self {
        let quality = |kind: &str| {
            let ranges = accept.unwrap_or_default().split(',').map(str::trim);
            let of_kind =
                ranges.filter(|range| range.split(';').next().is_some_and(|name| name.trim() == kind));
            of_kind.map(quality_of).max().unwrap_or(0)
        };
        let open = quality("application/openmetrics-text");
        let other = ["text/plain", "text/*", "*/*"].map(quality).into_iter().max().unwrap_or(0);
        if open > 0 && open >= other { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Turns a text of OpenMetrics into this format.
    pub fn render(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Prometheus => prometheus(&open_metrics),
        }
    }
}

/// The quality value of a media range, in thousandths; 0 if it cannot be read.
fn quality_of(range: &str) -> u32 {
    let value = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    value.map_or(1_000, |value| {
        value.trim().parse::<f32>().map_or(0, |value| (value.clamp(0.0, 1.0) * 1_000.0) as u32)
    })
}

/// Turns a text of OpenMetrics into Prometheus's format. There, a family of counters has the name of its series, with `_total`, and there are no
/// infos, no units and no end mark.
fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take() {
                // Prometheus's format does not escape quotes here.
                let help = help.replace("\\\"", "\"");
                line_of(&mut text, format_args!("# HELP {name}{suffix} {help}"));
            }
            line_of(&mut text, format_args!("# TYPE {name}{suffix} {kind}"));
        } else if !line.starts_with('#') {
            line_of(&mut text, format_args!("{line}"));
        }
    }
    text
}

fn line_of(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_preferred() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, form) in [
            (None, Form::Prometheus),
            (Some(""), Form::Prometheus),
            (Some("*/*"), Form::Prometheus),
            (Some("text/html,*/*;q=0.8"), Form::Prometheus),
            (Some("text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.3"), Form::Prometheus),
            (Some("application/openmetrics-text;q=0"), Form::Prometheus),
            (Some("application/openmetrics-text"), Form::OpenMetrics),
            (Some("text/plain, application/openmetrics-text"), Form::OpenMetrics),
            (Some(prometheus), Form::OpenMetrics),
        ] {
            assert_eq!(Form::of(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn names_and_kinds_are_those_of_prometheus() {
        let open = "# HELP a Told \\\"so\\\".\n# TYPE a counter\na_total{x=\"1\"} 2\n# HELP b Who.\n# TYPE b info\nb_info{n=\"x\"} 1\n\
                    # HELP c_seconds How long.\n# TYPE c_seconds histogram\n# UNIT c_seconds seconds\nc_seconds_sum 1.0\n# EOF\n";
        let expected = "# HELP a_total Told \"so\".\n# TYPE a_total counter\na_total{x=\"1\"} 2\n# HELP b_info Who.\n# TYPE b_info gauge\n\
                        b_info{n=\"x\"} 1\n# HELP c_seconds How long.\n# TYPE c_seconds histogram\nc_seconds_sum 1.0\n";
        assert_eq!(prometheus(open), expected);
    }
}
