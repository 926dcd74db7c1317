//! The latency that an event adds, at half load: fixed rate, latency from when each request was due.

use crate::load::{Template, Until, closed, open};
use crate::peer::{Kind, Rule};
use crate::section::Findings;
use crate::stats::{Latencies, median};
use crate::table::{Part, Table, micros};
use crate::target::Target;
use crate::world::World;

/// p50 and p99 of several runs.
#[derive(Default)]
struct Runs {
    half: Vec<f64>,
    nothing: [Vec<f64>; 2],
    matching: [Vec<f64>; 2],
    added: [Vec<f64>; 2],
}

/// Measures.
pub async fn measure(world: &World) -> Result<Findings, String> {
    let mut table = Table::new(&[
        "durability",
        "requests/s",
        "no match p50 µs",
        "p99 µs",
        "match p50 µs",
        "p99 µs",
        "added p50 µs",
        "added p99 µs",
    ]);
    let mut targets = Vec::new();
    // What the one-core rows reached.
    let mut rate = None;
    for (durability, unbound) in
        [("intent", false), ("intent", true), ("strict", false), ("outcome", false), ("memory", false)]
    {
        let mut runs = Runs::default();
        let name = if unbound { format!("{durability}, on all cores") } else { durability.to_owned() };
        for run in 1..=world.options.runs {
            let rule = Rule { durability: Some(durability), unbound, ..Rule::default() };
            one(world, rule, rate.filter(|_| unbound), &mut runs).await?;
            let last =
                |values: &[Vec<f64>; 2]| values.each_ref().map(|all| all.last().copied().unwrap_or_default());
            crate::progress(&format!(
                "run {run}: {name}: no match {:.0?} µs, match {:.0?} µs",
                last(&runs.nothing),
                last(&runs.matching)
            ));
        }
        let figures = [&runs.nothing, &runs.matching, &runs.added].into_iter().flatten();
        let mut cells = vec![name, format!("{:.0}", median(&runs.half))];
        cells.extend(figures.map(|values| micros(median(values))));
        table.row(cells);
        if durability == "intent" && !unbound {
            rate = Some(median(&runs.half));
            let [p50, p99] = runs.added.each_ref().map(|values| median(values));
            let target =
                |what: &str, limit, measured| Target { what: what.to_owned(), limit, measured, unit: "µs" };
            targets.push(target("latency added by `intent` at half load, p50", 500.0, p50));
            targets.push(target("latency added by `intent` at half load, p99", 2_000.0, p99));
        }
    }
    let part = Part {
        title: "Latency that an event adds, at half load".into(),
        table,
        remarks: vec![
            "Half of the requests per second that a closed loop reaches with this durability; the same rate for a PUT that \
             matches no rule, in the same process, right before."
                .into(),
            "`on all cores`: as many workers as cores, where the load generator is too, at the rate of the row above."
                .into(),
        ],
    };
    Ok(Findings { parts: vec![part], targets })
}

/// One run, at `rate` or at half of what a closed loop reaches.
async fn one(world: &World, rule: Rule, rate: Option<f64>, runs: &mut Runs) -> Result<(), String> {
    let receiver = world.receiver(1).await?;
    let kind = Kind::Retrohook(rule);
    let running = world.start(&kind, &receiver).await?;
    let address = running.peer.address;
    let (connections, time) = (world.options.connections, world.options.time);
    let matching = Template::put("profiles");
    let full = closed(address, &matching, connections, Until::Time(time / 2), &receiver).await?;
    let rate = rate.unwrap_or(full.rate() / 2.0);
    runs.half.push(rate);
    let mut figures = [[0.0; 2]; 2];
    for (template, figures) in [Template::put("other"), matching].iter().zip(&mut figures) {
        let samples = open(address, template, connections, rate, time).await?;
        let latencies = Latencies::of(samples.iter().map(|sample| sample.latency()));
        *figures = [latencies.percentile(50.0), latencies.percentile(99.0)];
    }
    let [nothing, matching] = figures;
    for at in 0..2 {
        runs.nothing[at].push(nothing[at]);
        runs.matching[at].push(matching[at]);
        runs.added[at].push(matching[at] - nothing[at]);
    }
    Ok(())
}
