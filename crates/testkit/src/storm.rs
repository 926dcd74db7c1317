//! The crash storm: traffic that never stops, a gateway that is killed again and again, and a comparison at the end.
//!
//! Every request has an id of its own. Three parties keep their own records of it: the client (what it was told), the upstream (what it
//! executed) and the subscribers (what they heard). When the last kill is over and everything is drained, [`verdict`] lays them side by
//! side. About half of the kills come at random moments, the others at the named points of [`storage::failpoint`]: the process logs that
//! it stands at the point, and is killed there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use storage::failpoint;

use crate::admin::Admin;
use crate::process::{Process, Setup};
use crate::upstream::Upstream;
use crate::wait::{self, pause};

mod edits;
mod messages;
mod subscribers;
mod traffic;
pub mod verdict;
mod weather;

use edits::Edits;
use messages::Messages;
use subscribers::{Manner, QueueReader, Webhook};
use traffic::Traffic;
use verdict::{Outcome, Records};
use weather::{Jumps, Reloads};

pub use weather::Weather;

/// How long a named point may take to be reached before the process is killed where it is.
const POINT_PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing may arrive after the last kill, as long as something is missing. No delivery waits for so long: the webhooks refuse
/// each event once, a kill uses up no attempt but the first, and the wait behind a second one is 33 seconds at most.
const DRAIN: Duration = Duration::from_secs(60);
/// Clients at the same time.
const CLIENTS: usize = 6;

/// What a storm is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The binary, built with the feature `failpoints`.
    pub program: PathBuf,
    /// How often it is killed.
    pub kills: u32,
    /// Chooses the traffic and the moments.
    pub seed: u64,
    /// What the gateway is made to do.
    pub rules: Rules,
    /// What else it has to bear.
    pub weather: Weather,
}

/// What the gateway is made to do. It is always judged by the promises of `intent` and `strict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// What it promises.
    AsPromised,
    /// `durability: memory` throughout, which loses events: so a test can see that a storm finds it.
    Memory,
}

/// What a storm came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What must not be. Empty if all promises were kept.
    pub violations: Vec<String>,
    /// Named points that a process was killed at.
    pub points: BTreeSet<&'static str>,
    /// Requests sent.
    pub requests: usize,
    /// Requests that the upstream executed.
    pub executed: usize,
    /// Events of outcome `succeeded`.
    pub succeeded: usize,
    /// Events of outcome `unknown`.
    pub unknown: usize,
    /// Of these, found by a restart.
    pub recovered: usize,
    /// Deliveries to the webhooks beyond one an event.
    pub repeated: usize,
    /// Reloads that changed something.
    pub reloads: usize,
    /// Changes by APIs that were acknowledged.
    pub edits: usize,
    /// Messages that the SNS and SQS APIs acknowledged.
    pub messages: usize,
}

/// Where the gateway listens now; nowhere while it is dead.
#[derive(Clone, Default)]
struct Target(Arc<Mutex<Option<Addresses>>>);

#[derive(Clone, Copy)]
struct Addresses {
    proxy: SocketAddr,
    hub: SocketAddr,
    legacy_admin: SocketAddr,
}

