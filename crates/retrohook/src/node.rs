//! `retrohook run`: bind early, start late, drain once.
//!
//! The order of a start: configuration, sockets, store (which first finishes what the last run left), workers, hub, admin, and last the data
//! path. The order of a stop: the data path, the hub and the deliveries drain at the same time and with one deadline; then the admin port
//! closes, then the store.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::Configuration;
use admin::reload::{Reloads, reloads};
use control::{Control, Dangling, Merged, OtherId, Reference, Whole};
use entities::{Entity, Kind, Plugin, Served, Set};
use event::timestamp::Clock;
use gateway::{Cut, Gateway};
use listener::unix::UnixError;
use storage::vital::{self, Death, Deaths};
use storage::writer::STALLED_AFTER;

use crate::cli::RunArgs;
use crate::clock::WallClock;
use crate::{check, logs, output, report};

mod access_log;
mod changes;
mod closed;
mod compiler;
mod delivering;
mod descriptors;
mod editing;
mod files;
mod laps;
mod ledger;
mod named;
pub mod reach;
mod refused;
mod reload;
mod remembered;
pub mod remote;
mod serving;
pub mod settings;
mod signals;
mod sockets;

use access_log::AccessLog;
use compiler::Compiler;
use delivering::{Calls, Delivering};
use descriptors::Descriptors;
use files::{Checked, Files};
use laps::Laps;
use ledger::{CloseError, Ledger};
use named::Named;
use reload::Reloader;
use remembered::{Remembered, Source, Unsaid};
use serving::{Counts, Listeners, Serving};
use signals::{Ending, Signals};
use sockets::{Socket, Sockets};

