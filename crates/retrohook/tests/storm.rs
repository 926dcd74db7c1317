//! The crash storm: traffic, kills, restarts, and then every record against every other.
//!
//! `RETROHOOK_STORM_KILLS`, `RETROHOOK_STORM_SEED` and `RETROHOOK_STORM_WEATHER` choose how often, by which seed and under what;
//! `cargo xtask storm --kills N` sets them.

use std::time::{SystemTime, UNIX_EPOCH};

use storage::failpoint;
use testkit::storm::{self, Plan, Report, Rules, Weather};

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

fn seed() -> u64 {
    let clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos().into());
    number("RETROHOOK_STORM_SEED").unwrap_or_else(clock)
}

#[expect(clippy::print_stdout, reason = "whoever sees a failure needs the seed")]
fn storm(kills: u32, seed: u64, rules: Rules, weather: Weather) -> Report {
    println!("storm of {kills} kills, {rules:?}, {weather:?}, seed {seed}");
    let program = env!("CARGO_BIN_EXE_retrohook").into();
    let report = storm::run(&Plan { program, kills, seed, rules, weather });
    println!(
        "{} requests, {} executed; events: {} succeeded, {} unknown ({} found by a restart); {} deliveries repeated; {} reloads, {} changes by APIs, {} messages; killed at {:?}",
        report.requests,
        report.executed,
        report.succeeded,
        report.unknown,
        report.recovered,
        report.repeated,
        report.reloads,
        report.edits,
        report.messages,
        report.points
    );
    report
}

fn weather() -> Weather {
    match std::env::var("RETROHOOK_STORM_WEATHER").as_deref() {
        Err(_) | Ok("calm") => Weather::Calm,
        Ok("nobody-reads") => Weather::NobodyReads,
        Ok("clock-jumps") => Weather::ClockJumps,
        Ok("reloads") => Weather::Reloads,
        Ok(other) => {
            panic!("RETROHOOK_STORM_WEATHER is calm, nobody-reads, clock-jumps or reloads, not `{other}`")
        }
    }
}

/// A storm that breaks no promise, and in which something happened: one in which nothing happens finds nothing.
#[track_caller]
fn holds(kills: u32, seed: u64, weather: Weather) -> Report {
    let report = storm(kills, seed, Rules::AsPromised, weather);
    assert!(
        report.violations.is_empty(),
        "{} violations under {weather:?}:\n{}\nto repeat it: cargo xtask storm --kills {kills} --seed {seed}",
        report.violations.len(),
        report.violations[..report.violations.len().min(20)].join("\n")
    );
    assert!(report.succeeded > 5 * kills as usize, "too little traffic: {report:?}");
    assert!(report.messages > kills as usize, "too few messages: {report:?}");
    assert!(report.repeated > 0, "the webhook misbehaved in vain: {report:?}");
    report
}

#[test]
fn nothing_is_lost_while_nobody_reads_the_output() {
    holds(6, seed(), Weather::NobodyReads);
}

#[test]
fn nothing_is_lost_while_the_wall_clock_jumps() {
    holds(8, seed(), Weather::ClockJumps);
}

#[test]
fn nothing_is_lost_while_the_configuration_changes() {
    let report = holds(8, seed(), Weather::Reloads);
    assert!(report.reloads >= 2 && report.edits >= 2, "too few changes: {report:?}");
}

#[test]
fn nothing_is_lost_or_invented_through_a_storm_of_kills() {
    let seed = seed();
    let kills =
        number("RETROHOOK_STORM_KILLS").map_or(20, |kills| u32::try_from(kills).expect("a number of kills"));
    let weather = weather();
    let report = holds(kills, seed, weather);
    let kills = kills as usize;
    // Where workers are replaced all the time, few of them live until a point has been passed often enough.
    let reaches_points = matches!(weather, Weather::Calm | Weather::ClockJumps);
    if kills >= 2 * failpoint::ALL.len() && reaches_points {
        assert_eq!(
            report.points.len(),
            failpoint::ALL.len(),
            "not every point was reached: {:?}",
            report.points
        );
        assert!(report.recovered > 0, "no restart found an open intent: {report:?}");
    }
}

/// The same storm over rules that keep no intent, as every other gateway: it must find what is lost.
#[test]
fn a_storm_finds_what_memory_loses() {
    let report = storm(10, seed(), Rules::Memory, Weather::Calm);
    let missing =
        report.violations.iter().filter(|violation| violation.contains("an event is missing")).count();
    assert!(missing > 0, "{:?}", report.violations);
}
