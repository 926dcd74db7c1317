//! The files that `-c` names: read at a start, and anew at each reload.

use std::path::{Path, PathBuf};

use config::{Config, Options, Report};
use event::Timestamp;

use crate::cli::RunArgs;

/// Files, and what they are checked with.
pub struct Files {
    paths: Vec<PathBuf>,
    region: String,
    account: String,
    /// The `created_at` of entities that have none, also of those that a reload brings: else a reload would make all of them younger,
    /// and decide ties between routes in another way than a start.
    started_at: Timestamp,
}

impl Files {
    /// Those of a command line.
    pub fn of(args: &RunArgs, started_at: Timestamp) -> Self {
        Self {
            paths: args.config.clone(),
            region: args.node.region.clone(),
            account: args.node.account_id.clone(),
            started_at,
        }
    }

    /// Whether the node was given none.
    pub fn are_none(&self) -> bool {
        self.paths.is_empty()
    }

    /// One that can be read only once, or that would keep whoever reads it waiting: a pipe, a terminal. One that is missing is a problem like
    /// any other.
    pub fn readable_once(&self) -> Option<&Path> {
        let special = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|found| !found.is_file());
        self.paths.iter().find(special).map(PathBuf::as_path)
    }

    /// Reads and checks them; of no files comes an empty configuration.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(&self) -> Result<Config, Report> {
        if self.are_none() {
            return Ok(Config::default());
        }
        let kinds = plugins::all();
        let options = Options {
            kinds: &kinds,
            region: &self.region,
            account: &self.account,
            env: &|name| std::env::var(name).ok(),
            now: self.started_at,
        };
        config::load(&self.paths, &options)
    }

    /// Their names in one line.
    pub fn shown(&self) -> String {
        if self.are_none() {
            return "none: no routes, no topics (-c FILE)".to_owned();
        }
        self.paths.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}
