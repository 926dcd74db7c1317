//! `retrohook check`: every problem of a configuration, or all damage of a data directory.

use std::path::Path;
use std::process::ExitCode;

use event::timestamp::Clock;

use crate::cli::CheckArgs;
use crate::clock::WallClock;
use crate::report;

/// Checks what it is given; status 1 if there is a problem.
pub fn run(args: &CheckArgs) -> ExitCode {
    let mut sound = true;
    if !args.files.is_empty() {
        sound &= files(args);
    }
    if let Some(dir) = &args.data {
        sound &= data(dir);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn files(args: &CheckArgs) -> bool {
    let kinds = plugins::all();
    let options = config::Options {
        kinds: &kinds,
        region: &args.region,
        account: &args.account_id,
        env: &|name| std::env::var(name).ok(),
        now: WallClock.now(),
    };
    match config::load(&args.files, &options) {
        Ok(config) => {
            report::line(&format!("ok: {}", summary(&config)));
            true
        }
        Err(problems) => {
            report::problem(&problems.to_string());
            false
        }
    }
}

fn data(dir: &Path) -> bool {
    report::line(&format!("looking through {} …", dir.display()));
    let looking = || -> Result<Vec<String>, Box<dyn std::error::Error>> {
        Ok(stores::sqlite::inspect(dir)?.check(true)?)
    };
    match looking() {
        Ok(findings) if findings.is_empty() => {
            report::line("ok: no damage");
            true
        }
        Ok(findings) => {
            findings.iter().for_each(|finding| report::problem(finding));
            report::problem(&format!("{} findings", findings.len()));
            false
        }
        Err(error) => {
            report::failure("the data directory cannot be checked", &*error);
            false
        }
    }
}

/// What a configuration holds, in one line.
pub fn summary(config: &config::Config) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    };
    let rules = config.routes().flat_map(|(_, route)| &route.plugins);
    let mut rules: Vec<_> = rules.map(std::sync::Arc::as_ptr).collect();
    rules.sort_unstable();
    rules.dedup();
    [
        count(config.services.len(), "service"),
        count(config.services.iter().map(|service| service.routes.len()).sum(), "route"),
        count(rules.len(), "plug-in"),
        count(config.topics.len(), "topic"),
        count(config.subscriptions.len(), "subscription"),
        count(config.queues.len(), "queue"),
    ]
    .join(", ")
}
