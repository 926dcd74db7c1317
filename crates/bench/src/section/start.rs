//! How soon it is ready, and how much memory it keeps: empty, and with many pending messages.

use std::rc::Rc;
use std::time::Duration;

use crate::cpu::{quiet, resident};
use crate::load::{Template, Until, closed};
use crate::peer::{Away, Rule};
use crate::section::Findings;
use crate::stats::{median, spread};
use crate::stub::Receiver;
use crate::table::{Part, Table};
use crate::target::Target;
use crate::world::{Folder, World};

/// Connections that fill the store.
const FILLERS: usize = 256;
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(120);
/// How long it may take until a started process is quiet.
const SETTLE: Duration = Duration::from_secs(10);

/// Measures.
pub async fn measure(world: &World) -> Result<Findings, String> {
    let away = Away::new().map_err(|error| format!("no address where nobody listens: {error}"))?;
    // A receiver is needed for its address only.
    let receiver = world.receiver(1).await?;
    let rule = Rule {
        durability: Some("memory"),
        subscribers: vec![away.address],
        unbound: true,
        ..Rule::default()
    };
    let mut table =
        Table::new(&["store", "ready after ms", "lowest–highest", "VmRSS at ready MiB", "VmRSS settled MiB"]);
    let empty = Starts::of_fresh(world, &rule, &receiver).await?;
    table.row(empty.cells("empty"));

    let pending = world.options.pending;
    let folder = world.folder()?;
    fill(world, &rule, &folder, &receiver, pending).await?;
    let orderly = Starts::over(world, &rule, &folder, &receiver, true).await?;
    table.row(orderly.cells(&format!("{pending} pending, after an orderly stop")));
    let killed = Starts::over(world, &rule, &folder, &receiver, false).await?;
    table.row(killed.cells(&format!("{pending} pending, after a kill -9")));
    let target = |what: &str, limit, values: &[f64], unit| Target {
        what: what.to_owned(),
        limit,
        measured: median(values),
        unit,
    };
    let mut targets = vec![
        target("start, empty", 100.0, &empty.ready, "ms"),
        target("resident when idle, empty", 30.0, &empty.settled, "MiB"),
    ];
    if pending >= 1_000_000 {
        targets.push(target("start, a million pending", 2_000.0, &orderly.ready, "ms"));
        targets.push(target("start, a million pending, after a kill -9", 2_000.0, &killed.ready, "ms"));
    }
    let part = Part {
        title: "Start and memory".into(),
        table,
        remarks: vec![
            "From the start of the process to its line `ready`, with as many workers as cores, on all of them.".into(),
            "The pending messages were made through the product itself (PUTs under `memory`) while their receiver refused \
             connections; it refuses them during the measurement too."
                .into(),
            "Files are in the page cache. Settled: it used no CPU time for a tenth of a second, or ten seconds are over.".into(),
        ],
    };
    Ok(Findings { parts: vec![part], targets })
}

/// Publishes so many events that nobody takes.
async fn fill(
    world: &World,
    rule: &Rule,
    folder: &Folder,
    receiver: &Rc<Receiver>,
    pending: u64,
) -> Result<(), String> {
    let peer = world.start_over(rule, folder, receiver).await?;
    let until = Until::Count { requests: pending, ahead: pending, deliveries: 0 };
    let done = closed(peer.address, &Template::put("profiles"), FILLERS, until, receiver).await?;
    crate::progress(&format!("{} pending messages in {:.0} s", done.done, done.took.as_secs_f64()));
    let took = peer.process.terminate(STOP).await?;
    crate::progress(&format!("stopped in {} ms", took.as_millis()));
    Ok(())
}

/// Several starts.
#[derive(Default)]
struct Starts {
    ready: Vec<f64>,
    at_ready: Vec<f64>,
    settled: Vec<f64>,
}

impl Starts {
    async fn of_fresh(world: &World, rule: &Rule, receiver: &Rc<Receiver>) -> Result<Self, String> {
        let mut starts = Self::default();
        for _ in 0..world.options.runs {
            let folder = world.folder()?;
            starts.one(world, rule, &folder, receiver, true).await?;
        }
        Ok(starts)
    }

    async fn over(
        world: &World,
        rule: &Rule,
        folder: &Folder,
        receiver: &Rc<Receiver>,
        orderly: bool,
    ) -> Result<Self, String> {
        let mut starts = Self::default();
        if !orderly {
            // The first of these starts is to follow a kill, too.
            Self::default().one(world, rule, folder, receiver, false).await?;
        }
        for _ in 0..world.options.runs {
            starts.one(world, rule, folder, receiver, orderly).await?;
        }
        Ok(starts)
    }

    async fn one(
        &mut self,
        world: &World,
        rule: &Rule,
        folder: &Folder,
        receiver: &Rc<Receiver>,
        orderly: bool,
    ) -> Result<(), String> {
        let peer = world.start_over(rule, folder, receiver).await?;
        let at_ready = resident(peer.pid())?;
        quiet(peer.pid(), SETTLE).await;
        let settled = resident(peer.pid())?;
        let ready = peer.started_in.as_secs_f64() * 1e3;
        crate::progress(&format!("ready in {ready:.0} ms, {at_ready:.1} MiB, settled {settled:.1} MiB"));
        self.ready.push(ready);
        self.at_ready.push(at_ready);
        self.settled.push(settled);
        if orderly {
            let took = peer.process.terminate(STOP).await?;
            crate::progress(&format!("stopped in {} ms", took.as_millis()));
        }
        Ok(())
    }

    fn cells(&self, name: &str) -> [String; 5] {
        let (low, high) = spread(&self.ready);
        [
            name.to_owned(),
            format!("{:.0}", median(&self.ready)),
            format!("{low:.0}–{high:.0}"),
            format!("{:.1}", median(&self.at_ready)),
            format!("{:.1}", median(&self.settled)),
        ]
    }
}
