//! The series of single routes and services, and of the answers that the gateway gave itself.

use gateway::stats::{self, Counted, Names};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::{Family, NoLabels, Scrape, counter};

/// The classes of statuses, as labels.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl Scrape {
    /// The counts of answers, by route and by cause.
    pub(super) fn routes(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let (counted, names) = (stats::by_route(&self.node.cores), self.node.numbering.names());
        let mut family = Family::counters(
            encoder,
            "retrohook_route_requests",
            "Requests answered, by service, route and class of the status; without service and route, those that no route matched",
        )?;
        for one in &counted {
            family.counter(&labels(one, &names), one.count())?;
        }
        durations(&counted, &names, encoder)?;
        let name = "retrohook_own_answers";
        let help = "Answers with a status of 400 or more that no service gave, by cause";
        let mut family = Family::counters(encoder, name, help)?;
        for (cause, count) in stats::own_answers(&self.node.cores) {
            family.counter(&[("cause", cause)], count)?;
        }
        let name = "retrohook_service_failures";
        let help = "Requests that a service failed, by service and reason, as the log has them";
        let mut family = Family::counters(encoder, name, help)?;
        for (service, reason, count) in self.node.conditions.failures() {
            family.counter(&[("service", service.as_str()), ("reason", reason)], count)?;
        }
        let name = "retrohook_own_address_answers";
        let help = "Answers in which a service named its own address, for which the client had not asked, by service and header";
        let mut family = Family::counters(encoder, name, help)?;
        for (service, header, count) in self.node.conditions.namings() {
            family.counter(&[("service", service.as_str()), ("header", header)], count)?;
        }
        if let Some(lost) = &self.node.lost_lines {
            let name = "retrohook_access_log_lost_lines";
            let help = "Lines of the access log that found no room or could not be written";
            counter(encoder, name, help, lost.count())?;
        }
        Ok(())
    }
}

fn durations(counted: &[Counted], names: &[Names], encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
    let name = "retrohook_route_request_duration";
    let help = "From the request's head to the answer's, by service, route and class of the status";
    let mut series = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for one in counted {
        let seconds = |micros: u64| micros as f64 * 1e-6;
        let buckets: Vec<_> =
            one.buckets.iter().map(|(bound, count)| (bound.map_or(f64::INFINITY, seconds), *count)).collect();
        let labels = labels(one, names);
        let mut metric = series.encode_family(&labels)?;
        metric.encode_histogram::<NoLabels>(seconds(one.micros), one.count(), &buckets, None)?;
    }
    Ok(())
}

fn labels<'n>(counted: &Counted, names: &'n [Names]) -> [(&'static str, &'n str); 3] {
    let (service, route) =
        names.get(counted.index()).map_or(("", ""), |(service, route)| (service.as_str(), route.as_str()));
    let class = CLASSES.get(counted.class.saturating_sub(2)).copied().unwrap_or_default();
    [("service", service), ("route", route), ("status", class)]
}