impl Target {
    fn set(&self, addresses: Option<Addresses>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    fn get(&self) -> Option<Addresses> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a process dies.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// This long after it was ready.
    Moment(Duration),
    /// At a point, when it has been passed this often.
    Point(&'static str, u32),
}

/// Runs a storm.
///
/// # Panics
/// If the gateway does not start, or not everything arrives in time.
pub fn run(plan: &Plan) -> Report {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let upstream = Upstream::start();
    let (webhook, ordered) = (Webhook::start(Manner::Moody), Webhook::start(Manner::Steady));
    let mut setup = Setup::new(&plan.program, config(plan.rules, &upstream, &webhook, &ordered));
    setup.env.push(("RETROHOOK_LOG".into(), "warn".into()));
    let jumps = (plan.weather == Weather::ClockJumps).then(|| Jumps::start(&mut setup, plan.seed));
    let mut reloads = (plan.weather == Weather::Reloads).then(|| Reloads::of(&setup, plan.seed));
    let target = Target::default();
    let traffic = Traffic::start(CLIENTS, &target, &mut rng);
    let queue = QueueReader::start(&target);
    let messages = Messages::start(&target);
    let edits =
        (plan.weather == Weather::Reloads).then(|| Edits::start(&target, upstream.address(), plan.seed));
    let mut report = Report::default();
    for kill in 0..plan.kills {
        let aim = choose(kill, plan.weather, &mut rng);
        let mut process = start(&setup, plan.weather, aim);
        if live_until(aim, &mut process, &target, reloads.as_mut()) == End::AtPoint
            && let Aim::Point(name, _) = aim
        {
            report.points.insert(name);
        }
        // What others make of a thread that stands still belongs to the storm.
        pause(Duration::from_millis(rng.u64(0..20)));
        target.set(None);
        note(&process.kill(), &mut report);
    }
    let mut last = setup.again();
    plan.weather.apply(&mut last);
    let process = last.start();
    target.set(Some(addresses(&process)));
    if jumps.is_some() {
        // One that was never seen would prove nothing.
        wait::until("a jump of the clock", || {
            let (_, status) = process.admin().status();
            (status["retrohook"]["clock"]["jumps"].as_u64()? > 0).then_some(())
        });
    }
    drop(jumps);
    if let Some(reloads) = &mut reloads {
        wait::until("a few reloads of the last process", || {
            reloads.go_on(&process);
            (process.reloads().len() > 1).then_some(())
        });
    }
    let sent = traffic.stop();
    messages.end_sending();
    if let Some(edits) = edits {
        report.edits = edits.stop(addresses(&process), &mut report.violations);
    }
    drain(&process, |log| {
        let of = |known: BTreeSet<String>| log.difference(&known).cloned().collect();
        [of(webhook.acknowledged()), of(ordered.acknowledged()), of(queue.events()), messages.missing()]
    });
    report.messages = messages.stop(&mut report.violations);
    report.violations.extend(verdict::disorder(&ordered.order()));
    let heard = vec![("webhook", webhook.heard()), ("ordered", ordered.heard()), ("queue", queue.stop())];
    let executed = upstream.executed();
    let targets = executed.iter().map(|request| request.target.as_str());
    let records = Records::new(sent, targets, heard);
    report.violations.extend(verdict::judge(&records));
    count(&records, &mut report);
    end_in_order(plan, &setup, process, &mut report);
    report
}

/// Half of the kills at a random moment, half at the points in turn.
fn choose(kill: u32, weather: Weather, rng: &mut fastrand::Rng) -> Aim {
    if kill.is_multiple_of(2) || weather == Weather::NobodyReads {
        return Aim::Moment(Duration::from_millis(rng.u64(20..700)));
    }
    let name = failpoint::ALL[kill as usize / 2 % failpoint::ALL.len()];
    // Few passes lead into the start itself, where the last death is being repaired.
    let passes = if rng.u8(0..4) == 0 { 0..4 } else { 4..150 };
    Aim::Point(name, rng.u32(passes))
}

fn start(setup: &Setup, weather: Weather, aim: Aim) -> Process {
    let mut setup = setup.again();
    weather.apply(&mut setup);
    if let Aim::Point(name, skip) = aim {
        setup.env.push(("FAILPOINTS".into(), format!("{name}={skip}*off->1*return->pause")));
    }
    setup.start_without_waiting()
}

/// Why a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    AtPoint,
    InTime,
}

/// Lets a process serve until it is to die.
fn live_until(aim: Aim, process: &mut Process, target: &Target, mut reloads: Option<&mut Reloads>) -> End {
    let began = Instant::now();
    let mut ready_at = None;
    loop {
        if let Some(status) = process.ended() {
            panic!("the gateway ended by itself with {status}:\n{}", process.output());
        }
        if ready_at.is_none() && process.listeners().contains_key("ready") {
            target.set(Some(addresses(process)));
            ready_at = Some(Instant::now());
        }
        if let (Some(_), Some(reloads)) = (ready_at, &mut reloads) {
            reloads.go_on(process);
        }
        let served = ready_at.map(|at| at.elapsed());
        match aim {
            Aim::Point(..) if process.output().contains(failpoint::REACHED) => return End::AtPoint,
            Aim::Point(..) if served > Some(POINT_PATIENCE) => return End::InTime,
            Aim::Moment(moment) if served > Some(moment) => return End::InTime,
            _ => {}
        }
        assert!(began.elapsed() < wait::SOON, "the gateway is not ready:\n{}", process.output());
        pause(Duration::from_millis(1));
    }
}

fn note(output: &str, report: &mut Report) {
    let taken = |line: &&str| line.starts_with("reloaded: ") && line.contains(" ms)");
    report.reloads += output.lines().filter(taken).count();
    let refused = output.lines().filter(|line| line.contains("not reloaded: "));
    report.violations.extend(refused.map(|line| format!("the gateway: {line}")));
    let panics = output.lines().filter(|line| line.contains("panicked at"));
    report.violations.extend(panics.map(|line| format!("the gateway: {line}")));
}

fn addresses(process: &Process) -> Addresses {
    let (hub, legacy_admin) = (process.address("hub"), process.address("legacy-admin"));
    Addresses { proxy: process.proxy(), hub, legacy_admin }
}

/// Waits until no intent is open, and everything in the log is with all subscribers; `missing` says what is not.
fn drain(process: &Process, missing: impl Fn(&BTreeSet<String>) -> [Vec<String>; 4]) {
    let admin = process.admin();
    wait::within(DRAIN, "all intents to be settled", || (admin.open_intents() == 0).then_some(()));
    let log = log(admin);
    let (mut least, mut progress) = (usize::MAX, Instant::now());
    loop {
        let missing = missing(&log);
        let counts = missing.each_ref().map(Vec::len);
        let left = counts.iter().sum();
        if left == 0 {
            return;
        }
        if left < least {
            (least, progress) = (left, Instant::now());
        }
        assert!(
            progress.elapsed() < DRAIN,
            "of {} events {counts:?} are missing at the webhooks and in the queues\nthe first of them:{}",
            log.len(),
            shown(admin, missing.iter().flatten())
        );
        pause(Duration::from_millis(50));
    }
}

/// What the gateway says of a few events.
fn shown<'e>(admin: Admin, events: impl Iterator<Item = &'e String>) -> String {
    events.take(5).map(|id| format!("\n{}", admin.event(id))).collect()
}

