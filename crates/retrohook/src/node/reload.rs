//! Reading the files anew while the node runs, when SIGHUP asks for it.
//!
//! A reload runs on a thread of its own, so that no request feels it. It takes all of the files or nothing: they are read and checked as
//! at a start, compared with what is served, compiled, stored, and published; what fails on the way changes nothing and is printed. From the
//! commit that stores topics, queues and subscriptions on nothing can fail any more but the process: its next start reads the same files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use admin::{Configuration, Reloaded};
use config::{Config, Report};
use event::timestamp::Clock;
use gateway::Publisher;
use gateway::compile::CompileError;
use pipeline::ConfigProblem;
use storage::entities::Entities;
use storage::failpoint;
use tokio::runtime::Runtime;

use super::compiler::{self, Compiler};
use super::delivering::{Declare, DeclareError, declared};
use super::files::Files;
use super::reach::{self, Reach};
use super::{StartError, changes};
use crate::clock::WallClock;
use crate::{check, report};

/// How long cores may take to come to the next generation; each does between two steps of its requests.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);

/// What asks for reloads. When it is dropped there are no more.
pub struct Reload {
    asked: SyncSender<()>,
}

/// What a reload needs, and what the last one left.
pub struct Reloader {
    /// What is read.
    pub files: Files,
    /// What makes a generation of them.
    pub compiler: Compiler,
    /// Who serves it; `None` without a data path.
    pub publisher: Option<Publisher>,
    /// The configuration that is served.
    pub config: Config,
    /// What the store has of it.
    pub entities: Entities,
    /// What changes topics, queues, subscriptions and their workers.
    pub declare: Declare,
    /// What can be reached of the addresses in messages.
    pub reach: Reach,
    /// Where the admin port looks.
    pub known: Arc<Configuration>,
    /// A reload broke off after it had begun to change what is declared: what the store has may be that of other files.
    pub unsure: bool,
}

/// What came of a reload.
enum Outcome {
    Unchanged,
    /// Another generation is served; with how cores are behind, if some are.
    Published(u64, Option<String>),
}

/// Why a reload changed nothing.
enum Refused {
    /// A file that is none.
    ReadableOnce(PathBuf),
    Problems(Report),
    Declare(DeclareError),
    Compile(CompileError<ConfigProblem>),
    Publish(gateway::snapshot::NotNewer),
    Panicked,
}

impl Reload {
    /// Starts the thread that reloads.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(reloader: Reloader) -> Result<Self, StartError> {
        // No I/O: it waits for the cores alone.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(StartError::part("make a runtime"))?;
        // One more may wait: what it was asked for may have come after the one under way had read the files.
        let (asked, asks) = sync_channel(1);
        std::thread::Builder::new()
            .name("reload".into())
            .spawn(move || reloader.run(&asks, &runtime))
            .map_err(StartError::part("start a thread"))?;
        Ok(Self { asked })
    }

    /// Has the files read anew, soon. Asked while one is under way, there is one more after it, however often it was asked.
    pub fn ask(&self) {
        if let Err(TrySendError::Disconnected(())) = self.asked.try_send(()) {
            report::problem(
                "retrohook: not reloaded: the thread that reloads has ended; restart this process to have the files read",
            );
        }
    }
}

impl Reloader {
    fn run(mut self, asks: &Receiver<()>, runtime: &Runtime) {
        while asks.recv().is_ok() {
            if self.files.are_none() {
                report::line(
                    "not reloaded: there is no file to read, because this node was started without one (-c FILE)",
                );
                continue;
            }
            let began = Instant::now();
            // A bug in the reading of a file must not end the reading of files. Nothing is half changed: what is served is replaced as a whole.
            let ended = catch_unwind(AssertUnwindSafe(|| self.reload(runtime)));
            match ended.unwrap_or(Err(Refused::Panicked)) {
                Ok(outcome) => self.taken(&outcome, began.elapsed()),
                Err(refused) => self.refused(&refused),
            }
        }
    }

