//! The design's targets beside what was measured.

use crate::table::{Part, Table};

/// An upper limit and a figure.
pub struct Target {
    /// What is limited.
    pub what: String,
    /// The limit.
    pub limit: f64,
    /// What was measured.
    pub measured: f64,
    /// Of both.
    pub unit: &'static str,
}

impl Target {
    /// Whether the target is met, and if not by how much.
    fn verdict(&self) -> String {
        if self.measured <= self.limit {
            return "met".into();
        }
        let over = self.measured - self.limit;
        format!("missed by {} {} ({:.0} %)", shown(over), self.unit, over / self.limit * 100.0)
    }
}

/// All targets of a run.
pub fn part(targets: &[Target]) -> Part {
    let mut table = Table::new(&["what", "target", "measured", "verdict"]);
    for target in targets {
        let with_unit = |value| format!("{} {}", shown(value), target.unit);
        let limit = format!("≤ {}", with_unit(target.limit));
        table.row([target.what.clone(), limit, with_unit(target.measured), target.verdict()]);
    }
    Part { title: "Targets".into(), table, remarks: Vec::new() }
}

fn shown(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_says_by_how_much() {
        let target = |measured| Target { what: "start".into(), limit: 100.0, measured, unit: "ms" };
        assert_eq!(target(100.0).verdict(), "met");
        assert_eq!(target(125.0).verdict(), "missed by 25.0 ms (25 %)");
        let text = part(&[target(40.0)]).to_string();
        assert!(text.contains("≤ 100 ms"), "{text}");
    }
}
