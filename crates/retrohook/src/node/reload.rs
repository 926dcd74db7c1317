//! Reading the files again while the node runs, when SIGHUP or the admin port asks for it.
//!
//! A reload runs on a thread of its own, so that it does not slow requests. It takes all of the files or nothing: they are read and checked as
//! at a start, compared with what is served, compiled, stored, and published. If a step fails, nothing changes and the reason is printed. After
//! the commit that stores topics, queues and subscriptions, only the process or the store can fail: then the reload reports that it does not
//! know what is served, and the next reload or start makes everything consistent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use admin::reload::{self, Asked, Asks, Fault, Problem};
use admin::{Configuration, Reloaded};
use config::Report;
use control::{Control, Dangling, Merged, OtherId, Whole};
use entities::{Entity, Kind};
use event::timestamp::Clock;
use gateway::compile::CompileError;
use gateway::snapshot::Retired;
use gateway::{Publisher, Snapshot};
use pipeline::ConfigProblem;
use storage::entities::{Entities, Subscription};
use storage::failpoint;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::changes::Before;
use super::compiler::{self, Compiler};
use super::delivering::{Declare, DeclareError, declared};
use super::files::{Checked, Files};
use super::laps::Laps;
use super::named::Named;
use super::reach::{self, Reach};
use super::remembered::{self, Remembered, Source, Unsaid};
use super::{StartError, changes, remote};
use crate::clock::WallClock;
use crate::{check, report};

/// How long cores may take until they use the next generation; each takes it over between two steps of its requests.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);
/// The time between two attempts to finish a change for which the store had no room.
const FINISH_EVERY: Duration = Duration::from_secs(2);
/// The time between two checks whether an old generation is still in use.
const LOOK_AT_RETIRED_EVERY: Duration = Duration::from_secs(1);

/// The niceness of the thread that makes changes, from 0 to 19: at 10 it gets a tenth of another thread's share of a busy core.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The reason why it is not known whether a change is stored; it holds until the change is completed.
pub const BROKE_OFF: &str = "it ended unexpectedly, which is a bug in Retrohook; see the log lines";

/// What a reload needs, and the result of the last one.
pub struct Reloader {
    /// The files to read.
    pub files: Files,
    /// Compiles them into a generation.
    pub compiler: Compiler,
    /// Publishes it to the cores; `None` without a data path.
    pub publisher: Option<Publisher>,
    /// The configuration that is served.
    pub whole: Whole,
    /// Where those who ask for changes see what is served.
    pub control: Control,
    /// Its topics, queues and subscriptions as the store has them.
    pub entities: Entities,
    /// Changes topics, queues, subscriptions and their workers.
    pub declare: Declare,
    /// Whether the addresses in messages can be reached.
    pub reach: Reach,
    /// What the admin port shows.
    pub known: Arc<Configuration>,
    /// If a change broke off after its storing had begun, the reason: the store may have more than what is served.
    pub unsure: Option<String>,
    /// Whether the reason is that the store had no room for the rest. Then the rest is retried until there is room.
    pub is_unfinished: bool,
    /// Ids of entities in the files that are not in the files.
    pub other_ids: Vec<OtherId>,
    /// Old generations that requests may still use.
    pub retired: Vec<Retired>,
    /// The steps of the change under way.
    pub laps: Laps,
}

/// The result of a reload.
enum Outcome {
    Unchanged,
    Published(Published),
}

/// Another generation is served.
struct Published {
    generation: u64,
    changes: Vec<String>,
    warnings: Vec<String>,
}

/// Why a reload failed. It changed nothing, unless [`Reloader::unsure`] says otherwise.
pub enum Refused {
    /// There are no files.
    NoFiles,
    /// A file that is not a regular file.
    ReadableOnce(PathBuf),
    Problems(Report),
    /// Something that APIs made refers to something that the files no longer have.
    StillUsed(Vec<Dangling>),
    Declare(DeclareError),
    Compile(CompileError<ConfigProblem>),
    Publish(gateway::snapshot::NotNewer),
    Panicked,
}

