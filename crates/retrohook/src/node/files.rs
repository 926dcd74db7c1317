//! Where the configuration comes from: the files that `-c` names, read at a start and anew at each reload, or texts.

use std::path::{Path, PathBuf};

use config::{Config, Options, Report, STANDARD_INPUT, Text};
use event::Timestamp;
use hub::Names;

use super::remembered::{Remembered, Source};
use super::settings;
use crate::cli::{NodeArgs, SkipArgs};

/// Files, and what they are checked with.
pub struct Files {
    paths: Vec<PathBuf>,
    names: Names,
    hubs: Vec<String>,
    skip: SkipArgs,
    /// The `created_at` of entities that have none, also of those that a reload brings: else a reload would make all of them younger,
    /// and decide ties between routes in another way than a start.
    started_at: Timestamp,
}

/// A configuration with what it was made of.
pub struct Checked {
    /// As it is served.
    pub config: Config,
    /// As it is kept.
    pub remembered: Remembered,
}

impl Files {
    /// Files of these paths, for a node of this account and region, which goes on without some plug-ins.
    pub fn of(paths: Vec<PathBuf>, node: &NodeArgs, skip: SkipArgs, started_at: Timestamp) -> Self {
        let (names, hubs) = (settings::names(node), settings::hubs(node, None));
        Self { paths, names, hubs, skip, started_at }
    }

    /// When the node started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Whether the node was given none.
    pub fn are_none(&self) -> bool {
        self.paths.is_empty()
    }

    /// One that can be read only once, or that would keep whoever reads it waiting: a pipe, a terminal. One that is missing is a problem like
    /// any other.
    pub fn readable_once(&self) -> Option<&Path> {
        let special = |path: &&PathBuf| {
            path.as_os_str() == STANDARD_INPUT || std::fs::metadata(path).is_ok_and(|found| !found.is_file())
        };
        self.paths.iter().find(special).map(PathBuf::as_path)
    }

    /// Reads and checks them.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(&self) -> Result<Checked, Report> {
        self.check(Remembered::new(Source::Files, config::read_all(&self.paths)?))
    }

    /// Checks texts; of none comes an empty configuration.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn check(&self, remembered: Remembered) -> Result<Checked, Report> {
        if remembered.files.is_empty() {
            return Ok(Checked { config: Config::default(), remembered });
        }
        let kinds = super::compiler::kinds();
        let options = Options {
            kinds: &kinds,
            region: &self.names.region,
            account: &self.names.account,
            hubs: &self.hubs,
            env: &|name| std::env::var(name).ok(),
            now: self.started_at,
            tolerance: self.skip.tolerance(),
        };
        let config = config::check_texts(&remembered.files, &options)?;
        Ok(Checked { config, remembered })
    }

    /// Checks a text that was given instead of the files.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn check_given(&self, text: String) -> Result<Checked, Report> {
        let files = vec![Text { name: GIVEN.to_owned(), text }];
        self.check(Remembered::new(Source::Api, files))
    }
}

/// What messages call a text that was given by `POST /config`.
const GIVEN: &str = "POST /config";
