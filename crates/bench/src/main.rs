//! Measurements of Retrohook beside its peers, in the same run, on the same core. Started by `cargo xtask bench`, which builds Retrohook
//! and unpacks the peers.
//!
//! What is measured runs on one core; the load generator and the stubs, all of this program, on another. CPU time is the processes' own
//! accounting. Everything listens on 127.0.0.1, every wait has an end, and whatever was started is killed at the end, also of a run that
//! is interrupted.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people prints")]

use std::process::ExitCode;

use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

mod cpu;
mod load;
mod machine;
mod options;
mod peer;
mod process;
mod section;
mod stats;
mod stub;
mod table;
mod target;
mod wire;
mod world;

use options::Options;
use section::Findings;
use world::World;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    // So that a wrong option is named before the long build of what is measured.
    let train = words.first().is_some_and(|word| word == "train");
    let only_check = words.first().is_some_and(|word| word == "check");
    if only_check || train {
        words.remove(0);
    }
    let outcome = Options::parse(&words).and_then(|options| {
        if only_check {
            return Ok(());
        }
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        runtime.block_on(async {
            tokio::select! {
                outcome = run(options, train) => outcome,
                name = interrupted() => Err(format!("ended by {name}")),
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options, train: bool) -> Result<(), String> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err("two cores are needed: one for what is measured, one for the load".into());
    }
    let machine = machine::describe(&options);
    println!("{machine}");
    let world = World::new(options).await?;
    if train {
        return section::train::run(&world).await;
    }
    if world.programs().other.is_some() {
        return section::against::measure(&world).await;
    }
    let mut text = String::new();
    let mut targets = Vec::new();
    let mut failed = Vec::new();
    for name in options::SECTIONS {
        if !world.options.wants(name) {
            continue;
        }
        // A section that fails does not take the others with it.
        let findings = match section(&world, name).await {
            Ok(findings) => findings,
            Err(problem) => {
                eprintln!("bench: {name}: {problem}");
                text.push_str(&format!(
                    "\n### {name}\n\nNot measured: {}\n",
                    problem.lines().next().unwrap_or_default()
                ));
                failed.push(name);
                continue;
            }
        };
        targets.extend(findings.targets);
        for part in findings.parts {
            println!("\n{part}");
            text.push_str(&format!("\n{part}"));
        }
    }
    let targets = target::part(&targets);
    println!("\n{targets}");
    let text = format!("{machine}\n{targets}{text}");
    // Removed by each part already, but for a folder that could not be.
    let _ = std::fs::remove_dir_all(&world.options.work);
    if let Some(file) = &world.options.markdown {
        insert(file, &text)?;
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(format!("not measured: {}", failed.join(", "))),
    }
}

async fn section(world: &World, name: &str) -> Result<Findings, String> {
    eprintln!("== {name}");
    match name {
        "proxy" => section::proxy::measure(world).await,
        "publish" => section::publish::measure(world).await,
        "latency" => section::latency::measure(world).await,
        "delivery" => section::delivery::measure(world).await,
        "reload" => section::reload::measure(world).await,
        _ => section::start::measure(world).await,
    }
}

/// A line for those who wait, beside the tables.
fn progress(line: &str) {
    eprintln!("   {line}");
}

async fn interrupted() -> &'static str {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    }
}

/// The lines between which a page keeps its results.
const BEGIN: &str = "<!-- results: written by cargo xtask bench --markdown -->";
const END: &str = "<!-- end of results -->";

/// Puts the results into a page between its marks, or makes a page of them.
fn insert(file: &std::path::Path, results: &str) -> Result<(), String> {
    let page = std::fs::read_to_string(file).unwrap_or_default();
    std::fs::write(file, merged(&page, results))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn merged(page: &str, results: &str) -> String {
    let marks = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match marks {
        Some((before, after)) => format!("{before}{BEGIN}\n\n{results}\n{END}{after}"),
        None => results.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_take_the_place_between_the_marks() {
        let page = format!("# Page\n\n{BEGIN}\nold\n{END}\n\nafter\n");
        let expected = format!("# Page\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n");
        assert_eq!(merged(&page, "new\n"), expected);
        assert_eq!(merged("", "new\n"), "new\n");
    }
}
