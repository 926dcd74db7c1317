//! The command line. People give theirs to `cargo xtask bench`, which adds where the programs are.

use std::path::PathBuf;
use std::time::Duration;

use crate::peer::Programs;

/// What is measured and how long.
pub struct Options {
    /// The programs.
    pub programs: Programs,
    /// A folder on the disk that is to be measured.
    pub work: PathBuf,
    /// Runs of which the median is taken.
    pub runs: usize,
    /// The time of a run.
    pub time: Duration,
    /// Connections of the load generator.
    pub connections: usize,
    /// Pending messages of the large store.
    pub pending: u64,
    /// One run, with less of everything.
    pub quick: bool,
    /// Sections; all if empty.
    pub only: Vec<String>,
    /// The file that gets the tables, too.
    pub markdown: Option<PathBuf>,
}

/// Runs of each build, when two are compared: the least of which an interval of the median means something.
const PAIRS: usize = 10;

/// The names of the sections.
pub const SECTIONS: [&str; 6] = ["proxy", "publish", "latency", "delivery", "reload", "start"];

impl Options {
    /// Reads words like `--runs 5`.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let quick = words.iter().any(|word| word == "--quick");
        let mut options = Self {
            programs: Programs { retrohook: PathBuf::new(), other: None, peers: PathBuf::new() },
            work: PathBuf::new(),
            runs: if quick { 1 } else { 5 },
            time: Duration::from_secs_f64(if quick { 1.5 } else { 3.0 }),
            connections: 64,
            pending: if quick { 50_000 } else { 1_000_000 },
            quick,
            only: Vec::new(),
            markdown: None,
        };
        let mut runs = None;
        let mut words = words.iter().filter(|word| *word != "--quick");
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            options.set(word, value)?;
            if word == "--runs" {
                runs = Some(options.runs);
            }
        }
        if options.programs.other.is_some() {
            options.runs = runs.unwrap_or(PAIRS);
        }
        Ok(options)
    }

    fn set(&mut self, word: &str, value: &str) -> Result<(), String> {
        let number = |least: u64| match value.parse::<u64>() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(format!("{word}: `{value}` is not a number of at least {least}")),
        };
        match word {
            "--retrohook" => self.programs.retrohook = value.into(),
            "--peers" => self.programs.peers = value.into(),
            "--work" => self.work = value.into(),
            "--runs" => self.runs = number(1)? as usize,
            "--seconds" => self.time = Duration::from_secs(number(1)?),
            "--connections" => self.connections = number(1)?.min(2_000) as usize,
            "--pending" => self.pending = number(1)?,
            "--markdown" => self.markdown = Some(value.into()),
            "--against" if std::path::Path::new(value).is_file() => self.programs.other = Some(value.into()),
            "--against" => {
                return Err(format!("--against: no file `{value}`; it takes another binary of Retrohook"));
            }
            "--only" if SECTIONS.contains(&value) => self.only.push(value.to_owned()),
            "--only" => return Err(format!("no section `{value}`; there are {}", SECTIONS.join(", "))),
            _ => return Err(format!("no option `{word}`")),
        }
        Ok(())
    }

    /// Whether a section is asked for.
    pub fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_quick_run_is_one_unless_told_otherwise() {
        assert_eq!(parse("").unwrap().runs, 5);
        assert_eq!(parse("--quick").unwrap().runs, 1);
        let options = parse("--runs 3 --quick --only proxy").unwrap();
        assert_eq!(options.runs, 3);
        assert!(options.wants("proxy") && !options.wants("start"));
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert!(parse("--only all").err().unwrap().contains("delivery"));
        assert!(parse("--runs none").err().unwrap().contains("`none`"));
        assert!(parse("--fast 1").err().unwrap().contains("--fast"));
        assert!(parse("--runs").err().unwrap().contains("needs a value"));
    }
}
