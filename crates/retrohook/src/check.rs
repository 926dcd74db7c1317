//! `retrohook check`: every problem of a configuration, or all damage of a data directory.

use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use config::Tolerance;
use entities::{Served, Set};
use event::timestamp::Clock;
use gateway::compile::CompileError;
use gateway::destination::Destinations;
use pipeline::kind::Priority;
use pipeline::{Instance, Plugin, Scope};
use uuid::Uuid;

use crate::cli::CheckArgs;
use crate::clock::WallClock;
use crate::node::{reach, remote, settings};
use crate::report;

/// The hint for routes that pass each check but cannot be compiled together.
pub const TOO_LARGE: &str = "take prefixes, or fewer and shorter regular expressions; a repetition like `{1000}` is what makes one large";

/// The default address of the SNS API.
const HUB: &str = "127.0.0.1:4566";

/// Checks files or a data directory; status 1 if there is a problem.
pub fn run(args: &CheckArgs) -> ExitCode {
    let mut sound = true;
    let paths: Vec<_> = args.files.iter().chain(&args.config).collect();
    if !paths.is_empty() {
        sound &= files(&paths, args);
    }
    if let Some(dir) = &args.data {
        sound &= data(dir);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn files(paths: &[&PathBuf], args: &CheckArgs) -> bool {
    let kinds = plugins::all();
    let options = config::Options {
        kinds: &kinds,
        region: &args.region,
        account: &args.account_id,
        hubs: &[HUB.to_owned()],
        env: &|name| std::env::var(name).ok(),
        now: WallClock.now(),
        tolerance: Tolerance { unset_variables: !args.strict, ..args.skip.tolerance() },
    };
    match config::load(paths, &options) {
        Ok(config) => {
            warnings(&config);
            match settings::allowed(&args.allow) {
                Ok(allow) => reach::closed(&config, &allow).iter().for_each(|closed| warning(closed)),
                Err(error) => {
                    report::failure("cannot check", &error);
                    return false;
                }
            }
            if let (Some(why), [first, ..]) = (sinks::sns::ABSENT, &remote::all(&config.set)[..]) {
                report::problem(&format!("nothing can be published to {first}: {why}"));
                return false;
            }
            if let Err(error) = compile(&config) {
                report::failure("the configuration cannot be compiled", &error);
                report::problem(&format!("  hint: {TOO_LARGE}"));
                return false;
            }
            report::line(&format!("ok: {}", summary(&config.set, &config.served)));
            true
        }
        Err(problems) => {
            report::problem(&problems.to_string());
            false
        }
    }
}

/// Compiles the routes as a start does, because regexes may be too large only when they are taken together.
fn compile(config: &config::Config) -> Result<(), CompileError<Infallible>> {
    let stand_in = |_: &entities::Owned| -> Result<_, Infallible> {
        // A stand-in for each plug-in, because its own check has judged it already.
        let plugin = Plugin::default();
        Ok((Scope::default(), Instance { id: Uuid::nil(), kind: "stand-in", priority: Priority(0), plugin }))
    };
    gateway::compile::compile(&config.served, &Destinations::default(), stand_in).map(drop)
}

/// Prints what is allowed but probably not meant.
pub fn warnings(config: &config::Config) {
    config.warnings.iter().for_each(|found| warning(&found.to_string()));
}

fn warning(text: &str) {
    report::problem(&format!("warning: {text}"));
}

fn data(dir: &Path) -> bool {
    if let Some(hint) = no_store(dir) {
        report::problem(&hint);
        return false;
    }
    report::line(&format!("looking through {} …", dir.display()));
    let looking =
        || -> Result<Vec<String>, Box<dyn Error>> { Ok(stores::sqlite::inspect(dir)?.check(true)?) };
    match looking() {
        Ok(findings) if findings.is_empty() => {
            report::line("ok: no damage");
            true
        }
        Ok(findings) => {
            findings.iter().for_each(|finding| report::problem(finding));
            let count =
                if findings.len() == 1 { "1 finding" } else { &format!("{} findings", findings.len()) };
            report::problem(&format!("{count}: the data directory is damaged"));
            report::problem(&damaged(dir));
            false
        }
        Err(error) => {
            report::failure("the data directory cannot be checked", &*error);
            if is_damage(&*error) {
                report::problem(&damaged(dir));
            }
            false
        }
    }
}

/// Why there is nothing to check, and what to do; `None` if there is a store.
fn no_store(dir: &Path) -> Option<String> {
    let shown = dir.display();
    let remedy = "give the directory that `retrohook run` has as --data-dir; by default that is ./retrohook-data, in the folder where it was started";
    match std::fs::metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(format!("there is no directory {shown}\n  hint: {remedy}"))
        }
        Ok(found) if !found.is_dir() => Some(format!("{shown} is not a directory\n  hint: {remedy}")),
        _ => match std::fs::File::open(stores::sqlite::database(dir)) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Some(format!(
                "this user (uid {}) may not read {shown}: whether there is a store, and how it is, cannot be told\n  hint: run the check as \
                 the user of the gateway: `sudo -u USER retrohook check --data {shown}`",
                rustix::process::geteuid().as_raw()
            )),
            Err(error) if error.kind() == ErrorKind::NotFound && !is_gone(dir) => {
                Some(format!("there is no store in {shown}\n  hint: {remedy}"))
            }
            // Opening the store finds everything else that may be wrong.
            _ => None,
        },
    }
}

/// Whether there was a store and only its database is missing: that is reported as a start reports it.
fn is_gone(dir: &Path) -> bool {
    matches!(stores::sqlite::inspect(dir), Err(stores::sqlite::OpenError::Gone { .. }))
}

fn is_damage(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(stores::sqlite::OpenError::Damaged { .. }))
        || matches!(error.downcast_ref(), Some(storage::StoreError::Damaged(_)))
}

/// What to do about a damaged store.
fn damaged(dir: &Path) -> String {
    let shown = dir.display();
    format!(
        "  hint: nothing was changed. Stop the gateway, copy {shown} as a whole, and restore a backup; or save what can still be read:\n        sqlite3 {file} .recover | sqlite3 new.db\n  hint: an empty directory is a new start: every event that is still owed is then lost",
        file = stores::sqlite::database(dir).display(),
    )
}

/// A number of things: `1 route`, `2 routes`.
pub fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The contents of a configuration, in one line.
pub fn summary(set: &Set, served: &Served) -> String {
    let rules = served.routes.iter().flat_map(|route| &route.plugins);
    let rules: HashSet<_> = rules.map(Arc::as_ptr).collect();
    let count = |number: usize, one: &str| count(number as u64, one);
    let some = |number: usize, one: &str| (number > 0).then(|| count(number, one));
    let authorities = some(set.ca_certificates.len(), "CA certificate");
    let consumers = some(set.consumers.len(), "consumer");
    let groups = some(set.consumer_groups.len(), "consumer group");
    let upstreams = some(set.upstreams.len(), "upstream");
    [
        count(set.services.len(), "service"),
        count(set.routes.len(), "route"),
        count(rules.len(), "plug-in"),
        count(set.topics.len(), "topic"),
        count(set.subscriptions.len(), "subscription"),
        count(set.queues.len(), "queue"),
    ]
    .into_iter()
    .chain(authorities)
    .chain(upstreams)
    .chain(consumers)
    .chain(groups)
    .collect::<Vec<_>>()
    .join(", ")
}
