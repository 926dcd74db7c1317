//! The source of the configuration: the files that `-c` names, read at a start and again at each reload, or texts.

use std::path::{Path, PathBuf};

use config::{Config, Options, Reader, Report, STANDARD_INPUT, Text};
use event::Timestamp;
use hub::Names;

use super::remembered::{Remembered, Source, Written};
use super::settings;
use crate::cli::{NodeArgs, SkipArgs};

/// Files, and what is needed to check them.
pub struct Files {
    paths: Vec<PathBuf>,
    names: Names,
    hubs: Vec<String>,
    skip: SkipArgs,
    /// The `created_at` of entities without one, even of those that come with a reload. Otherwise a reload would make all of them younger, and
    /// could order equal routes differently than a start.
    started_at: Timestamp,
    /// Knows what it read last, so that a reload parses only what has changed.
    reader: Reader,
    /// What the store has of their texts.
    pub written: Written,
}

/// A configuration with the texts that it comes from.
pub struct Checked {
    /// The configuration to serve.
    pub config: Config,
    /// The texts to store.
    pub remembered: Remembered,
}

impl Files {
    /// The files at these paths, for a node with this account and region, which may go on without some plug-ins.
    pub fn of(paths: Vec<PathBuf>, node: &NodeArgs, skip: SkipArgs, started_at: Timestamp) -> Self {
        let (names, hubs) = (settings::names(node), settings::hubs(node, None));
        Self { paths, names, hubs, skip, started_at, reader: Reader::default(), written: Written::default() }
    }

    /// When the node started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Whether the node was started without files.
    pub fn are_none(&self) -> bool {
        self.paths.is_empty()
    }

    /// The first file that can be read only once, or whose reader would have to wait: a pipe, a terminal. A missing file is a problem like any
    /// other.
    pub fn readable_once(&self) -> Option<&Path> {
        let special = |path: &&PathBuf| {
            path.as_os_str() == STANDARD_INPUT || std::fs::metadata(path).is_ok_and(|found| !found.is_file())
        };
        self.paths.iter().find(special).map(PathBuf::as_path)
    }

    /// Reads and checks them.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(&mut self) -> Result<Checked, Report> {
        self.check(Remembered::new(Source::Files, config::read_all(&self.paths)?))
    }

    /// Checks texts. Without any, the configuration is empty.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check(&mut self, remembered: Remembered) -> Result<Checked, Report> {
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
        let config = self.reader.check_texts(&remembered.files, &options)?;
        Ok(Checked { config, remembered })
    }

    /// Checks a text that was given instead of the files.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_given(&mut self, text: String) -> Result<Checked, Report> {
        let files = vec![Text { name: GIVEN.to_owned(), text }];
        self.check(Remembered::new(Source::Api, files))
    }
}

/// What messages call a text that was given by `POST /config`.
const GIVEN: &str = "POST /config";