    fn reload(&mut self, runtime: &Runtime) -> Result<Outcome, Refused> {
        if let Some(path) = self.files.readable_once() {
            return Err(Refused::ReadableOnce(path.to_owned()));
        }
        let config = self.files.read().map_err(Refused::Problems)?;
        failpoint::hit(failpoint::RELOAD);
        let hub_changes = self.config.hub_changes(&config);
        let routes_change = !self.config.serves_as(&config);
        let declares = !hub_changes.is_empty() || self.unsure;
        if !declares && !routes_change {
            return Ok(Outcome::Unchanged);
        }
        let generation = self.known.generation() + 1;
        if routes_change {
            // What cannot be compiled is found before anything has changed; the topics of the store are not those of the files yet.
            let topics = compiler::placeholders(&config);
            self.compiler.compile(generation, &config, &topics).map_err(Refused::Compile)?;
        }
        check::warnings(&config);
        if declares {
            reach::warnings(&config, &self.reach)
                .iter()
                .for_each(|warning| report::problem(&format!("warning: {warning}")));
            let older = (!self.unsure).then_some((&self.config, &self.entities));
            let was_unsure = std::mem::replace(&mut self.unsure, true);
            self.entities = self.declare.change(older, &config).map_err(|error| {
                self.unsure = was_unsure || !matches!(error, DeclareError::Full(_));
                Refused::Declare(error)
            })?;
            self.known.declare(declared(&config, &self.entities));
            changes::say_what_changed(&hub_changes);
            failpoint::hit(failpoint::DECLARED);
        }
        let behind = match &self.publisher {
            Some(publisher) if routes_change => {
                let topics = compiler::topics(&self.entities);
                let snapshot =
                    self.compiler.compile(generation, &config, &topics).map_err(Refused::Compile)?;
                let receipt = publisher.publish(Arc::new(snapshot)).map_err(Refused::Publish)?;
                runtime.block_on(receipt.held_by_all(FOLLOWED_WITHIN)).err()
            }
            _ => None,
        };
        self.config = config;
        self.unsure = false;
        Ok(Outcome::Published(generation, behind.map(|behind| behind.to_string())))
    }

    fn taken(&self, outcome: &Outcome, took: Duration) {
        match outcome {
            Outcome::Unchanged => {
                self.known.reloaded(WallClock.now(), Reloaded::Unchanged);
                report::line(&format!("reloaded: nothing changed (generation {})", self.known.generation()));
            }
            Outcome::Published(generation, behind) => {
                self.known.reloaded(WallClock.now(), Reloaded::Taken { generation: *generation });
                if let Some(behind) = behind {
                    report::problem(&format!(
                        "warning: {behind}: until they do, they serve the configuration of before"
                    ));
                }
                let (summary, millis) = (check::summary(&self.config), took.as_millis());
                report::line(&format!("reloaded: {summary} (generation {generation}, in {millis} ms)"));
            }
        }
    }

    fn refused(&self, refused: &Refused) {
        refused.details().iter().for_each(|line| report::problem(line));
        let cause = refused.cause();
        report::problem(&format!(
            "retrohook: not reloaded: {cause}; the old configuration stands (generation {})",
            self.known.generation()
        ));
        self.known.reloaded(WallClock.now(), Reloaded::Refused { cause });
    }
}

impl Refused {
    /// In one line.
    fn cause(&self) -> String {
        match self {
            Self::ReadableOnce(path) => {
                format!("{} is not a regular file, and was read once at the start", path.display())
            }
            Self::Problems(report) if report.problems.len() == 1 => "the configuration has a problem".into(),
            Self::Problems(report) => format!("the configuration has {} problems", report.problems.len()),
            Self::Declare(error) => report::with_causes(error),
            Self::Compile(_) => "the configuration cannot be compiled".into(),
            Self::Publish(error) => format!("{error}; this is a bug in Retrohook"),
            Self::Panicked => {
                "reading the configuration failed; this is a bug in Retrohook, see the log".into()
            }
        }
    }

    /// What is printed before it.
    fn details(&self) -> Vec<String> {
        match self {
            Self::Problems(report) => vec![report.to_string()],
            Self::Compile(error) => vec![report::with_causes(error), check::TOO_LARGE.to_owned()],
            Self::ReadableOnce(_) | Self::Declare(_) | Self::Publish(_) | Self::Panicked => Vec::new(),
        }
    }
}
