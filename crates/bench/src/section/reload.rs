//! What a change of the configuration costs, and whom: how soon it is live beside 10,000 routes or 10,000 subscriptions, and what the requests
//! that run beside it feel.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::load::{Sample, Template, ask, open};
use crate::peer::{Peer, Rule, configuration, configuration_file};
use crate::section::Findings;
use crate::stats::{Latencies, median, spread};
use crate::stub::Receiver;
use crate::table::{Part, Table, micros};
use crate::target::Target;
use crate::world::{Folder, World};

/// Routes, or subscriptions, beside those that are used.
const MANY: usize = 10_000;
/// Requests per second beside the changes: each has an intent and an outcome.
const RATE: f64 = 1_000.0;
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a change is said to be felt in, if it was shorter.
const WINDOW: Duration = Duration::from_millis(250);

/// A change of what is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// One of the many in the file, which is read anew.
    One,
    /// All of the many in the file.
    All,
    /// One api, through the 0.x Admin API.
    Api,
    /// One subscription more, through the SNS API.
    Subscribe,
}

/// Figures of several changes of a kind, in microseconds but for `live`, which is in milliseconds.
#[derive(Default)]
struct Runs {
    live: Vec<f64>,
    calm: Vec<f64>,
    beside: Vec<f64>,
    worst: Vec<f64>,
}

/// Measures.
pub async fn measure(world: &World) -> Result<Findings, String> {
    let mut table = Table::new(&[
        "beside",
        "change",
        "live after ms",
        "lowest–highest",
        "p99 µs before",
        "p99 µs beside it",
        "highest µs",
    ]);
    let mut targets = Vec::new();
    let routes = Rule { more_routes: MANY, legacy_admin: true, ..rule() };
    let of_routes = [Change::One, Change::All, Change::Api];
    let subscriptions = Rule { idle_subscriptions: MANY, ..rule() };
    let of_subscriptions = [Change::One, Change::All, Change::Subscribe];
    for (what, rule, changes) in
        [("10,000 routes", routes, of_routes), ("10,000 subscriptions", subscriptions, of_subscriptions)]
    {
        let receiver = world.receiver(1).await?;
        let rule = Rule { subscribers: receiver.addresses.clone(), ..rule };
        let mut scene = Scene::start(world, rule, receiver).await?;
        for change in changes {
            let runs = scene.several(world, change).await.map_err(|problem| {
                format!("{what}: {}: {problem}\n    {}", change.name(), scene.peer.process.last_words())
            })?;
            let (low, high) = spread(&runs.live);
            table.row([
                what.to_owned(),
                change.name().to_owned(),
                format!("{:.1}", median(&runs.live)),
                format!("{low:.1}–{high:.1}"),
                micros(median(&runs.calm)),
                micros(median(&runs.beside)),
                micros(median(&runs.worst)),
            ]);
            targets.extend(change.targets(what, &runs));
        }
    }
    let part = Part {
        title: "A change while requests run".into(),
        table,
        remarks: vec![
            format!(
                "{RATE:.0} PUTs per second with an intent each, in an open loop, on the one core that serves them; the change is made there, too."
            ),
            "Live: by a file, from SIGHUP to the line that every core has it; by an API, from the request to the answer.".into(),
            "Beside it: requests that were due from the beginning of the change until a quarter of a second later, or until it was live.".into(),
        ],
    };
    Ok(Findings { parts: vec![part], targets })
}

fn rule() -> Rule {
    Rule { durability: Some("intent"), ..Rule::default() }
}

/// A running node, and what its file says now.
struct Scene {
    peer: Peer,
    rule: Rule,
    revision: u32,
    _receiver: Rc<Receiver>,
    // After the program: fields are dropped in their order.
    folder: Folder,
}

impl Scene {
    async fn start(world: &World, rule: Rule, receiver: Rc<Receiver>) -> Result<Self, String> {
        let folder = world.folder()?;
        let peer = world.start_over(&rule, &folder, &receiver).await?;
        Ok(Self { peer, rule, revision: 0, _receiver: receiver, folder })
    }

    async fn several(&mut self, world: &World, change: Change) -> Result<Runs, String> {
        let mut runs = Runs::default();
        for run in 1..=world.options.runs {
            let [live, calm, beside, worst] = self.one(world, change).await?;
            crate::progress(&format!(
                "run {run}: {}: live after {live:.1} ms, p99 {calm:.0} µs before, {beside:.0} µs beside, highest {worst:.0} µs",
                change.name()
            ));
            if let Some(steps) = self.peer.process.last_line_with("steps of a change") {
                crate::progress(&steps);
            }
            runs.live.push(live);
            runs.calm.push(calm);
            runs.beside.push(beside);
            runs.worst.push(worst);
        }
        Ok(runs)
    }

