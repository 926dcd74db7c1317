//! `cargo xtask storm`: the crash storm of the black-box tests, for as long as one likes.

use crate::Places;
use crate::process::{cargo, show};
use crate::test::FEATURES;

/// How often, and by which seed.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    kills: u32,
    seed: Option<u64>,
    weather: Option<String>,
}

impl Options {
    /// Reads `--kills N` and `--seed S`.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { kills: 0, seed: None, weather: None };
        let mut rest = words;
        while let [first, tail @ ..] = rest {
            let (name, value, tail) = match (first.split_once('='), tail) {
                (Some((name, value)), tail) => (name, value, tail),
                (None, [value, tail @ ..]) => (*first, *value, tail),
                (None, []) => return Err(format!("`{first}` needs a number, or is unknown; {KNOWN}")),
            };
            let number = || format!("`{value}` is not a number for {name}");
            match name {
                "--kills" => options.kills = value.parse().map_err(|_| number())?,
                "--weather" if WEATHER.contains(&value) => options.weather = Some(value.to_owned()),
                "--weather" => return Err(format!("`{value}` is no weather; {KNOWN}")),
                "--seed" => options.seed = Some(value.parse().map_err(|_| number())?),
                _ => return Err(format!("`storm` knows no `{name}`; {KNOWN}")),
            }
            rest = tail;
        }
        if options.kills == 0 { Err(format!("how often? {KNOWN}")) } else { Ok(options) }
    }
}

const KNOWN: &str = "it knows --kills N, --seed S and --weather calm, nobody-reads, clock-jumps or reloads";

/// What the process has to bear besides: see `testkit::storm::Weather`.
const WEATHER: [&str; 4] = ["calm", "nobody-reads", "clock-jumps", "reloads"];

/// The test that is a storm.
const TEST: &str = "nothing_is_lost_or_invented_through_a_storm_of_kills";

/// Runs the storm; whether all promises were kept.
pub fn run(places: &Places, options: &Options) -> bool {
    let mut command = cargo();
    command.current_dir(&places.root).args(["test", "--package", "retrohook", FEATURES, "--test", "storm"]);
    command
        .args([TEST, "--", "--exact", "--nocapture"])
        .env("RETROHOOK_STORM_KILLS", options.kills.to_string());
    if let Some(seed) = options.seed {
        command.env("RETROHOOK_STORM_SEED", seed.to_string());
    }
    if let Some(weather) = &options.weather {
        command.env("RETROHOOK_STORM_WEATHER", weather);
    }
    match show(&mut command) {
        Ok(finished) => finished.ok,
        Err(problem) => {
            println!("{problem}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kills_and_seed() {
        let options = |kills, seed, weather: Option<&str>| {
            Ok(Options { kills, seed, weather: weather.map(str::to_owned) })
        };
        assert_eq!(Options::parse(&["--kills", "500", "--seed=7"]), options(500, Some(7), None));
        let jumps = options(3, None, Some("clock-jumps"));
        assert_eq!(Options::parse(&["--kills=3", "--weather", "clock-jumps"]), jumps);
    }

    #[test]
    fn refuses_what_is_no_storm() {
        for words in [
            &[][..],
            &["--kills"],
            &["--kills", "many"],
            &["--kills=0"],
            &["--speed", "3"],
            &["--kills=3", "--weather=rain"],
        ] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