/// The ids of all events of requests in the log; messages have a record of their own.
fn log(admin: Admin) -> BTreeSet<String> {
    let id = |event: &serde_json::Value| event["id"].as_str().map(str::to_owned);
    admin.events().iter().filter(|event| event["topic"] == "storm").filter_map(id).collect()
}

fn count(records: &Records, report: &mut Report) {
    report.requests = records.sent.len();
    report.executed = records.executed.len();
    for (name, heard) in &records.subscribers {
        let distinct: BTreeSet<_> = heard.iter().map(|(_, told)| told).collect();
        let count = |outcome| distinct.iter().filter(|told| told.outcome == outcome).count();
        if *name == "queue" {
            // It alone is told the reason.
            let restarted = |told: &&&verdict::Told| told.reason.as_deref() == Some(verdict::RESTARTED);
            report.succeeded = count(Outcome::Succeeded);
            report.unknown = count(Outcome::Unknown);
            report.recovered = distinct.iter().filter(restarted).count();
        } else {
            report.repeated += heard.len() - distinct.len();
        }
    }
}

/// After all that, the process must stop in good order and its data must be whole.
fn end_in_order(plan: &Plan, setup: &Setup, mut process: Process, report: &mut Report) {
    process.signal(Signal::TERM);
    let status = process.wait();
    note(&process.output(), report);
    if !status.success() {
        report.violations.push(format!("the last process ended with {status}"));
    }
    let checked = Command::new(&plan.program).arg("check").arg("--data").arg(setup.data_dir()).output();
    let checked = checked.expect("the binary starts");
    if !checked.status.success() {
        let text = String::from_utf8_lossy(&checked.stdout).into_owned();
        report
            .violations
            .push(format!("the data is damaged: {text}{}", String::from_utf8_lossy(&checked.stderr)));
    }
}

fn config(rules: Rules, upstream: &Upstream, webhook: &Webhook, ordered: &Webhook) -> String {
    let service = |name: &str| {
        let durability = if rules == Rules::Memory { "memory" } else { name };
        format!(
            r#"
- name: {name}
  url: http://{}
  routes:
  - {{ name: {name}, paths: [/{name}] }}
  plugins:
  - name: publish-sns
    config:
      topic_arn: storm
      durability: {durability}
      key: "{{header:x-client}}"
      routes:
      - {{ method: PUT, matcher: "^/profiles/[0-9]+$" }}"#,
            upstream.address()
        )
    };
    format!(
        r#"_format_version: "3.0"
services:{}{}
topics:
- name: storm
  subscriptions:
  - {{ name: moody, protocol: http, endpoint: "{}", raw_message_delivery: true, confirm: skip }}
  - {{ name: ordered, protocol: http, endpoint: "{}", raw_message_delivery: true, confirm: skip, fifo: true }}
  - {{ protocol: sqs, endpoint: storm, raw_message_delivery: true }}
{}queues:
- {{ name: storm, visibility_timeout: 2 }}
{}"#,
        service("intent"),
        service("strict"),
        webhook.url(),
        ordered.url(),
        messages::topic(),
        messages::queue()
    )
}