    /// How soon it was live, and the latencies before it and beside it.
    async fn one(&mut self, world: &World, change: Change) -> Result<[f64; 4], String> {
        self.revision += 1;
        let (address, time) = (self.peer.address, world.options.time);
        let template = Template::put("profiles");
        let traffic = open(address, &template, world.options.connections, RATE, time);
        let changed = async {
            tokio::time::sleep(time / 3).await;
            self.make(world, change).await
        };
        let (samples, changed) = tokio::join!(traffic, changed);
        let (samples, (began, live)) = (samples?, changed?);
        let until = live.max(began + WINDOW);
        let of = |is_meant: &dyn Fn(&Sample) -> bool| {
            Latencies::of(samples.iter().filter(|sample| is_meant(sample)).map(Sample::latency))
        };
        let calm = of(&|sample| sample.due < began);
        let beside = of(&|sample| began <= sample.due && sample.due < until);
        let live = live.saturating_duration_since(began).as_secs_f64() * 1e3;
        Ok([live, calm.percentile(99.0), beside.percentile(99.0), beside.percentile(100.0)])
    }

    /// When it began, and when it was live.
    async fn make(&mut self, world: &World, change: Change) -> Result<(Instant, Instant), String> {
        let revision = self.revision;
        match change {
            Change::One | Change::All => {
                let text = configuration(&self.rule, world.upstream.address);
                let file = configuration_file(self.folder.path());
                std::fs::write(&file, revised(&text, change, revision))
                    .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
                let began = Instant::now();
                self.peer.process.hang_up()?;
                let (_, after) = self.peer.process.lines_until("reloaded:", PATIENCE).await?;
                Ok((began, self.peer.process.began() + after))
            }
            Change::Api => {
                let admin = self.peer.listener("legacy-admin")?;
                let body = format!(
                    r#"{{"name":"api-{revision}","uris":"/api-{revision}","upstream_url":"http://{}"}}"#,
                    world.upstream.address
                );
                let began = Instant::now();
                ask(admin, "POST", "/apis", "application/json", &body).await?;
                Ok((began, Instant::now()))
            }
            Change::Subscribe => {
                let hub = self.peer.listener("hub")?;
                let body = format!(
                    "Action=Subscribe&Version=2010-03-31&TopicArn=arn:aws:sns:us-east-1:000000000000:idle&Protocol=http\
                     &Endpoint=http%3A%2F%2F127.0.0.1%3A9%2Fmore%2F{revision}"
                );
                let began = Instant::now();
                ask(hub, "POST", "/", "application/x-www-form-urlencoded", &body).await?;
                Ok((began, Instant::now()))
            }
        }
    }
}

/// The text with another path of the route or the subscription in the middle, or of each.
fn revised(text: &str, change: Change, revision: u32) -> String {
    let one = format!("{:05}", MANY / 2);
    let (which, with) = match change {
        Change::One => (format!("/{one}"), format!("/{one}/{revision}")),
        _ => ("/0".to_owned(), format!("/{revision}/0")),
    };
    text.replace(&which, &with)
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::One => "one, by a file",
            Self::All => "all, by a file",
            Self::Api => "one more, by the 0.x Admin API",
            Self::Subscribe => "one more, by the SNS API",
        }
    }

    fn targets(self, beside: &str, runs: &Runs) -> Vec<Target> {
        let blips = runs.beside.iter().zip(&runs.calm).map(|(beside, calm)| beside - calm);
        let blip = median(&blips.collect::<Vec<_>>());
        let live = if self == Self::All { 1_000.0 } else { 100.0 };
        let what = format!("{}, beside {beside}", self.name());
        vec![
            Target { what: format!("live: {what}"), limit: live, measured: median(&runs.live), unit: "ms" },
            Target {
                what: format!("p99 of requests grows: {what}"),
                limit: 1_000.0,
                measured: blip,
                unit: "µs",
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_changes_one_or_all_of_the_many() {
        let upstream = ([127, 0, 0, 1], 9).into();
        let count = |rule: Rule, change, word: &str| {
            let text = configuration(&Rule { subscribers: vec![upstream], ..rule }, upstream);
            let (before, now) = (text.lines(), revised(&text, change, 7));
            let changed: Vec<_> = before.zip(now.lines()).filter(|(before, now)| before != now).collect();
            assert!(changed.iter().all(|(_, now)| now.contains(word)), "{:?}", changed.first());
            changed.len()
        };
        for (change, changed) in [(Change::One, 1), (Change::All, MANY)] {
            assert_eq!(count(Rule { more_routes: MANY, ..rule() }, change, "more-"), changed);
            assert_eq!(count(Rule { idle_subscriptions: MANY, ..rule() }, change, "idle-"), changed);
        }
    }
}