impl Reloader {
    /// Starts the thread that reloads whenever somebody asks.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(self, asks: Asks) -> Result<(), StartError> {
        // No I/O: it only waits for the cores.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(StartError::part("make a runtime"))?;
        let run = move || {
            give_way();
            self.run(&asks, &runtime);
        };
        let thread = std::thread::Builder::new().name("reload".into()).spawn(run);
        thread.map(drop).map_err(StartError::part("start a thread"))
    }

    fn run(mut self, asks: &Asks, runtime: &Runtime) {
        loop {
            // Nobody waits for it.
            if std::mem::take(&mut self.files.written.has_replaced) {
                self.declare.drop_unfinished();
            }
            let asked = match (self.is_unfinished, self.retired.is_empty()) {
                (true, _) => asks.next_within(FINISH_EVERY),
                (false, false) => asks.next_within(LOOK_AT_RETIRED_EVERY),
                (false, true) => asks.next().ok_or(RecvTimeoutError::Disconnected),
            };
            self.retired.retain(Retired::is_in_use);
            let waiting = match asked {
                Ok(waiting) => waiting,
                Err(RecvTimeoutError::Timeout) => {
                    self.finish(runtime);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut reloaded = None;
            for asked in waiting {
                let (text, told) = match asked {
                    Asked::Configuration { text, told } => (text, told),
                    Asked::Change(job) => {
                        reloaded = None;
                        self.change(job, runtime);
                        continue;
                    }
                };
                let report = match text {
                    Some(text) => {
                        // After this change, the files have to be read again.
                        reloaded = None;
                        self.serve(runtime, Source::Api, |this, runtime| this.take_given(text, runtime))
                    }
                    // All that asked for a reload get the result of one reading.
                    None => reloaded
                        .get_or_insert_with(|| self.serve(runtime, Source::Files, Self::reload))
                        .clone(),
                };
                // The one who asked may be gone.
                told.into_iter().for_each(|told| drop(told.send(report.clone())));
            }
        }
    }

    /// Finishes a change for which the store had no room.
    fn finish(&mut self, runtime: &Runtime) {
        if !self.is_unfinished {
            return;
        }
        // It failed for another reason this time; `unsure` still says so.
        let ended = catch_unwind(AssertUnwindSafe(|| self.recover(runtime)));
        self.is_unfinished &= ended.is_ok();
        if matches!(ended, Ok(Ok(()))) {
            // The change that had no room is served now.
            let generation = self.known.generation();
            self.known.reloaded(WallClock.now(), Reloaded::Taken { generation });
        }
        self.say_whether_sure();
    }

    /// Changes the configuration, prints the result, and reports it to those who asked.
    fn serve(
        &mut self,
        runtime: &Runtime,
        from: Source,
        change: impl FnOnce(&mut Self, &Runtime) -> Result<Outcome, Refused>,
    ) -> reload::Report {
        let began = Instant::now();
        self.laps = Laps::begin();
        // A bug in one reload must not prevent the next ones. What is served is replaced as a whole, and `unsure` says if something may be half
        // changed.
        let ended = catch_unwind(AssertUnwindSafe(|| change(self, runtime)));
        self.say_whether_sure();
        self.laps.say();
        if from == Source::Api {
            report::line("POST /config: a configuration was given in the place of the files");
        }
        match ended.unwrap_or(Err(Refused::Panicked)) {
            Ok(outcome) => self.taken(outcome, began.elapsed()),
            Err(refused) => self.refused(&refused, from, began.elapsed()),
        }
    }

    /// Serves a text instead of the files.
    fn take_given(&mut self, text: String, runtime: &Runtime) -> Result<Outcome, Refused> {
        let checked = self.files.check_given(text).map_err(Refused::Problems)?;
        self.take(checked, runtime)
    }

    fn reload(&mut self, runtime: &Runtime) -> Result<Outcome, Refused> {
        if self.files.are_none() {
            return Err(Refused::NoFiles);
        }
        if let Some(path) = self.files.readable_once() {
            return Err(Refused::ReadableOnce(path.to_owned()));
        }
        let checked = self.files.read().map_err(Refused::Problems)?;
        failpoint::hit(failpoint::RELOAD);
        self.take(checked, runtime)
    }

    /// Replaces the configuration that is served.
    fn take(&mut self, checked: Checked, runtime: &Runtime) -> Result<Outcome, Refused> {
        self.laps.end("read");
        let (api, known) = match self.unsure {
            None => (self.whole.api().clone(), self.other_ids.clone()),
            // This also covers changes of APIs that broke off.
            Some(_) => {
                let (kept, made) = self.declare.kept().map_err(Refused::Declare)?;
                (made, kept.map(|kept| kept.other_ids()).unwrap_or_default())
            }
        };
        let (mut files, now) = (checked.config.set.clone(), WallClock.now());
        let before = self.whole.file();
        Unsaid::of(api.topics.iter().chain(&before.topics), api.queues.iter().chain(&before.queues))
            .keep(&mut files, now);
        let kept = checked.remembered.with_unsaid(&files);
        let merged = Whole::merge_knowing(files, api, &known);
        let gone = merged.gone();
        let Merged { whole, adopted, other_ids, rewritten, .. } = merged;
        let whole = whole.with_implied(&remote::missing(&self.compiler, &whole, now));
        let checked = Checked { remembered: kept.with_ids(&other_ids), ..checked };
        let config = &checked.config;
        self.refuse_what_is_used(&whole)?;
        let hub_changes = control::hub_changes(self.whole.all(), whole.all());
        let routes_change = self.whole.served() != whole.served();
        let declares = !hub_changes.is_empty() || !adopted.is_empty() || self.unsure.is_some();
        self.laps.end("compared");
        if !declares && !routes_change {
            // Another text for the same configuration, for example with a reference instead of a secret.
            self.keep(&checked.remembered)?;
            self.other_ids = other_ids;
            return Ok(Outcome::Unchanged);
        }
        let generation = self.known.generation() + 1;
        // If it cannot be compiled, that is found before anything has changed.
        let mut snapshot = if routes_change { self.compile(generation, &whole)? } else { None };
        self.laps.end("compiled");
        let mut warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        warnings.extend(adopted.iter().map(changes::adopted));
        let mut changes = Vec::new();
        if declares {
            warnings.extend(reach::warnings(config, &self.reach));
            let before = self.declare.before(&hub_changes).map_err(Refused::Declare)?;
            self.declare(&checked, &whole, &before, (gone, rewritten))?;
            changes = changes::described(&hub_changes, &self.declare.owed(&before, &self.entities));
        } else {
            self.keep(&checked.remembered)?;
            self.unsure = Some(BROKE_OFF.into());
        }
        self.laps.end("stored");
        failpoint::hit(failpoint::DECLARED);
        if routes_change && snapshot.is_none() {
            snapshot = self.compile(generation, &whole)?;
            self.laps.end("compiled again");
        }
        if let Some(snapshot) = snapshot {
            warnings.extend(self.publish(snapshot, runtime)?);
            self.laps.end("published");
        }
        self.serve_whole(whole);
        self.other_ids = other_ids;
        self.unsure = None;
        Ok(Outcome::Published(Published { generation, changes, warnings }))
    }

    /// Refuses files that drop something to which entities made by APIs refer.
    fn refuse_what_is_used(&self, whole: &Whole) -> Result<(), Refused> {
        let (mut dangling, before) = (whole.dangling(), self.whole.dangling());
        // References that led nowhere before do not count.
        dangling.retain(|one| !before.contains(one));
        let named = Named::find(&self.compiler, whole, self.whole.all());
        dangling.extend(named.iter().map(Named::dangling));
        if dangling.is_empty() { Ok(()) } else { Err(Refused::StillUsed(dangling)) }
    }

    /// Serves what the store has, as a start would: a change that broke off is in it completely or not at all.
    ///
    /// # Errors
    /// Why it is still unknown what the store has.
    pub fn recover(&mut self, runtime: &Runtime) -> Result<(), String> {
        let recovered = self.declare.kept().map_err(Refused::Declare).and_then(|(kept, _)| {
            let nothing = Remembered::new(Source::Files, Vec::new());
            let checked = self.files.check(kept.unwrap_or(nothing)).map_err(Refused::Problems)?;
            self.take(checked, runtime)
        });
        match recovered {
            Ok(Outcome::Published(Published { generation, .. })) => {
                self.known.edited(WallClock.now(), generation);
                report::line(&format!(
                    "a change that broke off is served as the store has it (generation {generation})"
                ));
            }
            Ok(Outcome::Unchanged) => {}
            Err(refused) => return Err(refused.cause()),
        }
        self.say_whether_sure();
        Ok(())
    }

    /// Shows operators whether it is unknown what the store has.
    pub fn say_whether_sure(&self) {
        self.known.broke_off(self.unsure.clone());
    }

    /// The stored subscription for one of the configuration.
    pub fn stored(&self, one: &entities::Subscription) -> Option<&Subscription> {
        let topic = self.entities.topics.iter().find(|topic| topic.name == one.topic)?.id;
        let is_it = |known: &&Subscription| {
            (known.topic, known.protocol, &known.endpoint) == (topic, one.protocol, &one.endpoint)
        };
        self.entities.subscriptions.iter().find(is_it)
    }

    pub fn serve_whole(&mut self, whole: Whole) {
        self.control.publish(whole.clone());
        self.whole = whole;
    }

    /// Stores texts that do not change topics, queues or subscriptions.
    fn keep(&mut self, remembered: &Remembered) -> Result<(), Refused> {
        let staged = self.declare.stage(remembered, &mut self.files.written).map_err(Refused::Declare)?;
        self.declare.keep(move |tx| staged.keep(tx)).map_err(Refused::Declare)?;
        self.files.written.has_replaced = true;
        Ok(())
    }

    fn declare(
        &mut self,
        checked: &Checked,
        whole: &Whole,
        before: &Before,
        (gone, rewritten): (Vec<(Kind, Uuid)>, Vec<Entity>),
    ) -> Result<(), Refused> {
        let older = self.unsure.is_none().then_some((&**self.whole.all(), &self.entities));
        let staged =
            self.declare.stage(&checked.remembered, &mut self.files.written).map_err(Refused::Declare)?;
        let was_unsure = self.unsure.replace(BROKE_OFF.into());
        let rewritten = rewritten.iter().map(control::rows::row).collect();
        let also = remembered::with_rows(staged, gone, rewritten);
        self.entities = self.declare.change(older, whole.all(), before, also).map_err(|error| {
            self.unsure = if error.left_all() { was_unsure } else { Some(report::with_causes(&error)) };
            self.is_unfinished |= matches!(error, DeclareError::Unfinished(_));
            Refused::Declare(error)
        })?;
        self.is_unfinished = false;
        self.files.written.has_replaced = true;
        self.known.declare(declared(whole.all(), &self.entities));
        Ok(())
    }

    /// Compiles a generation. `None` if it can be compiled, but the store does not have all of its topics yet.
    pub fn compile(&self, generation: u64, whole: &Whole) -> Result<Option<Snapshot>, Refused> {
        let topics = compiler::topics(&self.entities);
        let are_there = whole.all().topics.iter().all(|topic| topics.contains_key(&topic.name));
        let topics = if are_there { topics } else { compiler::placeholders(whole.all()) };
        let snapshot =
            self.compiler.compile(generation, whole.served(), &topics).map_err(Refused::Compile)?;
        Ok(are_there.then_some(snapshot))
    }

    /// Serves another generation. Returns a warning if a core does not take it over in time.
    pub fn publish(&mut self, snapshot: Snapshot, runtime: &Runtime) -> Result<Option<String>, Refused> {
        let Some(publisher) = &self.publisher else { return Ok(None) };
        let mut receipt = publisher.publish(Arc::new(snapshot)).map_err(Refused::Publish)?;
        let behind = runtime.block_on(receipt.held_by_all(FOLLOWED_WITHIN)).err();
        self.retired.push(receipt.into_previous());
        Ok(behind.map(|behind| format!("{behind}: until then, they serve the old configuration")))
    }

    fn taken(&self, outcome: Outcome, took: Duration) -> reload::Report {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Unchanged => {
                self.known.reloaded(WallClock.now(), Reloaded::Unchanged);
                let generation = self.known.generation();
                let message = format!("nothing changed (generation {generation})");
                report::line(&format!("reloaded: {message}"));
                self.report(reload::Outcome::Unchanged, millis, message)
            }
            Outcome::Published(Published { generation, changes, warnings }) => {
                self.known.reloaded(WallClock.now(), Reloaded::Taken { generation });
                warnings.iter().for_each(|warning| report::problem(&format!("warning: {warning}")));
                changes.iter().for_each(|change| report::line(change));
                let message = format!(
                    "{} (generation {generation}, in {millis} ms)",
                    check::summary(self.whole.all(), self.whole.served())
                );
                report::line(&format!("reloaded: {message}"));
                let report = self.report(reload::Outcome::Taken, millis, message);
                reload::Report { changes, warnings, ..report }
            }
        }
    }

    fn refused(&self, refused: &Refused, from: Source, took: Duration) -> reload::Report {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (cause, generation) = (refused.cause(), self.known.generation());
        // Before the lines, so that whoever reads them finds it in the status. A configuration from `POST /config` that was refused is not a
        // problem of this node.
        if self.unsure.is_some() || (from == Source::Files && !matches!(refused, Refused::NoFiles)) {
            self.known.reloaded(WallClock.now(), Reloaded::Refused { cause: cause.clone() });
        }
        if let Refused::Problems(problems) = refused {
            report::problem(&problems.to_string());
        } else {
            for problem in refused.problems() {
                report::problem(&format!("{}\n  hint: {}", problem.message, problem.hint));
            }
        }
        let message = match self.unsure.is_some() {
            false => format!("{cause}; the old configuration stays (generation {generation})"),
            true if self.is_unfinished => {
                format!(
                    "{cause}; routes are those of the old configuration (generation {generation}) until then"
                )
            }
            true => format!(
                "{cause}; routes are those of the old configuration (generation {generation}), and topics, queues and subscriptions may be \
                 those of the new one: reload again, or restart"
            ),
        };
        report::problem(&format!("retrohook: not reloaded: {message}"));
        let warnings = match refused {
            Refused::Problems(report) => report.warnings.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let report = self.report(reload::Outcome::Refused, millis, message);
        reload::Report { fault: Some(refused.fault()), problems: refused.problems(), warnings, ..report }
    }

    fn report(&self, result: reload::Outcome, millis: u64, message: String) -> reload::Report {
        let generation = self.known.generation();
        let (changes, warnings, problems) = (Vec::new(), Vec::new(), Vec::new());
        reload::Report { result, generation, millis, message, fault: None, changes, warnings, problems }
    }
}

/// Lowers the priority of this thread below those that serve requests: reading and compiling thousands of routes takes as long as a hundred
/// requests.
fn give_way() {
    // On Linux this applies to the thread. Nothing depends on its success.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

impl Refused {
    fn fault(&self) -> Fault {
        match self {
            Self::NoFiles
            | Self::ReadableOnce(_)
            | Self::Problems(_)
            | Self::StillUsed(_)
            | Self::Compile(_) => Fault::Configuration,
            Self::Declare(_) => Fault::Node,
            Self::Publish(_) | Self::Panicked => Fault::Bug,
        }
    }

    /// In one line.
    pub fn cause(&self) -> String {
        match self {
            Self::NoFiles => {
                "there is no file to read, because this node was started without one (-c FILE)".into()
            }
            Self::ReadableOnce(path) => {
                format!("{} is not a regular file, and was read once at the start", path.display())
            }
            Self::Problems(report) if report.problems.len() == 1 => "the configuration has a problem".into(),
            Self::Problems(report) => format!("the configuration has {} problems", report.problems.len()),
            Self::StillUsed(_) => "the configuration lacks something that entities made by APIs need".into(),
            Self::Declare(error) => report::with_causes(error),
            Self::Compile(_) => "the configuration cannot be compiled".into(),
            Self::Publish(error) => format!("{error}; this is a bug in Retrohook"),
            Self::Panicked => {
                "reading the configuration failed; this is a bug in Retrohook; see the log lines".into()
            }
        }
    }

    /// What is wrong with the files.
    fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Problems(report) => report.problems.iter().map(problem).collect(),
            Self::StillUsed(dangling) => dangling.iter().map(changes::dangling).map(by_apis).collect(),
            Self::Compile(error) => vec![Problem {
                file: String::new(),
                line: None,
                column: None,
                path: String::new(),
                message: report::with_causes(error),
                hint: check::TOO_LARGE.to_owned(),
            }],
            Self::NoFiles | Self::ReadableOnce(_) | Self::Declare(_) | Self::Publish(_) | Self::Panicked => {
                Vec::new()
            }
        }
    }
}

/// A problem from a message and a hint about something that APIs made.
fn by_apis((message, hint): (String, String)) -> Problem {
    Problem { file: String::new(), line: None, column: None, path: String::new(), message, hint }
}

fn problem(found: &config::Problem) -> Problem {
    let config::Problem { file, place, path, message, hint } = found.clone();
    let (line, column) = place.map(|place| (place.line, place.column)).unzip();
    Problem { file, line, column, path, message, hint }
}