/// Why a node does not start. Each error names the setting to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has problems; they have been printed.
    #[error("the configuration has problems; nothing was started")]
    Configuration,
    /// A store of an older version, which did not keep its configuration.
    #[error(
        "the data directory has subscriptions, and no configuration: it was written by an older version. Start once with the files (-c FILE); \
         without them all subscriptions would count as taken out, and what they are owed would be dropped after a day"
    )]
    NoConfiguration,
    /// A listener's address cannot be bound.
    #[error("cannot listen on {address} ({setting}): {}", refused::unbound(setting, *address, source))]
    Listen {
        /// The flag.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A listener's Unix socket cannot be bound.
    #[error("cannot listen on unix:{path} ({setting})")]
    ListenUnix {
        /// The flag.
        setting: &'static str,
        /// Its value.
        path: PathBuf,
        /// Why.
        #[source]
        source: UnixError,
    },
    /// A Unix socket for the data path.
    #[error("{0} takes no Unix socket: give it an IP address with port, like 127.0.0.1:8000")]
    NoUnix(&'static str),
    /// A value of `--allow-endpoints`.
    #[error("--allow-endpoints: {0}")]
    AllowEndpoints(String),
    /// `--hub-url` is not a URL.
    #[error("--hub-url: `{0}` is not an address for messages: write it like https://hooks.example.com")]
    HubUrl(String),
    /// The access log's file.
    #[error("cannot open the access log's file {path} (--access-log-file)")]
    AccessLog {
        /// The flag's value.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file for an access log that is off.
    #[error("--access-log-file has no effect while --access-log is off: add --access-log=json or text")]
    AccessLogIsOff,
    /// Standard output would be JSON in part.
    #[error(
        "with --log-format=json every line of standard output is JSON: write --access-log=json, or give it a file (--access-log-file)"
    )]
    AccessLogIsText,
    /// The data directory.
    #[error("cannot use the data directory (--data-dir)")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// The disk of the data directory.
    #[error("{advice}")]
    NoRoom {
        /// How much there is, how much is needed, and what to do.
        advice: String,
        /// What could not be written.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Anything else that failed, in Retrohook or in the system.
    #[error("cannot {what}")]
    Part {
        /// What could not be done.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StartError {
    fn part<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Part { what, source: source.into() }
    }

    /// With advice where the disk of the data directory is full, whatever it was that found no room.
    fn on_disk(self, dir: &Path, min_free: u64) -> Self {
        match self {
            Self::Store(source) | Self::Part { source, .. } if refused::is_for_want_of_room(&*source) => {
                Self::NoRoom { advice: refused::without_room(dir, min_free), source }
            }
            other => other,
        }
    }
}

/// How long the other parts may take to end after a part has died.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long the admin port's last answers may take after the deadline.
const LAST_ANSWERS: Duration = Duration::from_millis(100);
/// How long the writer's last commit may take if the other parts have used up the deadline.
const LAST_COMMIT: Duration = Duration::from_secs(1);
/// How long the last lines may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The exit status after the death of a part: a bug in Retrohook (`EX_SOFTWARE` of sysexits.h).
const PART_DIED: u8 = 70;

/// Runs a node until it is told to stop.
pub fn run(args: RunArgs) -> ExitCode {
    // Without the thread, each thread writes its own lines.
    let output = output::Queue::start();
    output::write_as(args.node.log_format);
    logs::init(args.node.log_format);
    logs::log_panics();
    if let Err(error) = output {
        tracing::warn!(%error, "cannot start a thread for the output: if nobody reads the output, this process may hang");
    }
    let (dir, min_free) = (args.node.data_dir.clone(), args.node.min_free);
    let started = Node::start(args).map_err(|error| error.on_disk(&dir, min_free));
    let code = match started {
        Ok(node) => node.serve(),
        Err(error) => {
            report::failure("did not start", &error);
            ExitCode::FAILURE
        }
    };
    output::flush(LAST_WORDS);
    code
}

/// A node that serves.
struct Node {
    parts: Parts,
    signals: Signals,
    reloads: Reloads,
    deaths: Deaths,
    drain_timeout: Duration,
    access_log: Option<AccessLog>,
}

/// What runs.
struct Parts {
    gateway: Option<gateway::Running>,
    serving: Serving,
    delivering: Delivering,
    ledger: Ledger,
}

impl Node {
    fn start(args: RunArgs) -> Result<Self, StartError> {
        let began = Instant::now();
        let mut signals = Signals::listen();
        report::line(&format!("retrohook {}", env!("CARGO_PKG_VERSION")));
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let names = settings::names(&args.node);
        let mut files = Files::of(args.config, &args.node, args.skip, clock.now());
        let given = if files.are_none() { None } else { Some(accepted(files.read())?) };
        let node = args.node;
        let allow = settings::checked(&node)?;
        let access_log = settings::access_log(&node)?;
        let resolver = dialing::Names::system();
        let roots = dialing::tls::SystemRoots::default();
        let descriptors = Descriptors::raise(settings::workers(&node));
        let sockets = Sockets::bind(settings::sockets(&node), &descriptors, resolver.clone())?;
        warn(sockets.warnings().into_iter().chain(descriptors.warning()));
        let hubs = settings::hubs(&node, sockets.hub.as_ref().and_then(Socket::address));
        let (vitals, deaths) = vital::vitals();
        let mut ledger = Ledger::open(settings::ledger(&node), clock.clone(), vitals.clone())?;
        let compiler = Compiler::new(&names, hubs.clone(), &ledger, clock.clone(), roots.clone());
        let (config, whole, other_ids) = declared(&mut files, given, &mut ledger, &compiler)?;
        ledger.say(&node.data_dir)?;
        let reach = sockets.reach(node.hub_url.clone(), allow.clone());
        warn(reach::warnings(&config, &reach).into_iter().chain(reach::closed_of_apis(whole.api(), &allow)));
        let calls = Calls { allow, names: resolver, roots, descriptors: &descriptors };
        let hub = settings::hub(names, &reach, &descriptors);
        let (delivering, declare) = Delivering::start(hub, whole.all(), &ledger, calls, clock.clone())?;
        let declared = delivering::declared(whole.all(), &ledger.entities);
        let known = Arc::new(Configuration::loaded(clock.now(), declared));
        let first = first(&compiler, &known, &whole, &ledger)?;
        let start = |gateway| logged(gateway, access_log.as_ref()).start(first, clock.clone(), &vitals);
        let gateway = sockets.proxy.map(start).transpose().map_err(StartError::part("start a core"))?;
        let counts = counts(gateway.as_ref(), &compiler, access_log.as_ref());
        let Sockets { admin, legacy_admin, hub, hub_public, .. } = sockets;
        let listeners = Listeners { admin, legacy_admin, hub, hub_public };
        let (reloads, asks) = reloads();
        let control = control(whole.clone(), reloads.clone());
        let shared = serving::Shared {
            vitals: &vitals,
            descriptors: &descriptors,
            configuration: &known,
            reloads: &reloads,
            control: &control,
            hubs: &hubs,
        };
        let serving =
            Serving::start(settings::asked(&node), &ledger, &delivering, counts, listeners, &shared)?;
        Reloader {
            publisher: gateway.as_ref().map(|running| running.publisher().clone()),
            entities: ledger.entities.clone(),
            files,
            compiler,
            whole,
            control,
            declare,
            reach,
            known,
            unsure: None,
            is_unfinished: false,
            laps: Laps::begin(),
            other_ids,
            retired: Vec::new(),
        }
        .start(asks)?;
        signals.drain_too();
        report::entry("ready", &format!("in {} ms", began.elapsed().as_millis()));
        let parts = Parts { gateway, serving, delivering, ledger };
        let drain_timeout = Duration::from_secs(node.drain_timeout);
        Ok(Self { parts, signals, reloads, deaths, drain_timeout, access_log })
    }

    /// Serves until a signal or the death of a part, and stops.
    fn serve(self) -> ExitCode {
        let Self { parts, signals, reloads, deaths, drain_timeout, access_log } = self;
        let code = match signals.wait(deaths, reloads, access_log.as_ref()) {
            Ending::Asked => stop_as_asked(parts, drain_timeout),
            Ending::Died(death) => end_after(&death, parts, drain_timeout.min(END_WITHIN)),
        };
        if let Some(access_log) = access_log {
            access_log.finish(LAST_WORDS);
        }
        code
    }
}

fn stop_as_asked(parts: Parts, patience: Duration) -> ExitCode {
    report::line("stopping: requests under way may end; a second signal ends at once");
    match parts.stop(patience) {
        Ok(()) => {
            report::line("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            report::failure("did not stop in order", &error);
            ExitCode::FAILURE
        }
    }
}

/// A part has died without which the process is useless. The others drain, so that a restart by a supervisor loses no more than an orderly stop.
fn end_after(death: &Death, parts: Parts, patience: Duration) -> ExitCode {
    tracing::error!(%death, "a part of this process has died: the others end, and the process with them");
    let rest = match parts.stop(patience) {
        Ok(()) => String::new(),
        Err(error) => format!(" ({error})"),
    };
    report::problem(&format!(
        "retrohook: ended with status {PART_DIED}, because {death}. This is a bug in Retrohook: please report it with the lines \
         above. Nothing that was acknowledged is lost; the next start finishes what is left{rest}."
    ));
    ExitCode::from(PART_DIED)
}

impl Parts {
    /// Drains and closes, with one deadline for all. Exchanges, calls of the hub and deliveries end at the same time, or are settled at the
    /// deadline. The admin port shows how that goes, and closes next. Then the writer commits what they left, and the store closes.
    fn stop(self, patience: Duration) -> Result<(), CloseError> {
        let Self { gateway, mut serving, mut delivering, ledger } = self;
        let deadline = Instant::now() + patience;
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        serving.announce_drain();
        if let Some(gateway) = &gateway {
            gateway.drain(patience);
        }
        delivering.drain(patience);
        serving.drain_apis(patience);
        match gateway.map(|gateway| gateway.join(patience)).transpose() {
            Ok(cut) => say_cut(cut.unwrap_or_default(), patience),
            Err(error) => tracing::error!(%error, "a core failed"),
        }
        serving.join_apis();
        delivering.join();
        serving.stop_admin(left(deadline).max(LAST_ANSWERS));
        ledger.close(left(deadline + STALLED_AFTER).max(LAST_COMMIT))
    }
}

/// Says what the deadline has cut off, if anything.
fn say_cut(cut: Cut, patience: Duration) {
    let Cut { requests, exchanges } = cut;
    if requests + exchanges > 0 {
        tracing::warn!(
            requests,
            exchanges,
            patience_seconds = patience.as_secs(),
            "the drain's deadline (--drain-timeout) cut off {} whose client got no whole answer, and {} that matched a rule and may go on at the \
             service: where it was sent, its event is `unknown`, with the reason `drain_deadline`",
            check::count(requests, "request"),
            check::count(exchanges, "exchange")
        );
    }
}

/// The gateway with the access log that is wanted.
fn logged(gateway: Gateway, access_log: Option<&AccessLog>) -> Gateway {
    match access_log {
        Some(access_log) => gateway.log_to(access_log.log().clone()),
        None => gateway,
    }
}

/// What the data path counts.
fn counts(gateway: Option<&gateway::Running>, compiler: &Compiler, access_log: Option<&AccessLog>) -> Counts {
    Counts {
        cores: gateway.map(|running| running.stats().to_vec()).unwrap_or_default(),
        numbering: compiler.numbering(),
        conditions: compiler.conditions(),
        lost_lines: access_log.map(|access_log| access_log.log().lost().clone()),
    }
}

/// The generation that is served first.
fn first(
    compiler: &Compiler,
    known: &Configuration,
    whole: &Whole,
    ledger: &Ledger,
) -> Result<Arc<gateway::Snapshot>, StartError> {
    let topics = compiler::topics(&ledger.entities);
    let first = compiler.compile(known.generation(), whole.served(), &topics);
    Ok(Arc::new(first.map_err(StartError::part("compile the configuration"))?))
}

/// Makes the store declare and keep the configuration that is served: that of the files, and what APIs have made.
fn declared(
    files: &mut Files,
    given: Option<Checked>,
    ledger: &mut Ledger,
    compiler: &Compiler,
) -> Result<(config::Config, Whole, Vec<OtherId>), StartError> {
    let before = Remembered::read(&ledger.writer).map_err(|error| StartError::Store(error.into()))?;
    let Checked { config, remembered } = configuration(files, given, before.clone(), ledger)?;
    let known = before.as_ref().map(Remembered::other_ids).unwrap_or_default();
    let (mut set, api) = (config.set.clone(), ledger.made_by_apis()?);
    unsaid(&api, before.as_ref()).keep(&mut set, files.started_at());
    let remembered = remembered.with_unsaid(&set);
    let merged = Whole::merge_knowing(set, api, &known);
    let gone = merged.gone();
    let Merged { whole, adopted, other_ids, rewritten, .. } = merged;
    let implied = remote::missing(compiler, &whole, files.started_at());
    let whole = whole.with_implied(&implied);
    let remembered = remembered.with_ids(&other_ids);
    warn(adopted.iter().map(changes::adopted));
    let (whole, kept) =
        match before.filter(|_| !whole.dangling().is_empty() || Named::may_be_gone(compiler, &whole)) {
            // This version may refuse its files; then there is nothing to keep.
            Some(before) => {
                let mut old = files.check(before.clone()).map(|old| old.config.set).unwrap_or_default();
                unsaid(&Set::default(), Some(&before)).keep(&mut old, files.started_at());
                keep(whole, Whole::merge_knowing(old, Set::default(), &known).whole.file(), compiler)
            }
            None => (whole, Vec::new()),
        };
    warn(kept.iter().map(changes::kept));
    let lacking = |one: &Dangling| {
        let (message, hint) = changes::dangling(one);
        let so = match one.reference {
            _ if one.kind == Kind::Queue => "its messages stay where they are until then",
            // The hub makes a topic or a queue as soon as a subscription names it.
            Reference::Name(_) => "it is delivered to what has the name until then",
            Reference::Id(_) => "it is not served",
        };
        format!("{message}: {so}\n  hint: {hint}")
    };
    warn(whole.dangling().iter().map(lacking));
    let unservable =
        |plugin: &Arc<Plugin>| changes::unservable(plugin, &compiler.problems_of(plugin, whole.all()));
    warn(whole.api().plugins.iter().filter_map(unservable));
    if *whole.api() != Set::default() {
        report::entry("by APIs", &check::summary(whole.api(), &Served::of(whole.api())));
    }
    let elsewhere = remote::all(whole.all());
    if !elsewhere.is_empty() {
        report::entry("real SNS", &elsewhere.join(", "));
    }
    // What cannot be served must not be stored.
    compiler.can_compile(&whole).map_err(StartError::part("compile the configuration"))?;
    let kept = kept.iter().chain(&rewritten).map(control::rows::row).collect();
    let unstored = |error: storage::StoreError| StartError::Store(error.into());
    let staged = remembered.stage(&ledger.writer, &mut files.written).map_err(unstored)?;
    ledger.declare(whole.all(), remembered::with_rows(staged, gone, kept))?;
    remembered::drop_unfinished(&ledger.writer).map_err(unstored)?;
    Ok((config, whole, other_ids))
}

/// What is known of topics and queues besides what the files say: what APIs made, and what the store remembers of the last files.
fn unsaid<'k>(api: &'k Set, before: Option<&'k Remembered>) -> Unsaid<'k> {
    let topics = before.map(Remembered::topics).unwrap_or_default();
    let queues = before.map(Remembered::queues).unwrap_or_default();
    Unsaid::of(api.topics.iter().chain(topics), api.queues.iter().chain(queues))
}

/// Keeps entities that the files declared before and have dropped now, if something that APIs made needs them: from now on they count as made by
/// an API.
fn keep(whole: Whole, before: &Set, compiler: &Compiler) -> (Whole, Vec<Entity>) {
    let (whole, mut kept) = whole.keep_referred(before);
    let (whole, topics) = Named::keep(&Named::find(compiler, &whole, before), whole);
    kept.extend(topics);
    (whole, kept)
}

/// Hands the changes that APIs ask for to the thread that reloads.
fn control(whole: Whole, reloads: Reloads) -> Control {
    Control::new(whole, move |job| reloads.hand(job).map_err(editing::not_handed))
}

/// The configuration to serve: that of the files, or else the one that was served last.
fn configuration(
    files: &mut Files,
    given: Option<Checked>,
    kept: Option<Remembered>,
    ledger: &Ledger,
) -> Result<Checked, StartError> {
    let (checked, how) = match (given, kept) {
        (Some(given), kept) => {
            let replaces =
                |kept: &Remembered| kept.from == Source::Api && kept.files != given.remembered.files;
            if kept.as_ref().is_some_and(replaces) {
                report::problem("the configuration that POST /config gave is replaced by the files");
            }
            let names = given.remembered.names();
            (given, names)
        }
        (None, Some(kept)) if !kept.files.is_empty() => {
            let how = format!("as served last ({})", kept.names());
            (accepted(files.check(kept))?, how)
        }
        (None, None) if ledger.has_subscriptions()? => return Err(StartError::NoConfiguration),
        (None, _) => {
            let nothing = Remembered::new(Source::Files, Vec::new());
            (accepted(files.check(nothing))?, "none: no routes, no topics (-c FILE)".to_owned())
        }
    };
    report::entry(
        "config",
        &format!("{how}: {}", check::summary(&checked.config.set, &checked.config.served)),
    );
    Ok(checked)
}

fn warn(warnings: impl IntoIterator<Item = String>) {
    for warning in warnings {
        report::problem(&format!("warning: {warning}"));
    }
}

fn accepted(checked: Result<Checked, config::Report>) -> Result<Checked, StartError> {
    let checked = checked.map_err(|problems| {
        report::problem(&problems.to_string());
        StartError::Configuration
    })?;
    check::warnings(&checked.config);
    Ok(checked)
}
