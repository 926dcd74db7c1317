//! From publish to webhook: what a delivery costs, and how long after the answer it arrives.

use std::rc::Rc;
use std::time::Instant;

use crate::load::{Template, Until, open};
use crate::peer::{Form, Kind, Rule};
use crate::section::{Findings, middle, threads};
use crate::stats::{Latencies, median};
use crate::stub::Receiver;
use crate::table::{Part, Table, micros};
use crate::target::Target;
use crate::world::{Candidate, Cost, World};

/// Deliveries of a run.
const DELIVERIES: u64 = 40_000;
/// Deliveries that may be under way.
const AHEAD: u64 = 256;
/// The share of the highest rate at which latency is measured.
const SHARE: f64 = 0.5;

/// Measures.
pub async fn measure(world: &World) -> Result<Findings, String> {
    let mut table = Table::new(&[
        "subscriptions",
        "CPU µs/delivery",
        "CPU µs/event",
        "disk µs/event",
        "deliveries/s",
        "connections/delivery",
        "p50 µs",
        "p99 µs",
    ]);
    let mut named = Vec::new();
    let mut targets = Vec::new();
    for subscriptions in [1, 10, 1_000] {
        let receiver = world.receiver(subscriptions).await?;
        for form in [Form::Raw, Form::Hmac, Form::Sns] {
            let name = format!("{subscriptions} × {}", form.name());
            let (costs, latencies) = several(world, &receiver, form, &name).await?;
            let each = subscriptions as f64;
            table.row([
                name.clone(),
                micros(middle(&costs, |cost| cost.process / each)),
                micros(middle(&costs, |cost| cost.process)),
                micros(middle(&costs, |cost| cost.disk)),
                format!("{:.0}", middle(&costs, |cost| cost.delivered_rate * each)),
                format!("{:.3}", middle(&costs, |cost| cost.connections)),
                micros(median(&latencies[0])),
                micros(median(&latencies[1])),
            ]);
            let what = match (subscriptions, form) {
                (1, Form::Raw) => Some("publish to delivered, 1 subscription, raw, disk included"),
                (1, Form::Hmac) => Some("publish to delivered, 1 subscription, HMAC, disk included"),
                _ => None,
            };
            let measured = middle(&costs, |cost| cost.process + cost.disk);
            targets.extend(what.map(|what| Target {
                what: what.to_owned(),
                limit: 80.0,
                measured,
                unit: "µs",
            }));
            named.push((name, costs));
        }
    }
    let first = Part {
        title: "From publish to webhook".into(),
        table,
        remarks: vec![
            "Everything is included: the PUT, its proxying, intent, outcome and delivery.".into(),
            "Durability `intent`. Every subscription is an endpoint of its own port; `connections/delivery` is 0 when kept ones \
             serve all."
                .into(),
            "Latency from the PUT's answer to the receipt, at half of the rate reached; 0 where the receipt came first.".into(),
        ],
    };
    let second = threads("From publish to webhook, by thread", "of an event", &named);
    Ok(Findings { parts: vec![first, second], targets })
}

async fn several(
    world: &World,
    receiver: &Rc<Receiver>,
    form: Form,
    name: &str,
) -> Result<(Vec<Cost>, [Vec<f64>; 2]), String> {
    let deliveries = receiver.addresses.len() as u64;
    let kind = Kind::Retrohook(Rule {
        durability: Some("intent"),
        subscribers: receiver.addresses.clone(),
        form,
        ..Rule::default()
    });
    let candidate =
        Candidate { name: name.to_owned(), kind, template: Template::put("profiles"), deliveries };
    let (mut costs, mut latencies) = (Vec::new(), [Vec::new(), Vec::new()]);
    for run in 1..=world.options.runs {
        let (cost, [p50, p99]) =
            one(world, &candidate, receiver).await.map_err(|problem| format!("{name}: {problem}"))?;
        crate::progress(&format!(
            "run {run}: {name}: {:.0} µs an event, {:.1} µs a delivery, {:.2} connections a delivery, p50 {p50:.0} µs, p99 {p99:.0} µs",
            cost.process,
            cost.process / deliveries as f64,
            cost.connections
        ));
        costs.push(cost);
        latencies[0].push(p50);
        latencies[1].push(p99);
    }
    Ok((costs, latencies))
}

async fn one(
    world: &World,
    candidate: &Candidate,
    receiver: &Rc<Receiver>,
) -> Result<(Cost, [f64; 2]), String> {
    let running = world.start(&candidate.kind, receiver).await?;
    let deliveries = candidate.deliveries;
    let total = if world.options.quick { DELIVERIES / 4 } else { DELIVERIES };
    let requests = (total / deliveries).max(10);
    let until = Until::Count { requests, ahead: (AHEAD / deliveries).max(1), deliveries };
    let cost = world.cost(&running.peer, candidate, until, receiver).await?;
    let rate = (cost.delivered_rate * SHARE).max(1.0);
    receiver.reset(true);
    let template = &candidate.template;
    let samples =
        open(running.peer.address, template, world.options.connections, rate, world.options.time).await?;
    world.delivered(samples.len() as u64 * deliveries, receiver).await?;
    let answered: Vec<Instant> = samples.iter().map(|sample| sample.answered).collect();
    let received = receiver.trace();
    receiver.reset(false);
    let latencies = received.iter().filter_map(|(number, at)| {
        let answered = answered.get(usize::try_from(*number).ok()?)?;
        Some(at.saturating_duration_since(*answered))
    });
    let latencies = Latencies::of(latencies);
    Ok((cost, [latencies.percentile(50.0), latencies.percentile(99.0)]))
}
