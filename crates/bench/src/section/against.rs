//! Two builds of Retrohook beside each other: the same requests to both, at the same time and on the same core, and by how much they differ.
//!
//! A shared machine is slower at one moment than at another, by up to a half from one second to the next, and that is more than most changes
//! of the code are worth. Two processes between which the kernel changes every few milliseconds see the same machine: pairs of runs right
//! after each other differed by 20 %, these differ by 2 %.

use std::rc::Rc;

use crate::load::Until;
use crate::peer::{Kind, Rule};
use crate::section::rows::{Row, rows};
use crate::section::{middle, threads};
use crate::stats::{interval, median};
use crate::stub::Receiver;
use crate::table::{Part, Table, micros};
use crate::world::{Candidate, Cost, Running, World};

/// A row is slower when its interval lies wholly above this share.
const TOLERATED: f64 = 0.03;

/// Measures, and is an error when a row is slower than before.
pub async fn measure(world: &World) -> Result<(), String> {
    let mut table =
        Table::new(&["requests", "other µs", "this µs", "difference", "95 % interval", "verdict"]);
    let (mut slower, mut named) = (Vec::new(), Vec::new());
    for row in rows().into_iter().filter(|row| world.options.wants(row.section)) {
        let (other, this) = pairs(world, &row).await.map_err(|problem| format!("{}: {problem}", row.name))?;
        let differences: Vec<f64> =
            this.iter().zip(&other).map(|(this, other)| this.process / other.process - 1.0).collect();
        let (low, high) = interval(&differences);
        let verdict = verdict(low, high);
        if low > TOLERATED {
            slower.push(row.name);
        }
        table.row([
            row.name.to_owned(),
            micros(middle(&other, |cost| cost.process)),
            micros(middle(&this, |cost| cost.process)),
            percent(median(&differences)),
            format!("{} to {}", percent(low), percent(high)),
            verdict.to_owned(),
        ]);
        named.push((format!("{}, other", row.name), other));
        named.push((format!("{}, this", row.name), this));
        crate::progress(&format!(
            "{}: {} ({} to {})",
            row.name,
            percent(median(&differences)),
            percent(low),
            percent(high)
        ));
    }
    let part = Part {
        title: "This build beside the other".into(),
        table,
        remarks: vec![
            "CPU time of a request with all that it brings with it, deliveries included; medians. Each pair of runs has fresh \
             processes and empty stores, and runs at the same time on the same core."
                .into(),
            format!("Slower: the interval of the differences lies wholly above {:.0} %.", TOLERATED * 100.0),
        ],
    };
    let text = format!("{part}\n{}", threads("By thread", "medians", &named));
    println!("\n{text}");
    if let Some(file) = &world.options.markdown {
        crate::insert(file, &text)?;
    }
    match slower.as_slice() {
        [] => Ok(()),
        slower => Err(format!("slower than the other build: {}", slower.join(", "))),
    }
}

/// What an interval of differences says.
fn verdict(low: f64, high: f64) -> &'static str {
    match () {
        () if low > TOLERATED => "slower",
        () if high < 0.0 => "faster",
        () if high <= TOLERATED => "no slower",
        () => "not sure: more runs",
    }
}

fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

/// The costs of the other build and of this one, run by run.
async fn pairs(world: &World, row: &Row) -> Result<(Vec<Cost>, Vec<Cost>), String> {
    let (mut others, mut ours) = (Vec::new(), Vec::new());
    let other = build(world, row, true).await?;
    let this = build(world, row, false).await?;
    for _ in 0..world.options.runs {
        let (other_runs, this_runs) = (other.start(world).await?, this.start(world).await?);
        let (cost_of_other, cost_of_this) =
            tokio::join!(other.cost(world, &other_runs), this.cost(world, &this_runs));
        others.push(cost_of_other?);
        ours.push(cost_of_this?);
    }
    Ok((others, ours))
}

/// A build, and who hears of its events.
struct Build {
    candidate: Candidate,
    receiver: Rc<Receiver>,
}

async fn build(world: &World, row: &Row, other: bool) -> Result<Build, String> {
    let receiver = world.receiver(row.subscribers.max(1)).await?;
    let subscribers = receiver.addresses[..row.subscribers].to_vec();
    let candidate = Candidate {
        name: row.name.to_owned(),
        kind: Kind::Retrohook(Rule { other, subscribers, ..row.rule.clone() }),
        template: row.template.clone(),
        deliveries: row.subscribers as u64,
    };
    Ok(Build { candidate, receiver })
}

impl Build {
    async fn start(&self, world: &World) -> Result<Running, String> {
        world.start(&self.candidate.kind, &self.receiver).await
    }

    async fn cost(&self, world: &World, running: &Running) -> Result<Cost, String> {
        let until = Until::Time(world.options.time);
        world.cost(&running.peer, &self.candidate, until, &self.receiver).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_slower_only_when_that_is_sure() {
        assert_eq!(verdict(0.031, 0.1), "slower");
        assert_eq!(verdict(0.03, 0.1), "not sure: more runs");
        assert_eq!(verdict(-0.01, 0.03), "no slower");
        assert_eq!(verdict(-0.1, -0.01), "faster");
    }
}
