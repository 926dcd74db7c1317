//! What all measurements share: the stubs, the folders, and the one measurement that they are all made of.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::thread::CpuSet;

use crate::cpu::{Usage, quiet};
use crate::load::{Template, Until, closed};
use crate::options::Options;
use crate::peer::{Ground, Kind, LOAD_CORE, Peer, Programs, Rule, start_retrohook};
use crate::process::{allowed, bind};
use crate::stub::{Receiver, Upstream};

/// How long deliveries may lag behind the last request.
const DELIVERED: Duration = Duration::from_secs(120);
/// How long a program may be busy after the last delivery.
const QUIET: Duration = Duration::from_secs(10);
/// Before a measurement: connections are made, caches filled.
const WARM_UP: Duration = Duration::from_millis(500);

/// The stubs and the folders.
pub struct World {
    /// What is asked for.
    pub options: Options,
    /// The upstream of every program.
    pub upstream: Upstream,
    everywhere: CpuSet,
    folders: Cell<u32>,
}

/// A running program with its folder, which goes with it.
pub struct Running {
    /// The program.
    pub peer: Peer,
    // After the program: fields are dropped in their order.
    _folder: Folder,
}

impl Running {
    /// SIGTERM, and wait for the end.
    pub async fn terminate(self, patience: Duration) -> Result<(), String> {
        self.peer.process.terminate(patience).await.map(drop)
    }
}

/// A folder that is removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Its place.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it is removed by the next run.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is measured.
pub struct Candidate {
    /// For the table.
    pub name: String,
    /// The program.
    pub kind: Kind,
    /// The requests.
    pub template: Template,
    /// Deliveries of each request.
    pub deliveries: u64,
}

/// What a request costs, in microseconds of CPU time.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// The process, everything included.
    pub process: f64,
    /// Its threads by name.
    pub threads: BTreeMap<String, f64>,
    /// The disks' kernel threads.
    pub disk: f64,
    /// Requests per second.
    pub rate: f64,
    /// Requests per second until the last delivery had arrived.
    pub delivered_rate: f64,
    /// Connections that the receiver accepted for each delivery.
    pub connections: f64,
}

impl World {
    /// Starts the stubs and binds this thread to its core.
    pub async fn new(mut options: Options) -> Result<Self, String> {
        let everywhere = allowed()?;
        bind(LOAD_CORE)?;
        let _ = std::fs::remove_dir_all(&options.work);
        let unusable = |error| format!("cannot use {}: {error}", options.work.display());
        std::fs::create_dir_all(&options.work).map_err(unusable)?;
        // Programs take a relative path for relative to places of their own.
        options.work = std::fs::canonicalize(&options.work).map_err(unusable)?;
        let upstream = Upstream::start().await.map_err(|error| format!("no upstream: {error}"))?;
        Ok(Self { options, upstream, everywhere, folders: Cell::new(0) })
    }

    /// The programs.
    pub fn programs(&self) -> &Programs {
        &self.options.programs
    }

    /// A receiver with so many endpoints.
    pub async fn receiver(&self, endpoints: usize) -> Result<Rc<Receiver>, String> {
        let started = Receiver::start(endpoints).await;
        started.map(Rc::new).map_err(|error| format!("no receiver: {error}"))
    }

