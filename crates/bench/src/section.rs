//! The measurements, one section each.

pub mod against;
pub mod delivery;
pub mod latency;
pub mod proxy;
pub mod publish;
pub mod reload;
pub mod rows;
pub mod start;
pub mod train;

use std::collections::BTreeMap;

use crate::stats::{median, spread};
use crate::table::{Part, Table, micros};
use crate::target::Target;
use crate::world::{Candidate, Cost};

/// What a section found.
pub struct Findings {
    /// Tables.
    pub parts: Vec<Part>,
    /// Targets beside what was measured.
    pub targets: Vec<Target>,
}

/// The median of one figure of several runs.
fn middle(costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> f64 {
    median(&costs.iter().map(figure).collect::<Vec<_>>())
}

/// CPU time of all candidates beside that of one of them.
fn table(candidates: &[Candidate], costs: &[Vec<Cost>], reference: usize) -> Table {
    let against = candidates.get(reference).map_or("", |candidate| &candidate.name);
    let against = format!("÷ {against}");
    let mut table = Table::new(&[
        "program",
        "CPU µs/request",
        "lowest–highest",
        "disk µs/request",
        &against,
        "requests/s",
    ]);
    let base = costs.get(reference).map_or(0.0, |costs| middle(costs, |cost| cost.process));
    for (candidate, costs) in candidates.iter().zip(costs) {
        let process = middle(costs, |cost| cost.process);
        let (low, high) = spread(&costs.iter().map(|cost| cost.process).collect::<Vec<_>>());
        table.row([
            candidate.name.clone(),
            micros(process),
            format!("{}–{}", micros(low), micros(high)),
            micros(middle(costs, |cost| cost.disk)),
            format!("{:.2}", process / base),
            format!("{:.0}", middle(costs, |cost| cost.rate)),
        ]);
    }
    table
}

/// Where the time goes: CPU time by thread, the largest first.
fn threads(title: &str, unit: &str, named: &[(String, Vec<Cost>)]) -> Part {
    let mut table = Table::new(&["program", "threads, µs/request"]);
    for (name, costs) in named {
        let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for cost in costs {
            for (thread, micros) in &cost.threads {
                all.entry(thread).or_default().push(*micros);
            }
        }
        let mut all: Vec<(&str, f64)> =
            all.into_iter().map(|(name, values)| (name, median(&values))).collect();
        all.sort_by(|a, b| f64::total_cmp(&b.1, &a.1));
        let shown = all.iter().filter(|(_, value)| *value >= 0.1);
        let words: Vec<String> = shown.map(|(name, value)| format!("{name} {}", micros(*value))).collect();
        table.row([name.clone(), words.join(", ")]);
    }
    let remarks = vec![format!("CPU time by thread name, {unit}; threads below 0.1 µs are left out.")];
    Part { title: title.to_owned(), table, remarks }
}