    /// A new empty folder.
    pub fn folder(&self) -> Result<Folder, String> {
        self.folders.set(self.folders.get() + 1);
        let folder = self.options.work.join(self.folders.get().to_string());
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Folder(folder))
    }

    /// Starts a program in a folder of its own.
    pub async fn start(&self, kind: &Kind, receiver: &Receiver) -> Result<Running, String> {
        let folder = self.folder()?;
        let peer = Peer::start(kind, &self.ground(&folder, receiver)?).await?;
        Ok(Running { peer, _folder: folder })
    }

    /// Starts Retrohook over a data directory that outlives it.
    pub async fn start_over(
        &self,
        rule: &Rule,
        folder: &Folder,
        receiver: &Receiver,
    ) -> Result<Peer, String> {
        start_retrohook(rule, &self.ground(folder, receiver)?, &folder.path().join("data")).await
    }

    fn ground<'a>(&'a self, folder: &'a Folder, receiver: &Receiver) -> Result<Ground<'a>, String> {
        Ok(Ground {
            programs: self.programs(),
            folder: folder.path(),
            everywhere: &self.everywhere,
            upstream: self.upstream.address,
            receiver: *receiver.addresses.first().ok_or("a receiver without an endpoint")?,
        })
    }

    /// Measures every candidate as often as asked for, in turn, each time with a fresh process.
    pub async fn compare(
        &self,
        candidates: &[Candidate],
        receiver: &Rc<Receiver>,
    ) -> Result<Vec<Vec<Cost>>, String> {
        let mut costs: Vec<Vec<Cost>> = candidates.iter().map(|_| Vec::new()).collect();
        for run in 1..=self.options.runs {
            for (candidate, costs) in candidates.iter().zip(&mut costs) {
                let running = self.start(&candidate.kind, receiver).await?;
                let until = Until::Time(self.options.time);
                let cost = self.cost(&running.peer, candidate, until, receiver).await;
                let cost = cost.map_err(|problem| {
                    format!("{}: {problem}\n    {}", candidate.name, running.peer.process.last_words())
                })?;
                crate::progress(&format!(
                    "run {run}: {}: {:.1} µs, disk {:.1} µs, {:.0} requests/s, {:.2} connections a delivery",
                    candidate.name, cost.process, cost.disk, cost.rate, cost.connections
                ));
                costs.push(cost);
            }
        }
        Ok(costs)
    }

    /// Warms a program up, loads it, waits until all is delivered and done, and reads what it used.
    pub async fn cost(
        &self,
        peer: &Peer,
        candidate: &Candidate,
        until: Until,
        receiver: &Rc<Receiver>,
    ) -> Result<Cost, String> {
        let connections = match until {
            Until::Time(_) => self.options.connections,
            // More would only wait for each other's deliveries.
            Until::Count { ahead, .. } => self.options.connections.min(ahead as usize),
        };
        let load = |until| closed(peer.address, &candidate.template, connections, until, receiver);
        receiver.reset(false);
        let warm = match until {
            Until::Time(_) => Until::Time(WARM_UP),
            Until::Count { ahead, deliveries, .. } => Until::Count { requests: ahead, ahead, deliveries },
        };
        let warmed = load(warm).await?;
        self.delivered(warmed.done * candidate.deliveries, receiver).await?;
        quiet(peer.pid(), QUIET).await;

        receiver.reset(false);
        let before = Usage::now(peer.pid())?;
        let began = std::time::Instant::now();
        let done = load(until).await?;
        self.delivered(done.done * candidate.deliveries, receiver).await?;
        let took = began.elapsed();
        quiet(peer.pid(), QUIET).await;
        let used = Usage::now(peer.pid())?.since(&before);
        if !self.upstream.alive() {
            return Err("the upstream stub ended".into());
        }
        let requests = done.done.max(1) as f64;
        Ok(Cost {
            process: used.process / requests,
            threads: used.threads.into_iter().map(|(name, micros)| (name, micros / requests)).collect(),
            disk: used.disk / requests,
            rate: done.rate(),
            delivered_rate: requests / took.as_secs_f64(),
            connections: receiver.connections() as f64 / receiver.received().max(1) as f64,
        })
    }

    /// Waits for deliveries; at least once means that there may be more.
    pub async fn delivered(&self, count: u64, receiver: &Receiver) -> Result<(), String> {
        if receiver.wait_for(count, DELIVERED).await {
            return Ok(());
        }
        Err(format!("{} of {count} deliveries came in {} s", receiver.received(), DELIVERED.as_secs()))
    }
}
